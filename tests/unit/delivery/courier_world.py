# SPDX-License-Identifier: Apache-2.0
"""Mailboxes, and an application that gets what lies there, on a virtual clock.

What may go wrong goes wrong at a step: whatever is awaited is one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.concurrency.backoff import Backoff
from postroom.concurrency.places import Places
from postroom.delivery import cursors
from postroom.delivery.answers import Answer, Meaning
from postroom.delivery.contract import Plan, Progress, Route
from postroom.delivery.courier import Courier
from postroom.delivery.spool import Spool, SpooledMessage
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.reading import Following, MessageGone, Waiting
from postroom.mail.report import Endpoint, Login
from postroom.mail.round_trip.header import Header

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
MAX_SIZE = 1000
OK = Answer(200)
#: Seconds that a step takes.
STEP = 0.01


class Killed(BaseException):
    """The process is killed: nothing of it runs on."""


@dataclass
class Message:
    """A message; `says` is the size that the server tells, `dated` when it says it came."""

    uid: int
    content: bytes
    says: int
    dated: datetime


@dataclass
class Box:
    """A mailbox."""

    validity: int = 7
    uid_next: int = 1
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True)
class Taken:
    """What the application took, and what it was told."""

    told: Mapping[str, str]
    content: bytes | None

    @property
    def uid(self) -> str:
        return self.told["id"]


class World:
    """The mail server, the network and the application; its methods are what happens there."""

    def __init__(self, names: Sequence[str] = ("INBOX",), *, idles: bool = True) -> None:
        self.boxes = {name: Box() for name in names}
        self.idles = idles
        #: Whether the server tells UIDNEXT; and who signs in.
        self.promises, self.username = True, "alice"
        #: What the worker's clock is off by.
        self.off = timedelta()
        self.sessions = self.logins = self.steps = 0
        #: By number of step: what happens then.
        self.at: dict[int, Callable[[], None]] = {}
        self.answer: Callable[[bytes | None, Mapping[str, str]], Answer] = lambda *_: OK
        #: Whether an answer other than 2xx is given after the message was taken all the same.
        self.lies = False
        self.taken: list[Taken] = []
        #: When something was offered: by the event loop's clock, the UID of the event.
        self.offers: list[tuple[float, str]] = []
        #: The (mailbox, content) of each message ever there, and those that were expunged.
        self.came: list[tuple[str, bytes]] = []
        self.expunged: set[bytes] = set()
        self.changed = asyncio.Event()
        #: Seconds after which a session that waits may break.
        self.idle_step = 3600.0
        self.breaks: Callable[[str, str], bool] = lambda what, mailbox: False

    def server_now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def now(self) -> datetime:
        return self.server_now() + self.off

    def arrive(self, name: str = "INBOX", size: int = 40, says: int | None = None) -> bytes:
        """A message comes; returns what it is."""
        box = self.boxes[name]
        content = f"Message-ID: <{len(self.came)}@example.com>\r\n\r\n".encode()
        content += b"." * (size - len(content))
        said = len(content) if says is None else says
        box.messages.append(Message(box.uid_next, content, said, self.server_now()))
        box.uid_next += 1
        self.came.append((name, content))
        self.changed.set()
        return content

    def expunge(self, name: str, index: int) -> None:
        box = self.boxes[name]
        if box.messages:
            gone = box.messages.pop(index % len(box.messages))
            self.expunged.add(gone.content)

    def make_anew(self, name: str) -> None:
        """The mailbox gets another UIDVALIDITY, and its messages others UIDs."""
        box = self.boxes[name]
        messages = [replace(kept, uid=uid) for uid, kept in enumerate(box.messages, 1)]
        self.changed.set()
        self.boxes[name] = Box(box.validity + 1, len(messages) + 1, messages)

    def exchange(self) -> None:
        """All mail moves to another user's mailboxes, whose UIDVALIDITY is equal by chance."""
        self.username += "x"
        for name, box in self.boxes.items():
            self.make_anew(name)
            self.boxes[name].validity = box.validity

    def snapshot(self, name: str) -> None:
        """A mailbox is as it was before its last two messages came, which are gone."""
        box = self.boxes[name]
        self.expunged |= {gone.content for gone in box.messages if gone.uid >= box.uid_next - 2}
        messages = [kept for kept in box.messages if kept.uid < box.uid_next - 2]
        self.boxes[name] = Box(box.validity, max(box.uid_next - 2, 1), messages)
        self.changed.set()

    async def step(self, what: str = "", mailbox: str = "") -> None:
        self.steps += 1
        happens = self.at.pop(self.steps, None)
        if happens is not None:
            happens()
        if self.breaks(what, mailbox):
            raise broken()
        await asyncio.sleep(STEP)

    @asynccontextmanager
    async def reading(self, endpoint: Endpoint, login: Login) -> AsyncIterator[FakeReader]:
        self.logins += 1
        await self.step("sign in")
        self.sessions += 1
        try:
            yield FakeReader(self, login.username)
        finally:
            self.sessions -= 1

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        """The application's side."""
        self.offers.append((asyncio.get_running_loop().time(), told["id"]))
        await self.step("post")
        content = b"".join(message.pieces()) if message is not None else None
        answer = self.answer(content, told)
        if answer.meaning is Meaning.HANDED_OVER or self.lies:
            self.taken.append(Taken(dict(told), content))
        await self.step("answer")
        return answer

    def received(self) -> list[bytes]:
        """The messages that were taken, in order, each as often as it was."""
        return [taken.content for taken in self.taken if taken.content is not None]


def broken() -> Failure:
    return Failure(ProbeStage.MAILBOX, Reason.CONNECTION_REFUSED, "breaks off", conclusive=False)


class FakeReader:
    """A session. As servers do, it tells of what is new with any answer, and in IDLE only of what
    it has not told of."""

    def __init__(self, world: World, username: str) -> None:
        self._world, self._name, self._told_next = world, "", 0
        self._username = username

    @property
    def idles(self) -> bool:
        return self._world.idles

    @property
    def promises(self) -> bool:
        return self._world.promises

    @property
    def _box(self) -> Box:
        return self._world.boxes[self._name]

    async def _ask(self, what: str) -> None:
        await self._world.step(what, self._name)
        if self._username != self._world.username:
            raise broken()  # who was signed in to the mailbox that was left sees nothing of another
        self._told_next = self._box.uid_next

    async def open(self, mailbox: str) -> tuple[int, int]:
        self._name = mailbox
        await self._ask("open")
        self._seen = self._box
        return self._box.validity, self._box.uid_next

    def _see(self) -> None:
        if self._seen is not self._box:
            raise broken()  # a mailbox that is made anew ends the sessions that have it open

    async def following(self, uid: int, uid_next: int) -> Following:
        await self._ask("following")
        self._see()
        found = [kept for kept in self._box.messages if uid < kept.uid < uid_next]
        batch = [Waiting(kept.uid, kept.dated, kept.says) for kept in found[:3]]
        looked_to = batch[-1].uid if len(found) > 3 else uid_next - 1
        return Following(batch, looked_to, len(found))

    def _message(self, uid: int) -> Message:
        self._see()
        for kept in self._box.messages:
            if kept.uid == uid:
                return kept
        raise MessageGone

    async def header(self, uid: int) -> bytes:
        await self._ask("header")
        content = self._message(uid).content
        # As servers do: an empty line ends a header, be it the first one.
        return content[:2] if content.startswith(b"\r\n") else content.partition(b"\r\n\r\n")[0]

    async def pieces(self, uid: int, size: int) -> AsyncIterator[bytes]:
        offset = 0
        while True:
            await self._ask("piece")
            piece = self._message(uid).content[offset : offset + 300]
            if not piece:
                return
            yield piece
            offset += len(piece)

    async def news(self, seconds: float) -> None:
        await self._world.step("news", self._name)
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            self._see()
            if self._world.idles and self._box.uid_next > self._told_next:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._world.changed.wait(), min(left, self._world.idle_step))
            self._world.changed.clear()
            if self._world.breaks("idle", self._name):
                raise broken()


class Worker:
    """The process: what it has told, and what of that is written."""

    def __init__(
        self,
        world: World,
        spool: Spool | None = None,
        stored: Progress | None = None,
        *,
        start: cursors.Start = cursors.Start.NOW,
        is_ours: Callable[[Header], bool] = lambda header: False,
        namespace: str = "mail",
        interval: timedelta = timedelta(minutes=5),
        places: Places | None = None,
        account_uid: str = "u1",
    ) -> None:
        self.spool = spool or Spool(100_000)
        self.told: list[Progress] = [stored or Progress()]
        self.observed: list[tuple[str, int]] = []
        plan = Plan(tuple(world.boxes), start, timedelta(days=7), MAX_SIZE, interval)

        async def login() -> Login:
            await world.step("token")
            return Login(world.username, Masked("secret"))

        endpoint = Endpoint(
            "imap.example.com", 993, TLSMode.IMPLICIT, "imap.example.com", None, "m"
        )
        route = Route(account_uid, namespace, "support", plan, endpoint, login, world, is_ours)
        self.courier = Courier(
            route,
            world,
            self.spool,
            world.now,
            self.told.append,
            stored,
            Backoff(draw=lambda: 0.5),
            places,
            observe=lambda result, octets: self.observed.append((result, octets)),
        )

    @property
    def progress(self) -> Progress:
        return self.told[-1]

    async def works(self, seconds: float) -> BaseException | None:
        """Work for so long; returns what ended it before."""
        task = asyncio.ensure_future(self.courier.run())
        await asyncio.wait({task}, timeout=seconds)
        ended: Any = task.exception() if task.done() else None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return ended if isinstance(ended, BaseException) else None
