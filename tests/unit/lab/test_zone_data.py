# SPDX-License-Identifier: Apache-2.0
"""The lab's zones: which zone a name is in, what changes make of it, and how it is written."""

from __future__ import annotations

import dns.rdatatype
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.lab.zone_data import TTL, ZoneData, rrset, to_rdata, to_value

APEX, SUB, SERVER = "example.com", "sub.example.com", "ns.lab.example.org"


def zones() -> ZoneData:
    return ZoneData([APEX, SUB], SERVER, "127.0.0.2")


def serial(data: ZoneData, apex: str) -> int:
    return int(data.get(apex, "SOA")[0].split()[2])


@pytest.mark.parametrize(
    ("name", "apex"),
    [
        (APEX, APEX),
        ("a.b.example.com", APEX),
        (SUB, SUB),
        ("a.sub.example.com", SUB),
        ("badexample.com", None),
        ("com", None),
        (SERVER, None),
    ],
)
def test_the_deepest_zone_holds_a_name(name: str, apex: str | None) -> None:
    assert zones().zone_of(name) == apex


def test_a_zone_begins_with_its_server_whose_address_is_known() -> None:
    data = zones()
    assert data.get(APEX, "NS") == [SERVER]
    assert data.get(SERVER, "A") == ["127.0.0.2"]
    assert data.get(APEX, "SOA") == [f"{SERVER}. hostmaster.{APEX}. 1 60 60 3600 1"]
    assert data.kinds(APEX) == ["NS", "SOA"]
    assert data.get("a.example.com", "SOA") == []


def test_each_change_moves_the_serial_of_its_zone_alone() -> None:
    data = zones()
    data.add("A.example.COM.", "TXT", "one")
    assert (serial(data, APEX), serial(data, SUB)) == (2, 1)
    data.add("a.example.com", "TXT", "one")
    assert serial(data, APEX) == 2
    data.add("a.sub.example.com", "TXT", "x")
    assert (serial(data, APEX), serial(data, SUB)) == (2, 2)
    data.remove("a.example.com", "TXT", "one")
    assert serial(data, APEX) == 3


def test_records_come_and_go_one_by_one_or_all() -> None:
    data = zones()
    for value in ("one", "two", "one"):
        data.add("a.example.com", "TXT", value)
    assert data.get("a.example.com", "TXT") == ["one", "two"]
    data.remove("a.example.com", "TXT", "one")
    assert data.get("a.example.com", "TXT") == ["two"]
    data.replace("a.example.com", "TXT", ["three", "four"])
    assert data.get("a.example.com", "TXT") == ["three", "four"]
    data.remove("a.example.com", "TXT")
    assert data.get("a.example.com", "TXT") == []
    assert not data.exists("a.example.com")


def test_what_stands_below_a_name_lets_it_exist() -> None:
    """RFC 8020: NXDOMAIN would deny all that is below, too."""
    data = zones()
    data.add("a.b.example.com", "A", "192.0.2.1")
    assert data.exists("b.example.com")
    assert not data.exists("c.example.com")
    assert not data.exists(".b.example.com")


def test_a_ttl_is_that_of_all_records_and_goes_with_them() -> None:
    data = zones()
    data.add("a.example.com", "TXT", "one", 300)
    data.add("a.example.com", "TXT", "two")
    assert data.ttl("a.example.com", "TXT") == 300
    before = serial(data, APEX)
    data.add("a.example.com", "TXT", "one", 600)
    assert (data.ttl("a.example.com", "TXT"), serial(data, APEX)) == (600, before + 1)
    data.remove("a.example.com", "TXT")
    assert data.ttl("a.example.com", "TXT") == TTL


def test_a_transfer_is_the_zone_with_its_cuts_and_no_more() -> None:
    data = zones()
    data.add("a.example.com", "TXT", "here", 30)
    data.add("a.sub.example.com", "TXT", "below")
    moved = [
        (found.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(found.rdtype), found.ttl)
        for found in data.transfer(APEX)
    ]
    soa = (APEX, "SOA", TTL)
    assert moved == [
        soa,
        ("a.example.com", "TXT", 30),
        (APEX, "NS", TTL),
        (SUB, "NS", TTL),
        soa,
    ]


def test_all_records_are_told_but_the_soa() -> None:
    assert list(zones().records()) == [
        (APEX, "NS", SERVER),
        (SERVER, "A", "127.0.0.2"),
        (SUB, "NS", SERVER),
    ]


@given(st.text(st.characters(max_codepoint=255), max_size=700))
@example("x" * 600)
def test_every_text_is_written_in_strings_that_fit_and_read_back(text: str) -> None:
    rdata = to_rdata("TXT", text)
    assert all(len(string) <= 255 for string in rdata.strings)
    assert to_value(rdata) == text


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("CNAME", "a.example.net"),
        ("MX", "10 mx.example.net"),
        ("MX", "0 ."),
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
    ],
)
def test_other_values_read_back_as_they_were(kind: str, value: str) -> None:
    (rdata,) = rrset("a.example.com", kind, [value])
    assert to_value(rdata) == value
