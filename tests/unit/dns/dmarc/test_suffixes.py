# SPDX-License-Identifier: Apache-2.0
"""The Public Suffix List beside the walk: organisational domains, and where the two disagree."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from postroom.dns import dmarc
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.dmarc import (
    AlignmentMode,
    Discovery,
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


ORGANISATION = {"example.com": PLAIN}


SENDER = {"send.example.com": PLAIN}


CUT = {"example.com": PLAIN, "send.example.com": "v=DMARC1; p=none; psd=n"}


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("a.b.example.com", "example.com"),
        ("example.com", "example.com"),
        ("com", "com"),
        ("a.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("x.y.unknowntld", "y.unknowntld"),
    ],
)
def test_the_list(domain: str, organisation: str) -> None:
    assert dmarc.suffixes.organisational_domain(domain) == organisation


@pytest.mark.parametrize(
    ("domain", "public"),
    [("com", True), ("co.uk", True), ("example.com", False), ("lab", False), ("github.io", False)],
)
def test_public_suffixes(domain: str, public: bool) -> None:
    assert dmarc.is_public_suffix(domain) is public


@pytest.mark.parametrize(
    ("domain", "records", "expected"),
    [
        ("a.example.com", ORGANISATION, None),
        ("a.example.com", {}, None),
        ("send.example.com", SENDER, ("send.example.com", "example.com", False)),
        ("a.send.example.com", SENDER, ("send.example.com", "example.com", True)),
        ("a.send.example.com", CUT, ("send.example.com", "example.com", None)),
        ("example.com", {"com": "v=DMARC1; p=reject"}, ("com", "example.com", True)),
        ("a.example.com", {"com": "v=DMARC1; p=reject; psd=y"},
         ("example.com", "example.com", True)),
    ],
)  # fmt: skip
def test_disagreement(
    domain: str, records: dict[str, str], expected: tuple[str, str, bool | None] | None
) -> None:
    found = dmarc.disagreement(domain, discover(domain, records))
    assert (found and (found.walk, found.suffix_list, found.policies_differ)) == expected


def test_old_receivers_align_by_the_list() -> None:
    assert dmarc.aligned_by_list("send.example.com", "example.com", AlignmentMode.RELAXED)
    assert not dmarc.aligned_by_list("send.example.com", "example.com", AlignmentMode.STRICT)
    assert not dmarc.aligned_by_list("a.co.uk", "b.co.uk", AlignmentMode.RELAXED)
