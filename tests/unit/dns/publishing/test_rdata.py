# SPDX-License-Identifier: Apache-2.0
"""Record data as zone files have it: every name absolute, texts in strings, values taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import RecordType
from postroom.dns.publishing.rdata import absolute, exchange, rdata, relative_to_root, tlsa
from postroom.dns.texts.presentation import CannotPublish


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        (RecordType.TXT, 'a"b;c', '"a\\"b;c"'),
        (RecordType.TXT, "x" * 300, f'"{"x" * 255}" "{"x" * 45}"'),
        (RecordType.MX, "10 mx.example.net", "10 mx.example.net."),
        (RecordType.MX, "10 mx.example.net.", "10 mx.example.net."),
        (RecordType.MX, "0 .", "0 ."),
        (RecordType.MX, "010 mx.example.net", "10 mx.example.net."),
        (RecordType.CNAME, "k1.example.net", "k1.example.net."),
        (RecordType.NS, "ns1.example.net.", "ns1.example.net."),
        (RecordType.PTR, "mail.example.net", "mail.example.net."),
        (RecordType.A, "192.0.2.1", "192.0.2.1"),
        (RecordType.TLSA, "3 1 1 ab", "3 1 1 ab"),
    ],
)
def test_values_as_zone_files_have_them(kind: RecordType, value: str, written: str) -> None:
    assert rdata(kind, value) == written


@pytest.mark.parametrize("value", ["mx.example.net", "ten mx.example.net", "10", "10 ", "", "² x"])
def test_what_is_no_exchange(value: str) -> None:
    with pytest.raises(CannotPublish, match="needs a preference and a host"):
        exchange(value)


def test_an_exchange_is_taken_apart() -> None:
    assert exchange("10 mx.example.net.") == (10, "mx.example.net")
    assert exchange("0 .") == (0, ".")


def test_a_tlsa_is_taken_apart() -> None:
    assert tlsa("3 1 1 abcd") == (3, 1, 1, "abcd")
    assert tlsa("2  0 2\tab cd") == (2, 0, 2, "abcd")


@pytest.mark.parametrize("value", ["3 1 1", "3 1 ab cd", "-3 1 1 ab", "² 1 1 ab", ""])
def test_what_is_no_tlsa(value: str) -> None:
    with pytest.raises(CannotPublish, match="needs three numbers and data"):
        tlsa(value)


@given(st.lists(st.sampled_from(["a", "b-c", "_x"]), min_size=1, max_size=4).map(".".join))
def test_a_name_has_one_dot_behind_it_or_none(name: str) -> None:
    assert absolute(name) == absolute(absolute(name)) == f"{name}."
    assert relative_to_root(absolute(name)) == relative_to_root(name) == name


def test_the_root_is_a_dot_either_way() -> None:
    assert (absolute("."), relative_to_root(".")) == (".", ".")
