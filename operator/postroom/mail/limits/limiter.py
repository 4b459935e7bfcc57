# SPDX-License-Identifier: Apache-2.0
"""How many probes run at a time: those that stall make room for those that do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.concurrency.slots import Slots

#: Probes at a time that have only begun, over all hosts.
SLOTS = 100
#: Probes at a time that take longer; with TLS each may hold 300 KB.
SLOW_SLOTS = 300
#: Seconds from which on a probe takes long.
PATIENCE = 2.0


class HostSpeed:
    """Whether the last probe of a host took long."""

    slow = False


class ProbeLimiter:
    """Bounds what is under way. A probe that takes long moves over to slots of its own.

    Servers that say nothing hold a probe until its deadlines end. Hosts that are known to be like
    that begin there. Namespaces share the slots of either kind evenly.
    """

    def __init__(
        self, slots: int = SLOTS, slow_slots: int = SLOW_SLOTS, patience: float = PATIENCE
    ) -> None:
        self._slots = Slots(slots, slots)
        self._slow_slots = Slots(slow_slots, slow_slots)
        self._patience = patience

    @asynccontextmanager
    async def slot(self, speed: HostSpeed, namespace: str) -> AsyncIterator[None]:
        """Wait for a slot; notes how long it was needed."""
        loop = asyncio.get_running_loop()
        held = self._slow_slots if speed.slow else self._slots
        await held.acquire(namespace)
        begun = loop.time()
        alarm: asyncio.TimerHandle | None = None

        def move_over() -> None:
            nonlocal held, alarm
            speed.slow = True
            if self._slow_slots.try_acquire(namespace):
                held = self._slow_slots
                self._slots.release(namespace)
            else:
                alarm = loop.call_later(self._patience, move_over)

        if held is self._slots:
            alarm = loop.call_later(self._patience, move_over)
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel()
            speed.slow = loop.time() - begun >= self._patience
            held.release(namespace)
