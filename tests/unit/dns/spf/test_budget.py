# SPDX-License-Identifier: Apache-2.0
"""The static worst case of SPF records: lookups, voids, and the tree of costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from postroom.dns import spf
from postroom.dns.spf import Fetched, Limits
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
