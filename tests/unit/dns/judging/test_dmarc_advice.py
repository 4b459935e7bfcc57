# SPDX-License-Identifier: Apache-2.0
"""Advice on a DMARC policy that receivers apply, no louder than it must be."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.findings import Finding
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import DMARC, DOMAIN, HEALTHY, look
from unit.dns.fake_zone import FakeZone, Key

PARENT: Key = ("_dmarc.example.com", "TXT")
GOOD = "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com"


def about_dmarc(report: DomainReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.subject == "dmarc"]


def told(change: dict[Key, list[str]], **spec: Any) -> list[tuple[str, str]]:
    found = about_dmarc(look(FakeZone({**HEALTHY, **change}), **spec))
    return [(one.code, one.severity.value) for one in found]


@pytest.mark.parametrize(
    ("text", "code", "severity"),
    [
        (f"{GOOD}; pct=100", "DMARC_REMOVED_TAGS", "Info"),
        (f"{GOOD}; pct=20", "DMARC_PCT_IGNORED", "Warning"),
        (f"{GOOD}; sp=none", "DMARC_SP_IGNORED", "Info"),
    ],
)
def test_advice_is_no_louder_than_it_must(text: str, code: str, severity: str) -> None:
    assert told({DMARC: [text]}) == [(code, severity)]


@pytest.mark.parametrize(
    ("policy", "text", "code"),
    [
        ("none", "v=DMARC1; p=none", "DMARC_NONE_WITHOUT_RUA"),
        ("quarantine", "v=DMARC1; p=quarantine", "DMARC_RUA_ABSENT"),
    ],
)
def test_no_reports_are_worth_a_note(policy: str, text: str, code: str) -> None:
    assert told({DMARC: [text]}, dmarc={"policy": policy}) == [(code, "Info")]


def test_reject_at_once_is_worth_a_note() -> None:
    found = told({DMARC: [], PARENT: []}, dmarc={"policy": "reject"})
    assert found == [("DMARC_MISSING", "Error"), ("DMARC_POLICY_JUMP", "Info")]


@pytest.mark.parametrize(
    ("texts", "parent", "policy", "jumps"),
    [
        (["v=dmarc1; p=reject"], [], "none", True),
        (["v=DMARC1; p=rejct"], [], "none", True),
        (["v=DMARC1, p=reject"], [], "none", True),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], [], "none", True),
        (["v=dmarc1; p=quarantine"], [], "reject", True),
        (["v=dmarc1; p=reject"], ["v=DMARC1; p=none"], "none", True),
        # Nothing changes for receivers, or not all at once.
        (["v=dmarc1; p=reject"], ["v=DMARC1; p=quarantine"], "reject", False),
        (["v=dmarc1; p=reject; t=y"], [], "none", False),
        (["v=dmarc1; p=quarantine"], [], "none", False),
        # Receivers do what the record asks for, and the spec for more.
        (["v=DMARC1; p=none; rua=mailto:dmarc@example.com"], [], "reject", False),
        (["v=DMARC1; p=quarantine"], [], "reject", False),
    ],
)
def test_a_record_that_was_ignored_begins_to_count(
    texts: list[str], parent: list[str], policy: str, jumps: bool
) -> None:
    found = told({DMARC: texts, PARENT: parent}, dmarc={"policy": policy})
    assert found[0][1] == ("Warning" if parent and policy == "none" else "Error")
    assert (("DMARC_POLICY_JUMP", "Info") in found) is jumps


def test_a_domain_that_signs_nothing_depends_on_spf() -> None:
    assert told({}, dkim=[]) == [("DMARC_ALIGN_DKIM", "Warning")]


def test_a_return_path_under_strict_alignment() -> None:
    path = {"name": "bounce", "cname": "bounces.provider.net"}
    change = {
        DMARC: [f"{GOOD}; aspf=s"],
        (f"bounce.{DOMAIN}", "CNAME"): ["bounces.provider.net"],
        ("bounces.provider.net", "A"): ["192.0.2.3"],
    }
    assert told(change, returnPath=path) == [("DMARC_ALIGN_SPF", "Warning")]
