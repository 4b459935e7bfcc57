# SPDX-License-Identifier: Apache-2.0
"""How many probes run at a time: those that stall make room for those that do not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from postroom.concurrency.slots import Slots

#: Probes at a time that have only begun, over all hosts.
SLOTS = 100
#: Probes at a time that take longer; with TLS each may hold 300 KB.
SLOW_SLOTS = 300
#: Seconds from which on a probe takes long.
PATIENCE = 2.0

ResultT = TypeVar("ResultT")
#: Called by a probe before it sends a login, which must not go out twice; raises `TurnedOut`.
BeforeLogin = Callable[[], None]


class TurnedOut(Exception):
    """A probe makes room for others before it sends a login, and is begun anew."""


class HostSpeed:
    """Whether the last probe of a host took long."""

    slow = False


class _Stay:
    """A probe that began in one of the slots for that; `held` are those of its present slot."""

    alarm: asyncio.TimerHandle

    def __init__(self, speed: HostSpeed, namespace: str, held: Slots, end: asyncio.Timeout) -> None:
        self.speed, self.namespace, self.held = speed, namespace, held
        self._end = end
        self.sends_login = self.leaves = self.takes_long = False
        #: How often we were so late ourselves that it had not had its time.
        self.excuses = 0

    def before_login(self) -> None:
        if self.leaves:
            raise TurnedOut
        self.sends_login = True

    def turn_out(self) -> None:
        self.leaves = True
        self._end.reschedule(asyncio.get_running_loop().time())


class ProbeLimiter:
    """Bounds what is under way. A probe that takes long moves over to slots of its own.

    Servers that say nothing hold a probe until its deadlines end. Hosts that are known to be like
    that begin there. Where those slots are taken as well, a probe that takes long leaves its slot
    to whoever waits for one, unless it has sent a login, and begins anew there: once, and with all
    its time, so that load changes no verdict. Namespaces share the slots of either kind evenly.
    """

    def __init__(
        self, slots: int = SLOTS, slow_slots: int = SLOW_SLOTS, patience: float = PATIENCE
    ) -> None:
        self._slots = Slots(slots, slots)
        self._slow_slots = Slots(slow_slots, slow_slots)
        self._patience = patience
        #: Those that take long and may be turned out, the first of them first.
        self._overdue: dict[_Stay, None] = {}
        self._leaving = 0

    async def run(
        self,
        speed: HostSpeed,
        namespace: str,
        probe: Callable[[BeforeLogin], Awaitable[ResultT]],
    ) -> ResultT:
        """Run a probe in a slot, waiting for one if need be; notes how long it was needed."""
        if not speed.slow:
            try:
                return await self._begin(speed, namespace, probe)
            except TurnedOut:
                speed.slow = True
        now = asyncio.get_running_loop().time
        async with self._slow_slots.slot(namespace):
            begun = now()
            try:
                return await probe(lambda: None)
            finally:
                speed.slow = now() - begun >= self._patience

    async def _begin(
        self,
        speed: HostSpeed,
        namespace: str,
        probe: Callable[[BeforeLogin], Awaitable[ResultT]],
    ) -> ResultT:
        """Run a probe in a slot for those that have only begun; raises `TurnedOut`."""
        if not self._slots.try_acquire(namespace):
            self._turn_out_for(namespace)
            await self._slots.acquire(namespace)
        end = asyncio.timeout(None)
        stay = _Stay(speed, namespace, self._slots, end)
        self._have_patience(stay)
        try:
            async with end:
                return await probe(stay.before_login)
        except TimeoutError:
            if end.expired():
                raise TurnedOut from None
            raise
        finally:
            stay.alarm.cancel()
            self._overdue.pop(stay, None)
            self._leaving -= stay.leaves
            speed.slow = stay.takes_long
            stay.held.release(namespace)

    def _have_patience(self, stay: _Stay) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._patience
        stay.alarm = loop.call_at(due, self._is_due, stay, due)

    def _is_due(self, stay: _Stay, due: float) -> None:
        """Move a probe over to a slot for those that take long, or else have it turned out if need
        be; where the event loop itself is late, that is no fault of the host."""
        late = asyncio.get_running_loop().time() - due
        if late > self._patience / 4 and not stay.excuses:
            stay.excuses += 1
            self._have_patience(stay)
            return
        stay.takes_long = stay.speed.slow = True
        if not stay.leaves and self._slow_slots.try_acquire(stay.namespace):
            self._overdue.pop(stay, None)
            stay.held = self._slow_slots
            self._slots.release(stay.namespace)
            return
        self._have_patience(stay)
        if not stay.leaves and not stay.sends_login:
            self._overdue[stay] = None
            if self._slots.waiting > self._leaving:
                self._turn_out_for(stay.namespace)

    def _turn_out_for(self, namespace: str) -> None:
        """Make room for who waits: where slots are left, its own namespace holds too many."""
        for stay in self._overdue:
            if not stay.sends_login and (self._slots.full or stay.namespace == namespace):
                del self._overdue[stay]
                self._leaving += 1
                stay.turn_out()
                return
