# SPDX-License-Identifier: Apache-2.0
"""An SPF policy where receivers do not look: which places, what is copied, and what stays."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.findings import FixAction
from postroom.dns.diagnosis.spf import causes, probes
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.judging.judgement import Evidence
from unit.dns.diagnosis_looks import case_of
from unit.dns.judging_looks import Key

APEX: Key = ("example.com", "TXT")
OURS = "v=spf1 include:spf.provider.net ~all"
MORE = "v=spf1 ip4:198.51.100.1 include:spf.provider.net -all"
BACK: dict[str, Any] = {"returnPath": {"name": "b", "cname": "b.provider.net"}}
BACK_TOO: dict[str, Any] = {
    "returnPath": {
        "name": "b",
        "mx": [{"host": "m.provider.net"}],
        "spf": {"includes": ["spf.provider.net"]},
    }
}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        # Under these labels nothing sends mail: what the policy says besides is kept.
        ("_spf.example.com", MORE),
        ("spf.example.com", MORE),
        ("_spf1.example.com", MORE),
        # These may have a policy for themselves.
        ("mail.example.com", OURS),
        ("www.example.com", OURS),
        ("*.example.com", OURS),
    ],
)
def test_a_policy_below_the_domain_is_found_and_stays(place: str, value: str) -> None:
    (found,) = causes(case_of("spf", {(place, "TXT"): ["text", MORE]}))
    assert (found.code, found.evidence) == ("SPF_WRONG_NAME", Evidence.PROVEN)
    assert f"stands at {place}:" in found.message
    assert found.fix is not None
    assert (found.fix.action, found.fix.remove) == (FixAction.CREATE, [])
    assert (found.fix.name, found.fix.value) == ("example.com", value)
    assert found.shown_by is not None
    assert found.shown_by.name == place


@pytest.mark.parametrize(
    "records",
    [
        {},
        {("_spf.example.com", "TXT"): ["v=spf1 -all"]},
        {("other.example.com", "TXT"): [OURS]},
        # What an alias leads to, or a wildcard answers, is nobody's policy in a wrong place.
        {("_spf.example.com", "CNAME"): ["a.net"], ("a.net", "TXT"): [OURS]},
        {
            ("_spf.example.com", "TXT"): [OURS],
            (invented_name("example.com"), "TXT"): [OURS],
        },
        # Where a policy stands, the judge tells what it lacks.
        {APEX: ["v=spf1 -all"], ("_spf.example.com", "TXT"): [OURS]},
    ],
)
def test_nothing_else_is_a_policy_in_a_wrong_place(records: dict[Key, list[str]]) -> None:
    assert list(causes(case_of("spf", records))) == []


def test_a_damaged_text_beside_a_record_takes_no_one_s_place() -> None:
    case = case_of("spf", {APEX: ["v=spf1 -all", f'"{OURS}"']})
    (found,) = causes(case)
    assert case.judgement.cause is not None
    assert (found.code, found.evidence) == (case.judgement.cause.code, Evidence.PROVEN)


@pytest.mark.parametrize(
    ("id", "changes", "asked"),
    [
        ("spf", {}, False),
        ("spf", BACK, True),
        # What must be there by the plan itself is in no wrong place.
        ("spf", BACK_TOO, False),
    ],
)
def test_a_return_path_is_such_a_place_unless_it_must_have_the_same(
    id: str, changes: dict[str, Any], asked: bool
) -> None:
    names = [probe.question.name for probe in probes(case_of(id, {}, **changes))]
    assert ("b.example.com" in names) is asked


def test_for_a_return_path_the_domain_is_the_wrong_place() -> None:
    changes = {**BACK_TOO, "spf": None}
    case = case_of("return-path-spf", {APEX: [OURS]}, **changes)
    (found,) = causes(case)
    assert "stands at example.com: the envelope sender is of b.example.com" in found.message
    both = case_of("return-path-spf", {APEX: [OURS]}, **BACK_TOO)
    assert list(causes(both)) == []


def test_places_are_asked_for_in_the_order_of_their_likelihood() -> None:
    found = list(probes(case_of("spf", {}, **BACK)))
    labels = ["b", "_spf", "spf", "_spf1", "mail", "www", "*"]
    ordered = sorted(found, key=lambda probe: probe.priority)
    assert [probe.question.name for probe in ordered] == [f"{one}.example.com" for one in labels]
    assert list(probes(case_of("spf", {APEX: ["v=spf1 -all"]}))) == []
    assert list(probes(case_of("dmarc", {}))) == []
