# SPDX-License-Identifier: Apache-2.0
"""What a server says before it closes is kept, in whatever chunks it comes."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.smtp.closing_reply import ClosingReply


class Hearer(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard = b""

    def data_received(self, data: bytes) -> None:
        self.heard += data


@given(
    before=st.sampled_from([b"", b"250 ok\r\n", b"220-x\r\n220 y\r\n", b"x" * 9000 + b"\r\n"]),
    cuts=st.lists(st.integers(0, 9100), max_size=4),
)
def test_a_farewell_is_heard_in_any_chunks(before: bytes, cuts: list[int]) -> None:
    said = before + b"421-4.3.2 a\r\n421 4.3.2 b\r\n"
    hearer = Hearer()
    ear = ClosingReply(hearer)
    edges = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    for start, end in pairwise(edges):
        ear.data_received(said[start:end])
    assert ear.text == "4.3.2 a\n4.3.2 b"
    assert hearer.heard == said
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
    ear = ClosingReply(Hearer(), b"334 go on\r\n")
    ear.data_received(b"999-of another reply\r\n")
    ear.expect_reply()
    edges = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    for start, end in pairwise(edges):
        ear.data_received(said[start:end])
    assert ear.mixes_codes is (len(set(codes)) > 1)
