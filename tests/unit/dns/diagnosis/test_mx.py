# SPDX-License-Identifier: Apache-2.0
"""Causes in MX values, in what stands beside them, and at the name that bounces go to."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.dns.answers import Question, RecordType
from postroom.dns.diagnosis.mx import causes, probes
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.judging.judgement import Cause, Evidence
from unit.dns.diagnosis_looks import case_of
from unit.dns.judging_looks import Key

WANTED = "mx.provider.net"
MX: Key = ("example.com", "MX")
ADDRESS: dict[Key, list[str]] = {("example.com", "A"): ["192.0.2.80"]}
OWN: Key = ("in.example.com", "CNAME")
PROVEN, SHOWN, LIKELY = Evidence.PROVEN, Evidence.SHOWN, Evidence.LIKELY


def told(id: str, records: dict[Key, list[str]], **changes: Any) -> list[Cause]:
    return list(causes(case_of(id, records, **changes)))


@pytest.mark.parametrize(
    ("values", "code", "evidence"),
    [
        ([f"10 {WANTED}.example.com"], "MX_TARGET_DOUBLED", PROVEN),
        (["10 192.0.2.1"], "MX_IP", SHOWN),
        (["10 192.0.2.1.example.com"], "MX_IP", SHOWN),
        (["10 [192.0.2.1]"], "MX_IP", SHOWN),
        ([rf"0 10\032{WANTED}"], "MX_PRIORITY_IN_HOST", PROVEN),
        ([r"0 10\032mx.other.net"], "MX_PRIORITY_IN_HOST", LIKELY),
        ([f"10 https://{WANTED}/"], "MX_NOT_A_HOST", PROVEN),
        (["10 mx-provider-net"], "MX_NOT_A_HOST", PROVEN),
        (["10 in.example.com"], "MX_CNAME_TO_WANTED", PROVEN),
        (["1 aspmx.l.google.com"], "MX_OTHER_PROVIDER", SHOWN),
    ],
)
def test_a_value_is_told_by_what_it_became_of(
    values: list[str], code: str, evidence: Evidence
) -> None:
    there = {MX: values, OWN: [WANTED], ("aspmx.l.google.com", "A"): ["192.0.2.5"]}
    first = min(told(f"mx-{WANTED}", there), key=lambda cause: cause.evidence)
    assert (first.code, first.evidence) == (code, evidence)
    assert first.fix is not None
    assert [(record.type, record.value) for record in first.fix.remove] == [("MX", values[0])]
    assert first.fix.value == f"10 {WANTED}"


@pytest.mark.parametrize(
    "values",
    [
        # The judge tells what stands beside the required one, and what a null MX says.
        [f"10 {WANTED}", "10 192.0.2.1"],
        ["0 ."],
        ["0 .", "10 192.0.2.1"],
        [f"20 {WANTED}"],
    ],
)
def test_what_the_judge_tells_is_not_told_again(values: list[str]) -> None:
    assert told(f"mx-{WANTED}", {MX: values}) == []


def test_one_exchange_of_somebody_unknown_makes_it_no_other_provider() -> None:
    there = {MX: ["1 aspmx.l.google.com", "5 mx.unknown.example"]}
    assert "MX_OTHER_PROVIDER" not in [cause.code for cause in told(f"mx-{WANTED}", there)]


def test_without_mx_senders_take_the_address() -> None:
    """RFC 5321 section 5.1."""
    (found,) = told(f"mx-{WANTED}", ADDRESS)
    assert found.code == "MX_MISSING"
    assert "deliver to the address" in found.message
    assert told(f"mx-{WANTED}", {}) == []


def test_what_is_asked_about_exchanges() -> None:
    asked = [probe.question for probe in probes(case_of(f"mx-{WANTED}", {}))]
    assert asked == [Question("example.com", kind) for kind in (RecordType.A, RecordType.AAAA)]
    hosts = ["mx.other.net", *(f"mx{number}.example.com" for number in range(5))]
    there = {MX: [f"10 {host}" for host in hosts]}
    asked = [probe.question for probe in probes(case_of(f"mx-{WANTED}", there))]
    # Only what the domain can have made itself, and not all of it.
    assert asked == [Question(f"mx{number}.example.com", RecordType.CNAME) for number in range(3)]
    assert list(probes(case_of("dmarc", {}))) == []


BOUNCE = "b.example.com"
ALIAS = {"returnPath": {"name": "b", "cname": "b.provider.net"}}
SIBLING = invented_name("example.com")
IN_THE_WAY: dict[Key, list[str]] = {(BOUNCE, "MX"): ["1 a.net"], (BOUNCE, "TXT"): ["v=spf1 -all"]}


@pytest.mark.parametrize(
    ("more", "gone"),
    [
        ({}, ["MX", "TXT"]),
        ({(BOUNCE, "A"): ["192.0.2.1"]}, ["MX", "TXT", "A"]),
        # What a wildcard answers stands nowhere.
        ({(SIBLING, "TXT"): ["v=spf1 -all"]}, ["MX"]),
        ({(SIBLING, "TXT"): ["v=spf1 -all"], (SIBLING, "MX"): ["1 a.net"]}, []),
        # Behind an alias, nothing stands at the name itself.
        ({(BOUNCE, "CNAME"): ["other.net"]}, []),
    ],
)
def test_the_alias_of_a_return_path_must_be_alone(
    more: dict[Key, list[str]], gone: list[str]
) -> None:
    found = told("return-path", {**IN_THE_WAY, **more}, **ALIAS)
    assert [cause.code for cause in found] == (["RP_CONFLICT"] if gone else [])
    for cause in found:
        assert cause.fix is not None
        assert [record.type for record in cause.fix.remove] == gone


def test_no_mx_stands_beside_an_alias() -> None:
    back = {"returnPath": {"name": "b", "mx": [{"host": "m.provider.net"}]}}
    alias: dict[Key, list[str]] = {(BOUNCE, "CNAME"): ["old.provider.org"]}
    (found,) = told("return-path-mx-m.provider.net", alias, **back)
    assert found.code == "RP_CONFLICT"
    assert found.fix is not None
    assert [(record.type, record.value) for record in found.fix.remove] == [
        ("CNAME", "old.provider.org")
    ]
