# SPDX-License-Identifier: Apache-2.0
"""Limits that count only the time for which others keep us waiting.

A question that is not sent yet says nothing about the server, and neither does an answer that lies
in its socket while this process has other things to do. So time in the line before our own limits,
or without the processor, counts for no limit of a look; it has one of its own. Work may be shared:
whoever waits for it is at its servers as long as it is.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, ContextVar, copy_context
from types import TracebackType
from typing import Self

#: Seconds after which a wait is looked at, so that it counts no more where we wake up late.
_TICK = 0.25
#: Seconds before the end of a deadline in which that is done: a mailbox waits for mail for half an
#: hour, and thousands of them would look four times a second at a time that is far away.
_NEAR = 60.0
#: Less than this is no time: what differences leave of a limit.
_LEAST = 1e-6


class Work:
    """Something that runs for others: while it awaits an answer, so does who waits for it."""

    def __init__(self) -> None:
        self._waiters: list[Work] = []
        self._open = 0

    @property
    def waiters(self) -> int:
        """How many wait for it."""
        return len(self._waiters)

    def asked(self) -> None:
        """Something is to be heard from a server."""
        self._open += 1
        if self._open == 1:
            for waiter in self._waiters:
                waiter.asked()

    def answered(self) -> None:
        """It came, or is awaited no more."""
        self._open -= 1
        if self._open == 0:
            for waiter in self._waiters:
                waiter.answered()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """The running work waits for this one while the block runs."""
        waiter = _RUNNING.get()
        self._waiters.append(waiter)
        if self._open:
            waiter.asked()
        try:
            yield
        finally:
            self._waiters.remove(waiter)
            if self._open:
                waiter.answered()

    @contextmanager
    def running(self) -> Iterator[None]:
        """What the block does is this work."""
        token = _RUNNING.set(self)
        try:
            yield
        finally:
            _RUNNING.reset(token)


class _Limited(Work):
    """Work that `end` is called for after `seconds` at servers, or `patience` of our own time."""

    def __init__(self, seconds: float, patience: float, end: Callable[[], None]) -> None:
        super().__init__()
        self._left, self._patience, self._end = seconds, patience, end
        self._clock = asyncio.get_running_loop().time
        self._since, self._due, self._closed = self._clock(), patience, False
        # Nothing of this work is known in it yet: a timer and its work would hold each other.
        self._before = copy_context()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(patience, self._look, context=self._before)

    def asked(self) -> None:
        if not self._open:
            self._account()
        super().asked()
        if self._open == 1:
            self._arm()

    def answered(self) -> None:
        if self._open == 1:
            self._account()
        super().answered()
        if not self._open:
            self._arm()

    def close(self) -> None:
        """Nothing is to be ended any more, or it is ending."""
        self._closed = True
        self._timer.cancel()

    def _account(self) -> None:
        """Charge the time since the last look to servers, or to us: what came late, too."""
        now = self._clock()
        elapsed, self._since = now - self._since, now
        at_servers = min(elapsed, self._due) if self._open else 0.0
        self._left -= at_servers
        self._patience -= elapsed - at_servers

    def _arm(self) -> None:
        """Be called when it is due, after `_account`; a look that comes earlier is enough."""
        if self._closed:
            return
        self._due = max(0.0, min(self._left, _TICK) if self._open else self._patience)
        if not self._since < self._timer.when() <= self._since + self._due:
            self._timer.cancel()
            when, loop = self._since + self._due, asyncio.get_running_loop()
            self._timer = loop.call_at(when, self._look, context=self._before)

    def _look(self) -> None:
        self._account()
        if min(self._left, self._patience) < _LEAST:
            self.close()
            self._end()
        else:
            self._arm()


#: What the running task works at. Outside of all limits nobody is to be told.
_RUNNING: ContextVar[Work] = ContextVar("work", default=Work())  # noqa: B039


@asynccontextmanager
async def limited(seconds: float, patience: float) -> AsyncIterator[None]:
    """Raise TimeoutError where answers are awaited for longer than `seconds` in all.

    All other time of the block together may be `patience` seconds.
    """
    now = asyncio.get_running_loop().time
    async with asyncio.timeout(None) as timeout:
        work = _Limited(seconds, patience, lambda: timeout.reschedule(now()))
        try:
            with work.awaited(), work.running():
                yield
        finally:
            work.close()


@contextmanager
def awaiting_answer() -> Iterator[None]:
    """The running work waits for a server while the block runs."""
    work = _RUNNING.get()
    work.asked()
    try:
        yield
    finally:
        work.answered()


class _Ticks:
    """One timer for all deadlines of an event loop that are neither near their end nor far from it:
    a session has ten, one after the other, and to set and cancel a timer for each is a good part of
    what they cost."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.watched: dict[PeerDeadline, None] = {}
        #: When these are looked at next; in the past where nobody looks.
        self.due = -math.inf
        # Of nobody's work: the timer goes on beyond that of who is watched first.
        self._context = Context()

    def watch(self, deadline: "PeerDeadline", now: float) -> None:
        """Have a deadline looked at from now on, again and again, until it is watched no more."""
        self.watched[deadline] = None
        if self.due == -math.inf:
            self._set(now)

    def _set(self, now: float) -> None:
        self.due = now + _TICK
        self.loop.call_at(self.due, self._tick, context=self._context)

    def _tick(self) -> None:
        due, now = self.due, self.loop.time()
        near = [deadline for deadline in self.watched if deadline.passed(due, now)]
        for deadline in near:
            del self.watched[deadline]
            deadline.look()
        self.due = -math.inf
        if self.watched:
            self._set(now)


#: Those of the loop that had a deadline last.
_last_ticks: _Ticks | None = None


def _ticks_of(loop: asyncio.AbstractEventLoop) -> _Ticks:
    global _last_ticks
    ticks = _last_ticks
    if ticks is None or ticks.loop is not loop:
        ticks = _last_ticks = _Ticks(loop)
    return ticks


class PeerDeadline:
    """`asyncio.timeout` for what a peer is to do: time in which the event loop comes late to its
    timers, as where this process lacks the processor, counts no longer than the timer was set for.

    Otherwise a busy node would find faults with servers that answer at once.
    """

    def __init__(self, seconds: float) -> None:
        self._left, self._since, self._until = seconds, 0.0, 0.0
        self._ticks = _ticks_of(asyncio.get_running_loop())
        #: Its own; None while it is watched with others.
        self._timer: asyncio.TimerHandle | None = None
        #: How many blocks are running that are no time of the peer's.
        self._paused = 0
        self._timeout = asyncio.timeout(None)

    def begin_anew(self, seconds: float) -> None:
        """Give the peer so many seconds from now on, or from the end of what is left out, unless
        its time is over."""
        self._disarm()
        self._left = seconds
        if not self.expired():
            self._arm()

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """What the block takes is no time of the peer's: it has nothing to answer."""
        if not self._paused:
            until = self._ticks.due if self._timer is None else self._until
            self._disarm()
            self.passed(until, self._ticks.loop.time())
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1
            if not self.expired():
                self._arm()

    def expired(self) -> bool:
        """Whether the time of the peer is over."""
        return self._timeout.expired() or self._timeout.when() is not None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._arm()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disarm()
        await self._timeout.__aexit__(kind, error, traceback)

    def passed(self, until: float, now: float) -> bool:
        """Count the time since the last look, but none after `until`; whether the end is near."""
        self._left -= max(0.0, min(until, now) - self._since)
        self._since = now
        return self._left < 2 * _TICK

    def look(self) -> None:
        """End what is over, and look again at what is not."""
        if self._left < _LEAST:
            # Not before the next turn of the loop: what has come meanwhile is read in this one.
            self._timeout.reschedule(self._ticks.loop.time())
        else:
            self._arm()

    def _arm(self) -> None:
        if self._paused:
            return
        loop = self._ticks.loop
        self._since = loop.time()
        if 2 * _TICK <= self._left <= _NEAR:
            self._timer = None
            self._ticks.watch(self, self._since)
            return
        due = max(0.0, min(self._left, max(_TICK, self._left - _NEAR)))
        self._until = self._since + due
        self._timer = loop.call_later(due, self._timer_came)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        else:
            self._ticks.watched.pop(self, None)

    def _timer_came(self) -> None:
        self.passed(self._until, self._ticks.loop.time())
        self.look()
