# SPDX-License-Identifier: Apache-2.0
"""Zones: random ones against a plain oracle and against dnspython's reading of the zone file;
exact TXT strings, wildcards, cuts, DNAME, serials and copies."""

from __future__ import annotations

import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest
from dns.rdatatype import CNAME, DNAME, TXT, A
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.names import name_of, text_of
from dnsworld.rdata import first_target, strings_of, type_of, value_text
from dnsworld.zone import Found, Zone
from unit.dnsworld.zone_oracle import Labels, Records, expected

APEX = "example.com"
VALUES = {
    "A": ["192.0.2.1", "192.0.2.2"],
    "TXT": ["one", "two; three"],
    "NS": ["ns1.other.net", "ns2.other.net"],
    "MX": ["10 mx.example.com"],
    "DS": ["1 13 2 " + "ab" * 32],
}

labels = st.lists(st.sampled_from(["a", "b", "*", "_x"]), max_size=3).map(tuple)
nodes = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            kind: st.lists(st.sampled_from(values), min_size=1, unique=True)
            for kind, values in VALUES.items()
        },
    ).filter(bool),
    st.just({"CNAME": ["target.example.net"]}),
)
record_sets = st.dictionaries(labels.filter(bool), nodes, max_size=6)


def text(name: Labels) -> str:
    return ".".join((*name, APEX))


def build(records: Records) -> Zone:
    zone = Zone(APEX)
    for owner, node in records.items():
        for kind, values in node.items():
            for value in values:
                zone.add(text(owner), kind, value)
    return zone


def observed(zone: Zone, name: Labels, kind: str) -> tuple[str, list[str]]:
    step = zone.lookup(name_of(text(name)), type_of(kind))
    found = step.rrsets[-1] if step.rrsets else None
    values = sorted(value_text(found.type, one) for one in found.data) if found else []
    return step.found.name, values


@settings(max_examples=400, deadline=None)
@given(record_sets, st.lists(labels, min_size=8, max_size=8), st.sampled_from([*VALUES, "CNAME"]))
def test_random_zones_answer_as_the_oracle(
    records: dict[Labels, dict[str, list[str]]], questions: list[Labels], kind: str
) -> None:
    zone = build(records)
    for name in questions:
        assert observed(zone, name, kind) == expected(records, name, kind)


@settings(max_examples=100, deadline=None)
@given(record_sets, st.data())
def test_adding_and_removing_leaves_no_trace(
    records: dict[Labels, dict[str, list[str]]], data: st.DataObject
) -> None:
    zone = build(records)
    name = data.draw(labels)
    before = observed(zone, name, "TXT")
    zone.add("deep.below.a.example.com", "A", "192.0.2.9")
    assert zone.remove("deep.below.a.example.com", "A", "192.0.2.9")
    assert observed(zone, name, "TXT") == before


@settings(max_examples=100, deadline=None)
@given(record_sets, st.lists(st.binary(max_size=255), min_size=1, max_size=3))
def test_dnspython_reads_the_same_zone(
    records: dict[Labels, dict[str, list[str]]], parts: list[bytes]
) -> None:
    zone = build(records)
    zone.add("raw.example.com", "TXT", tuple(parts))
    read = dns.zone.from_text(
        zone.to_text(), origin=f"{APEX}.", relativize=False, check_origin=False
    )
    theirs = sorted(
        (owner.to_text(omit_final_dot=True), dns.rdatatype.to_text(data.rdtype), data.to_wire())
        for owner, _, data in read.iterate_rdatas()
        if data.rdtype != dns.rdatatype.SOA
    )
    assert theirs == sorted((name, kind, data.wire()) for name, kind, data in zone.records())


def test_strings_are_kept_exactly() -> None:
    zone = Zone(APEX)
    zone.add(APEX, "TXT", (b"v=spf1 ", b"\xef\xbb\xbf\x00", b""))
    step = zone.lookup(name_of(APEX), TXT)
    assert strings_of(step.rrsets[0].data[0]) == (b"v=spf1 ", b"\xef\xbb\xbf\x00", b"")


def test_long_text_is_split() -> None:
    zone = Zone(APEX)
    zone.add(APEX, "TXT", "x" * 600)
    found = zone.lookup(name_of(APEX), TXT).rrsets[0].data[0]
    assert [len(string) for string in strings_of(found)] == [255, 255, 90]


def test_a_string_beyond_255_octets_is_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        Zone(APEX).add(APEX, "TXT", (b"x" * 256,))


def test_a_wildcard_ends_at_the_closest_encloser() -> None:
    """The examples of RFC 4592 section 2.2.1."""
    zone = Zone("example")
    zone.add("*.example", "TXT", "wild")
    zone.add("sub.*.example", "TXT", "below the asterisk")
    zone.add("host1.example", "A", "192.0.2.1")
    zone.add("_ssh._tcp.host1.example", "SRV", "0 0 22 host1.example.")
    zone.add("subdel.example", "NS", "ns.example.com")
    answers = {
        "host3.example": Found.ANSWER,
        "foo.bar.example": Found.ANSWER,
        "host1.example": Found.NO_DATA,
        "sub.*.example": Found.ANSWER,
        "_telnet._tcp.host1.example": Found.NX_DOMAIN,
        "host.subdel.example": Found.REFERRAL,
        "ghost.*.example": Found.NX_DOMAIN,
    }
    assert {name: zone.lookup(name_of(name), TXT).found for name in answers} == answers


def test_a_dname_redirects_what_is_below_it() -> None:
    zone = Zone(APEX)
    zone.add("_domainkey.example.com", "DNAME", "keys.example.net")
    below = zone.lookup(name_of("k1._domainkey.example.com"), TXT)
    assert below.found is Found.ALIAS
    assert [rrset.type for rrset in below.rrsets] == [DNAME, CNAME]
    assert text_of(first_target(below.rrsets[1])) == "k1.keys.example.net"
    assert zone.lookup(name_of("_domainkey.example.com"), TXT).found is Found.NO_DATA


def test_a_dname_that_makes_a_name_too_long() -> None:
    zone = Zone(APEX)
    zone.add("d.example.com", "DNAME", ".".join(["x" * 60] * 3))
    name = name_of(".".join(["y" * 60] * 2) + ".d.example.com")
    assert zone.lookup(name, A).found is Found.TOO_LONG


def test_an_alias_may_hide_what_is_beside_it() -> None:
    zone = Zone(APEX)
    zone.add("www.example.com", "CNAME", "example.net")
    zone.add("www.example.com", "TXT", "beside")
    assert zone.lookup(name_of("www.example.com"), TXT).found is Found.ANSWER
    hidden = zone.lookup(name_of("www.example.com"), TXT, alias_hides=True)
    assert hidden.found is Found.ALIAS


def test_every_change_raises_the_serial_and_a_copy_stays() -> None:
    zone = Zone(APEX)
    before = zone.copy()
    zone.add(APEX, "TXT", "new")
    assert zone.serial == before.serial + 1
    assert (zone.values(APEX, "TXT"), before.values(APEX, "TXT")) == (["new"], [])
    assert not zone.remove(APEX, "TXT", "other")
    assert zone.serial == before.serial + 1


def test_names_of_other_zones_are_refused() -> None:
    with pytest.raises(ValueError, match="not within"):
        Zone(APEX).add("example.net", "A", "192.0.2.1")
