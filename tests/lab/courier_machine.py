# SPDX-License-Identifier: Apache-2.0
"""A mailbox behind an IMAP server that may do anything, and the application that its mail is for.

Within its tricks the server is honest: it says nothing that is well-formed and false. So whatever
lies in the mailbox can be read, and is owed to the application.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from lab.mail_machine import Machine, Talk
from lab.mail_machine_talks import ImapTalk, connector
from postroom.delivery.answers import Answer, Meaning
from postroom.delivery.spool import SpooledMessage
from postroom.mail.imap.reading import MailboxReader
from postroom.mail.probes import _begun, _failure_of
from postroom.mail.report import Endpoint, Login

T = TypeVar("T")

MAILBOX, VALIDITY = "INBOX", 7
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
#: What begins the subject of every message, and nothing else.
SUBJECT = "Zq7XnoticeV93kQ"
_BODY = re.compile(rb"BODY\.PEEK\[(HEADER)?\]<(\d+)\.(\d+)>")
#: What is told of new messages in IDLE, if it is told well; these hold no literal.
_IDLE_TRICKS = ("hang", "noise", "silent", "flood", "half")


def now() -> datetime:
    """The time of day, by the virtual clock."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


class Luck:
    """Chooses by the numbers that it was given last, and the plainest where there are no more."""

    def __init__(self) -> None:
        self._numbers: deque[int] = deque()

    def refill(self, numbers: Sequence[int]) -> None:
        self._numbers = deque(numbers)

    def __call__(self, things: Sequence[Any]) -> Any:
        return things[(self._numbers.popleft() if self._numbers else 0) % len(things)]


@dataclass
class Box:
    """What lies in the mailbox, by UID; whether the server tells UIDNEXT, and leaves SEARCH out
    where nothing is found."""

    promises: bool = True
    omits: bool = False
    uid_next: int = 1
    there: dict[int, tuple[bytes, datetime]] = field(default_factory=dict)
    ever: dict[int, bytes] = field(default_factory=dict)
    #: Set, and another one, when messages come.
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def arrive(self, size: int) -> int:
        uid = self.uid_next
        content = f"Subject: {SUBJECT} {uid}\r\nMessage-ID: <{uid}@example.com>\r\n\r\n".encode()
        content += b"." * max(size - len(content) - 2, 0) + b"\r\n"
        self.there[uid] = content, now()
        self.ever[uid] = content
        self.uid_next = uid + 1
        self.changed.set()
        self.changed = asyncio.Event()
        return uid

    def within(self, numbers: bytes) -> list[int]:
        """The UIDs of a sequence set."""
        found: set[int] = set()
        for each in numbers.split(b","):
            first, _, last = each.partition(b":")
            found |= {uid for uid in self.there if int(first) <= uid <= int(last or first)}
        return sorted(found)


class MailboxTalk(ImapTalk):
    """RFC 9051 with a mailbox in it; tricks end where no more of them are drawn."""

    machine: MailboxMachine
    #: How many messages the client knows of.
    known = 0

    async def say(self, reply: bytes) -> None:
        self.machine.turns = 0
        await super().say(reply)

    async def play(self, trick: str, reply: bytes) -> None:
        if trick in ("echo", "bare ends", "shuffled") and b"{" in reply:
            trick = "well"  # that would be another message, and well-formed
        await super().play(trick, reply)

    async def _answer(self, command: bytes) -> None:
        if command.upper() == b"IDLE":
            await self._idle()
        else:
            await super()._answer(command)

    async def _done(self, told: bytes = b"") -> None:
        await super()._done(told + self._news())

    def _news(self) -> bytes:
        """New messages are told of with any answer, once."""
        count = len(self.machine.box.there)
        news = b"* %d EXISTS\r\n" % count if count > self.known else b""
        self.known = count
        return news

    async def _idle(self) -> None:
        await self.say(b"+ idling\r\n" + self._news())
        line = self.machine.begin(self.line())
        try:
            while not line.done():
                changed = self.machine.begin(self.machine.box.changed.wait())
                try:
                    await asyncio.wait({line, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                if not line.done() and (news := self._news()):
                    await self._tell(news)
            await line
        finally:
            line.cancel()
        await super()._done()

    async def _tell(self, news: bytes) -> None:
        """Tell of news unasked, or do what is drawn in its place; the client may say DONE."""
        kinds = ("well",) * 6 + (_IDLE_TRICKS if self.machine.tricks else ())
        match self.choose(kinds):
            case "well":
                await self.utter(news)
            case "hang":
                raise ConnectionResetError
            case "noise":
                await self.utter(
                    self.choose((b"* 1 EXPUNGE\r\n", b"\xff\xfe\r\n", b"* \r\n")) + news
                )
            case "flood":
                await self.utter(b"* 1 RECENT\r\n" * 40_000 + news)
            case "half":
                await self.utter(news[: self.choose(range(len(news)))])
            case _:
                pass

    def _told(self, words: list[bytes]) -> bytes:
        box = self.machine.box
        match words:
            case [b"EXAMINE" | b"SELECT", *_]:
                self.known = len(box.there)
                told = b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n" % (self.known, VALIDITY)
                return told + (b"* OK [UIDNEXT %d] x\r\n" % box.uid_next if box.promises else b"")
            case [b"UID", b"SEARCH", b"UID", numbers]:
                found = b"".join(b" %d" % uid for uid in box.within(numbers))
                return b"" if box.omits and not found else b"* SEARCH" + found + b"\r\n"
            case [b"UID", b"FETCH", numbers, *items]:
                return self._fetched(box.within(numbers), b" ".join(items))
            case [b"FETCH", b"*", *items]:
                return self._fetched(sorted(box.there)[-1:], b" ".join(items))
            case _:
                return b""

    def _fetched(self, uids: Sequence[int], items: bytes) -> bytes:
        box, told = self.machine.box, []
        for uid in uids:
            content, arrived_at = box.there[uid]
            facts = b"UID %d" % uid
            if b"RFC822.SIZE" in items:
                date = arrived_at.strftime("%d-%b-%Y %H:%M:%S +0000").encode()
                facts += b' INTERNALDATE "%s" RFC822.SIZE %d' % (date, len(content))
            if section := _BODY.search(items):
                header = content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                origin, most = int(section[2]), int(section[3])
                part = (header if section[1] else content)[origin : origin + most]
                facts += b" BODY[%s]<%d> {%d}\r\n" % (section[1] or b"", origin, len(part)) + part
            told.append(b"* %d FETCH (%s)\r\n" % (sorted(box.there).index(uid) + 1, facts))
        return b"".join(told)


@dataclass
class MailboxMachine(Machine):
    """The server; implements `postroom.delivery.contract.Mailboxes`, too."""

    box: Box = field(default_factory=Box)

    def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Talk:
        # One that has ended is of no interest, and a story may have very many.
        self.talks.clear()
        return MailboxTalk(self, reader, writer)

    @asynccontextmanager
    async def reading(self, endpoint: Endpoint, login: Login) -> AsyncIterator[MailboxReader]:
        """As `NetworkProbes.reading`, without its limits, which go by the clock of the system."""
        async with AsyncExitStack() as stack:
            session, report = await _begun(endpoint, login, connector(self), stack)
            if session is None:
                raise _failure_of(report)
            reader = MailboxReader(session)
            await reader.introduce()
            yield reader

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin something that is the server's own, and ends with its conversations."""
        task: asyncio.Task[Any] = asyncio.create_task(work)
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)
        return task

    def hang_up(self) -> None:
        """End all conversations."""
        for talk in list(self._talks):
            talk.cancel()


class Application:
    """Takes messages, or answers as it is told to."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.taken: list[tuple[str, bytes | None]] = []

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        content = b"".join(message.pieces()) if message is not None else None
        await asyncio.sleep(0.01)
        answer = self.answers.popleft() if self.answers else Answer(200)
        if answer.meaning is Meaning.HANDED_OVER:
            self.taken.append((told["id"], content))
        return answer
