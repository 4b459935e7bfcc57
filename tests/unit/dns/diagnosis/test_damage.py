# SPDX-License-Identifier: Apache-2.0
"""How texts are held against each other. Covers: their distance; where they begin to differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.diagnosis.damage import first_difference, within_distance


@given(st.text("ab", max_size=12), st.text("ab", max_size=12), st.integers(0, 4))
def test_the_distance_of_texts_is_that_of_edits(left: str, right: str, limit: int) -> None:
    assert within_distance(left, right, limit) == (_edits(left, right) <= limit)


def _edits(left: str, right: str) -> int:
    if not left or not right:
        return len(left) + len(right)
    if left[0] == right[0]:
        return _edits(left[1:], right[1:])
    shorter = (left[1:], right), (left, right[1:]), (left[1:], right[1:])
    return 1 + min(_edits(*pair) for pair in shorter)


@pytest.mark.parametrize(
    ("left", "right", "at"),
    [
        ("", "", 0),
        ("", "a", 0),
        ("same", "same", 4),
        ("same", "some", 1),
        ("v=spf1 -all", "v=spf1 ~all", 7),
        ("cut", "cut off", 3),
        ("cut off", "cut", 3),
        ("abcabc", "abdabd", 2),
    ],
)
def test_where_texts_begin_to_differ(left: str, right: str, at: int) -> None:
    assert first_difference(left, right) == at


@given(st.text("ab", max_size=6), st.text("ab", max_size=6), st.text("ab", max_size=6))
def test_what_stands_before_the_difference_is_the_same(same: str, left: str, right: str) -> None:
    at = first_difference(same + left, same + right)
    assert at >= len(same)
    assert (same + left)[:at] == (same + right)[:at]
    assert (same + left)[at : at + 1] != (same + right)[at : at + 1] or left == right
