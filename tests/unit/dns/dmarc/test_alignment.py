# SPDX-License-Identifier: Apache-2.0
"""Alignment of planned identifiers with the From domain."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from postroom.dns import dmarc
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.dmarc import (
    Alignment,
    AlignmentMode,
    Discovery,
    Mechanism,
    Misalignment,
    PlannedIdentifier,
)

PLAIN = "v=DMARC1; p=none"


def answer(name: str, *values: str, outcome: Outcome | None = None) -> Answer:
    there = Outcome.FOUND if values else Outcome.NX_DOMAIN
    return Answer(Question(name, RecordType.TXT), outcome or there, values)


def discover(domain: str, records: Mapping[str, str]) -> Discovery:
    answers = {}
    for name in dmarc.walk_names(domain):
        text = records.get(name.removeprefix("_dmarc."))
        answers[name] = answer(name, *([] if text is None else [text]))
    return dmarc.discover(domain, answers)


def align(
    author: str, domain: str, records: Mapping[str, str], mechanism: Mechanism = Mechanism.DKIM
) -> Alignment:
    found = {domain: discover(domain, records)}
    return dmarc.align(discover(author, records), PlannedIdentifier(mechanism, domain), found)


ORGANISATION = {"example.com": PLAIN}


SENDER = {"send.example.com": PLAIN}


BOTH = {**ORGANISATION, **SENDER}


STRICT = {"example.com": "v=DMARC1; p=none; adkim=s"}


CUT = {"example.com": PLAIN, "send.example.com": "v=DMARC1; p=none; psd=n"}


SUFFIX = {"example.com": "v=DMARC1; p=none; psd=y"}


@pytest.mark.parametrize(
    ("author", "domain", "records", "why"),
    [
        ("example.com", "example.com", {}, None),
        ("example.com", "example.com", STRICT, None),
        ("example.com", "send.example.com", ORGANISATION, None),
        ("send.example.com", "example.com", ORGANISATION, None),
        ("a.example.com", "b.example.com", ORGANISATION, None),
        ("send.example.com", "bounce.send.example.com", SENDER, None),
        ("send.example.com", "bounce.send.example.com", BOTH, None),
        ("send.example.com", "bounce.send.example.com", CUT, None),
        ("example.com", "provider.net", ORGANISATION, Misalignment.OTHER_ORGANISATION),
        ("example.com", "other.com", ORGANISATION, Misalignment.OTHER_ORGANISATION),
        ("example.com", "send.example.com", STRICT, Misalignment.STRICT_MODE),
        ("send.example.com", "example.com", STRICT, Misalignment.STRICT_MODE),
        ("send.example.com", "example.com", CUT, Misalignment.SEPARATED_BY_RECORD),
        ("example.com", "send.example.com", CUT, Misalignment.SEPARATED_BY_RECORD),
        ("a.example.com", "b.example.com", SUFFIX, Misalignment.PUBLIC_SUFFIX),
        ("send.example.com", "example.com", SENDER, Misalignment.NO_COMMON_RECORD),
        ("send.example.com", "bounce.example.com", SENDER, Misalignment.NO_COMMON_RECORD),
    ],
)
def test_alignment(
    author: str, domain: str, records: dict[str, str], why: Misalignment | None
) -> None:
    found = align(author, domain, records)
    assert (found.aligned, found.why) == (why is None, why)


def test_each_mechanism_has_its_mode() -> None:
    for mechanism, aligned in ((Mechanism.DKIM, False), (Mechanism.SPF, True)):
        assert align("example.com", "b.example.com", STRICT, mechanism).aligned is aligned
    strict = {"example.com": "v=DMARC1; p=none; aspf=s"}
    assert align("example.com", "b.example.com", strict, Mechanism.SPF).aligned is False


def test_the_mode_is_inherited() -> None:
    assert align("a.example.com", "example.com", STRICT).mode is AlignmentMode.STRICT


def test_what_could_not_be_asked_is_not_known() -> None:
    author = dmarc.discover("example.com", {})
    for domain, aligned in (("example.com", True), ("b.example.com", None)):
        identifier = PlannedIdentifier(Mechanism.SPF, domain)
        assert dmarc.align(author, identifier, {}).aligned is aligned
