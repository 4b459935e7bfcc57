# SPDX-License-Identifier: Apache-2.0
"""Reverse DNS of sending addresses: confirmed or not, names made from addresses, hostile names."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import Outcome
from postroom.dns.judging.reverse_names import addresses_in, is_generic
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


@pytest.mark.parametrize(
    ("name", "address", "generic"),
    [
        ("192-0-2-25.isp.example", V4, True),
        ("dsl.25.2.0.192.isp.example", V4, True),
        ("host-192-000-002-025.isp.example", V4, True),
        ("ip192000002025.isp.example", V4, True),
        ("pool_192_0_2_25.isp.example", V4, True),
        ("c0000219.isp.example", V4, True),
        ("mail.example.net", V4, False),
        ("mx25.example.net", V4, False),
        ("1192-0-2-25.isp.example", V4, False),
        ("192-0-2-250.isp.example", V4, False),
        ("0-0-0-1.example", "0.0.0.1", True),
        ("2001-db8--25.isp.example", V6, True),
        ("20010db8000000000000000000000025.isp.example", V6, True),
        (f"{PTR6[0].removesuffix('.ip6.arpa')}.isp.example", V6, True),
        ("mail25.example.net", V6, False),
        ("mx-1.example.net", "::1", False),
    ],
)
def test_a_name_that_is_made_from_the_address(name: str, address: str, generic: bool) -> None:
    assert is_generic(name, address) is generic


def test_a_generic_name_is_advice() -> None:
    name = "192-0-2-25.isp.example"
    judged = Names({**HEALTHY, PTR4: [name], (name, "A"): [V4]}).judged(PLAN, f"reverse-{V4}")
    assert (verdict(judged), advice(judged)) == (("Valid", None), ["REVERSE_GENERIC"])


_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(_ADDRESSES)
def test_every_address_has_generic_names(address: str) -> None:
    plain = ipaddress.ip_address(address).exploded.replace(".", "-").replace(":", "-")
    assert is_generic(f"host-{plain}.isp.example", address)
    assert not is_generic("mail.zzz.example.org", address)


@given(st.text(max_size=60), _ADDRESSES)
def test_no_name_breaks_the_look(name: str, address: str) -> None:
    assert is_generic(name, address) in (True, False)
    assert addresses_in([name, address]) >= {ipaddress.ip_address(address)}


@given(st.lists(st.text(max_size=40), max_size=20))
def test_no_answer_breaks_the_judge(values: list[str]) -> None:
    judged = Names({**HEALTHY, PTR4: values}).judged(PLAN, f"reverse-{V4}")
    assert judged.state.value in ("Valid", "Missing", "Wrong")
