# SPDX-License-Identifier: Apache-2.0
"""Limits in time that stand still while our own limiters hold the work back.

A question that we do not send yet is no look that failed: time in the line before a server says
nothing about the server. So it counts for no limit, but has one of its own. Work may be shared:
whoever waits for it is held back as long as it is.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar


class Work:
    """Something that runs for others: what holds it back holds back who waits for it."""

    def __init__(self) -> None:
        self._waiters: list[Work] = []
        self._holds = 0

    def hold(self) -> None:
        """Something waits in the queue of a limiter."""
        self._holds += 1
        if self._holds == 1:
            for waiter in self._waiters:
                waiter.hold()

    def release(self) -> None:
        """It goes on."""
        self._holds -= 1
        if self._holds == 0:
            for waiter in self._waiters:
                waiter.release()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """The running work waits for this one while the block runs."""
        waiter = _RUNNING.get()
        self._waiters.append(waiter)
        if self._holds:
            waiter.hold()
        try:
            yield
        finally:
            self._waiters.remove(waiter)
            if self._holds:
                waiter.release()

    @contextmanager
    def running(self) -> Iterator[None]:
        """What the block does is this work."""
        token = _RUNNING.set(self)
        try:
            yield
        finally:
            _RUNNING.reset(token)


class _Limited(Work):
    """Work with a limit; `patience` is how long it may be held back in all, in seconds."""

    def __init__(self, timeout: asyncio.Timeout, patience: float) -> None:
        super().__init__()
        self._timeout, self._patience = timeout, patience
        self._since = self._left = 0.0

    def hold(self) -> None:
        """Its time stands still."""
        if self._holds == 0:
            self._since = asyncio.get_running_loop().time()
            self._left = (self._timeout.when() or self._since) - self._since
            self._end_in(self._left + self._patience)
        super().hold()

    def release(self) -> None:
        """Its time runs again."""
        if self._holds == 1:
            held = asyncio.get_running_loop().time() - self._since
            beyond = max(0.0, held - self._patience)
            self._patience = max(0.0, self._patience - held)
            self._end_in(self._left - beyond)
        super().release()

    def _end_in(self, seconds: float) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + seconds)


#: What the running task works at. Outside of all limits nobody is to be told.
_RUNNING: ContextVar[Work] = ContextVar("work", default=Work())  # noqa: B039


@asynccontextmanager
async def limited(seconds: float, patience: float) -> AsyncIterator[None]:
    """Raise TimeoutError where the block takes longer than `seconds`, not counting holds.

    All holds together may take `patience` seconds.
    """
    async with asyncio.timeout(seconds) as timeout:
        work = _Limited(timeout, patience)
        with work.awaited(), work.running():
            yield


@contextmanager
def held_back() -> Iterator[None]:
    """The running work waits in the queue of a limiter while the block runs."""
    work = _RUNNING.get()
    work.hold()
    try:
        yield
    finally:
        work.release()
