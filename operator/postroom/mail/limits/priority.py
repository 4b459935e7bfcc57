# SPDX-License-Identifier: Apache-2.0
"""How many probes run at a time: those that stall make room for those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.concurrency.slots import Slots

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
    that begin there. Namespaces share the places of either kind evenly.
    """

    def __init__(
        self, places: int = PLACES, slow_places: int = SLOW_PLACES, patience: float = PATIENCE
    ) -> None:
        self._places = Slots(places, places)
        self._slow_places = Slots(slow_places, slow_places)
        self._patience = patience

    @asynccontextmanager
    async def place(self, pace: Pace, namespace: str) -> AsyncIterator[None]:
        """Wait for a place; notes how long it was needed."""
        loop = asyncio.get_running_loop()
        held = self._slow_places if pace.slow else self._places
        await held.acquire(namespace)
        begun = loop.time()
        alarm: asyncio.TimerHandle | None = None

        def move_over() -> None:
            nonlocal held, alarm
            pace.slow = True
            if self._slow_places.try_acquire(namespace):
                held = self._slow_places
                self._places.release(namespace)
            else:
                alarm = loop.call_later(self._patience, move_over)

        if held is self._places:
            alarm = loop.call_later(self._patience, move_over)
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel()
            pace.slow = loop.time() - begun >= self._patience
            held.release(namespace)
