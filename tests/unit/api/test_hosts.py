# SPDX-License-Identifier: Apache-2.0
"""Slips of the keyboard: one letter wrong, too many, missing, or swapped with its neighbour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.hosts import is_one_slip_from


@pytest.mark.parametrize(
    ("left", "right", "slip"),
    [
        ("gmail", "gmeil", True),
        ("gmail", "gmal", True),
        ("gmail", "gmaill", True),
        ("gmail", "xgmail", True),
        ("gmail", "gmial", True),
        ("gmail", "gmali", True),
        ("gmail", "mgail", True),
        ("gmail", "gmail", False),
        ("gmail", "gamli", False),
        ("gmail", "gxaxl", False),
        ("gmail", "gliam", False),
        ("gmail", "gmailxx", False),
        ("gmail", "gmxl", False),
        ("a", "", True),
        ("", "", False),
    ],
)
def test_what_is_one_slip(left: str, right: str, slip: bool) -> None:
    assert is_one_slip_from(left, right) is slip


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_one_slip_goes_both_ways(left: str, right: str) -> None:
    assert is_one_slip_from(left, right) is is_one_slip_from(right, left)
    assert not is_one_slip_from(left, left)
    assert is_one_slip_from(left, f"{left}x")
