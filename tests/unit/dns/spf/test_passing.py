# SPDX-License-Identifier: Apache-2.0
"""Whom a record lets pass: whole networks are judged as their single addresses are."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings

from postroom.dns import spf
from postroom.dns.spf import Fetched, Limits
from postroom.dns.spf.passing import EVERYONE, Passing, passed, passing
from unit.dns.spf.spf_zones import DOMAIN, IPV4, IPV6, RECORDS, fetched, result_for, zones


@settings(max_examples=300, deadline=None)
@given(zones(), RECORDS)
def test_sets_are_judged_as_single_addresses_are(zone: dict[str, list[str]], text: str) -> None:
    there = {**zone, f"{DOMAIN} TXT": [text]}
    found = {v: passed(spf.parse(text, DOMAIN), v, fetched(zone), DOMAIN) for v in EVERYONE}
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
        "loop.net": Fetched(("v=spf1 include:loop.net -all",)),
        "gone.net": Fetched(missing=True),
        "lost.net": Fetched(unknown=True),
        "all.net": Fetched(("v=spf1 ip4:192.0.0.0/16",)),
        "refusing.net": Fetched(("v=spf1 -ip4:192.0.2.9 ip4:192.0.2.0/24",)),
        "example.com": Fetched(ipv4=("192.0.2.200",), ipv6=()),
    }
    block = ipaddress.ip_network("192.0.2.0/24")
    assert passing(spf.parse(text), block, others, "example.com") is how


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
