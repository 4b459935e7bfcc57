# SPDX-License-Identifier: Apache-2.0
"""Where slips put a record.

Covers: that no place is the right one; names outside of the domain; the zone typed in part; letters
beyond ASCII.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import RecordType
from postroom.dns.diagnosis.places import places, slips_in
from postroom.dns.findings import catalogue
from postroom.dns.names import fits_into_query

_LABEL = st.from_regex(r"_?[a-z0-9]{1,12}", fullmatch=True)


_NAMES = st.lists(_LABEL, min_size=0, max_size=3)


@given(_NAMES, _NAMES, st.sampled_from([RecordType.TXT, RecordType.CNAME, RecordType.MX]))
def test_no_place_is_the_right_one(labels: list[str], above: list[str], type: RecordType) -> None:
    domain = ".".join([*above, "example", "com"])
    name = ".".join([*labels, domain])
    found = places(name, type, domain, "example.com")
    names = [one.name for one in found]
    assert name not in names
    assert len(names) == len(set(names))
    assert names == [one.name for one in sorted(found)]
    assert {one.code for one in found} <= catalogue().keys()


@pytest.mark.parametrize(
    ("label", "slips"),
    [
        ("s1", ["s1s", "sl", "1s", "1", "s", "ss1", "s11"]),
        ("keys", ["key", "ekys", "kyes", "kesy", "eys", "kys", "kes"]),
        ("_tls", ["_tsl", "_tl", "_t1s", "t_ls", "_lts"]),
        ("a", ["as", "aa"]),
    ],
)
def test_the_likeliest_slips_in_a_label_come_first(label: str, slips: list[str]) -> None:
    assert list(slips_in(label))[: len(slips)] == slips


@given(_LABEL)
def test_a_slip_is_one_character_from_the_label_and_named_once(label: str) -> None:
    found = list(slips_in(label))
    assert len(found) == len(set(found))
    assert label not in found
    assert all(slip and abs(len(slip) - len(label)) <= 1 for slip in found)


def test_a_name_outside_of_the_domain_has_no_places() -> None:
    assert places("_check.other.net", RecordType.TXT, "example.com", "example.com") == ()
    assert places("a.example.com", RecordType.TXT, "example.com", "other.net") == ()


@pytest.mark.parametrize("apex", ["example.com", "example.co.uk", "mail.example.com"])
def test_the_zone_may_be_typed_in_part(apex: str) -> None:
    labels = apex.split(".")
    names = {place.name for place in places(f"_dmarc.{apex}", RecordType.TXT, apex, apex)}
    for count in range(1, len(labels) + 1):
        assert f"_dmarc.{'.'.join(labels[:count])}.{apex}" in names


@pytest.mark.parametrize(
    ("name", "domain", "apex", "written"),
    [
        (
            "_dmarc.xn--bcher-kva.example",
            "xn--bcher-kva.example",
            "xn--bcher-kva.example",
            r"_dmarc.b\195\188cher.example.xn--bcher-kva.example",
        ),
        (
            "_dmarc.xn--bcher-kva.example.com",
            "xn--bcher-kva.example.com",
            "example.com",
            r"_dmarc.b\195\188cher.example.com",
        ),
        (
            "_dmarc.xn--caf-dma.xn--bcher-kva.example",
            "xn--caf-dma.xn--bcher-kva.example",
            "xn--bcher-kva.example",
            r"_dmarc.caf\195\169.xn--bcher-kva.example",
        ),
    ],
)
def test_letters_beyond_ascii_are_looked_for(
    name: str, domain: str, apex: str, written: str
) -> None:
    found = {place.name: place for place in places(name, RecordType.TXT, domain, apex)}
    assert found[written].code == "IDN_ULABEL"
    assert fits_into_query(written)
