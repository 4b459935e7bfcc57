# SPDX-License-Identifier: Apache-2.0
"""Keeping within bounds: how fast we may ask, and how long to wait after a failure."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass


class TokenBucket:
    """Allows `rate` things per second on average and `burst` of them at once.

    Waiters are served in the order in which they came: each reserves the next free moment.
    """

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a token bucket needs a positive rate and a burst of at least one")
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def try_take(self) -> bool:
        """Take one token if there is one now."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def reserve(self) -> float:
        """Take one token, on credit if need be, and return how many seconds it is away."""
        self._refill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    async def take(self) -> None:
        """Take one token, waiting for it if need be."""
        delay = self.reserve()
        if delay > 0:
            await asyncio.sleep(delay)


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
        """Return how long to wait after this many failures in a row (one or more)."""
        ceiling = min(self.cap, self.base * 2.0 ** min(failures, 30))
        return min(self.cap, self.floor + self.draw() * ceiling)
