# SPDX-License-Identifier: Apache-2.0
"""Work that many want at the same time, done once for all of them. For one event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Generic, TypeVar

from postroom.concurrency.patience import Work

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

#: How much lingers at a time: a Secret or ConfigMap has up to a mebibyte, and somebody may have
#: thousands of them read.
_LINGERING = 64


class _Yielded(Generic[ValueT]):
    """What work yielded, which nobody prints: in its debug mode asyncio prints results of tasks,
    and this one may be a Secret."""

    __slots__ = ("value",)

    def __init__(self, value: ValueT) -> None:
        self.value = value


class Flights(Generic[KeyT, ValueT]):
    """Work by key: whoever comes while it is under way waits for it, and gets what it yields.

    That may be a failure. A waiter that gives up takes the work from nobody: it goes on, with or
    without waiters; `for_waiters`: until the last of them gave up. Work that was cancelled itself
    is begun again by who comes next. What it yielded serves whoever comes within `linger` seconds
    of its end, unless `most` others ended meanwhile: what is yielded may be large.
    """

    def __init__(
        self, linger: float = 0.0, *, most: int = _LINGERING, for_waiters: bool = False
    ) -> None:
        self._linger, self._most, self._for_waiters = linger, most, for_waiters
        self._flights: dict[KeyT, tuple[asyncio.Task[_Yielded[ValueT]], Work]] = {}
        #: When the end of what lingers comes, the first to go first.
        self._lingering: dict[KeyT, asyncio.TimerHandle] = {}

    def __contains__(self, key: KeyT) -> bool:
        """Whether work of this key is under way, or lingers."""
        return key in self._flights

    def __iter__(self) -> Iterator[KeyT]:
        return iter(tuple(self._flights))

    async def join(self, key: KeyT, begin: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """Return what the work yields, which is begun if none is under way."""
        flight, work = self._flights.get(key, (None, Work()))

        async def fly() -> _Yielded[ValueT]:
            with work.running():
                return _Yielded(await begin())

        if flight is None or flight.cancelled():
            flight = asyncio.create_task(fly())
            self._flights[key] = (flight, work)
            flight.add_done_callback(lambda done: self._landed(key, done))
        # Shielded: one waiter that gives up must not take the result from the others.
        with work.awaited():
            try:
                return (await asyncio.shield(flight)).value
            except asyncio.CancelledError:
                if self._for_waiters and work.waiters == 1 and not flight.done():
                    self._drop(key, flight)  # at once: whoever comes now must not join it
                    flight.cancel()
                raise

    def waiters(self, key: KeyT) -> int:
        """How many wait for the work of a key."""
        return self._flights[key][1].waiters if key in self._flights else 0

    def forget(self, key: KeyT) -> None:
        """Have the next one begin anew; who waits already gets what is under way."""
        self._flights.pop(key, None)
        if (end := self._lingering.pop(key, None)) is not None:
            end.cancel()  # or it would hold what was yielded until its time

    async def close(self) -> None:
        """Cancel what is under way, and wait for its end."""
        flights = [flight for flight, _ in self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, key: KeyT, flight: asyncio.Task[_Yielded[ValueT]]) -> None:
        if flight.cancelled() or not self._linger:
            self._drop(key, flight)
        elif self._is(key, flight):
            loop = asyncio.get_running_loop()
            self._lingering[key] = loop.call_later(self._linger, self._drop, key, flight)
            while len(self._lingering) > self._most:
                self.forget(next(iter(self._lingering)))
        if not flight.cancelled():
            flight.exception()  # it was raised to the waiters; that there were none is no error

    def _drop(self, key: KeyT, flight: asyncio.Task[_Yielded[ValueT]]) -> None:
        if self._is(key, flight):
            self.forget(key)

    def _is(self, key: KeyT, flight: asyncio.Task[_Yielded[ValueT]]) -> bool:
        """Whether that is the work of a key, and not one that was begun after `forget`."""
        there, _ = self._flights.get(key, (None, None))
        return there is flight
