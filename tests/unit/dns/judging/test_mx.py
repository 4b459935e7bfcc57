# SPDX-License-Identifier: Apache-2.0
"""MX records: what slips make of them, null MX, foreign providers, and names that bounces go to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.sendingdomain import RecordState
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import DOMAIN, HEALTHY, look, record
from unit.dns.fake_zone import FakeZone, Key

MX = (DOMAIN, "MX")
ID = "mx-mx.provider.net"
BOUNCE = f"bounce.{DOMAIN}"
RETURN_PATH = {"returnPath": {"name": "bounce", "cname": "bounces.provider.net"}}


def _looked(change: dict[Key, list[str]], **spec: object) -> tuple[FakeZone, DomainReport]:
    zone = FakeZone({**HEALTHY, ("bounces.provider.net", "A"): ["192.0.2.5"], **change})
    return zone, look(zone, **spec)


def _codes(report: DomainReport, subject: str = ID) -> list[str]:
    return [finding.code for finding in report.findings if finding.subject == subject]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (["10 192.0.2.1"], "MX_IP"),
        (["10 [192.0.2.1]"], "MX_IP"),
        (["10 192.0.2.1.example.com"], "MX_IP"),
        (["10 2001:db8::1"], "MX_IP"),
        (["0 10\\032mx.provider.net"], "MX_PRIORITY_IN_HOST"),
        (["0 10\\032mx.provider.net.example.com"], "MX_PRIORITY_IN_HOST"),
        ([f"10 mx.provider.net.{DOMAIN}"], "MX_TARGET_DOUBLED"),
        (["10 mx.provider.net.example.com"], "MX_TARGET_DOUBLED"),
        (["20 mx.provider.net"], "MX_PREFERENCE"),
        (["10 mx.other.net"], "MX_MISMATCH"),
        (["1 smtp.google.com"], "MX_OTHER_PROVIDER"),
        ([], "MX_MISSING"),
        (["0 ."], "MX_NULL"),
        (["0 .", "10 mx.provider.net"], "MX_NULL_MIXED"),
        (["0 .", "10 mx.other.net"], "MX_NULL_MIXED"),
    ],
)
def test_each_slip_is_named_and_its_fix_works(values: list[str], code: str) -> None:
    zone, report = _looked({MX: values})
    found = next(finding for finding in report.findings if finding.subject == ID)
    assert found.code == code
    assert found.fix is not None
    zone.apply(found.fix)
    assert record(look(zone), ID).state is RecordState.VALID


def test_without_mx_the_address_takes_the_mail() -> None:
    _, report = _looked({MX: [], (DOMAIN, "A"): ["192.0.2.9"]})
    assert "deliver to the address" in record(report, ID).message


def test_an_alias_of_the_host_is_replaced_by_it() -> None:
    own = (f"mail.{DOMAIN}", "CNAME")
    zone, report = _looked({MX: [f"10 mail.{DOMAIN}"], own: ["mx.provider.net"]})
    assert _codes(report) == ["MX_CNAME_TO_WANTED"]
    assert report.findings[0].fix is not None
    zone.apply(report.findings[0].fix)
    assert zone.records[MX] == ["10 mx.provider.net"]


def test_a_host_without_address_is_up_to_who_runs_it() -> None:
    _, report = _looked({("mx.provider.net", "A"): []})
    assert (record(report, ID).state, _codes(report)) == (RecordState.WRONG, ["MX_UNRESOLVABLE"])


def test_a_host_that_is_an_alias_works_but_must_not_be() -> None:
    change = {("mx.provider.net", "A"): [], ("mx.provider.net", "CNAME"): ["host.provider.net"]}
    _, report = _looked({**change, ("host.provider.net", "A"): ["192.0.2.1"]})
    assert (record(report, ID).state, _codes(report)) == (RecordState.VALID, ["MX_CNAME"])


@pytest.mark.parametrize(
    ("value", "state", "code"),
    [
        ("1 smtp.google.com", RecordState.WRONG, "MX_TAKES_MAIL"),
        ("10 smtp.google.com", RecordState.WRONG, "MX_TAKES_MAIL"),
        ("99 smtp.google.com", RecordState.VALID, "MX_OLD_PROVIDER"),
    ],
)
def test_mail_that_still_goes_to_a_provider_of_old(
    value: str, state: RecordState, code: str
) -> None:
    there = {("smtp.google.com", "A"): ["192.0.2.8"]}
    zone, report = _looked({MX: ["10 mx.provider.net", value], **there})
    assert (record(report, ID).state, _codes(report)) == (state, [code])
    found = next(finding for finding in report.findings if finding.subject == ID)
    assert found.fix is not None
    zone.apply(found.fix)
    assert zone.records[MX] == ["10 mx.provider.net"]


def test_an_unknown_exchange_in_reserve_is_nobodys_concern() -> None:
    there = {("backup.other.net", "AAAA"): ["2001:db8::8"]}
    _, report = _looked({MX: ["10 mx.provider.net", "20 backup.other.net"], **there})
    assert _codes(report) == []


def test_an_exchange_in_reserve_that_does_not_exist_goes() -> None:
    zone, report = _looked({MX: ["10 mx.provider.net", "20 backup.other.net"]})
    assert record(report, ID).state is RecordState.VALID
    assert _codes(report) == ["MX_OTHER_UNRESOLVABLE"]
    assert report.findings[0].fix is not None
    zone.apply(report.findings[0].fix)
    assert zone.records[MX] == ["10 mx.provider.net"]


def test_a_null_mx_where_mail_comes_from() -> None:
    _, report = _looked({MX: ["0 ."]}, mx=[])
    assert _codes(report, "domain") == ["MX_NULL"]


@pytest.mark.parametrize(
    "there",
    [
        {(BOUNCE, "A"): ["192.0.2.7"]},
        {(BOUNCE, "MX"): ["10 old.net"]},
        {(BOUNCE, "MX"): ["10 old.net"], (BOUNCE, "TXT"): ["v=spf1 -all"]},
    ],
)
def test_what_is_in_the_way_of_the_return_path(there: dict[Key, list[str]]) -> None:
    zone, report = _looked(there, **RETURN_PATH)
    found = next(finding for finding in report.findings if finding.subject == "return-path")
    assert found.code == "RP_CONFLICT"
    assert found.fix is not None
    assert {(one.name, one.type) for one in found.fix.remove} == set(there)
    zone.apply(found.fix)
    assert record(look(zone, **RETURN_PATH), "return-path").state is RecordState.VALID


def test_a_return_path_that_is_merely_missing_has_no_conflict() -> None:
    _, report = _looked({}, **RETURN_PATH)
    assert _codes(report, "return-path") == ["CNAME_MISSING"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255), max_size=60), max_size=4))
def test_no_value_breaks_the_look(values: list[str]) -> None:
    _, report = _looked({MX: [f"10 {value}" for value in values]})
    assert record(report, ID).state in RecordState
    assert all(len(finding.message) <= 1024 for finding in report.findings)
