# SPDX-License-Identifier: Apache-2.0
"""The static worst case of SPF records: lookups, voids, the tree of costs, and what can go."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings

from postroom.dns import spf
from postroom.dns.spf import Fetched, Limits, Requirement
from postroom.dns.spf.passing import Passing, passing
from postroom.dns.spf.savings import Worth, savings
from unit.dns.spf.spf_zones import DOMAIN, IPV4, IPV6, RECORDS, fetched, result_for, zones

OTHERS = {
    "spf.provider.net": Fetched(("v=spf1 ip4:198.51.100.0/24 -all",)),
    "a.net": Fetched(("v=spf1 include:b.net a mx -all",)),
    "b.net": Fetched(("v=spf1 exists:%{i}.b.net -all",)),
    "loop.net": Fetched(("v=spf1 include:loop.net -all",)),
    "wide.net": Fetched(("v=spf1" + " include:a.net" * 4,)),
    "gone.net": Fetched(missing=True),
    "lost.net": Fetched(unknown=True),
    "two.net": Fetched(("v=spf1 -all", "v=spf1 +all")),
    "wrong.net": Fetched(("v=spf1 foo",)),
}
WANTED = Requirement(("spf.provider.net",), (ipaddress.ip_network("192.0.2.7/32"),), "~all")


@pytest.mark.parametrize(
    ("text", "lookups", "voids"),
    [
        ("v=spf1 ip4:1.2.3.4 -all", 0, 0),
        ("v=spf1 a mx ptr exists:x.net -all", 4, 0),
        ("v=spf1 include:a.net -all", 5, 0),
        ("v=spf1 -all include:a.net", 0, 0),
        ("v=spf1 redirect=a.net", 5, 0),
        ("v=spf1 -all redirect=a.net", 0, 0),
        ("v=spf1 exp=a.net -all", 0, 0),
        ("v=spf1 include:gone.net include:gone.net", 2, 2),
        ("v=spf1 include:wide.net", 21, 0),
        ("v=spf1 include:WIDE.net. a", 22, 0),
    ],
)
def test_lookups_are_counted(text: str, lookups: int, voids: int) -> None:
    found = spf.reach(text, OTHERS)
    assert (found.lookups, found.void_lookups) == (lookups, voids)


def test_the_tree_tells_what_each_term_costs() -> None:
    found = spf.reach("v=spf1 a include:a.net ptr exists:%{i}.x.net -all", OTHERS, "Example.com.")
    shown = [(cost.term, cost.start, cost.name, cost.lookups) for cost in found.costs]
    assert shown == [
        ("a", 7, "example.com", 1),
        ("include:a.net", 9, "a.net", 5),
        ("ptr", 23, None, 1),
        ("exists:%{i}.x.net", 27, None, 1),
    ]
    below = [(one.term, one.name, one.lookups) for one in found.costs[1].children]
    assert below == [("include:b.net", "b.net", 2), ("a", "a.net", 1), ("mx", "a.net", 1)]


def test_a_loop_ends_above_the_limit() -> None:
    found = spf.reach("v=spf1 include:loop.net", OTHERS)
    assert found.lookups > spf.LOOKUP_LIMIT
    assert found.loops == ["loop.net"]


@pytest.mark.parametrize(
    ("text", "broken", "unknown"),
    [
        ("v=spf1 include:two.net", ["two.net"], []),
        ("v=spf1 include:wrong.net", ["wrong.net"], []),
        ("v=spf1 redirect=gone.net", ["gone.net"], []),
        ("v=spf1 include:lost.net include:never-asked.net", [], ["lost.net", "never-asked.net"]),
        ("v=spf1 include:%{d}.x.net", [], []),
    ],
)
def test_what_cannot_be_followed(text: str, broken: list[str], unknown: list[str]) -> None:
    found = spf.reach(text, OTHERS)
    assert (found.broken, found.unknown) == (broken, unknown)


def test_voids_are_told_by_family() -> None:
    others = {
        "four.net": Fetched(ipv4=("192.0.2.1",), ipv6=()),
        "none.net": Fetched(ipv4=(), ipv6=(), exchanges=()),
        "mail.net": Fetched(exchanges=("four.net", "none.net")),
        "many.net": Fetched(exchanges=tuple(f"m{n}.net" for n in range(11))),
    }
    found = spf.reach("v=spf1 a:four.net a:none.net exists:none.net ptr -all", others)
    assert (found.void_lookups, found.family_voids, found.dependent_voids) == (2, (2, 3), 1)
    found = spf.reach("v=spf1 mx:mail.net mx:none.net mx:unknown.net mx:many.net", others)
    assert (found.void_lookups, found.overfull) == (2, ["many.net"])


def test_names_to_fetch() -> None:
    text = "v=spf1 a mx:M.net. exists:%{i}.x exists:e.net include:I.net redirect=r.net"
    assert spf.referred_names(text) == ("i.net", "r.net")
    assert spf.referred_hosts(text, "Example.com") == (
        ("a", "example.com"),
        ("mx", "m.net"),
        ("exists", "e.net"),
    )


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("v=spf1 include:spf.provider.net ip4:192.0.2.0/24 -all", ()),
        ("v=spf1 ip4:192.0.2.7 -all", ("include:spf.provider.net",)),
        ("v=spf1 -include:spf.provider.net ip4:192.0.2.7", ("include:spf.provider.net",)),
        ("v=spf1 include:SPF.provider.net. ip4:192.0.2.7", ()),
        ("v=spf1 ip4:192.0.2.7 ip4:198.51.0.0/16 -all", ()),
        (
            "v=spf1 ?include:spf.provider.net include:spf.provider.net ip4:192.0.2.7",
            ("include:spf.provider.net",),
        ),
        ("v=spf1 include:spf.provider.net -ip4:192.0.2.0/24 ip4:192.0.2.7", ("ip4:192.0.2.7",)),
        ("v=spf1 include:spf.provider.net ip4:192.0.2.7 -ip4:192.0.2.0/24", ()),
        ("v=spf1 include:spf.provider.net -all ip4:192.0.2.7", ("ip4:192.0.2.7",)),
    ],
)
def test_what_is_missing(text: str, lacking: tuple[str, ...]) -> None:
    assert WANTED.missing_from(spf.reach(text, OTHERS)) == lacking


HOSTS = {
    "x.net": Fetched(
        ("v=spf1 include:y.net -all",), ipv4=("192.0.2.1",), ipv6=(), exchanges=("x.net",)
    ),
    "y.net": Fetched(("v=spf1 ip4:203.0.113.0/24 -all",), ipv4=(), ipv6=(), exchanges=()),
    "gone.net": Fetched(missing=True),
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v=spf1 include:x.net include:X.net. -all", [("include:X.net.", 2, Worth.DUPLICATE)]),
        ("v=spf1 include:x.net include:y.net", [("include:y.net", 1, Worth.REACHED_TWICE)]),
        ("v=spf1 include:x.net ?include:y.net", []),
        (
            "v=spf1 ptr include:gone.net",
            [("include:gone.net", 1, Worth.DEAD_INCLUDE), ("ptr", 1, Worth.PTR)],
        ),
        (
            "v=spf1 a:y.net exists:y.net",
            [("a:y.net", 1, Worth.NO_ADDRESS), ("exists:y.net", 1, Worth.NO_ADDRESS)],
        ),
        ("v=spf1 mx ip4:192.0.2.0/24", [("mx", 1, Worth.COVERED)]),
        ("v=spf1 mx/24 ip4:192.0.2.1", [("mx/24", 1, Worth.HOST_THAT_MAY_NOT_SEND)]),
        ("v=spf1 -ip4:192.0.2.1 a ip4:192.0.2.0/24", [("a", 1, Worth.HOST_THAT_MAY_NOT_SEND)]),
        (
            "v=spf1 a:other.net exists:%{i}.x.net",
            [("a:other.net", 1, Worth.HOST_THAT_MAY_NOT_SEND)],
        ),
        ("v=spf1 ip4:192.0.2.1 ip4:192.0.2.1 -all a", []),
    ],
)
def test_what_can_go(text: str, found: list[tuple[str, int, Worth]]) -> None:
    made = savings(text, HOSTS, "x.net")
    assert [(one.term, one.lookups, one.worth) for one in made] == found
    assert all(text[one.start :].startswith(one.term) for one in made)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("v=spf1 ip4:192.0.2.0/23", Passing.ALL),
        ("v=spf1 ip4:192.0.2.1", Passing.SOME),
        ("v=spf1 ip4:192.0.2.1 all", Passing.ALL),
        ("v=spf1 ip4:192.0.2.1 -all", Passing.SOME),
        ("v=spf1 -ip4:192.0.2.1 all", Passing.SOME),
        ("v=spf1 exists:%{i}.x.net -all", Passing.UNCLEAR),
        ("v=spf1 -exists:%{i}.x.net all", Passing.ALL),
        ("v=spf1 -include:all.net all", Passing.NONE),
        ("v=spf1 include:all.net", Passing.ALL),
        ("v=spf1 include:refusing.net", Passing.SOME),
        ("v=spf1 redirect=all.net", Passing.ALL),
        ("v=spf1 include:loop.net redirect=gone.net", Passing.NONE),
        ("v=spf1 include:lost.net -all", Passing.UNCLEAR),
        ("v=spf1 a/24", Passing.ALL),
        ("v=spf1 a -all", Passing.SOME),
        ("v=spf1 mx:other.net -all", Passing.UNCLEAR),
    ],
)
def test_how_much_of_a_network_passes(text: str, how: Passing) -> None:
    others = {
        **OTHERS,
        "all.net": Fetched(("v=spf1 ip4:192.0.0.0/16",)),
        "refusing.net": Fetched(("v=spf1 -ip4:192.0.2.9 ip4:192.0.2.0/24",)),
        "example.com": Fetched(ipv4=("192.0.2.200",), ipv6=()),
    }
    block = ipaddress.ip_network("192.0.2.0/24")
    assert passing(spf.parse(text), block, others, "example.com") is how


@settings(max_examples=300, deadline=None)
@given(zones(), RECORDS)
def test_no_evaluation_exceeds_the_worst_case(zone: dict[str, list[str]], text: str) -> None:
    found = spf.reach(text, fetched(zone), DOMAIN)
    there = {**zone, f"{DOMAIN} TXT": [text]}
    limits = Limits(terms=50, voids=1000)
    if found.loops:
        return
    for ip in (*IPV4, *IPV6):
        result = result_for(there, ip, limits=limits)
        assert result.lookups <= found.lookups
        assert result.void_lookups <= max(found.family_voids) + found.dependent_voids


@settings(max_examples=200, deadline=None)
@given(zones(), RECORDS)
def test_networks_that_pass_do(zone: dict[str, list[str]], text: str) -> None:
    there = {**zone, f"{DOMAIN} TXT": [text]}
    for ip in (*IPV4, *IPV6):
        how = passing(spf.parse(text), ipaddress.ip_network(ip), fetched(zone), DOMAIN)
        code = result_for(there, ip, limits=Limits(50, 1000)).result
        if code == "permerror" or how is Passing.UNCLEAR:
            continue
        if "exists:%" not in str(there) and "ptr" not in str(there):
            assert (how is Passing.ALL) is (code == "pass")


@settings(max_examples=200, deadline=None)
@given(zones(), RECORDS)
def test_nobody_fails_for_what_can_certainly_go(zone: dict[str, list[str]], text: str) -> None:
    for saving in savings(text, fetched(zone), DOMAIN):
        if not saving.certain:
            continue
        without = text[: saving.start] + text[saving.start + len(saving.term) :]
        for ip in (*IPV4, *IPV6):
            if result_for({**zone, f"{DOMAIN} TXT": [text]}, ip).result == "pass":
                assert result_for({**zone, f"{DOMAIN} TXT": [without]}, ip).result == "pass"
