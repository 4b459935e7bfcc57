# SPDX-License-Identifier: Apache-2.0
"""Waits after failures: they double, are bounded, and spread."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.backoff import Backoff, doubled

seconds = st.floats(0.01, 3600)


@pytest.mark.parametrize(
    ("failures", "waits"), [(0, 30), (1, 30), (2, 60), (3, 120), (4, 240), (5, 300), (10**9, 300)]
)
def test_a_wait_doubles_with_every_failure(failures: int, waits: int) -> None:
    assert doubled(30.0, 300.0, failures) == waits
    least, most = timedelta(seconds=30), timedelta(minutes=5)
    assert doubled(least, most, failures) == timedelta(seconds=waits)


@given(seconds, seconds, st.integers(-5, 10_000))
def test_a_wait_is_never_longer_than_the_longest_nor_shorter_than_the_one_before(
    first: float, longest: float, failures: int
) -> None:
    wait = doubled(first, longest, failures)
    assert min(first, longest) <= wait <= longest
    assert wait <= doubled(first, longest, failures + 1) <= 2 * wait


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_backoff_stays_between_floor_and_cap(failures: int, drawn: float) -> None:
    delay = Backoff(floor=1, base=1, cap=60, draw=lambda: drawn).delay(failures)
    assert 1 <= delay <= 60


def test_backoff_spreads_over_a_range_that_doubles() -> None:
    low, high = Backoff(draw=lambda: 0.0), Backoff(draw=lambda: 1.0)
    assert [(low.delay(n), high.delay(n)) for n in (1, 2, 3)] == [(1, 3), (1, 5), (1, 9)]
