# SPDX-License-Identifier: Apache-2.0
"""Semaphores whose slots are shared evenly among parties. For one event loop."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from postroom.concurrency.shares import Line, Shares

KeyT = TypeVar("KeyT", bound=Hashable)


class Slots:
    """`total` slots, at most `each` for one party; who waits is served as `Line` says."""

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._shares = Shares(total, each)
        self._line: Line[asyncio.Future[None]] = Line(self._shares)

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self._shares.taken

    @property
    def full(self) -> bool:
        """Whether no slot is left."""
        return self._shares.taken >= self._total

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._line)

    @property
    def idle(self) -> bool:
        """Whether nobody holds a slot or waits for one."""
        return not self._shares.taken and not self._line

    def try_acquire(self, party: str) -> bool:
        """Take a slot if a party may have one at once."""
        if not self._shares.may_take(party):
            return False
        self._shares.take(party)
        return True

    async def acquire(self, party: str) -> None:
        """Take a slot, waiting for it if need be."""
        if self.try_acquire(party):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.push(party, waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.release(party)  # it was served in the moment in which it gave up
            else:
                self._line.remove(party, waiter)
            raise

    def release(self, party: str) -> None:
        """Give a slot back."""
        self._shares.give_back(party)
        while (served := self._line.pop()) is not None:
            whose, waiter = served
            if waiter.done():  # it has been given up, and did not get to say so yet
                self._shares.give_back(whose)
            else:
                waiter.set_result(None)

    @asynccontextmanager
    async def slot(self, party: str) -> AsyncIterator[None]:
        """Hold a slot while the block runs."""
        await self.acquire(party)
        try:
            yield
        finally:
            self.release(party)


class KeyedSlots(Generic[KeyT]):
    """`Slots` for each key, which exist as long as somebody holds or awaits one."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._slots: WeakValueDictionary[KeyT, Slots] = WeakValueDictionary()

    @asynccontextmanager
    async def slot(
        self, key: KeyT, party: str, patience: float | None = None
    ) -> AsyncIterator[None]:
        """Hold a slot of a key while the block runs.

        Raises `TimeoutError` where `patience` seconds bring none.
        """
        slots = self._slots.setdefault(key, Slots(self._total, self._each))
        async with asyncio.timeout(patience):
            await slots.acquire(party)
        try:
            yield
        finally:
            slots.release(party)
