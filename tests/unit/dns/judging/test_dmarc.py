# SPDX-License-Identifier: Apache-2.0
"""DMARC beyond the closed loop: inheritance, agreement of destinations, alignment, old receivers.

Covers: what a parent's policy comes to; who must agree to reports, and whose zone that is in;
several records become one with all addresses; advice with its severity; aliases; every damage has a
fix that works.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import Finding, FixAction, Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import DMARC, DOMAIN, HEALTHY, look, record
from unit.dns.fake_zone import FakeZone, Key

PARENT: Key = ("_dmarc.example.com", "TXT")
GOOD = "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com"


def about_dmarc(report: DomainReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.subject == "dmarc"]


def told(change: dict[Key, list[str]], **spec: Any) -> list[tuple[str, str]]:
    found = about_dmarc(look(FakeZone({**HEALTHY, **change}), **spec))
    return [(one.code, one.severity.value) for one in found]


def test_a_parent_that_is_strict_enough_is_worth_a_note() -> None:
    zone = FakeZone({**HEALTHY, DMARC: [], PARENT: [GOOD]})
    report = look(zone)
    assert record(report, "dmarc").state is RecordState.VALID
    assert told({DMARC: [], PARENT: [GOOD]}) == [("DMARC_INHERITED", "Info")]


@pytest.mark.parametrize(
    ("parent", "so"),
    [
        (f"{GOOD}; sp=none", "comes to none here"),
        ("v=DMARC1; p=reject", "comes to reject here"),
        ("v=DMARC1", "No policy of a parent applies either"),
    ],
)
def test_what_a_parent_lacks_is_said(parent: str, so: str) -> None:
    (found,) = about_dmarc(look(FakeZone({**HEALTHY, DMARC: [], PARENT: [parent]})))
    assert (found.code, so in found.message) == ("DMARC_MISSING", True)


def test_receivers_of_the_old_kind_may_not_see_the_parent() -> None:
    deep = f"a.{DOMAIN}"
    records = {
        **HEALTHY,
        PARENT: [],
        (f"_dmarc.{DOMAIN}", "TXT"): [GOOD],
        (deep, "TXT"): [
            "provider-verify=abc",
            "v=spf1 include:spf.provider.net ip4:192.0.2.7 ~all",
        ],
    }
    report = look(FakeZone(records), domain=deep, dkim=[], mx=[])
    assert {one.code for one in about_dmarc(report)} >= {"DMARC_INHERITED", "DMARC_PSL_DISAGREES"}


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


def test_a_damaged_text_never_takes_the_place_of_a_record() -> None:
    texts = ["v=DMARC1; p=none; fo=1; ruf=mailto:a@example.com", '"v=DMARC1; p=reject"']
    (found,) = about_dmarc(look(FakeZone({**HEALTHY, DMARC: texts})))
    assert found.code == "DMARC_POLICY_WEAK"
    assert found.fix is not None
    assert "fo=1; ruf=mailto:a@example.com" in found.fix.value


def test_several_become_the_strictest_with_all_addresses() -> None:
    texts = [GOOD, "v=DMARC1; p=reject; rua=mailto:other@example.com", "v=DMARC1; p=none"]
    zone = FakeZone({**HEALTHY, DMARC: texts})
    (found,) = about_dmarc(look(zone))
    assert found.fix is not None
    assert found.fix.value == (
        "v=DMARC1; p=reject; rua=mailto:other@example.com,mailto:dmarc@example.com"
    )
    zone.apply(found.fix)
    assert about_dmarc(look(zone)) == []


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


@pytest.mark.parametrize("text", ["v=DMARC1; p=none", "nothing", "v=spf1 -all"])
def test_a_cname_in_the_way_is_taken_out(text: str) -> None:
    alias: Key = (DMARC[0], "CNAME")
    zone = FakeZone(
        {**HEALTHY, DMARC: [], alias: ["d.vendor.net"], ("d.vendor.net", "TXT"): [text]}
    )
    (found,) = about_dmarc(look(zone))
    assert found.severity is Severity.ERROR
    assert found.fix is not None
    assert [(one.type, one.value) for one in found.fix.remove] == [("CNAME", "d.vendor.net")]
    zone.apply(found.fix)
    assert about_dmarc(look(zone)) == []


TAGS = st.sampled_from(
    (
        "p=none",
        "p=reject",
        "p=block",
        "sp=quarantine",
        "np=bogus",
        "pct=50",
        "t=y",
        "psd=n",
        "adkim=x",
        "rua=mailto:dmarc@example.com",
        "rua=dmarc@example.com",
        "rua=mailto:a@b.net!10m",
        "ruf=",
        "fo=1:d",
        "=",
        "v=DMARC1",
        "\u201cp=none\u201d".encode().decode("latin-1"),
    )
)
VERSIONS = st.sampled_from(("v=DMARC1", "v=dmarc1", "DMARC1", "v=DMARC", '"v=DMARC1', "v=spf1 a"))
SEPARATORS = st.sampled_from(("; ", ";", ", ", " ", "\\; "))
POLICIES = st.builds(
    lambda version, separator, tags: separator.join([version, *tags]),
    VERSIONS,
    SEPARATORS,
    st.lists(TAGS, max_size=5),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(POLICIES, max_size=3, unique=True))
def test_a_fix_makes_any_policy_valid(texts: list[str]) -> None:
    zone = FakeZone({**HEALTHY, DMARC: texts})
    report = look(zone)
    if record(report, "dmarc").state is RecordState.VALID:
        return
    found = about_dmarc(report)[0]
    assert found.fix is not None
    zone.apply(found.fix)
    assert record(look(zone), "dmarc").state is RecordState.VALID, found
