# SPDX-License-Identifier: Apache-2.0
"""Who is to get DMARC reports, and must agree to (RFC 9990 section 4); whose zone that is in."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.findings import Finding, FixAction
from postroom.api.sendingdomain import RecordState
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import DMARC, DOMAIN, HEALTHY, look, record
from unit.dns.fake_zone import FakeZone, Key

PARENT: Key = ("_dmarc.example.com", "TXT")


def about_dmarc(report: DomainReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.subject == "dmarc"]


def told(change: dict[Key, list[str]], **spec: Any) -> list[tuple[str, str]]:
    found = about_dmarc(look(FakeZone({**HEALTHY, **change}), **spec))
    return [(one.code, one.severity.value) for one in found]


def test_a_destination_above_that_has_no_record_is_worth_a_note() -> None:
    assert told({PARENT: []}) == [("DMARC_RUA_APART", "Info")]
    agreed = {(f"{DOMAIN}._report._dmarc.example.com", "TXT"): ["v=DMARC1"]}
    assert told({PARENT: [], **agreed}) == []


REFUSED = ("DMARC_OTHER_RUA_UNAUTHORISED", "Warning")


@pytest.mark.parametrize(
    ("tags", "more", "wanted"),
    [
        ("rua=mailto:dmarc@example.com,mailto:d@reports.net", {}, [REFUSED]),
        ("rua=mailto:dmarc@example.com; ruf=mailto:d@reports.net", {}, [REFUSED]),
        (
            "rua=mailto:dmarc@example.com,mailto:d@reports.net,mailto:e@reports.org",
            {},
            [REFUSED],
        ),
        (
            "rua=mailto:dmarc@example.com,mailto:d@reports.net",
            {(f"{DOMAIN}._report._dmarc.reports.net", "TXT"): ["v=DMARC1"]},
            [],
        ),
        (
            "rua=mailto:dmarc@example.com,mailto:d@reports.net",
            {("*._report._dmarc.reports.net", "TXT"): ["v=DMARC1"]},
            [REFUSED],
        ),
        (
            "rua=mailto:dmarc@example.com,mailto:d@reports.net",
            {
                (f"{DOMAIN}._report._dmarc.reports.net", "TXT"): [
                    "v=DMARC1; rua=mailto:a@elsewhere.net"
                ]
            },
            [REFUSED],
        ),
        ("rua=mailto:dmarc@example.com,mailto:e@example.com", {}, []),
        ("rua=mailto:dmarc@example.com,https://reports.net/x", {}, []),
    ],
)
def test_a_stranger_who_gets_no_reports_is_told_though_nobody_asked_for_him(
    tags: str, more: dict[Key, list[str]], wanted: list[tuple[str, str]]
) -> None:
    change = {DMARC: [f"v=DMARC1; p=reject; {tags}"], **more}
    assert told(change) == wanted
    report = look(FakeZone({**HEALTHY, **change}))
    assert record(report, "dmarc").state is RecordState.VALID
    for one in about_dmarc(report):
        assert ("reports.org" in one.message) is ("reports.org" in tags)
        assert one.fix is not None
        assert one.fix.action is FixAction.EXTERNAL
        # The other way is in the user's own hands, and takes nothing else away.
        alone = one.message.rpartition(" is: ")[2]
        assert told({**change, DMARC: [alone]}) == []
        kept = {tag.strip() for tag in alone.split(";")}
        assert {"v=DMARC1", "p=reject", "rua=mailto:dmarc@example.com"} == kept


def test_a_record_that_no_sentence_can_hold_is_not_told_anew() -> None:
    ours = ",".join(f"mailto:{number}@example.com" for number in range(60))
    change = {DMARC: [f"v=DMARC1; p=reject; rua=mailto:dmarc@example.com,{ours},mailto:d@a.net"]}
    (one,) = about_dmarc(look(FakeZone({**HEALTHY, **change})))
    assert (one.code, one.severity.value) == REFUSED
    assert " is: " not in one.message
    assert "taken out of the record" in one.message


ELSEWHERE = {"dmarc": {"policy": "reject", "rua": ["mailto:d@reports.net"]}}
TO_ELSEWHERE = {DMARC: ["v=DMARC1; p=reject; rua=mailto:d@reports.net"]}


@pytest.mark.parametrize(
    "agreement",
    [
        {(f"{DOMAIN}._report._dmarc.reports.net", "TXT"): ["v=DMARC1"]},
        {(f"{DOMAIN}._report._dmarc.reports.net", "TXT"): ["v=DMARC1;", "and a note"]},
        {
            (f"{DOMAIN}._report._dmarc.reports.net", "TXT"): [
                "v=DMARC1; rua=mailto:other@reports.net"
            ]
        },
    ],
)
def test_who_agreed_gets_reports(agreement: dict[Key, list[str]]) -> None:
    assert told({**TO_ELSEWHERE, **agreement}, **ELSEWHERE) == []


@pytest.mark.parametrize(
    ("agreement", "why"),
    [
        ({}, "has not agreed"),
        ({("*._report._dmarc.reports.net", "TXT"): ["v=DMARC1"]}, "another record below hides"),
        (
            {(f"{DOMAIN}._report._dmarc.reports.net", "TXT"): ["v=DMARC1; rua=mailto:x@else.net"]},
            "names an address elsewhere",
        ),
    ],
)
def test_who_did_not_agree_is_up_to_himself(agreement: dict[Key, list[str]], why: str) -> None:
    zone = FakeZone({**HEALTHY, **TO_ELSEWHERE, **agreement})
    (found,) = about_dmarc(look(zone, **ELSEWHERE))
    assert (found.code, why in found.message) == ("DMARC_EXTERNAL_RUA_UNAUTHORISED", True)
    assert found.fix is not None
    assert found.fix.action is FixAction.EXTERNAL


def test_an_agreement_in_the_own_zone_is_created() -> None:
    # psd=n makes two organisations of one zone, at all receivers that know RFC 9989.
    own = {
        DMARC: ["v=DMARC1; p=reject; psd=n; rua=mailto:d@example.com"],
        PARENT: ["v=DMARC1; p=none; psd=n"],
        (f"{DOMAIN}._report._dmarc.example.com", "TXT"): ["v=DMARC1; rua=mailto:x@else.net"],
    }
    spec = {"dmarc": {"policy": "reject", "rua": ["mailto:d@example.com"]}}
    assert told(own, **spec) == [("DMARC_EXTERNAL_RUA_UNAUTHORISED", "Error")]
