# SPDX-License-Identifier: Apache-2.0
"""Merging an SPF record over random zones: who passed before still passes.

Also that the result parses, authorises what is required, stays within the budget or comes with
advice, and that merging it again changes nothing. All by evaluating, not by comparing texts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf import Requirement
from postroom.dns.spf.merge import merge
from postroom.dns.spf.requirement import authorises
from unit.dns.spf.spf_zones import (
    DOMAIN,
    HOSTS,
    IPV4,
    IPV6,
    RECORDS,
    SLIPPED,
    fetched,
    result_for,
    zones,
)

Records = dict[str, list[str]]

REQUIRED = st.builds(
    Requirement,
    st.lists(st.sampled_from(HOSTS), max_size=2, unique=True).map(tuple),
    st.lists(
        st.sampled_from(["192.0.2.200/32", "203.0.113.0/24", "2001:db8:1::7/128"]),
        max_size=2,
        unique=True,
    ).map(lambda texts: tuple(map(ipaddress.ip_network, texts))),
    st.just("~all"),
)

#: The owner's own exception, such as a block list: it goes before what is required.
REFUSES_BY_MESSAGE = re.compile(r"[-~?](exists|ptr)")


def passing(zone: Records, texts: Sequence[str]) -> set[str]:
    """Return the addresses that pass with these records at the domain."""
    there = {**zone, f"{DOMAIN} TXT": list(texts)}
    return {one for one in (*IPV4, *IPV6) if result_for(there, one).result == "pass"}


def may_end(found: spf.Reach) -> bool:
    """Whether lookups that find nothing may end the evaluation, which depends on the client."""
    return max(found.family_voids) + found.dependent_voids > spf.VOID_LOOKUP_LIMIT


#: Who passes passes before the redirect that finds nothing: it makes no room for other voids.
@example(
    {"a.net TXT": ["v=spf1 exists:%{i}.a.net"], "192.0.2.1.a.net A": ["127.0.0.2"]},
    "v=spf1 a:a.net a:a.net redirect=gone.net ip4:192.0.2.200",
    Requirement(("a.net",), (), "~all"),
)
@settings(max_examples=400, deadline=None)
@given(zones(), RECORDS, REQUIRED)
def test_who_passed_still_passes(zone: Records, text: str, required: Requirement) -> None:
    made = merge([text], required, fetched(zone), DOMAIN, keep_pass_all=True)
    if made.value is not None:
        assert passing(zone, [text]) <= passing(zone, [made.value])


@settings(max_examples=200, deadline=None)
@given(zones(), st.lists(SLIPPED, max_size=3), REQUIRED)
def test_who_passed_still_passes_whatever_is_there(
    zone: Records, texts: list[str], required: Requirement
) -> None:
    made = merge(texts, required, fetched(zone), DOMAIN, keep_pass_all=True)
    if made.value is not None:
        assert passing(zone, texts) <= passing(zone, [made.value])


NOWHERE = {f"{name} AAAA": list[str]() for name in (*HOSTS, DOMAIN)}
VOIDS = "v=spf1 a:a.net a:a.net exists:%{i}.a.net ip4:192.0.2.200"


@example(NOWHERE, [VOIDS], Requirement((), (ipaddress.ip_network("192.0.2.200"),), "~all"))
@settings(max_examples=400, deadline=None)
@given(zones(), st.lists(SLIPPED, max_size=3), REQUIRED)
def test_the_result_is_sound_and_authorises_what_is_required(
    zone: Records, texts: list[str], required: Requirement
) -> None:
    made = merge(texts, required, fetched(zone), DOMAIN)
    assert (made.value is None) == (made.problem is not None)
    if made.value is None:
        return
    assert spf.is_spf(made.value)
    assert spf.parse(made.value).errors == ()
    found = spf.reach(made.value, fetched(zone), DOMAIN)
    assert found.within_limits()
    assert required.missing_from(found) == ()
    assert made.lookups_after == found.lookups <= spf.LOOKUP_LIMIT
    if may_end(found):
        return
    if not REFUSES_BY_MESSAGE.search(" ".join([made.value, *map(str, zone.values())])):
        wanted = {str(network.network_address) for network in required.networks}
        assert wanted & {*IPV4, *IPV6} <= passing(zone, [made.value])


@settings(max_examples=300, deadline=None)
@given(zones(), st.lists(SLIPPED, max_size=3), REQUIRED)
def test_merging_again_changes_nothing(
    zone: Records, texts: list[str], required: Requirement
) -> None:
    others = fetched(zone)
    made = merge(texts, required, others, DOMAIN)
    again = merge([made.candidate], required, others, DOMAIN)
    assert (again.candidate, again.changes) == (made.candidate, ())
    if made.value is not None:
        assert (again.value, again.removed) == (made.value, ())


@settings(max_examples=200, deadline=None)
@given(zones(), RECORDS, REQUIRED)
def test_lookups_stay_within_the_static_count(
    zone: Records, text: str, required: Requirement
) -> None:
    made = merge([text], required, fetched(zone), DOMAIN)
    if made.value is None:
        return
    there = {**zone, f"{DOMAIN} TXT": [made.value]}
    results = [result_for(there, one) for one in (*IPV4, *IPV6)]
    assert max(result.lookups for result in results) <= made.lookups_after


GONE = "v=spf1 include:gone.net -include:a.net a include:gone.net redirect=a.net include:gone.net"


@example(GONE)
@example("v=spf1 a:a.net a:a.net mx all")
@given(RECORDS)
def test_dead_includes_go_and_nobody_with_them(text: str) -> None:
    zone = {
        "a.net TXT": ["v=spf1 include:b.net a mx -all"],
        "b.net TXT": ["v=spf1 ip4:203.0.113.9 -all"],
        "c.net TXT": ["v=spf1 ip4:198.51.100.0/24 -all"],
        "example.com A": ["192.0.2.1"],
    }
    required = Requirement(("c.net",), (), "~all")
    # Without the name of the record nobody knows what its own a and mx find.
    made = merge([text], required, fetched(zone), DOMAIN, keep_pass_all=True)
    if made.value is not None:
        assert passing(zone, [text]) <= passing(zone, [made.value])
        found = spf.reach(made.value, fetched(zone), DOMAIN)
        wanted = spf.reach("v=spf1 include:c.net", found.sources).networks
        shadowed = [network for network in wanted if not authorises(found, network)]
        refused = shadowed or REFUSES_BY_MESSAGE.search(made.value)
        assert refused or may_end(found) or "198.51.100.7" in passing(zone, [made.value])
        assert not found.broken
