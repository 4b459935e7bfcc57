# SPDX-License-Identifier: Apache-2.0
"""Lines of IMAP servers: what announces a literal, what ends a command, whose word it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.values import Literal, literal_after, responses, tagged, without_literals


@pytest.mark.parametrize(
    ("line", "octets"),
    [
        (b"* 1 FETCH (BODY[] {5}", 5),
        (b"* 1 FETCH (BODY[] ~{0}", 0),
        (b'* LIST () "/" {4294967296}', 4294967296),
        (b" UID 7 BODY[] {12}", 12),
        (b"* OKAY {5}", 5),
        (b"* 1 FETCH (BODY[] {5} ", None),
        (b"* 1 FETCH (BODY[] {}", None),
        (b"* 1 FETCH (BODY[] {99999999999}", None),
        (b"* OK {5}", None),
        (b"* no [X] {5}", None),
        (b"* BYE {5}", None),
        (b"A1 OK {5}", None),
        (b"A1 BAD {5}", None),
        (b"+ {5}", None),
        (b"+{5}", None),
    ],
)
def test_what_announces_a_literal(line: bytes, octets: int | None) -> None:
    assert literal_after(line) == octets


@pytest.mark.parametrize(
    ("line", "ending"),
    [
        (b"A1 OK done", ("A1", "OK", b"done")),
        (b"a1 bad x y", ("A1", "BAD", b"x y")),
        (b"A1 NO", ("A1", "NO", b"")),
        (b"A1 NO ", ("A1", "NO", b"")),
        (b"A1 NOT x", None),
        (b"A1 OKAY", None),
        (b"A1 BYE x", None),
        (b"A1  OK x", None),
        (b"* OK x", None),
        (b"+ OK x", None),
        (b" A1 OK x", None),
        (b"A1", None),
        (b"", None),
    ],
)
def test_what_ends_a_command(line: bytes, ending: tuple[str, str, bytes] | None) -> None:
    assert tagged(line) == ending


@given(st.binary(max_size=60))
def test_any_line_can_be_read(line: bytes) -> None:
    assert literal_after(line) is None or line.endswith(b"}")
    assert tagged(line) is None or literal_after(line) is None


@given(st.lists(st.tuples(st.binary(max_size=5), st.booleans())))
def test_what_the_server_itself_tells(parts: list[tuple[bytes, bool]]) -> None:
    lines = [Literal(octets) if is_literal else octets for octets, is_literal in parts]
    own = [octets for octets, is_literal in parts if not is_literal]
    assert list(without_literals(lines)) == own


def test_what_follows_a_text_for_humans_is_a_response_of_its_own() -> None:
    told = b"1 FETCH (UID 7)"
    lines = [b"OK see {%d}" % len(told), told]
    assert list(responses(lines, b"FETCH")) == [[b"1", b"FETCH", [b"UID", b"7"]]]
