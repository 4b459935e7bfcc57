# SPDX-License-Identifier: Apache-2.0
"""Whatever a status holds becomes bounded text in which every character can be seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.report import untrusted

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, categories=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING, st.integers(min_value=1, max_value=40))
def test_anything_becomes_bounded_text_that_a_file_can_hold(value: Any, most: int) -> None:
    said = untrusted.text(value, most)
    said.encode("utf-8")
    assert all(each.isprintable() or each in "\n\t" for each in said)
    assert len(said) <= most


@given(ANYTHING)
def test_anything_is_read_as_something(value: Any) -> None:
    assert isinstance(untrusted.mapping(value), dict)
    assert all(isinstance(each, dict) for each in untrusted.mappings(value, 3))
    assert all(untrusted.texts(value, 3))
    moment = untrusted.moment(value)
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("v=spf1 -all", "v=spf1 -all"),
        ("Grüße, 世界", "Grüße, 世界"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("exe.\u202etxt", "exe.\\u{202e}txt"),  # turns what follows around
        ("a\u200bb", "a\\u{200b}b"),  # hides between two letters
        ("\x00\x1b[31m", "\\u{0}\\u{1b}[31m"),
        ("\ud800", "\\u{d800}"),
        (7, "7"),
        (True, ""),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_what_cannot_be_seen_is_told_by_its_number(value: object, said: str) -> None:
    assert untrusted.text(value) == said


def test_what_is_too_long_says_that_it_was_cut() -> None:
    assert untrusted.text("x" * 5000, 10) == "xxxxxxxxx…"
    assert untrusted.text("x" * 10, 10) == "x" * 10
    assert untrusted.text("\u200b" * 5000, 12) == "\\u{200b}\\u{…"
    assert untrusted.text(10**6000) == ""
    assert untrusted.texts(["a", 3, None, "b", "c"], 4) == ["a", "3", "b"]


@pytest.mark.parametrize(
    "value",
    ["1970-01-01T00:00:00Z", "soon", None, 5, "0001-01-01T00:00:00+14:00", "2026-11-29", {}],
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert untrusted.moment(value) is None
    assert untrusted.moment("2026-11-29T08:00:00Z") is not None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (7, 7), (-1, None), (True, None), ("7", None), (2**60, None), (None, None)],
)
def test_a_number_of_things(value: object, expected: int | None) -> None:
    assert untrusted.count(value) == expected
