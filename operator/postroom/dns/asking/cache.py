# SPDX-License-Identifier: Apache-2.0
"""A bounded cache that keeps values as long as their TTL says and asks only once at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from postroom.concurrency.acting import party
from postroom.concurrency.bounded import ExpiringMap
from postroom.concurrency.flights import Flights

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
    what else that party asks. One that nobody waits for any more ends, so that nothing is asked
    for what is gone; one that was cancelled is made again by the next waiter. Holds at most
    `capacity` values, the least recently used go first. `clock` is that of the running loop by
    default.
    """

    def __init__(self, capacity: int = 4096, clock: Clock | None = None) -> None:
        clock = clock or (lambda: asyncio.get_running_loop().time())
        self._values: ExpiringMap[KeyT, ValueT] = ExpiringMap(capacity, clock)
        self._flights: Flights[tuple[str, KeyT], ValueT] = Flights(for_waiters=True)

    async def get(self, key: KeyT, fetch: Callable[[], Awaitable[tuple[ValueT, float]]]) -> ValueT:
        """Return the value of a key; `fetch` yields it with the seconds to keep it (0: not)."""

        async def fly() -> ValueT:
            value, seconds = await fetch()
            self.keep(key, value, seconds)
            return value

        kept = self.kept(key)
        return kept if kept is not None else await self._flights.join((party(), key), fly)

    def kept(self, key: KeyT) -> ValueT | None:
        """The value of a key if it is there."""
        return self._values.use(key)

    def in_flight(self, key: KeyT) -> bool:
        """Whether a value is being fetched."""
        return (party(), key) in self._flights

    def keep(self, key: KeyT, value: ValueT, seconds: float) -> None:
        """Keep a value that came another way; 0 seconds: do not."""
        if seconds > 0:
            self._values.put(key, value, seconds)

    def forget(self, key: KeyT) -> None:
        """Drop a value, so that it is fetched again."""
        self._values.pop(key)
