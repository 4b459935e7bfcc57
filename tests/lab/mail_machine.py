# SPDX-License-Identifier: Apache-2.0
"""Mail servers whose every turn is drawn, with real TLS over a real socket, on a virtual clock.

Both ends are sockets of one process and one event loop: what one side writes the other can read at
once, so that time only passes where nobody has anything to do. Deadlines are those of production,
and a server that says nothing for a minute costs no time.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import trustme
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lab.mail_probing import AUTHORITY, context
from postroom.api.masked import Masked
from postroom.mail.connect.dial import Deadlines
from postroom.mail.connect.tls import build_context
from postroom.mail.report import Login

T = TypeVar("T")
#: Draws one of some things; the first is the plainest.
Choose = Callable[[Sequence[T]], T]

USER, PASSWORD, TOKEN = "alice@example.com", "Gs8kQ2vT9zbXw4Lm", "ya29.Zk3mW8qRt5Yx1Np7Vb"
PASSWORD_LOGIN = Login(USER, Masked(PASSWORD))
TOKEN_LOGIN = Login(USER, Masked(TOKEN), token=True)
#: What a server tells in the clear alone, and over TLS alone.
CLEAR_ONLY, TLS_ONLY = "DSN", "CHUNKING"
CLEAR_ONLY_IMAP, TLS_ONLY_IMAP = "NAMESPACE", "UIDPLUS"
#: Turns that are drawn; after them the server behaves.
_TURNS = 40
#: Octets that an endless answer goes on for at most; nobody should take so many.
ENDLESS = 64 * 1024 * 1024

#: CI tries this many conversations of each kind, `make fuzz` many times as many.
fuzzed = settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

#: Turns in which no more than an answer is said.
_ONE_ANSWER = ("well", "half", "hang or stall", "slow", "goodbye")
#: A literal of IMAP, as a line announces it.
_ANNOUNCED = re.compile(rb"\{(\d+)\}(?=\r\n)")

#: The end of a line whose text is for humans: a status response of IMAP, any reply of SMTP.
_TEXT_END = re.compile(rb"(?m)^((?:\S+ (?:OK|NO|BAD|BYE|PREAUTH)\b|\d{3} )[^\r\n]*)\r\n")

_GOOD = context()
_SERVERS: dict[str, ssl.SSLContext] = {
    "good": _GOOD,
    "other name": context("elsewhere.example.com"),
    "other authority": context(ca=trustme.CA()),
}
TRUSTING = build_context(AUTHORITY.cert_pem.bytes().decode())


def needles() -> list[bytes]:
    """What must never show: parts of both secrets, and both as they go on the wire."""
    packed = [f"\0{USER}\0{PASSWORD}", PASSWORD, TOKEN, f"auth=Bearer {TOKEN}"]
    parts = {secret[at : at + 8] for secret in (PASSWORD, TOKEN) for at in range(len(secret) - 7)}
    return [base64.b64encode(text.encode()) for text in packed] + [part.encode() for part in parts]


def _announced(found: re.Match[bytes], lie: int) -> bytes:
    return b"{%d}" % max(int(found[1]) + lie, 0)


class Broken(Exception):
    """The server ends the conversation."""


class Drawing:
    """Chooses by numbers that were drawn beforehand, and the plainest where there are no more.

    Not one by one, when they are needed: how TLS and the kernel cut what is sent differs from run
    to run, and with it what is asked for.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = iter(numbers)

    def __call__(self, things: Sequence[Any]) -> Any:
        return things[next(self._numbers, 0) % len(things)]


drawings = st.lists(st.integers(0, 2**16), max_size=150).map(Drawing)


@dataclass
class Machine:
    """One server, for as many connections as come; `implicit`: TLS comes first.

    Kept is what came in the clear and over TLS, and what it has said of a login and of a message.
    """

    choose: Choose[Any]
    implicit: bool
    tricks: Sequence[str]
    talks: list[Talk] = field(default_factory=list)
    accepted_login: bool = False
    took_message: bool = False
    written: int = 0
    turns: int = 0
    dialled: list[socket.socket] = field(default_factory=list)
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    deadlines = Deadlines()

    async def dial(self, _: object) -> socket.socket:
        """Stands for `Dialler.dial`."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.dialled.append(ours)

        def ended(talk: asyncio.Task[None]) -> None:
            self._talks.discard(talk)
            if talk.cancelled():
                # Cut off before it began, so that nothing of it has closed this.
                theirs.close()

        talk = asyncio.create_task(self._serve(theirs))
        self._talks.add(talk)
        talk.add_done_callback(ended)
        return ours

    @property
    def in_the_clear(self) -> bytes:
        """All that came in the clear."""
        return b"".join(bytes(talk.in_the_clear) for talk in self.talks)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        writer: asyncio.StreamWriter | None = None
        reader = asyncio.StreamReader(limit=256 * 1024)

        def connected(_: asyncio.StreamReader, made: asyncio.StreamWriter) -> None:
            nonlocal writer
            writer = made

        try:
            kinds = ("good",) * 6 + tuple(_SERVERS)
            tls = _SERVERS[self.choose(kinds)] if self.implicit else None
            await loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader, connected), connection, ssl=tls
            )
        except (OSError, Broken, asyncio.CancelledError):
            connection.close()
            return
        assert writer is not None
        talk = self.talk(reader, writer)
        self.talks.append(talk)
        try:
            await talk.converse()
        except (
            OSError,
            Broken,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ValueError,
        ):
            pass
        except asyncio.CancelledError:
            pass  # the end of the scene
        finally:
            writer.transport.abort()

    def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Talk:
        raise NotImplementedError

    async def end(self) -> list[str]:
        """End what is left of the server; what the client has left behind."""
        for _ in range(8):
            await asyncio.sleep(0)
        own = {*self._talks, asyncio.current_task()}
        left = [repr(task) for task in asyncio.all_tasks() - own]
        left += [f"open: {one!r}" for one in self.dialled if one.fileno() != -1]
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await asyncio.sleep(0)
        return left


class Talk:
    """One conversation."""

    #: Replies that a client could be led by, were it to take them for answers.
    tempting: Sequence[bytes] = ()

    def __init__(
        self, machine: Machine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.machine, self.choose = machine, machine.choose
        self.reader, self.writer = reader, writer
        self.secured = machine.implicit
        #: How the present turn is played.
        self.trick = "well"
        #: Whether what is said now answers a login, the content of a message.
        self.judges_login = self.judges_message = False
        self.in_the_clear, self.over_tls = bytearray(), bytearray()
        #: Whether more than an answer was said, and in more than one go. From then on a command may
        #: have been on its way before what it takes for its answer was said, and nobody can tell.
        self.crossed = False
        #: What was said in the present turn; whether that was more than the answer to STARTTLS.
        self.said = bytearray()
        self.injected = False

    async def converse(self) -> None:
        raise NotImplementedError

    def is_yes(self, said: bytes) -> bool:
        """Whether what was said could be a yes to a login."""
        raise NotImplementedError

    def other_result(self, reply: bytes) -> bytes:
        raise NotImplementedError

    def goodbye(self) -> bytes:
        raise NotImplementedError

    async def line(self) -> bytes:
        """The next line of the client."""
        found = await self.reader.readline()
        if not found.endswith(b"\n"):
            raise Broken
        heard = self.over_tls if self.secured else self.in_the_clear
        heard += found
        return found.rstrip(b"\r\n")

    async def say(self, reply: bytes) -> None:
        """Answer, or do what is drawn in its place."""
        machine = self.machine
        machine.turns += 1
        self.said.clear()
        if machine.turns > 4 * _TURNS:
            raise Broken
        plain = machine.turns > _TURNS or not machine.tricks
        self.trick = "well" if plain else self.choose(("well",) * 12 + tuple(machine.tricks))
        await self.play(self.trick, reply)

    async def play(self, trick: str, reply: bytes) -> None:
        """Answer by a trick."""
        match trick:
            case "well":
                await self.utter(reply)
            case "half":
                await self.utter(reply[: self.choose(range(len(reply)))])
                await self._hang_or_stall()
            case "hang or stall":
                await self._hang_or_stall()
            case "before":
                await self.utter(self._tempting() + reply)
            case "after":
                await self.utter(reply + self._tempting())
            case "later":
                await self.utter(reply)
                self.crossed = True
                await asyncio.sleep(0)
                await self.utter(self._tempting())
            case "instead":
                await self.utter(self._tempting())
            case "twice":
                await self.utter(reply + reply)
            case "other result":
                await self.utter(self.other_result(reply))
            case "NUL":
                at = self.choose(range(len(reply) + 1))
                await self.utter(reply[:at] + b"\0" + reply[at:])
            case "noise":
                self.crossed = True
                await self.utter(
                    self.choose((b"\xff\xfe\0", b"{9999999999}", b"\r\n\r\n", b"\x16\x03"))
                )
                await self.utter(reply)
            case "long line":
                await self.utter(b"x" * self.choose((513, 9_000, 70_000)) + reply)
            case "many lines":
                await self.utter(self.many_lines() + reply)
            case "endless":
                await self._endless()
            case "bare ends":
                await self.utter(reply.replace(b"\r\n", self.choose((b"\n", b"\r", b"\n\r"))))
            case "slow":
                for octet in reply:
                    await self.utter(bytes([octet]))
                    await asyncio.sleep(0.7)
            case "echo":
                await self.utter(self.other_result(reply).replace(b"\r\n", self._echo() + b"\r\n"))
            case "goodbye":
                await self.utter(self.goodbye())
                await self._hang_or_stall()
            case "line less":
                lines = reply.splitlines(keepends=True)
                lines.pop(self.choose(range(len(lines))))
                await self.utter(b"".join(lines))
            case "shuffled":
                lines = reply.splitlines(keepends=True)
                lines.insert(self.choose(range(len(lines))), lines.pop())
                await self.utter(b"".join(lines))
            case "brace":
                # In a text for humans, where it announces no literal.
                await self.utter(_TEXT_END.sub(rb"\1 {7}\r\n", reply))
            case "other case":
                asks = reply.startswith((b"334", b"+"))
                await self.utter(reply if asks else reply.lower())
            case "other literal":
                lie = self.choose((1, -1, 7, -7, 10**6, 2**32))
                await self.utter(_ANNOUNCED.sub(lambda found: _announced(found, lie), reply))
            case _:
                raise AssertionError(f"unknown trick {trick}")

    def many_lines(self) -> bytes:
        raise NotImplementedError

    def _tempting(self) -> bytes:
        return bytes(self.choose(self.tempting))

    def _echo(self) -> bytes:
        secret = str(self.choose((PASSWORD, TOKEN))).encode()
        return b" " + secret + b" " + base64.b64encode(secret)

    async def _hang_or_stall(self) -> None:
        if self.choose((True, False)):
            raise Broken
        with suppress(OSError):
            await self.reader.read()  # until the client goes
        raise Broken

    async def _endless(self) -> None:
        for _ in range(ENDLESS // 65536):
            self.note(b"x" * 65536)
            self.writer.write(b"x" * 65536)
            await self.writer.drain()
            await asyncio.sleep(0)
            if self.writer.transport.is_closing():
                raise Broken
        raise AssertionError("somebody took all of an endless answer")

    async def utter(self, said: bytes) -> None:
        """Write octets, whole or in pieces."""
        pieces = self.choose((1, 1, 1, 2, 3, len(said) or 1)) if len(said) < 400 else 1
        size = -(-len(said) // pieces) or 1
        self.crossed |= pieces > 1 and self.trick not in _ONE_ANSWER
        self.note(said)
        for at in range(0, len(said), size):
            self.writer.write(said[at : at + size])
            await self.writer.drain()
            if pieces > 1:
                await asyncio.sleep(0)

    def note(self, said: bytes) -> None:
        machine = self.machine
        machine.written += len(said)
        self.said += said
        if not self.secured:
            return
        if (self.judges_login or self.crossed) and self.is_yes(bytes(self.said)):
            machine.accepted_login = True
        if (self.judges_message or self.crossed) and re.search(rb"2\d\d", self.said):
            machine.took_message = True

    async def begin_tls(self) -> None:
        """Shake hands, with a certificate that is drawn; or go on in the clear."""
        first, _, more = bytes(self.said).partition(b"\n")
        self.injected = bool(more) and self.is_whole(first)
        kind = self.choose(("good",) * 8 + (*_SERVERS, "none"))
        if kind == "none":
            return
        await self.writer.start_tls(_SERVERS[kind], ssl_handshake_timeout=20)
        self.secured = True

    def is_whole(self, line: bytes) -> bool:
        """Whether a line is all of an answer."""
        raise NotImplementedError
