# SPDX-License-Identifier: Apache-2.0
"""A mailbox behind a wire without a socket, whose server does what hypothesis draws."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from postroom.api.mailserver import TLSMode
from postroom.mail.connect.dial import Deadlines, Dialler
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.imap.auth import state_of
from postroom.mail.imap.protocol import GuardedProtocol
from postroom.mail.imap.reading import MailboxReader
from postroom.mail.imap.session import ImapSession
from postroom.mail.report import Endpoint
from postroom.mail.session.state import Connector

Drawn = TypeVar("Drawn")
_RANGE = re.compile(r"(\d+):(\d+)")
_PART = re.compile(r"BODY\.PEEK\[(\w*)\]<(\d+)\.(\d+)>")
_DATE = '"01-May-2026 12:00:00 +0000"'
ARRIVED_AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Manners:
    """What a server is like all the time: whether it tells UIDNEXT and knows parts of messages, how
    much it gives at a time (None: as asked), by how much it is wrong about sizes, and beyond which
    UIDNEXT it does not get."""

    tells_uid_next: bool = True
    knows_parts: bool = True
    gives: int | None = None
    size_error: int = 0
    last_uid_next: int | None = None


@dataclass
class WiredMailbox:
    """Messages by UID, and a server for them.

    `choose` picks one of some things; `manners` hold for a session.
    """

    choose: Callable[[list[str]], str]
    manners: Manners = Manners()
    uid_validity: int = 1
    uid_next: int = 1
    messages: dict[int, bytes] = field(default_factory=dict)
    #: Of the session: what was told of, and how to write to it.
    _told: int = 0
    _write: Callable[[bytes], None] = lambda data: None
    _close: Callable[[], None] = lambda: None
    _idle_tag: str = ""
    _ghosts: set[int] = field(default_factory=set)
    tricks: tuple[str, ...] = ()

    def deliver(self, size: int) -> None:
        """A message that is like no other."""
        self.messages[self.uid_next] = (f"{self.uid_validity}/{self.uid_next} " * 40)[
            :size
        ].encode()
        self.uid_next += 1
        if self._idle_tag:
            self._tell_of_new()

    def expunge(self, uid: int) -> None:
        """A message goes; some servers show it once more, without octets."""
        del self.messages[uid]
        if "ghost" in self.tricks:
            self._ghosts.add(uid)

    def make_anew(self) -> None:
        """Another UIDVALIDITY, and other numbers for what is left."""
        self.uid_validity += 1
        sizes = [len(content) for content in self.messages.values()]
        self.messages, self.uid_next = {}, 1
        self._idle_tag = ""
        self._ghosts.clear()
        for size in sizes:
            self.deliver(size)

    def begin(self, write: Callable[[bytes], None], close: Callable[[], None]) -> None:
        """Another session."""
        self._write, self._close, self._idle_tag = write, close, ""
        self._ghosts.clear()

    def _tell_of_new(self) -> None:
        if len(self.messages) > self._told:
            self._write(b"* %d EXISTS\r\n" % len(self.messages))
        self._told = len(self.messages)

    def hears(self, line: str) -> None:
        """Answer a command."""
        tag, _, command = line.partition(" ")
        if command == "" and tag == "DONE":
            tag, self._idle_tag = self._idle_tag, ""
            self._write(f"{tag} OK done\r\n".encode())
            return
        match self.choose(["answer", *self.tricks]):
            case "refuse":
                self._write(f"{tag} NO not now\r\n".encode())
            case "hang up":
                self._close()
            case "goodbye":
                self._write(b"* BYE see you\r\n")
            case "half":
                self._write(b"* 1 FETCH (UID 1 BODY[]<0> {500}\r\nhalf")
                self._close()
            case "anew" if self.messages:
                self.make_anew()
                self._write(
                    f"* OK [UIDVALIDITY {self.uid_validity}] anew\r\n{tag} OK x\r\n".encode()
                )
            case "expunge" if self.messages:
                self.expunge(int(self.choose([str(uid) for uid in self.messages])))
                self._answer(tag, command)
            case "deliver":
                self.deliver(20)
                self._answer(tag, command)
            case _:
                self._answer(tag, command)

    def _answer(self, tag: str, command: str) -> None:
        if command == "IDLE":
            self._idle_tag = tag
            self._write(b"+ idling\r\n")
            self._tell_of_new()
            return
        lines: list[bytes] = []
        if command.startswith("EXAMINE"):
            self._told = len(self.messages)
            lines.append(b"* %d EXISTS\r\n" % self._told)
            lines.append(b"* OK [UIDVALIDITY %d] x\r\n" % self.uid_validity)
            if self.manners.tells_uid_next:
                told = min(self.uid_next, self.manners.last_uid_next or self.uid_next)
                lines.append(b"* OK [UIDNEXT %d] x\r\n" % told)
        elif command.startswith("UID SEARCH"):
            low, high = map(int, _RANGE.findall(command)[0])
            found = " ".join(str(uid) for uid in self.messages if low <= uid <= high)
            lines.append(f"* SEARCH {found}".rstrip().encode() + b"\r\n")
        elif command.startswith("FETCH *"):
            lines += [b"* 1 FETCH (UID %d)\r\n" % max(self.messages)] if self.messages else []
        elif command.startswith("UID FETCH"):
            lines += self._fetched(command)
        asked = command.removeprefix("UID FETCH ").partition(" ")[0]
        self._write(b"".join(self._with_news(lines, asked)))
        self._write(f"{tag} OK done\r\n".encode())

    def _with_news(self, lines: list[bytes], asked: str) -> Iterator[bytes]:
        """What is told, with what nobody asked for in between."""
        for line in [*lines, b""]:
            for other in list(self.messages)[:2]:
                match self.choose(["nothing", *self.tricks]):
                    case "flags":
                        yield b"* 1 FETCH (UID %d FLAGS (\\Seen))\r\n" % other
                    case "other" if str(other) != asked:
                        yield b"* 2 FETCH (UID %d BODY[]<0> {3}\r\nxyz)\r\n" % other
                    case "twice":
                        yield line
                    case "odd":
                        yield b"* 3 FETCH (FLAGS ())\r\n* OK [ALERT] {x}\r\n* 9 EXPUNGE\r\n"
            yield line

    def _fetched(self, command: str) -> Iterator[bytes]:
        wanted = set[int]()
        for part in command.split()[2].split(","):
            low, _, high = part.partition(":")
            wanted.update(range(int(low), int(high or low) + 1))
        part_of = _PART.search(command)
        for uid in self._ghosts & wanted if part_of else ():
            self._ghosts.discard(uid)
            yield f"* 1 FETCH (UID {uid} BODY[]<{part_of[2]}> NIL)\r\n* 1 EXPUNGE\r\n".encode()
        there = [uid for uid in self.messages if uid in wanted]
        if self.choose(["answer", *self.tricks]) == "backwards":
            there.reverse()
        for uid in there:
            if self.choose(["answer", *self.tricks]) == "hide":
                continue
            content = self.messages[uid]
            if part_of is None:
                size = max(len(content) + self.manners.size_error, 0)
                yield f"* 1 FETCH (UID {uid} INTERNALDATE {_DATE} RFC822.SIZE {size})\r\n".encode()
                continue
            first, most = int(part_of[2]), int(part_of[3])
            origin = f"<{first}>"
            if self.manners.knows_parts:
                content = content[first : first + min(most, self.manners.gives or most)]
            else:
                origin = ""
            if content:
                told = f"BODY[]{origin} {{{len(content)}}}\r\n".encode() + content
            else:
                nothing = self.choose(["NIL", '""'])
                told = f"BODY[]{origin} {nothing}".encode()
            yield b"* 1 FETCH (UID %d " % uid + told + b")\r\n"


class _Wire(asyncio.Transport):
    """Brings what is written to a mailbox's server, and its answers back in pieces."""

    def __init__(self, protocol: GuardedProtocol, mailbox: WiredMailbox, pieces: int) -> None:
        super().__init__()
        self._protocol, self._mailbox, self._pieces = protocol, mailbox, pieces
        self._closed = False
        mailbox.begin(self._answer, self.abort)

    def _answer(self, data: bytes) -> None:
        for at in range(0, len(data), self._pieces):
            if not self._closed:
                piece = data[at : at + self._pieces]
                asyncio.get_running_loop().call_soon(self._protocol.data_received, piece)

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        for line in data.decode().splitlines():
            if "LOGOUT" not in line and not self._closed:
                self._mailbox.hears(line)

    def is_closing(self) -> bool:
        return self._closed

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


async def _nowhere(host: str) -> tuple[str, ...]:
    return ()


@contextmanager
def reader_of(mailbox: WiredMailbox, pieces: int = 7) -> Iterator[MailboxReader]:
    """A session of its own, signed in; what the server says comes in pieces of that many octets."""
    connector = Connector(Dialler(DialPolicy((), frozenset()), _nowhere, Deadlines()), TrustStore())
    where = Endpoint("mail.example.com", 993, TLSMode.IMPLICIT, "mail.example.com", None, "mail")
    protocol = GuardedProtocol()
    protocol.connection_made(_Wire(protocol, mailbox, pieces))
    protocol.data_received(b"* OK ready\r\n")
    session = ImapSession(state_of(where, None, connector), protocol)
    session.capabilities = {"IMAP4REV1", "IDLE"}
    try:
        yield MailboxReader(session)
    finally:
        protocol.abort()
