# SPDX-License-Identifier: Apache-2.0
"""Foreign texts in status: printable, bounded, and still told apart."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.texts.quoting import QUOTE_LIMIT, quoted, shown


@given(st.text())
def test_quoted_texts_are_printable_and_bounded(text: str) -> None:
    made = quoted(text)
    assert len(made) <= QUOTE_LIMIT + 16
    assert all(" " <= char <= "~" for char in made)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("v=spf1 ~all", "v=spf1 ~all"),
        ("a\tb\x7fc", "a\\009b\\127c"),
        ("\xe4", "\\228"),
        ("\u2026", "?"),
        ("", ""),
        ("x" * QUOTE_LIMIT, "x" * QUOTE_LIMIT),
    ],
)
def test_what_cannot_be_printed_is_written_as_zone_files_do(text: str, made: str) -> None:
    assert quoted(text) == made


def test_a_long_text_is_cut_with_its_hash() -> None:
    text = "x" * (QUOTE_LIMIT + 1)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert quoted(text) == "x" * (QUOTE_LIMIT - 24) + f"... (sha256 {digest})"
    assert quoted(f"{text}y") != quoted(f"{text}z")


def test_a_text_that_only_its_escapes_make_long_is_cut_too() -> None:
    first, second = ("\x01" * 100 + end for end in "ab")
    assert "sha256" in quoted(first)
    assert quoted(first) != quoted(second)


def test_what_is_shown_is_sorted_and_no_more_than_ten() -> None:
    assert shown(["b\n", "a"]) == ("a", "b\\010")
    assert shown([str(number) for number in range(9, -1, -1)] + ["z"]) == tuple("0123456789")
