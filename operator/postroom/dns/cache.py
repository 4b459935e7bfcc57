# SPDX-License-Identifier: Apache-2.0
"""A bounded cache that keeps values as long as their TTL says and asks only once at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class SingleFlightCache(Generic[KeyT, ValueT]):
    """Maps keys to values that a coroutine fetches, with the seconds that each may be kept.

    Concurrent requests for one key share one fetch. A fetch that was cancelled is made again by
    the next waiter. Holds at most `capacity` values, the least recently used go first.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._values: OrderedDict[KeyT, tuple[float, ValueT]] = OrderedDict()
        self._flights: dict[KeyT, asyncio.Task[tuple[ValueT, float]]] = {}

    async def get(self, key: KeyT, fetch: Callable[[], Awaitable[tuple[ValueT, float]]]) -> ValueT:
        """Return the value of a key; `fetch` yields it with the seconds to keep it (0: not)."""
        clock = asyncio.get_running_loop().time
        kept = self._values.get(key)
        if kept is not None and kept[0] > clock():
            self._values.move_to_end(key)
            return kept[1]
        flight = self._flights.get(key)
        if flight is None or flight.cancelled():
            flight = asyncio.ensure_future(self._fly(fetch))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        # Shielded: one waiter that gives up must not take the answer from the others.
        value, seconds = await asyncio.shield(flight)
        if seconds > 0:
            self._values[key] = (clock() + seconds, value)
            self._values.move_to_end(key)
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)
        return value

    @staticmethod
    async def _fly(fetch: Callable[[], Awaitable[tuple[ValueT, float]]]) -> tuple[ValueT, float]:
        return await fetch()

    def _land(self, key: KeyT, flight: asyncio.Task[tuple[ValueT, float]]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # a failure was raised to the waiters, if there were any
