# SPDX-License-Identifier: Apache-2.0
"""What answers to FETCH and SEARCH tell of messages, and the sets of UIDs that we write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.fetching import (
    Fetched,
    Piece,
    fetched,
    is_search_whole,
    pieces_of,
    searched,
    uid_sets,
)


@pytest.mark.parametrize(
    ("line", "uids"),
    [
        (b'ESEARCH (TAG "A1") UID ALL 2,10:12', [2, 10, 11, 12]),
        (b'esearch (tag "A1") uid all 12:10', [10, 11, 12]),
        (b"ESEARCH UID ALL 7,7", [7]),
        (b'ESEARCH (TAG "A1") UID', []),
        # Numbers of messages, items that nobody asked for, and what is no set.
        (b'ESEARCH (TAG "A1") ALL 2', None),
        (b'ESEARCH (TAG "A1") UID COUNT 3', None),
        (b'ESEARCH (TAG "A1") UID ALL *', None),
        (b'ESEARCH (TAG "A1") UID ALL 0', None),
        (b'ESEARCH (TAG "A1") UID ALL 1:2:3', None),
        (b"ESEARCHED UID ALL 1", None),
    ],
)
def test_servers_of_imap4rev2_answer_with_ranges(line: bytes, uids: list[int] | None) -> None:
    assert searched([line]) == (uids or [])
    assert is_search_whole([line]) is (uids is not None)


def test_a_range_without_end_is_read_as_far_as_a_mailbox_goes() -> None:
    lines = [b"ESEARCH UID ALL 5:4294967295"] * 3
    assert len(searched(lines)) <= 500_002
    assert not is_search_whole(lines)


def test_messages() -> None:
    lines = [
        b'9 FETCH (UID 3 INTERNALDATE " 7-Jul-2026 00:00:00 +0000" BODY[HEADER.FIELDS (TO)]<0> {4}',
        b"To:x",
        b")",
        b"10 FETCH (FLAGS (\\Seen))",
        b"11 FETCH (UID 0)",
        b"12 fetch (INTERNALDATE NIL uid 5)",
        b"13 EXPUNGE",
    ]
    moment = datetime(2026, 7, 7, tzinfo=UTC)
    assert list(fetched(lines)) == [Fetched(3, moment, b"To:x"), Fetched(5)]


@pytest.mark.parametrize(
    ("line", "section", "found"),
    [
        ("(UID 7 BODY[]<0> {4}", b"", Piece(b"a\n)b", 0)),
        ("(BODY[]<12> {4}", b"", Piece(b"a\n)b", 12)),
        ("(UID 7 BODY[] {4}", b"", Piece(b"a\n)b", None)),
        ("(UID 7 body[header]<0> {4}", b"HEADER", Piece(b"a\n)b", 0)),
        ("(UID 7 BODY[HEADER]<0> {4}", b"", None),
        ("(UID 8 BODY[]<0> {4}", b"", None),
        ("(UID 7 BODY[]<0> NIL)", b"", Piece(b"", 0)),
        ('(UID 7 BODY[]<0> "")', b"", Piece(b"", 0)),
        ("(UID 7 BODY[]<0> (x))", b"", None),
        ("(UID 7 FLAGS (\\Seen))", b"", None),
    ],
)
def test_pieces(line: str, section: bytes, found: Piece | None) -> None:
    lines = [b"2 FETCH (UID 7 FLAGS (\\Seen))", f"1 FETCH {line}".encode()]
    if line.endswith("}"):
        lines += [b"a\n)b", b")" if "UID" in line else b" UID 7)"]
    assert pieces_of([*lines, b"3 FETCH (UID 9 BODY[]<0> {1}", b"x", b")"], section).get(7) == found


def test_searches() -> None:
    assert searched([b"SEARCH 7 3 3", b"SEARCH", b"search 5 x", b"9 EXISTS"]) == [3, 5, 7]


@pytest.mark.parametrize(
    ("lines", "whole"),
    [
        ([b"SEARCH"], True),
        ([b"search 7 3", b"9 EXISTS", b"SEARCH 4294967296 0"], True),
        ([b"SEARCH 7 8 (MODSEQ 917162500)"], True),
        ([], False),
        ([b"9 EXISTS", b"X-SEARCH 7"], False),
        ([b"SEARCH 7 8\0"], False),
        ([b"SEARCH 7", b"SEARCH \xff"], False),
        ([b"SEARCH7 8x"], False),
    ],
)
def test_an_answer_in_part_is_not_taken_for_all(lines: list[bytes], whole: bool) -> None:
    assert is_search_whole(lines) is whole


@given(st.sets(st.integers(1, 2**32 - 1), max_size=400), st.integers(1, 60))
def test_sets_of_uids_hold_each_once(uids: set[int], most: int) -> None:
    found = list(uid_sets(sorted(uids), most))
    assert all(len(within) <= most and len(text) < 8000 for text, within in found)
    assert [uid for _, within in found for uid in sorted(within)] == sorted(uids)
    for text, within in found:
        ends = [[int(end) for end in one.split(":")] for one in text.split(",")]
        assert {uid for one in ends for uid in range(one[0], one[-1] + 1)} == within


def test_sets_of_uids_are_short() -> None:
    assert [text for text, _ in uid_sets([1, 2, 3, 7, 9, 10], 9)] == ["1:3,7,9:10"]
    sparse = [text for text, _ in uid_sets(range(2**31, 2**31 + 2000, 2), 1000)]
    assert len(sparse) == 4
    assert max(map(len, sparse)) < 8000
