# SPDX-License-Identifier: Apache-2.0
"""Reverse DNS of sending addresses: confirmed or not, generic names, hostile answers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import Outcome
from unit.dns.judging_looks import Key, Names, advice, plan_of, verdict

V4, V6 = "192.0.2.25", "2001:db8::25"
PTR4: Key = (ipaddress.ip_address(V4).reverse_pointer, "PTR")
PTR6: Key = (ipaddress.ip_address(V6).reverse_pointer, "PTR")
PLAN = plan_of(sendingIPs=[V4, V6])
NAME = "mail.example.net"
HEALTHY: dict[Key, list[str]] = {
    PTR4: [NAME],
    PTR6: [NAME],
    (NAME, "A"): [V4],
    (NAME, "AAAA"): ["2001:0db8:0:0:0:0:0:25"],
}


@pytest.mark.parametrize("address", [V4, V6])
def test_a_name_that_leads_back_is_valid(address: str) -> None:
    judged = Names(HEALTHY).judged(PLAN, f"reverse-{address}")
    assert (verdict(judged), advice(judged)) == (("Valid", None), [])


FAULTS: list[tuple[str, dict[Key, list[str]], str, str]] = [
    ("no name", {PTR4: []}, "Missing", "REVERSE_MISSING"),
    ("other address", {(NAME, "A"): ["192.0.2.26"]}, "Wrong", "REVERSE_NOT_CONFIRMED"),
    ("no address", {(NAME, "A"): []}, "Wrong", "REVERSE_NAME_UNRESOLVABLE"),
    ("a name that cannot be", {PTR4: ["a b.example"]}, "Wrong", "REVERSE_NAME_UNRESOLVABLE"),
    ("the root", {PTR4: [""]}, "Wrong", "REVERSE_NAME_UNRESOLVABLE"),
]


@pytest.mark.parametrize(
    ("change", "state", "code"), [one[1:] for one in FAULTS], ids=[one[0] for one in FAULTS]
)
def test_a_fault_is_named(change: dict[Key, list[str]], state: str, code: str) -> None:
    judged = Names({**HEALTHY, **change}).judged(PLAN, f"reverse-{V4}")
    assert verdict(judged) == (state, code)
    assert V4 in judged.message


def test_one_of_several_names_is_enough() -> None:
    judged = Names({**HEALTHY, PTR4: ["astray.example", NAME]}).judged(PLAN, f"reverse-{V4}")
    assert (verdict(judged), advice(judged)) == (("Valid", None), ["REVERSE_OTHER_NAME"])


def test_a_zone_may_be_delegated_by_alias() -> None:
    alias = "25.0-63.2.0.192.in-addr.arpa"
    change: dict[Key, list[str]] = {PTR4: [], (PTR4[0], "CNAME"): [alias], (alias, "PTR"): [NAME]}
    assert verdict(Names({**HEALTHY, **change}).judged(PLAN, f"reverse-{V4}")) == ("Valid", None)


def test_a_name_that_could_not_be_looked_at_is_unknown() -> None:
    seen = Names(HEALTHY, failing={(NAME, "A"): Outcome.TIMEOUT})
    assert verdict(seen.judged(PLAN, f"reverse-{V4}")) == ("Unknown", "LOOKUP_FAILED")


def test_many_names_cost_few_questions() -> None:
    seen = Names({**HEALTHY, PTR4: [f"n{number}.example" for number in range(1000)]})
    assert verdict(seen.judged(PLAN, f"reverse-{V4}"))[0] == "Wrong"
    assert len(set(seen.asked)) <= 11


def test_a_generic_name_is_advice() -> None:
    name = "192-0-2-25.isp.example"
    judged = Names({**HEALTHY, PTR4: [name], (name, "A"): [V4]}).judged(PLAN, f"reverse-{V4}")
    assert (verdict(judged), advice(judged)) == (("Valid", None), ["REVERSE_GENERIC"])


@given(st.lists(st.text(max_size=40), max_size=20))
def test_no_answer_breaks_the_judge(values: list[str]) -> None:
    judged = Names({**HEALTHY, PTR4: values}).judged(PLAN, f"reverse-{V4}")
    assert judged.state.value in ("Valid", "Missing", "Wrong")
