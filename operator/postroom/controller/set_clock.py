# SPDX-License-Identifier: Apache-2.0
"""A wall clock that somebody sets: by how much, told by a clock that nobody sets.

Statuses carry times of the wall clock, which people and other machines share. What a process counts
by itself (the pause after a message, how long something has been failing) must take as long as it
takes, whatever the wall clock does meanwhile.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from postroom.controller.intake import utc_now
from postroom.controller.lease import steady
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.remembered import shift

#: Clocks are adjusted a little all the time.
_LEAST = timedelta(seconds=1)


class SetClock:
    """The time that has passed since this process began, and how far the wall clock is off it."""

    def __init__(
        self, wall: Callable[[], datetime] = utc_now, elapsed: Callable[[], float] = steady
    ) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._began, self._zero = wall(), elapsed()

    def even(self) -> datetime:
        """The time as it was when this process began, and what has passed since."""
        return self._began + timedelta(seconds=self._elapsed() - self._zero)

    def settled(self, memory: Memory) -> Memory:
        """Have what is remembered of an object count from as long ago as it did before the wall
        clock was set; the same memory."""
        set_by = self._wall() - self.even()
        before = memory.clock_set_by if memory.clock_set_by is not None else set_by
        if abs(set_by - before) >= _LEAST:
            shift(memory, set_by - before)
            before = set_by
        memory.clock_set_by = before
        return memory
