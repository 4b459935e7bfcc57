# SPDX-License-Identifier: Apache-2.0
"""Reading what IMAP servers answer: atoms, strings, literals and lists, written back and forth;
and any lines at all, which are read or left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.values import Value, number, pairs, responses

ATOMS = st.from_regex(rb"[A-Za-z0-9\\.$-]{1,12}", fullmatch=True).filter(
    lambda one: one.upper() != b"NIL"
)
STRINGS = st.binary(max_size=20)
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(st.none(), ATOMS, STRINGS),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def written(value: Value) -> list[bytes]:
    """Lines and literals by turns: a literal for whatever is no atom."""
    if value is None:
        return [b"NIL"]
    if isinstance(value, list):
        parts = [b"("]
        for index, one in enumerate(value):
            inner = written(one)
            parts[-1] += (b" " if index else b"") + inner[0]
            parts += inner[1:]
        parts[-1] += b")"
        return parts
    if value.isalnum() and value.upper() != b"NIL":
        return [value]
    return [b"{%d}" % len(value), value, b""]


def lines_of(values: list[Value]) -> list[bytes]:
    """A response as the protocol returns it: without the marks of lists around it."""
    parts = written(values)
    parts[0] = b"X " + parts[0][1:]
    parts[-1] = parts[-1][:-1]
    return [one for index, one in enumerate(parts) if one or index % 2 or index == 0]


@given(st.lists(st.lists(VALUES, min_size=1, max_size=4), max_size=3))
def test_what_is_written_is_read(said: list[list[Value]]) -> None:
    lines = [line for values in said for line in lines_of(values)]
    assert list(responses(lines)) == [[b"X", *values] for values in said]


@given(st.lists(st.binary(max_size=40)))
def test_any_lines_are_read_or_left_out(lines: list[bytes]) -> None:
    assert len(list(responses(lines))) <= len(lines)


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        ([b'LIST () "/" "a \\"b\\" \\\\c"'], [[b"LIST", [], b"/", b'a "b" \\c']]),
        (
            [b"LIST () NIL {3}", b"a\r\n", b"STATUS x"],
            [[b"LIST", [], None, b"a\r\n"], [b"STATUS", b"x"]],
        ),
        (
            [b"1 FETCH (BODY[HEADER.FIELDS (TO)]<0> {2}", b"ab", b" UID 7)"],
            [[b"1", b"FETCH", [b"BODY[HEADER.FIELDS (TO)]<0>", b"ab", b"UID", b"7"]]],
        ),
        ([b"X (", b"X )", b'X "', b"Y"], [[b"Y"]]),
        ([b"X {9}", b"ab"], [[b"X", b"{9}"], [b"ab"]]),
        ([b"X " + b"(" * 40 + b")" * 40], []),
        ([b"X ("], []),
    ],
)
def test_shapes(lines: list[bytes], values: list[list[Value]]) -> None:
    assert list(responses(lines)) == values


def test_a_long_line_costs_little() -> None:
    assert len(next(responses([b"X " + b"a " * 500_000]))) == 500_001
    assert list(responses([b'X "' + b"\\" * 500_001])) == []
    assert len(next(responses([b"X" + b" a[" * 50_000]))) == 50_001


@given(st.one_of(st.none(), st.binary(max_size=25), st.integers(0, 10**18 - 1)))
def test_numbers(value: bytes | int | None) -> None:
    if isinstance(value, int):
        assert number(str(value).encode()) == value
    else:
        found = number(value)
        assert found is None or 0 <= found < 2**63


def test_pairs_need_names() -> None:
    assert list(pairs([b"a", b"1", None, b"2", b"B", None, b"left"])) == [
        (b"A", b"1"),
        (b"B", None),
    ]
    assert list(pairs(b"a")) == []
