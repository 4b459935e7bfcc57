# SPDX-License-Identifier: Apache-2.0
"""Lines and columns of a text, counted as editors do, held against a plain count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postroom.cli.text_places import SourceText, Spot

TEXTS = st.text(alphabet=st.sampled_from("ab\n\r\t\u2028\u0301é😀\U0001f9ea"), max_size=60)


@given(TEXTS, st.data())
def test_places_are_those_of_a_plain_count(text: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(text)))
    before = text[:index]
    line_before = before.rpartition("\n")[2]
    assert SourceText(text).position(index) == Spot(
        before.count("\n") + 1,
        len(line_before) + 1,
        len(line_before.encode("utf-16-le")) // 2 + 1,
    )
    assert SourceText(text).start_of_line(index) == len(before) - len(line_before)


def test_a_region_of_nothing_has_no_end() -> None:
    text = SourceText("ab\ncd")
    assert text.region(3, 3).end is None
    region = text.region(1, 4)
    assert (region.start, region.end) == (Spot(1, 2, 2), Spot(2, 2, 2))
