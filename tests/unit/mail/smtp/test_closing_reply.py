# SPDX-License-Identifier: Apache-2.0
"""What a server says before it closes is kept, and each reply handed on whole, in whatever pieces
they come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.smtp.closing_reply import REPLY_LIMIT, ClosingReply


class Hearer(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard, self.times = b"", 0

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.times += 1


def pieces(said: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    edges = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    return (said[start:end] for start, end in pairwise(edges))


@given(
    before=st.sampled_from([b"", b"250 ok\r\n", b"220-x\r\n220 y\r\n", b"x" * 9000 + b"\r\n"]),
    cuts=st.lists(st.integers(0, 9100), max_size=4),
)
def test_a_farewell_is_heard_in_any_chunks(before: bytes, cuts: list[int]) -> None:
    said = before + b"421-4.3.2 a\r\n421 4.3.2 b\r\n"
    hearer = Hearer()
    ear = ClosingReply(hearer)
    for piece in pieces(said, cuts):
        ear.data_received(piece)
    assert ear.text == "4.3.2 a\n4.3.2 b"
    assert hearer.heard == (b"-1  \r\n" if before.startswith(b"x") else before or said)
    ear.data_received(b"250 ok\r\n")
    assert ear.text is None


@given(
    codes=st.lists(st.sampled_from(["235", "535", "250"]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_a_reply_whose_lines_have_different_codes_is_seen_in_any_chunks(
    codes: list[str], cuts: list[int]
) -> None:
    lines = [f"{code}-x\r\n" for code in codes[:-1]] + [f"{codes[-1]} 535-y\r\n"]
    said = "".join(lines).encode()
    hearer = Hearer()
    ear = ClosingReply(hearer, b"334 go on\r\n")
    ear.data_received(b"999-of another reply\r\n")
    ear.expect_reply()
    hearer.heard = b""
    for piece in pieces(said, cuts):
        ear.data_received(piece)
    assert hearer.heard == (b"-1  no one code\r\n" if len(set(codes)) > 1 else said)


@given(
    reply=st.sampled_from([b"250 ok\r\n", b"250-a\n250 b\n", b"220\r\n", b"no reply\r\n", b"\r\n"]),
    behind=st.sampled_from([b"", b"2", b"235 in\r\n", b"550-", b"ab-", b"x" * 40_000]),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_one_reply_is_handed_on_whole_and_nothing_behind_it(
    reply: bytes, behind: bytes, cuts: list[int]
) -> None:
    hearer = Hearer()
    ear = ClosingReply(hearer)
    ear.expect_reply()
    for piece in pieces(reply + behind, cuts):
        ear.data_received(piece)
    handed_on = reply if reply[:3].isdigit() else b"-1  \r\n"
    assert (hearer.heard, hearer.times) == (handed_on, 1)
    ear.expect_reply()
    ear.data_received(reply)
    assert hearer.heard == 2 * handed_on


@given(reply=st.sampled_from([b"220 x\r\n", b"220-x\r\n220 y\r\n"]), come=st.integers(0, 14))
def test_what_had_come_of_the_greeting_belongs_to_it(reply: bytes, come: int) -> None:
    hearer = Hearer()
    ear = ClosingReply(hearer, reply[: min(come, len(reply) - 1)])
    ear.data_received(reply[min(come, len(reply) - 1) :])
    assert hearer.heard == reply


def test_a_reply_of_many_pieces_is_read_once() -> None:
    """aiosmtplib begins anew with each piece: a reply of 5,000 lines took seconds."""
    hearer = Hearer()
    ear = ClosingReply(hearer)
    for _ in range(4_000):
        ear.data_received(b"250-\r\n")
        assert hearer.times == 0
    ear.data_received(b"250 ok\r\n")
    assert (hearer.times, len(hearer.heard)) == (1, 4_000 * 6 + 8)


def test_what_is_too_long_is_not_waited_for() -> None:
    hearer = Hearer()
    ear = ClosingReply(hearer)
    for _ in range(REPLY_LIMIT + 1):
        ear.data_received(b"x")
    assert (hearer.times, len(hearer.heard)) == (1, REPLY_LIMIT + 1)


@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["250", "251", "25", "2500", "ab", ""]),
            st.sampled_from(["-", " ", "", "x"]),
            st.sampled_from(["\r\n", "\n", "\r", ""]),
        ),
        max_size=4,
    )
)
def test_what_comes_at_once_is_read_as_what_comes_octet_by_octet(
    lines: list[tuple[str, str, str]],
) -> None:
    said = "".join(map("".join, lines)).encode()
    heard = []
    for cuts in (range(len(said)), ()):
        hearer = Hearer()
        ear = ClosingReply(hearer)
        ear.expect_tls()
        for piece in pieces(said, cuts):
            ear.data_received(piece)
        heard.append((hearer.heard, hearer.times, ear.injected, ear.text, ear.line_so_far))
    assert heard[0] == heard[1]


@pytest.mark.parametrize(
    ("said", "is_none"),
    [
        (b"235 in\r\n", False),
        (b"235\r\n", False),
        (b"235\n", False),
        (b"235-a\r\n235\r\n", False),
        (b"2355 in\r\n", True),
        (b"235in\r\n", True),
        (b"235-a\r\n2355\r\n", True),
        (b"+235 in\r\n", True),
        (b"2_5 in\r\n", True),
        (b" 235 in\r\n", True),
        (b"23\r\n", True),
        (b"\r\n", True),
    ],
)
def test_a_code_has_three_digits(said: bytes, is_none: bool) -> None:
    hearer = Hearer()
    ear = ClosingReply(hearer)
    ear.data_received(said)
    assert hearer.heard.startswith(b"-1 ") is is_none


@pytest.mark.parametrize("lines", [0, 1, 900])
@pytest.mark.parametrize("cuts", [(), (3,), (9_008,), range(0, 9_100, 7)])
def test_whatever_follows_the_answer_to_starttls_is_injected(
    lines: int, cuts: Sequence[int]
) -> None:
    answer = b"220-go on\r\n" * lines + b"220 go on\r\n"
    for behind in (b"", b"2", b"250 x\r\n"):
        ear = ClosingReply(Hearer())
        ear.expect_tls()
        for piece in pieces(answer + behind, cuts):
            ear.data_received(piece)
        assert ear.injected is bool(behind)
