# SPDX-License-Identifier: Apache-2.0
"""A bounded cache that keeps values as long as their TTL says and asks only once at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from postroom.concurrency.acting import party
from postroom.dns.asking.holding import Work

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

#: Bounds on how long anything is kept, in seconds, whatever its TTL says.
KEEP_LEAST, KEEP_MOST = 1.0, 3600.0

#: Seconds on a clock that does not go backwards.
Clock = Callable[[], float]


def kept_for(ttl: float | None) -> float:
    """Return how long something with this TTL is kept, in seconds."""
    return min(max(float(ttl or 0), KEEP_LEAST), KEEP_MOST)


class SingleFlightCache(Generic[KeyT, ValueT]):
    """Maps keys to values that a coroutine fetches, with the seconds that each may be kept.

    Concurrent requests of one party for one key share one fetch: another's may have to wait for
    what else that party asks. A fetch that was cancelled is made again by
    the next waiter. Holds at most `capacity` values, the least recently used go first. `clock` is
    that of the running loop by default.
    """

    def __init__(self, capacity: int = 4096, clock: Clock | None = None) -> None:
        self._capacity, self._clock = capacity, clock
        self._values: OrderedDict[KeyT, tuple[float, ValueT]] = OrderedDict()
        self._flights: dict[tuple[str, KeyT], tuple[asyncio.Task[tuple[ValueT, float]], Work]] = {}

    async def get(self, key: KeyT, fetch: Callable[[], Awaitable[tuple[ValueT, float]]]) -> ValueT:
        """Return the value of a key; `fetch` yields it with the seconds to keep it (0: not)."""
        kept = self.kept(key)
        if kept is not None:
            return kept
        name = (party(), key)
        flying = self._flights.get(name)
        if flying is None or flying[0].cancelled():
            work = Work()
            flight = asyncio.ensure_future(self._fly(key, fetch, work))
            flying = self._flights[name] = (flight, work)
            flight.add_done_callback(lambda done: self._land(name, done))
        # Shielded: one waiter that gives up must not take the answer from the others.
        with flying[1].awaited():
            value, _ = await asyncio.shield(flying[0])
        return value

    def kept(self, key: KeyT) -> ValueT | None:
        """Return the value of a key if it is there."""
        kept = self._values.get(key)
        if kept is None or kept[0] <= self._now():
            return None
        self._values.move_to_end(key)
        return kept[1]

    def in_flight(self, key: KeyT) -> bool:
        """Tell whether a value is being fetched."""
        return (party(), key) in self._flights

    def keep(self, key: KeyT, value: ValueT, seconds: float) -> None:
        """Keep a value that came another way; 0 seconds: do not."""
        if seconds <= 0:
            return
        self._values[key] = (self._now() + seconds, value)
        self._values.move_to_end(key)
        while len(self._values) > self._capacity:
            self._values.popitem(last=False)

    def forget(self, key: KeyT) -> None:
        """Drop a value, so that it is fetched again."""
        self._values.pop(key, None)

    async def _fly(
        self, key: KeyT, fetch: Callable[[], Awaitable[tuple[ValueT, float]]], work: Work
    ) -> tuple[ValueT, float]:
        with work.running():
            value, seconds = await fetch()
        self.keep(key, value, seconds)
        return value, seconds

    def _land(self, name: tuple[str, KeyT], flight: asyncio.Task[tuple[ValueT, float]]) -> None:
        flying = self._flights.get(name)
        if flying is not None and flying[0] is flight:
            del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # a failure was raised to the waiters, if there were any

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()
