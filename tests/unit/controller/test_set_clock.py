# SPDX-License-Identifier: Apache-2.0
"""What is remembered counts for as long as it takes, however the wall clock is set meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.controller.set_clock import SetClock
from postroom.reconcile.status.outcome import Memory

START = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Clocks:
    """A wall clock that can be set, and one that nobody sets."""

    def __init__(self) -> None:
        self.wall, self.seconds = START, 100.0
        self.clock = SetClock(lambda: self.wall, lambda: self.seconds)

    def go_on(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(-86400, 86400)), max_size=8))
def test_ages_are_true_whenever_the_clock_was_set(steps: list[tuple[int, int]]) -> None:
    clocks, memory = Clocks(), Memory()
    clocks.clock.settled(memory)
    memory.asked_at = clocks.wall
    begun = clocks.seconds
    for passes, set_by in steps:
        clocks.go_on(passes)
        clocks.wall += timedelta(seconds=set_by)
        assert clocks.clock.settled(memory) is memory
        age = clocks.wall - memory.asked_at
        # Less than a second at a time is how clocks are kept right.
        assert abs(age.total_seconds() - (clocks.seconds - begun)) < 1
        assert clocks.clock.even() == START + timedelta(seconds=clocks.seconds - 100)


def test_small_corrections_add_up_until_they_count() -> None:
    clocks, memory = Clocks(), Memory()
    clocks.clock.settled(memory)
    memory.asked_at = START
    for _ in range(10):
        clocks.wall += timedelta(milliseconds=300)
        clocks.clock.settled(memory)
    assert abs(clocks.wall - memory.asked_at) < timedelta(seconds=1)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_memory_that_is_new_is_left_alone(hours: int) -> None:
    clocks, memory = Clocks(), Memory()
    clocks.wall += timedelta(hours=hours)
    memory.asked_at = clocks.wall
    assert clocks.clock.settled(memory).asked_at == clocks.wall
