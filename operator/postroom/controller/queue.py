# SPDX-License-Identifier: Apache-2.0
"""The keyed queue: what must be looked at, each key once, never twice at the same time.

Namespaces share the runs evenly: of those that wait, the one with the fewest runs goes first, and
none has so many that another finds no room. So a tenant with a thousand objects, or with servers
that say nothing for as long as they are let, keeps nobody else waiting. Within a namespace, first
in is first out. What someone changed goes before what must be looked at because of that, so that a
change of what a thousand accounts stand on holds up no other; and both go before routine checks.
What is less urgent still gets a turn after every four that went before it. Objects of one kind
leave room to those of the others: where all domains of a namespace wait for one name server, its
servers and accounts are looked at.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from postroom.api.names import Key
from postroom.concurrency.backoff import Backoff
from postroom.concurrency.shares import Line, Shares

#: After so many turns of what is more urgent, what is less urgent gets its own.
_TURNS_BEFORE = 4
#: Runs at a time, over all namespaces and of one. What waits for the network costs memory only.
RUNS, RUNS_OF_ONE = 512, 32


class Urgency(IntEnum):
    """Who waits for this run: someone who changed the object itself, someone who changed what it
    stands on, or nobody."""

    CHANGE = 0
    CONSEQUENCE = 1
    ROUTINE = 2


class QueueClosed(Exception):
    """The queue hands out no more work: the operator is stopping."""


class KeyedQueue:
    """Keys to work on, with deduplication, schedule and backoff. For one event loop.

    Keys that `admits` does not let in are nobody's here: they never wait.

    A key is in at most one of these states besides its schedule: waiting, or running. One that is
    added while it runs waits again as soon as its run ends.
    """

    def __init__(
        self,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        shares: Shares | None = None,
        admits: Callable[[Key], bool] = lambda key: True,
    ) -> None:
        self._backoff = backoff or Backoff()
        self.admits = admits
        self._clock = clock
        self._shares = shares or Shares(RUNS, RUNS_OF_ONE)
        # What someone changed finds a run free even while a thousand consequences wait for a host.
        self._lanes: dict[Urgency, Line[Key]] = {
            urgency: Line(
                self._shares, sparing=urgency > Urgency.CHANGE, kind_of=lambda key: key.kind.value
            )
            for urgency in Urgency
        }
        #: Since when each key waits, and how urgently.
        self._waiting: dict[Key, tuple[float, Urgency]] = {}
        self._running: dict[Key, float] = {}
        self._again: dict[Key, Urgency] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        #: When the timer is to fire, by our clock.
        self._armed_for = 0.0
        self._failures: dict[Key, int] = {}
        #: How many turns of what is more urgent there were since the last of each.
        self._passed_over = dict.fromkeys(Urgency, 0)
        #: Who waits in `take`, in the order of their coming.
        self._takers: deque[asyncio.Future[Key]] = deque()
        #: When a run last began or ended.
        self._moved_at = clock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    # -- putting in ---------------------------------------------------------------------------

    def add(self, key: Key, urgency: Urgency = Urgency.CHANGE) -> None:
        """Have a key worked on as soon as possible."""
        if not self.admits(key):
            return
        if key in self._running:
            self._again[key] = min(urgency, self._again.get(key, urgency))
            return
        if (before := self._waiting.get(key)) is not None:
            since, current = before
            if urgency < current:
                self._lanes[current].remove(key.namespace, key)
                self._lanes[urgency].push(key.namespace, key)
                self._waiting[key] = (since, urgency)
            return
        self._waiting[key] = (self._clock(), urgency)
        self._lanes[urgency].push(key.namespace, key)
        self._hand_out()

    def add_after(self, key: Key, delay: float) -> None:
        """Have a key worked on after `delay` seconds, or at its earlier scheduled time."""
        if not self.admits(key):
            return
        if delay <= 0:
            self.add(key, Urgency.ROUTINE)
            return
        moment = self._clock() + delay
        if self._due.get(key, moment + 1) <= moment:
            return
        self._due[key] = moment
        self._serial += 1
        heapq.heappush(self._heap, (moment, self._serial, key))
        # Replaced entries stay in the heap until their time; rebuild before they outnumber.
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        self._arm()

    def forget(self, key: Key) -> None:
        """Drop a key: it waits no more, has no schedule, and its failures do not count.

        A run in progress is left to end by itself.
        """
        before = self._waiting.pop(key, None)
        if before is not None:
            self._lanes[before[1]].remove(key.namespace, key)
        self._again.pop(key, None)
        self._due.pop(key, None)
        self._failures.pop(key, None)

    # -- taking out ---------------------------------------------------------------------------

    async def take(self) -> Key:
        """Return the next key, which then counts as running until `done`; raises `QueueClosed`."""
        if self._closed:
            raise QueueClosed
        if not self._takers and (key := self._pop()) is not None:
            return key
        taker: asyncio.Future[Key] = asyncio.get_running_loop().create_future()
        self._takers.append(taker)
        try:
            return await taker
        except asyncio.CancelledError:
            if taker.done() and not taker.cancelled() and taker.exception() is None:
                # It was served in the moment in which it gave up: the key's turn is not lost.
                self._again.setdefault(taker.result(), Urgency.CHANGE)
                self.done(taker.result())
            raise

    def _hand_out(self) -> None:
        """Give keys that may run to those who wait for one."""
        while self._takers:
            if self._takers[0].done():
                self._takers.popleft()
                continue
            key = self._pop()
            if key is None:
                return
            self._takers.popleft().set_result(key)

    def _pop(self) -> Key | None:
        ready = [
            (urgency, turn)
            for urgency, lane in self._lanes.items()
            if lane and (turn := lane.next_turn()) is not None
        ]
        if not ready:
            return None
        overdue = (each for each in ready if self._passed_over[each[0]] >= _TURNS_BEFORE)
        chosen, turn = next(overdue, ready[0])
        self._passed_over[chosen] = 0
        for urgency in self._lanes:
            self._passed_over[urgency] += urgency > chosen
        key = self._lanes[chosen].take(turn)
        del self._waiting[key]
        self._due.pop(key, None)
        self._running[key] = self._moved_at = self._clock()
        self._idle.clear()
        return key

    def done(self, key: Key) -> None:
        """End the run of a key; it waits again if it was added meanwhile."""
        del self._running[key]
        self._shares.give_back(key.namespace, key.kind.value)
        self._moved_at = self._clock()
        urgency = self._again.pop(key, None)
        if urgency is not None:
            self.add(key, urgency)
        if not self._running:
            self._idle.set()
        self._hand_out()

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
        for taker in self._takers:
            if not taker.done():
                taker.set_exception(QueueClosed())
        self._takers.clear()

    async def settled(self) -> None:
        """Wait until nothing runs."""
        await self._idle.wait()

    # -- what is going on ---------------------------------------------------------------------

    def has(self, key: Key) -> bool:
        """Whether a key waits, runs or is scheduled."""
        return key in self._waiting or key in self._running or key in self._due

    def comes_again(self, key: Key) -> bool:
        """Whether a key that runs is to run again, at once or at a time that is planned."""
        return key in self._again or key in self._due

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

    def stalled_for(self) -> float:
        """Return for how many seconds keys have waited while no run began or ended; 0 otherwise.

        A backlog that is worked off, however slowly, is no stall.
        """
        if not self._waiting:
            return 0.0
        return min(self.oldest_wait(), self._clock() - self._moved_at)

    def oldest_run(self) -> float:
        """Return for how many seconds the longest run has lasted; 0 when none runs."""
        return self._clock() - min(self._running.values()) if self._running else 0.0

    # -- schedule -----------------------------------------------------------------------------

    def _arm(self) -> None:
        """Set the timer for the next scheduled key."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._timer is not None:
            if self._heap and self._clock() < self._heap[0][0] == self._armed_for:
                return  # it is the same one, and to come
            self._timer.cancel()
            self._timer = None
        if self._heap and not self._closed:
            self._armed_for = self._heap[0][0]
            delay = max(0.0, self._armed_for - self._clock())
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
