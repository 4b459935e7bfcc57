# SPDX-License-Identifier: Apache-2.0
"""Reading any octets as a header: fields, addresses, words and host names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.round_trip.header import addresses, host_name, read_header, words


@given(st.binary(max_size=400))
def test_any_octets_are_a_header(octets: bytes) -> None:
    for field in read_header(octets).fields:
        assert field.name == field.name.lower()
        assert not set(field.value) & set("\r\n\0")


def test_a_header_ends_at_the_empty_line() -> None:
    header = read_header(b"A: 1\r\nB: x\r\n\ty\r\nnonsense\r\n\r\nC: 3\r\n")
    assert [(field.name, field.value) for field in header.fields] == [("a", "1"), ("b", "x y")]


def test_headers_are_bounded() -> None:
    many = read_header(b"A: 1\r\n" * 1000)
    assert len(many.fields) == 400
    assert len(read_header(b"A: " + b"x" * 100_000).first("a")) == 8192


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("a@Example.COM", ("a@example.com",)),
        ('"Doe, J. <x@y.example>" <j@example.com>', ("j@example.com",)),
        ("Name<a@b.example>", ("a@b.example",)),
        ("a@b.example (comment, <c@d.example>), E <f@g.example>", ("a@b.example", "f@g.example")),
        ("=?utf-8?q?J=C3=B6?= <j@example.com>", ("j@example.com",)),
        ("undisclosed-recipients:;", ()),
        ("", ()),
        ("<>", ()),
        ("a@b@c.example", ()),
    ],
)
def test_addresses(body: str, found: tuple[str, ...]) -> None:
    assert addresses(body) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('a "b; c" (d; (e) "f") g; h', [["a", "b; c", "g"], ["h"]]),
        (r'"a\"b" (c\)d) e', [['a"b', "e"]]),
        ('a (open "b; c', [["a"]]),
        ('a "open; b', [["a", "open; b"]]),
        ("a) b", [["a)", "b"]]),
        (";;", [[], [], []]),
        ("", [[]]),
    ],
)
def test_words(body: str, found: list[list[str]]) -> None:
    assert words(body, ";") == found


@given(st.text(alphabet='ab;"()\\ \t=é', max_size=60))
def test_words_never_fail(body: str) -> None:
    assert len(words(body, ";")) <= body.count(";") + 1
    assert isinstance(addresses(body), tuple)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MX.Example.com.", "mx.example.com"),
        ("a b", None),
        ("[192.0.2.1]", None),
        ("x" * 300, None),
    ],
)
def test_host_names(text: str, found: str | None) -> None:
    assert host_name(text) == found
