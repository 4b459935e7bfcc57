# SPDX-License-Identifier: Apache-2.0
"""A test over many rows tries each, and says of all that fail which they are, and by what."""

from __future__ import annotations

import inspect

import pytest

from rows import over


def test_each_row_is_tried_and_those_that_fail_are_named() -> None:
    tried = []

    @over(range(5), "row {}".format)
    def small(number: int) -> None:
        """Numbers are small."""
        tried.append(number)
        if number == 1:
            raise ValueError("one")
        assert number < 3

    assert (small.__name__, small.__doc__) == ("small", "Numbers are small.")
    assert not inspect.signature(small).parameters
    with pytest.raises(AssertionError) as failed:
        small()
    assert tried == [0, 1, 2, 3, 4]
    first, second, *others = str(failed.value).splitlines()
    assert (first, second) == ("3 of 5:", "row 1: ValueError: one")
    assert [line for line in others if line.startswith("row")] == [
        "row 3: AssertionError: assert 3 < 3",
        "row 4: AssertionError: assert 4 < 3",
    ]


def test_where_all_hold_it_passes_and_no_rows_are_a_mistake() -> None:
    over("ab")(lambda row: None)()
    with pytest.raises(AssertionError, match="no row"):
        over([])
