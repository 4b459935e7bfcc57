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
