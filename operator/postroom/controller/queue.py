# SPDX-License-Identifier: Apache-2.0
"""The keyed queue: what must be looked at, each key once, never twice at the same time.

Namespaces take turns, so that a tenant with a thousand objects does not keep another waiting;
within a namespace, first in is first out. Changes that someone waits for go before routine
checks, which still get every fifth turn.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum

from postroom.api.names import Key
from postroom.controller.limits import Backoff

#: After so many changes in a row, a routine check gets its turn.
_CHANGES_IN_A_ROW = 4


class Urgency(IntEnum):
    """Who waits for this run: someone who changed something, or nobody."""

    CHANGE = 0
    ROUTINE = 1


class QueueClosed(Exception):
    """The queue hands out no more work: the operator is stopping."""


class _Lane:
    """Keys of one urgency: round robin over namespaces, first in first out within each."""

    def __init__(self) -> None:
        # OrderedDict: popping the first item of a plain dict again and again is quadratic.
        self._turns: OrderedDict[str, OrderedDict[Key, None]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def push(self, key: Key) -> None:
        self._turns.setdefault(key.namespace, OrderedDict())[key] = None

    def remove(self, key: Key) -> None:
        keys = self._turns.get(key.namespace)
        if keys is not None and key in keys:
            del keys[key]
            if not keys:
                del self._turns[key.namespace]

    def pop(self) -> Key:
        namespace, keys = self._turns.popitem(last=False)
        key, _ = keys.popitem(last=False)
        if keys:
            self._turns[namespace] = keys
        return key


class KeyedQueue:
    """Keys to work on, with deduplication, schedule and backoff. For one event loop.

    A key is in at most one of these states besides its schedule: waiting, or running. One that is
    added while it runs waits again as soon as its run ends.
    """

    def __init__(
        self, backoff: Backoff | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._lanes = {urgency: _Lane() for urgency in Urgency}
        #: Since when each key waits, and how urgently.
        self._waiting: dict[Key, tuple[float, Urgency]] = {}
        self._running: dict[Key, float] = {}
        self._again: dict[Key, Urgency] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._failures: dict[Key, int] = {}
        self._changes_in_a_row = 0
        #: At least one per waiting key; the surplus is harmless, see `take`.
        self._tokens = asyncio.Semaphore(0)
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    # -- putting in ---------------------------------------------------------------------------

    def add(self, key: Key, urgency: Urgency = Urgency.CHANGE) -> None:
        """Have a key worked on as soon as possible."""
        if key in self._running:
            self._again[key] = min(urgency, self._again.get(key, urgency))
            return
        if (before := self._waiting.get(key)) is not None:
            since, current = before
            if urgency < current:
                self._lanes[current].remove(key)
                self._lanes[urgency].push(key)
                self._waiting[key] = (since, urgency)
            return
        self._waiting[key] = (self._clock(), urgency)
        self._lanes[urgency].push(key)
        self._tokens.release()

    def add_after(self, key: Key, delay: float) -> None:
        """Have a key worked on after `delay` seconds, or at its earlier scheduled time."""
        if delay <= 0:
            self.add(key, Urgency.ROUTINE)
            return
        moment = self._clock() + delay
        if self._due.get(key, moment + 1) <= moment:
            return
        self._due[key] = moment
        self._push(moment, key)
        self._arm()

    def forget(self, key: Key) -> None:
        """Drop a key: it waits no more, has no schedule, and its failures do not count.

        A run in progress is left to end by itself.
        """
        before = self._waiting.pop(key, None)
        if before is not None:
            self._lanes[before[1]].remove(key)
        self._again.pop(key, None)
        self._due.pop(key, None)
        self._failures.pop(key, None)

    # -- taking out ---------------------------------------------------------------------------

    async def take(self) -> Key:
        """Return the next key, which then counts as running until `done`; raises `QueueClosed`."""
        while True:
            await self._tokens.acquire()
            if self._closed:
                self._tokens.release()  # wakes the next one that waits here
                raise QueueClosed
            key = self._pop()
            if key is not None:
                return key
            # The key that this token was for has been forgotten meanwhile.

    def _pop(self) -> Key | None:
        changes, routine = self._lanes[Urgency.CHANGE], self._lanes[Urgency.ROUTINE]
        if changes and not (routine and self._changes_in_a_row >= _CHANGES_IN_A_ROW):
            self._changes_in_a_row += 1
            key = changes.pop()
        elif routine:
            self._changes_in_a_row = 0
            key = routine.pop()
        else:
            return None
        del self._waiting[key]
        self._due.pop(key, None)
        self._running[key] = self._clock()
        self._idle.clear()
        return key

    def done(self, key: Key) -> None:
        """End the run of a key; it waits again if it was added meanwhile."""
        del self._running[key]
        urgency = self._again.pop(key, None)
        if urgency is not None:
            self.add(key, urgency)
        if not self._running:
            self._idle.set()

    def failed(self, key: Key) -> float:
        """Schedule a key for another try after a failure; returns the delay in seconds."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._backoff.delay(self._failures[key])
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Hand out no more work; whoever waits in `take` gets `QueueClosed`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tokens.release()

    async def settled(self) -> None:
        """Wait until nothing runs."""
        await self._idle.wait()

    # -- what is going on ---------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def scheduled(self) -> int:
        return len(self._due)

    def oldest_wait(self) -> float:
        """Return for how many seconds the oldest waiting key has waited; 0 when none waits."""
        if not self._waiting:
            return 0.0
        return self._clock() - min(since for since, _ in self._waiting.values())

    def oldest_run(self) -> float:
        """Return for how many seconds the longest run has lasted; 0 when none runs."""
        return self._clock() - min(self._running.values()) if self._running else 0.0

    # -- schedule -----------------------------------------------------------------------------

    def _push(self, moment: float, key: Key) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (moment, self._serial, key))
        # Replaced entries stay in the heap until their time; rebuild before they outnumber.
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _arm(self) -> None:
        """Set the timer for the next scheduled key."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._heap and not self._closed:
            delay = max(0.0, self._heap[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        """Add every key whose time has come."""
        self._timer = None
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            moment, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == moment:
                del self._due[key]
                self.add(key, Urgency.ROUTINE)
        self._arm()
