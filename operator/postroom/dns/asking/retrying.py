# SPDX-License-Identifier: Apache-2.0
"""Asking several servers in turn, without waiting long for a lost datagram or a dead server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from postroom.concurrency.patience import awaiting_answer
from postroom.concurrency.shortage import shortage_in
from postroom.dns.answers import EDNS_NOT_UNDERSTOOD, FAILED, TCP_FAILED, Answer, Outcome, Question
from postroom.dns.asking.attempts import Attempt, plan
from postroom.dns.asking.exchange import Exchange, Server
from postroom.dns.asking.health import Health
from postroom.dns.asking.https import HttpsServer
from postroom.dns.asking.limiter import Overloaded, QueryLimiters
from postroom.dns.asking.wire import Reply, View, answer_of

#: From a datagram in the socket to the end of the task that waits for it.
_TURNS_OF_THE_LOOP = 6


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds.

    `least` is the shortest wait before a query is sent again (else twice the smoothed round
    trip, or more where these vary), `unknown` the wait at a server that has not answered yet,
    `resolver` the same at a resolver, which may have to ask others first. `question` bounds asking
    the servers of one zone, or the resolvers; `look` bounds a whole look with its aliases,
    referrals and resolvers. Both count only while an answer is awaited: `queue` bounds the time
    that a question waits in the line before our own limits, and that this process takes itself. In
    it a name server is sent 12,000.
    """

    least: float = 0.1
    resolver: float = 0.25
    unknown: float = 0.25
    question: float = 5.0
    look: float = 10.0
    queue: float = 240.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What one server replied, and what that says."""

    server: Server
    reply: Reply
    answer: Answer


@dataclass(frozen=True, slots=True)
class Found:
    """The first usable reply, if any came, and the replies that were not usable.

    `overloaded`: the limits of the servers allowed no query in time, so that nothing is known.
    """

    usable: Heard | None
    failures: tuple[Heard, ...] = ()
    overloaded: bool = False

    def without_authority(self) -> Found:
        """Take what answers without authority for lame: its word counts as little as a refusal."""
        lame = [
            replace(
                failure,
                answer=Answer(failure.answer.question, Outcome.REFUSED, server=str(failure.server)),
            )
            if failure.answer.conclusive
            else failure
            for failure in self.failures
        ]
        return replace(self, failures=tuple(lame))

    def answer(self, question: Question) -> Answer:
        """Return the usable answer, or the failure to tell.

        The choice among failures does not depend on who was faster.
        """
        if self.usable is not None:
            return self.usable.answer
        for outcome in FAILED:
            of_kind = [
                failure.answer for failure in self.failures if failure.answer.outcome is outcome
            ]
            if of_kind:
                return min(of_kind, key=lambda answer: answer.server or "")
        cut_off = any(TCP_FAILED in failure.answer.errors for failure in self.failures)
        return Answer(question, Outcome.TIMEOUT, errors=(TCP_FAILED,) if cut_off else ())


class RetryingClient:
    """Asks servers in turn, as the limiters allow; learns how healthy they are."""

    def __init__(
        self, exchange: Exchange, health: Health[Server], limiters: QueryLimiters, timing: Timing
    ) -> None:
        self._exchange, self._limiters, self._timing = exchange, limiters, timing
        self.health = health
        #: Queries that nobody waits for, at servers of which only an answer is news.
        self._probes: dict[Server, asyncio.Task[Heard | None]] = {}

    def order(self, servers: Sequence[Server], view: View) -> list[Server]:
        """Return the servers in the order in which to ask them: the busy and the silent last."""
        if view.recursive:
            return self.health.in_order(servers)
        inclined = self.health.in_turn(servers)
        return sorted(
            inclined, key=lambda server: self._limiters.busy(address_of(server), resolver=False)
        )

    async def ask(
        self,
        servers: Sequence[Server],
        question: Question,
        view: View,
        usable: Callable[[Heard], bool],
        *,
        alone: bool = False,
    ) -> Found:
        """The first usable reply within `Timing.question`, and those before it.

        The next server is asked at once where one gives an unusable reply, and after twice its
        round trip where it is silent, while the earlier query stays open; in a second round the
        waits are doubled. Servers known to be dead get one attempt, after all others: that it is
        long ago is no reason for each look to wait for the same silence. `alone`: there are others
        of the zone, whom these are not asked in place of.
        """
        ordered = self.order(servers, view)
        doubtful = [] if view.recursive else list(filter(self.health.is_doubtful, ordered))
        if len(doubtful) == len(ordered) and not alone:
            doubtful = []
        hopeful = [server for server in ordered if server not in doubtful]
        planned = plan(hopeful, self.health.knows_edns, doubtful, resolvers=view.recursive)
        return await _Round(self, ordered, deque(planned), question, view, usable).run()

    def leave_open(self, attempt: Attempt, task: asyncio.Task[Heard | None]) -> bool:
        """Leave a query open that comes too late for its question, to learn of a dead server's
        return; False: that is to be ended."""
        server = attempt.server
        if not self.health.is_doubtful(server) or server in self._probes:
            return False
        self._probes[server] = task
        task.add_done_callback(lambda _: self._probes.pop(server, None))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody waits
        return True

    async def attempt(self, attempt: Attempt, question: Question, view: View) -> Heard | None:
        """Carry out one attempt, which the limiters let pass; None: silence. Raises `Shortage`."""
        server, cut_off = attempt.server, False
        try:
            reply = await self._exchange.ask(
                server, question, view, edns=attempt.edns, limit=self._timing.question
            )
            cut_off = reply is Outcome.TIMEOUT
        except TimeoutError:
            return None
        except OSError as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
            self.health.silent(server)
            reply = Outcome.TIMEOUT
        answer = answer_of(reply, question, server)
        if cut_off:
            answer = replace(answer, errors=(TCP_FAILED,))
        elif not self.health.knows_edns(server):
            answer = replace(answer, errors=(*answer.errors, EDNS_NOT_UNDERSTOOD))
        return Heard(server, reply, answer)

    def try_acquire(self, server: Server, view: View) -> bool:
        """Get the permission to send if it is to be had at once."""
        return self._limiters.try_acquire(address_of(server), resolver=view.recursive)

    async def acquire(self, server: Server, view: View, patience: float) -> bool:
        """Wait for the permission to send; False where that would take too long."""
        try:
            await self._limiters.acquire(
                address_of(server), resolver=view.recursive, patience=patience
            )
        except Overloaded:
            return False
        return True

    def release(self, server: Server, view: View) -> None:
        """Give the permission back."""
        self._limiters.release(address_of(server), resolver=view.recursive)

    def is_over_tcp(self, attempt: Attempt, question: Question) -> bool:
        """Whether an attempt has led to TCP."""
        return (attempt.server, question) in self._exchange.over_tcp

    def wait(self, attempt: Attempt, view: View) -> float:
        """How long an attempt may be open before the next one."""
        known = not view.recursive or self.health.is_known(attempt.server)
        least = 0.0 if known else self._timing.resolver
        return float(max(self.health.wait(attempt.server), least) * 2**attempt.repetition)

    @property
    def timing(self) -> Timing:
        """How long things may take."""
        return self._timing


@dataclass(slots=True)
class _Round:
    """One question on its way through the servers."""

    client: RetryingClient
    servers: Sequence[Server]
    waiting: deque[Attempt]
    question: Question
    view: View
    usable: Callable[[Heard], bool]
    running: dict[asyncio.Task[Heard | None], tuple[Attempt, float]] = field(default_factory=dict)
    failed: dict[Server, Heard] = field(default_factory=dict)
    silent: set[Attempt] = field(default_factory=set)
    overloaded: bool = False
    deadline: float = 0.0
    held: float = 0.0

    async def run(self) -> Found:
        clock = asyncio.get_running_loop().time
        self.deadline = clock() + self.client.timing.question
        self._spare_the_dead()
        try:
            while True:
                patience = await self._launch()
                left = self.deadline - clock()
                if not self.running:
                    return self._nothing()
                if left <= 0:
                    heard = self._sift(await self._just_come())
                    return self._nothing() if heard is None else self._found(heard)
                final = not self.waiting and self._is_worth_waiting()
                done = await self._listen(left if final else min(patience, left))
                heard = self._sift(done or await self._just_come())
                if heard is not None:
                    return self._found(heard)
                if not done and not self.waiting:
                    return self._nothing()
        finally:
            await self._end()

    async def _listen(self, seconds: float) -> set[asyncio.Task[Heard | None]]:
        """Wait for what is open; time for which this process was late itself does not count."""
        clock = asyncio.get_running_loop().time
        since = clock()
        with awaiting_answer():
            done, _ = await asyncio.wait(
                self.running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        self.deadline += max(0.0, clock() - since - seconds)
        return done

    def _spare_the_dead(self) -> None:
        """Where all servers are known to be dead, one attempt at each is enough."""
        if all(map(self.client.health.is_dead, self.servers)):
            self.waiting = deque(attempt for attempt in self.waiting if not attempt.repetition)

    async def _just_come(self) -> set[asyncio.Task[Heard | None]]:
        """Let replies through that lay in their sockets while this process was busy itself.

        Patience that ended meanwhile is no sign of loss: asking again would only add to the load.
        """
        for _ in range(_TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
            done = {task for task in self.running if task.done()}
            if done:
                return done
        return set()

    async def _launch(self) -> float:
        """Send the next query that makes sense; return how long to wait for its reply."""
        if self.held:
            self._spare_the_dead()  # others may have found out while this one waited
        open_now = (earlier for earlier, _ in self.running.values())
        patience = max((self.client.wait(earlier, self.view) for earlier in open_now), default=0.0)
        while self.waiting:
            attempt = self.waiting.popleft()
            if attempt.server in self.failed:
                continue
            if self.client.try_acquire(attempt.server, self.view) or await self._queue(attempt):
                self._send(attempt)
                return self.client.wait(attempt, self.view)
            if self.running:
                # Kept for later: until it could be sent, what is open is waited for.
                self.waiting.appendleft(attempt)
                return patience
            self.overloaded = True
        return patience

    async def _queue(self, attempt: Attempt) -> bool:
        """Wait until the limiters let an attempt pass, or what is open has ended; True: it passes.

        Meanwhile the time of the question stands still. Of a server that is dead nothing is to be
        expected that is worth more than the time that is left.
        """
        clock = asyncio.get_running_loop().time
        patience = self.client.timing.queue - self.held
        if self.client.health.is_dead(attempt.server):
            left = self.deadline - clock() - self.client.wait(attempt, self.view)
            patience = 0.0 if self.running else min(patience, max(left, 0.0))
        if patience <= 0:
            return False
        since = clock()
        try:
            entering = self.client.acquire(attempt.server, self.view, patience)
            return await (self._beside_open(attempt, entering) if self.running else entering)
        finally:
            waited = clock() - since
            self.held += waited
            self.deadline += waited

    async def _beside_open(self, attempt: Attempt, entering: Coroutine[Any, Any, bool]) -> bool:
        """Wait for a permission, but not longer than for the end of what is open."""
        task, passes = asyncio.ensure_future(entering), False
        try:
            await asyncio.wait({task, *self.running}, return_when=asyncio.FIRST_COMPLETED)
            passes = task.done() and task.result()
            return passes
        finally:
            if not passes:
                task.add_done_callback(lambda done: self._give_back(attempt, done))
                task.cancel()

    def _give_back(self, attempt: Attempt, entering: asyncio.Task[bool]) -> None:
        """Give a permission back that came when nobody wanted it any more."""
        if not entering.cancelled() and entering.result():
            self.client.release(attempt.server, self.view)

    def _send(self, attempt: Attempt) -> None:
        task = asyncio.ensure_future(self.client.attempt(attempt, self.question, self.view))
        # Not inside of the task: one that is cancelled before it starts runs no line of it.
        task.add_done_callback(lambda _: self.client.release(attempt.server, self.view))
        self.running[task] = (attempt, asyncio.get_running_loop().time())

    def _sift(self, done: set[asyncio.Task[Heard | None]]) -> Heard | None:
        """Return a usable reply; keep the failures."""
        for task in done:
            attempt, _ = self.running.pop(task)
            heard = task.result()
            if heard is None:
                self.client.health.silent(attempt.server)
                self.silent.add(attempt)
            elif self.usable(heard):
                # Who answers without EDNS, and was silent with it, may not understand it.
                silent = [*self.silent, *(earlier for earlier, _ in self.running.values())]
                if attempt.edns:
                    self.client.health.understood_edns(attempt.server)
                elif any(earlier.edns and earlier.server == attempt.server for earlier in silent):
                    self.client.health.silent_to_edns(attempt.server)
                return heard
            else:
                self.failed[heard.server] = heard
        return None

    def _is_worth_waiting(self) -> bool:
        """A resolver may be long in asking others, and TCP takes its time."""
        open_now = [attempt for attempt, _ in self.running.values()]
        if any(self.client.is_over_tcp(attempt, self.question) for attempt in open_now):
            return True
        all_dead = all(self.client.health.is_dead(attempt.server) for attempt in open_now)
        return self.view.recursive and not all_dead

    def _found(self, heard: Heard) -> Found:
        return Found(heard, tuple(self.failed.values()))

    def _nothing(self) -> Found:
        overloaded = self.overloaded and not self.running and not self.failed
        return Found(None, tuple(self.failed.values()), overloaded)

    async def _end(self) -> None:
        """Give up what is still open, and remember who was silent for too long."""
        if not self.running:
            return
        now = asyncio.get_running_loop().time()
        since = min(sent for _, sent in self.running.values())
        for attempt, sent in self.running.values():
            late = now - sent >= self.client.wait(attempt, self.view) / 2**attempt.repetition
            if late and not self.client.health.heard_since(attempt.server, since):
                self.client.health.silent(attempt.server)
        ended = [
            task
            for task, (attempt, _) in self.running.items()
            if not self.client.leave_open(attempt, task)
        ]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)


def address_of(server: Server) -> str:
    """What the limiters go by: the IP address, or the URL."""
    return server.url if isinstance(server, HttpsServer) else server.address
