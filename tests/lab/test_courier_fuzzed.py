# SPDX-License-Identifier: Apache-2.0
"""Mail that is handed over from an IMAP server that may do anything, at any moment.

Hypothesis draws the story: messages come and go, the server plays tricks or behaves, the
application answers as it likes, time passes, the process is killed and goes on from what was
written. Held: the courier never ends; no message is passed over, or handed over under two keys, or
other than as it lies there, or before one that came first; nothing of it in a log or in what is
told; and all that is owed is there soon after the server behaves. `make fuzz` does many times as
much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from lab.courier_machine import (
    MAILBOX,
    SUBJECT,
    VALIDITY,
    Application,
    Box,
    Luck,
    MailboxMachine,
    now,
)
from lab.mail_machine import PASSWORD_LOGIN, fuzzed, needles
from lab.mail_probing import HOST
from lab.mail_scene import playing
from lab.test_mail_sessions_fuzzed import TRICKS
from postroom.api.mailserver import TLSMode
from postroom.concurrency.backoff import Backoff
from postroom.delivery import cursors, status
from postroom.delivery.answers import Answer
from postroom.delivery.contract import Plan, Progress, Route
from postroom.delivery.courier import Courier
from postroom.delivery.events import Place, mark_of
from postroom.delivery.spool import Spool
from postroom.mail.report import Endpoint, Login
from postroom.mail.round_trip.header import read_header

T = TypeVar("T")

WHERE = Endpoint(HOST, 993, TLSMode.IMPLICIT, HOST, None, "mail")
#: Octets: of a message that is told of without its body, and of one that comes in several parts.
LARGEST, PARTS = 400 * 1024, 300 * 1024
SIZES = (80, 300, 5_000, 256 * 1024, PARTS, LARGEST + 1)
ANSWERS = [
    *([Answer(200)] * 4),
    *(Answer(code) for code in (302, 400, 429, 503)),
    *(Answer(503, timedelta(minutes=20)), Answer(None, trouble="does not answer in time")),
]
#: Seconds after which all is well once the server and the application behave: as long as a pause
#: that a server or an application may ask for, an IDLE that nobody hears of, and what follows.
SETTLED = 2 * 3600.0
NUMBERS = st.lists(st.integers(0, 2**16), max_size=60)


class Story(RuleBasedStateMachine):
    """One mailbox, one courier after the other, one application."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.runner, self.shown = self._stack.enter_context(playing())
        self.luck, self.application = Luck(), Application()
        self.told: list[Progress] = []
        self.wrong: list[str] = []
        self.courier: asyncio.Task[None] | None = None
        self.begun_at = 0

    def runs(self, scene: Coroutine[Any, Any, T]) -> T:
        """Go on with the story; whatever went wrong meanwhile is told."""
        made = self.runner.run(scene)
        assert self.wrong == []
        if self.courier is not None and self.courier.done():
            raise AssertionError("the courier ended") from self.courier.exception()
        return made

    @initialize(
        start=st.sampled_from(cursors.Start),
        promises=st.booleans(),
        omits=st.booleans(),
        before=st.integers(0, 2),
        numbers=NUMBERS,
    )
    def begin(
        self, start: cursors.Start, promises: bool, omits: bool, before: int, numbers: list[int]
    ) -> None:
        async def scene() -> None:
            self.box = Box(promises, omits)
            self.machine = MailboxMachine(self.luck, True, TRICKS, box=self.box)
            self.luck.refill(numbers)
            for _ in range(before):
                self.box.arrive(80)
            self.spool = Spool(2 * 1024 * 1024)
            self.plan = Plan((MAILBOX,), start, timedelta(days=7), LARGEST, timedelta(minutes=5))
            self.begun_at = before if start is cursors.Start.NOW else 0
            self.work(Progress())
            if start is cursors.Start.NOW:
                # Whatever is there by the time that the mailbox is first opened is not owed.
                await asyncio.sleep(SETTLED)
                assert self.told[-1].cursors[MAILBOX].uid == before

        self.runs(scene())

    def work(self, stored: Progress) -> None:
        async def login() -> Login:
            return PASSWORD_LOGIN

        route = Route("u1", "mail", "a", self.plan, WHERE, login, self.application)
        backoff = Backoff(draw=lambda: 0.5)
        self.told.append(stored)
        courier = Courier(route, self.machine, self.spool, now, self.hear, stored, backoff)
        self.courier = asyncio.create_task(courier.run())

    def hear(self, progress: Progress) -> None:
        """What is told of the progress."""
        self.told.append(progress)
        if (cursor := progress.cursors.get(MAILBOX)) is None:
            return
        taken = {event for event, _ in self.application.taken}
        for uid in range(self.begun_at + 1, cursor.uid + 1):
            if uid in self.box.there and self.key(uid) not in taken:
                self.wrong.append(f"passed over: {uid} by {cursor}")
        if cursor.epoch != 1:
            self.wrong.append(f"begun anew: {cursor}")

    def key(self, uid: int) -> str:
        """The one under which a message is to be handed over."""
        owner = cursors.owner_of("mail/a", WHERE.host, WHERE.port, PASSWORD_LOGIN.username)
        mark = mark_of(read_header(self.box.ever[uid]))
        return Place("mail", "a", MAILBOX, VALIDITY, uid, owner, 1, mark).event_id

    @rule(sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=4))
    def come(self, sizes: list[int]) -> None:
        async def scene() -> None:
            for size in sizes:
                self.box.arrive(size)

        self.runs(scene())

    @rule(number=st.integers(0, 100))
    def expunge(self, number: int) -> None:
        if self.box.there:
            del self.box.there[sorted(self.box.there)[number % len(self.box.there)]]

    @rule(tricks=st.sets(st.sampled_from(TRICKS), min_size=1).map(sorted))
    def choose_tricks(self, tricks: Sequence[str]) -> None:
        self.machine.tricks = tricks

    @rule(answers=st.lists(st.sampled_from(ANSWERS), max_size=6))
    def answer(self, answers: list[Answer]) -> None:
        self.application.answers.extend(answers)

    @rule(seconds=st.sampled_from((0.005, 0.5, 20.0, 400.0, 4000.0)), numbers=NUMBERS)
    def wait(self, seconds: float, numbers: list[int]) -> None:
        """Time passes, in which the server plays as many tricks as are drawn, and then behaves."""
        self.luck.refill(numbers)
        self.runs(asyncio.sleep(seconds))

    @rule()
    def hang_up(self) -> None:
        async def scene() -> None:
            self.machine.hang_up()
            await asyncio.sleep(0)

        self.runs(scene())

    @rule(behind=st.integers(0, 4))
    def be_killed(self, behind: int) -> None:
        """The process ends, and the next one goes on from what was written until then."""

        async def scene() -> None:
            await self.stop()
            told = self.told[max(len(self.told) - 1 - behind, 0)]
            part = status.written(told, "an application", 1, None, now())
            stored = status.read(part)
            if self.plan.start is cursors.Start.NOW and not stored.cursors:
                stored = self.told[-1]  # nothing is sent before it is written where it begins
            self.told = []
            self.work(stored)

        self.runs(scene())

    async def stop(self) -> None:
        assert self.courier is not None
        self.courier.cancel()
        await asyncio.gather(self.courier, return_exceptions=True)
        self.courier = None
        assert self.spool.used == 0

    def teardown(self) -> None:
        with self._stack:
            if self.courier is None:
                return
            self.luck.refill([])
            self.application.answers.clear()
            self.runs(asyncio.sleep(SETTLED))
            self.judge()
            left = self.runs(self.end())
        assert left == [], left
        assert self.shown.complaints == [], self.shown.complaints
        self.leaks_nothing()

    async def end(self) -> list[str]:
        await self.stop()
        return await self.machine.end()

    def judge(self) -> None:
        """All that is owed was handed over, as it is, in its order."""
        last = self.told[-1]
        assert (last.waiting, last.reason) == (0, None), last
        uids = {self.key(uid): uid for uid in self.box.ever}
        order = [uids[event] for event, _ in self.application.taken]
        first = list(dict.fromkeys(order))
        assert first == sorted(first)
        assert {uid for uid in self.box.there if uid > self.begun_at} <= set(order)
        assert min(order, default=self.begun_at + 1) > self.begun_at
        for event, content in self.application.taken:
            whole = self.box.ever[uids[event]]
            assert content == (whole if len(whole) <= LARGEST else None)

    def leaks_nothing(self) -> None:
        told = "\n".join([*self.shown.lines, *(repr(progress) for progress in self.told)])
        octets = told.encode("utf-8", "replace")
        assert SUBJECT.encode() not in octets
        assert not any(secret in octets for secret in needles())


TestWhateverTheServerDoes = Story.TestCase
TestWhateverTheServerDoes.settings = settings(
    fuzzed, max_examples=fuzzed.max_examples // 2, stateful_step_count=15
)


def test_a_conversation_that_is_cut_off_before_it_begins_leaves_nothing_open() -> None:
    async def scene() -> bytes:
        machine = MailboxMachine(Luck(), True, TRICKS, box=Box(True, False))
        with await machine.dial(None) as ours:
            machine.hang_up()
            await machine.end()
            # Nothing, and not that there is nothing yet.
            return ours.recv(1)

    with playing() as (runner, _):
        assert runner.run(scene()) == b""
