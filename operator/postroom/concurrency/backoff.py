# SPDX-License-Identifier: Apache-2.0
"""How long to wait after failures in a row. Pure."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

WaitT = TypeVar("WaitT", float, timedelta)

#: Beyond any use, and short of any overflow.
_DOUBLINGS = 30


def doubled(first: WaitT, longest: WaitT, failures: int) -> WaitT:
    """`first` after one failure, twice that after the next and so on, `longest` at most."""
    doublings = min(max(failures - 1, 0), _DOUBLINGS)
    return min(first * (1 << doublings), longest)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter over a floor, in seconds.

    The floor keeps a failure from being retried hot; the jitter keeps many that failed together
    from coming back together.
    """

    floor: float = 1.0
    base: float = 1.0
    cap: float = 300.0
    draw: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """How long to wait after this many failures in a row (one or more)."""
        ceiling = doubled(2 * self.base, self.cap, failures)
        return min(self.cap, self.floor + self.draw() * ceiling)
