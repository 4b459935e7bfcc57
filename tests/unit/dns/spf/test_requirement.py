# SPDX-License-Identifier: Apache-2.0
"""What a record must authorise: who passes counts, by whatever terms."""

from __future__ import annotations

import ipaddress

import pytest

from postroom.dns import spf
from postroom.dns.spf import Fetched, Requirement
from unit.dns.spf.spf_zones import DOMAIN

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


PROVIDER = {"spf.provider.net": Fetched(("v=spf1 ip4:198.51.100.0/24 -all",))}
WANTED = Requirement(("spf.provider.net",), (ipaddress.ip_network("192.0.2.7/32"),), "~all")


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
    assert WANTED.missing_from(spf.reach(text, PROVIDER)) == lacking
