# SPDX-License-Identifier: Apache-2.0
"""How many probes run at a time: those that stall make room for those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: Probes at a time that have only begun, over all hosts.
PLACES = 100
#: Probes at a time that take longer; with TLS each may hold 300 KB.
SLOW_PLACES = 300
#: Seconds from which on a probe takes long.
PATIENCE = 2.0


class Pace:
    """Whether the last probe of a host took long."""

    slow = False


class Gate:
    """Bounds what is under way. A probe that takes long moves over to places of its own.

    Servers that say nothing hold a probe until its deadlines end. Hosts that are known to be like
    that begin there.
    """

    def __init__(
        self, places: int = PLACES, slow_places: int = SLOW_PLACES, patience: float = PATIENCE
    ) -> None:
        self._places = asyncio.Semaphore(places)
        self._slow_places = slow_places
        self._slow = 0
        self._slow_left = asyncio.Event()
        self._patience = patience

    @asynccontextmanager
    async def place(self, pace: Pace) -> AsyncIterator[None]:
        """Wait for a place; notes how long it was needed."""
        loop = asyncio.get_running_loop()
        slow = pace.slow
        await (self._enter_slowly() if slow else self._places.acquire())
        begun = loop.time()
        alarm: asyncio.TimerHandle | None = None

        def move_over() -> None:
            nonlocal slow, alarm
            pace.slow = True
            if self._slow < self._slow_places:
                slow = True
                self._slow += 1
                self._places.release()
            else:
                alarm = loop.call_later(self._patience, move_over)

        if not slow:
            alarm = loop.call_later(self._patience, move_over)
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel()
            pace.slow = loop.time() - begun >= self._patience
            self._leave_slowly() if slow else self._places.release()

    async def _enter_slowly(self) -> None:
        while self._slow >= self._slow_places:
            await self._slow_left.wait()
        self._slow += 1

    def _leave_slowly(self) -> None:
        self._slow -= 1
        self._slow_left.set()
        self._slow_left = asyncio.Event()
