# SPDX-License-Identifier: Apache-2.0
"""Who passes, as sets of addresses, and that what is required may be authorised by any terms.

Covers: a, mx and their prefix lengths, parts of networks, includes that are spelled out, what
refuses a part; and that sets of addresses are judged as single ones are.
"""

from __future__ import annotations

import ipaddress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf import Fetched, Limits, Requirement
from postroom.dns.spf.passing import EVERYONE, passed
from postroom.dns.spf.spans import Span, take, united, without
from unit.dns.spf.spf_zones import DOMAIN, IPV4, IPV6, RECORDS, fetched, result_for, zones

HOSTS = {
    DOMAIN: Fetched(
        ipv4=("192.0.2.1",), ipv6=("2001:db8::1",), exchanges=("mx1.x.net", "mx2.x.net")
    ),
    "mx1.x.net": Fetched(ipv4=("198.51.100.7",), ipv6=()),
    "mx2.x.net": Fetched(ipv4=("198.51.100.130",), ipv6=("2001:db8:1::7",)),
    "null.net": Fetched(ipv4=(), ipv6=(), exchanges=(".",)),
    "lost.net": Fetched(ipv6=(), failed=True),
    "far.net": Fetched(exchanges=("lost.net",)),
    "half.net": Fetched(("v=spf1 ip4:203.0.113.0/25 -all",)),
    "whole.net": Fetched(("v=spf1 ip4:203.0.113.0/25 ip4:203.0.113.128/25 -all",)),
    "hosts.net": Fetched(
        ("v=spf1 a -all",), ipv4=("198.51.100.7",), ipv6=("2001:db8:1::7",), exchanges=()
    ),
    "lists.net": Fetched(("v=spf1 exists:%{i}.lists.net -all",)),
}


def lacking(text: str, *required: str) -> tuple[str, ...]:
    includes = tuple(one.removeprefix("include:") for one in required if one.startswith("include:"))
    networks = [ipaddress.ip_network(one) for one in required if not one.startswith("include:")]
    wanted = Requirement(includes, tuple(networks), "~all")
    return wanted.missing_from(spf.reach(text, HOSTS, DOMAIN))


@pytest.mark.parametrize(
    ("terms", "required"),
    [
        ("a", ["192.0.2.1"]),
        ("a", ["2001:db8::1"]),
        ("a/24", ["192.0.2.0/24"]),
        ("a/24//48", ["192.0.2.7", "2001:db8::/48"]),
        ("mx", ["198.51.100.7", "198.51.100.130", "2001:db8:1::7"]),
        ("mx/25", ["198.51.100.0/24"]),
        ("mx/24//64", ["198.51.100.0/25", "2001:db8:1::/64"]),
        (f"mx:{DOMAIN}", ["198.51.100.7"]),
        ("a:mx1.x.net/31", ["198.51.100.6/31"]),
        ("redirect=hosts.net", ["198.51.100.7"]),
        ("include:hosts.net", ["2001:db8:1::7"]),
        ("ip4:203.0.113.0/25 ip4:203.0.113.128/25", ["203.0.113.0/24"]),
        ("ip4:203.0.113.128/25 include:half.net", ["203.0.113.0/24"]),
        ("ip6:2001:db8::/33 ip6:2001:db8:8000::/33", ["2001:db8::/32"]),
        ("ip4:203.0.113.0 ip4:203.0.113.1 ip4:203.0.113.2/31", ["203.0.113.0/30"]),
        ("ip4:203.0.113.0/24", ["include:whole.net"]),
        ("a:mx1.x.net a:mx2.x.net", ["include:hosts.net"]),
        ("mx", ["include:hosts.net"]),
        ("-ip4:203.0.113.7 ip4:203.0.113.0/24", ["203.0.113.8/29"]),
    ],
)
def test_what_passes_by_other_terms_is_authorised(terms: str, required: list[str]) -> None:
    assert lacking(f"v=spf1 {terms}", *required) == ()


@pytest.mark.parametrize(
    ("terms", "required"),
    [
        ("a", ["192.0.2.0/31"]),
        ("mx", ["198.51.100.8"]),
        ("mx//64", ["198.51.100.0/24"]),
        ("?mx", ["198.51.100.7"]),
        ("-mx ip4:198.51.100.0/24", ["198.51.100.7"]),
        ("-a ip4:192.0.2.0/24", ["192.0.2.0/24"]),
        ("ip4:203.0.113.0/25 ip4:203.0.113.128/26", ["203.0.113.0/24"]),
        ("exists:%{i}.lists.net", ["192.0.2.1"]),
        ("mx:null.net", ["192.0.2.1"]),
        ("mx:lost.net", ["192.0.2.1"]),
        ("ip4:203.0.113.0/25", ["include:whole.net"]),
        ("a:mx1.x.net", ["include:hosts.net"]),
        ("ip4:0.0.0.0/0 ip6:::/0", ["include:lists.net"]),
    ],
)
def test_what_does_not_pass_whole_is_not(terms: str, required: list[str]) -> None:
    assert lacking(f"v=spf1 {terms}", *required)


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        ("a:lost.net", {"lost.net"}),
        ("mx:far.net", {"lost.net"}),
        ("mx:lost.net", {"lost.net"}),
        ("ip4:192.0.2.1 a:lost.net", set()),
        ("-a:lost.net", set()),
        ("a:elsewhere.net", set()),
    ],
)
def test_hosts_that_could_not_be_looked_up(terms: str, names: set[str]) -> None:
    wanted = Requirement((), (ipaddress.ip_network("192.0.2.1"),), "~all")
    assert wanted.unseen_in(spf.reach(f"v=spf1 {terms}", HOSTS, DOMAIN)) == names


@settings(max_examples=300, deadline=None)
@given(zones(), RECORDS)
def test_sets_are_judged_as_single_addresses_are(zone: dict[str, list[str]], text: str) -> None:
    there = {**zone, f"{DOMAIN} TXT": [text]}
    found = {v: passed(spf.parse(text), v, fetched(zone), DOMAIN) for v in EVERYONE}
    limits = Limits(50, 1000)
    edges = {(v, at) for v in EVERYONE for span in found[v].spans for at in span}
    outside = {(v, at) for v, first in edges for at in (first - 1, first + 1)}
    known = {(ip.version, int(ip)) for ip in map(ipaddress.ip_address, (*IPV4, *IPV6))}
    for version, number in sorted(edges | outside | known)[:60]:
        if not 0 <= number <= EVERYONE[version][0][1]:
            continue
        single = ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)
        code = result_for(there, str(single), limits=limits).result
        inside = any(first <= number <= last for first, last in found[version].spans)
        if code == "permerror" or found[version].unclear or "exists:%" in str(there):
            continue
        if "ptr" not in str(there):
            assert inside is (code == "pass"), single


NUMBERS = st.integers(0, 60)
SPANS = st.lists(st.tuples(NUMBERS, st.integers(0, 9)).map(lambda one: (one[0], sum(one))))


def members(spans: list[Span] | tuple[Span, ...]) -> set[int]:
    return {number for first, last in spans for number in range(first, last + 1)}


@given(SPANS, SPANS)
def test_spans_are_sets(some: list[Span], others: list[Span]) -> None:
    left, right = united(some), united(others)
    assert members(left) == members(some)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(left))
    assert members(without(left, right)) == members(left) - members(right)
    for one in right:
        rest = list(left)
        taken = take(rest, one)
        assert members(taken) == members(left) & members((one,))
        assert members(rest) == members(left) - members((one,))
