# SPDX-License-Identifier: Apache-2.0
"""How fast something may be done, in turns among parties. For one event loop."""

import asyncio
import time
from collections.abc import Callable

from postroom.concurrency.shares import Line, Shares

#: Seconds: a shorter wait may be none for the clock, so that it would be waited again and again.
_LEAST = 1e-6


class TokenBucket:
    """Allows `rate` things per second on average and `burst` of them at once.

    Parties that wait are served in turns, so that one with many things to do keeps no other
    waiting; those of one party in the order in which they came.
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
        # A slot that is given back at once: what remains is whose turn it is.
        self._turns = Shares(1, 1)
        self._line: Line[asyncio.Future[None]] = Line(self._turns)
        self._timer: asyncio.TimerHandle | None = None

    def try_take(self) -> bool:
        """Take one token if there is one now; whether there was."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def take(self, party: str = "") -> None:
        """Take one token on behalf of a party, waiting for it if need be."""
        if not self._line and self.try_take():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.push(party, waiter)
        self._serve()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._tokens += 1  # it was served in the moment in which it gave up
            self._line.remove(party, waiter)
            raise

    def _serve(self) -> None:
        """Hand tokens out, and come again when there is another."""
        while self._line and self.try_take():
            popped = self._line.pop()
            assert popped is not None  # noqa: S101 - the slot is always free
            party, waiter = popped
            self._turns.give_back(party)
            if waiter.done():  # it has been given up, and did not get to say so yet
                self._tokens += 1
            else:
                waiter.set_result(None)
        if self._line and self._timer is None:
            delay = max(_LEAST, (1 - self._tokens) / self._rate)
            self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._serve()
