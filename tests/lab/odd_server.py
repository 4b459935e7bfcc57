# SPDX-License-Identifier: Apache-2.0
"""An SMTP or IMAP server that any client can talk to, and that is odd in one place.

Unlike `lab.hostile` it follows no script: clients differ in what they ask, and in which order.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Self

from lab.mail_probing import AUTHORITY
from lab.scram_server import Knowing

USER, PASSWORD = "user@example.com", "hunter2-secret"
#: Bytes to send, seconds to wait, or one of "close" and "reset".
Act = bytes | float | str
#: What becomes of a reply; `endless` ones come in batches.
Spoil = Callable[[bytes], Sequence[Act]]
#: Asks the client for a line of SASL, and returns it decoded.
Ask = Callable[[bytes], Awaitable[bytes]]

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r?\n$")
_WORDS = re.compile(rb'"((?:[^"\\]|\\.)*)"|(\S+)')


@dataclass(frozen=True)
class Odd:
    """What a server is like.

    `offers` are extensions or capabilities, `secured` those after STARTTLS; None: TLS begins at
    the first byte. `spoils` are by stage: greeting, capabilities, starttls, challenge, auth,
    mailbox. `replies` are by command, without the tag.
    """

    protocol: str
    offers: tuple[bytes, ...]
    secured: tuple[bytes, ...] | None = None
    spoils: Mapping[str, Spoil] = field(default_factory=dict)
    replies: Mapping[bytes, bytes] = field(default_factory=dict)
    greeting: bytes = b""


class OddServer:
    """Listens on a free port; `accepted` tells whether it said yes to the right password."""

    def __init__(self, odd: Odd) -> None:
        self._odd, self.protocol = odd, odd.protocol
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.accepted = False
        self.clear: list[bytes] = []

    async def __aenter__(self) -> Self:
        made = None if self._odd.secured is not None else _context()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=made)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        await asyncio.sleep(0.05)  # connections that were accepted in the last moment
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        session = (_Smtp if self._odd.protocol == "smtp" else _Imap)(self, self._odd)
        try:
            await session.talk(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, ValueError):
            pass
        except asyncio.CancelledError:
            pass  # the end of the test, which asyncio's streams would report as an error
        finally:
            writer.transport.abort()
            self._talks.discard(talk)


class _Session:
    """What both protocols share."""

    def __init__(self, server: OddServer, odd: Odd) -> None:
        self._server, self._odd = server, odd
        self._offers = odd.offers

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._in_the_clear = self._odd.secured is not None
        await self.converse()

    async def converse(self) -> None:
        raise NotImplementedError

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if self._in_the_clear:
            self._server.clear.append(line)
        if not line:
            raise ConnectionAbortedError
        return line

    async def _say(self, stage: str, reply: bytes) -> None:
        spoil = self._odd.spoils.get(stage)
        for act in spoil(reply) if spoil else (reply,):
            if isinstance(act, bytes):
                self._writer.write(act)
                await self._writer.drain()
                if self._writer.transport.is_closing():
                    raise ConnectionAbortedError
                await asyncio.sleep(0)
            elif isinstance(act, float):
                await asyncio.sleep(act)
            else:
                await self._end(how=act)

    async def _end(self, how: str) -> None:
        if how == "reset":
            raw: socket.socket = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError

    async def _secure(self) -> None:
        await self._writer.start_tls(_context())
        self._in_the_clear = False
        self._offers = self._odd.secured or ()

    async def _signs_in(self, mechanism: bytes, initial: bytes | None, ask: Ask) -> bool:
        """Judge a sign-in with this mechanism (RFC 4616, 2195, 5802)."""
        name, word = USER.encode(), PASSWORD.encode()
        if not self._offers_it(mechanism.upper()):
            return False
        match mechanism.upper():
            case b"PLAIN":
                said = initial if initial is not None else await ask(b"")
                taken = said in (b"\0%s\0%s" % (name, word), b"%s\0%s\0%s" % (name, name, word))
            case b"LOGIN":
                told = initial if initial is not None else await ask(b"Username:")
                taken = told == name and await ask(b"Password:") == word
            case b"CRAM-MD5":
                digest = hmac.new(word, b"<1@x>", "md5").hexdigest().encode()
                taken = await ask(b"<1@x>") == name + b" " + digest
            case b"SCRAM-SHA-256":
                taken = await _by_scram(initial, ask)
            case _:
                taken = False
        self._server.accepted |= taken
        return taken

    def _offers_it(self, mechanism: bytes) -> bool:
        offered = re.split(rb"[ =]", b" ".join(self._offers).upper())
        return mechanism in offered


async def _by_scram(initial: bytes | None, ask: Ask) -> bool:
    knows = Knowing(PASSWORD)
    first = initial if initial is not None else await ask(b"")
    proof = await ask(base64.b64decode(knows.challenge(base64.b64encode(first))))
    final = knows.final(base64.b64encode(proof))
    if final is None:
        return False
    await ask(base64.b64decode(final))
    return True


class _Smtp(_Session):
    async def converse(self) -> None:
        await self._say("greeting", self._odd.greeting or b"220 odd ESMTP\r\n")
        while True:
            line = await self._line()
            command, _, rest = line.strip().partition(b" ")
            command = command.upper()
            if command in self._odd.replies:
                await self._say("other", self._odd.replies[command])
            elif command == b"EHLO":
                lines = [b"odd", *self._offers]
                said = [b"250-%s\r\n" % one for one in lines[:-1]] + [b"250 %s\r\n" % lines[-1]]
                await self._say("capabilities", b"".join(said))
            elif command == b"STARTTLS":
                await self._say("starttls", b"220 go\r\n")
                await self._secure()
            elif command == b"AUTH":
                await self._authenticate(rest)
            elif command == b"DATA":
                await self._say("other", b"354 go\r\n")
                await self._reader.readuntil(b"\r\n.\r\n")
                await self._say("other", b"250 taken\r\n")
            elif command == b"QUIT":
                await self._say("quit", b"221 bye\r\n")
                return
            else:
                await self._say("other", b"250 fine\r\n")

    async def _authenticate(self, rest: bytes) -> None:
        mechanism, _, coded = rest.partition(b" ")
        initial = None if not coded else base64.b64decode(coded.replace(b"=", b"", coded == b"="))

        async def ask(prompt: bytes) -> bytes:
            await self._say("challenge", b"334 " + base64.b64encode(prompt) + b"\r\n")
            return base64.b64decode((await self._line()).strip())

        taken = await self._signs_in(mechanism, initial, ask)
        await self._say("auth", b"235 2.7.0 welcome\r\n" if taken else b"535 5.7.8 no\r\n")


class _Imap(_Session):
    async def converse(self) -> None:
        await self._say("greeting", self._odd.greeting or b"* OK odd\r\n")
        while True:
            line = await self._whole_line()
            tag, _, rest = line.strip().partition(b" ")
            words = [bytes(one[1] or one[0]) for one in _WORDS.findall(rest)] or [b""]
            command = words[0].upper()
            if command in self._odd.replies:
                await self._say("other", self._odd.replies[command].replace(b"TAG", tag))
            elif command == b"CAPABILITY":
                listed = b"* CAPABILITY " + b" ".join([b"IMAP4rev1", *self._offers]) + b"\r\n"
                await self._say("capabilities", listed + tag + b" OK done\r\n")
            elif command == b"STARTTLS":
                await self._say("starttls", tag + b" OK go\r\n")
                await self._secure()
            elif command == b"LOGIN":
                taken = words[1:] == [USER.encode(), PASSWORD.encode()]
                taken &= b"LOGINDISABLED" not in self._offers
                self._server.accepted |= taken
                await self._say("auth", tag + (b" OK in\r\n" if taken else b" NO no\r\n"))
            elif command == b"AUTHENTICATE":
                await self._authenticate(tag, words)
            elif command == b"LOGOUT":
                await self._say("quit", b"* BYE bye\r\n" + tag + b" OK done\r\n")
                return
            else:
                await self._say(*self._answer(tag, command))

    def _answer(self, tag: bytes, command: bytes) -> tuple[str, bytes]:
        done = tag + b" OK done\r\n"
        if command in (b"EXAMINE", b"SELECT"):
            counts = (
                b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* 0 RECENT\r\n"
                b"* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 9] x\r\n"
            )
            return "mailbox", counts + done
        if command == b"STATUS":
            return (
                "other",
                b"* STATUS INBOX (MESSAGES 3 UNSEEN 1 UIDNEXT 9 UIDVALIDITY 5)\r\n" + done,
            )
        if command == b"LIST":
            return "other", b'* LIST () "/" INBOX\r\n' + done
        return "other", done

    async def _authenticate(self, tag: bytes, words: Sequence[bytes]) -> None:
        initial = base64.b64decode(words[2].strip(b"=") + b"==") if len(words) > 2 else None

        async def ask(prompt: bytes) -> bytes:
            await self._say("challenge", b"+ " + base64.b64encode(prompt) + b"\r\n")
            return base64.b64decode((await self._line()).strip())

        taken = await self._signs_in(words[1], initial, ask)
        await self._say("auth", tag + (b" OK in\r\n" if taken else b" NO no\r\n"))

    async def _whole_line(self) -> bytes:
        """A line with its literals, each as a quoted string."""
        whole = b""
        while True:
            line = await self._line()
            found = _LITERAL.search(line)
            if found is None:
                return whole + line
            if not found[2]:
                await self._say("challenge", b"+ go\r\n")
            said = await self._reader.readexactly(int(found[1]))
            whole += line[: found.start()] + b'"' + said + b'"'


@cache
def _context() -> ssl.SSLContext:
    """For the name that we dial by and the address that others do; mbsync wants a common name."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = ("mail.example.com", "127.0.0.1")
    AUTHORITY.issue_cert(*names, common_name="127.0.0.1").configure_cert(made)
    return made
