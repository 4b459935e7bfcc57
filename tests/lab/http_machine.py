# SPDX-License-Identifier: Apache-2.0
"""An HTTPS server whose every answer is drawn, on loopback and the virtual clock of `mail_machine`.

It behaves as well as any, or else: interim answers without end, redirects, cookies, bodies that are
compressed, too long, cut off, in chunks of wrong sizes or without end, octet by octet, or not what
they say that they are.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lab.mail_machine import ENDLESS, Broken, Choose

#: How a body is sent.
FRAMES = (
    *("length", "length", "length", "chunks", "until the end", "too short", "too long"),
    *("chunks without end", "bad chunk", "octet by octet", "no end"),
)
#: What comes before the answer proper.
OPENINGS = ("nothing",) * 8 + (
    *(
        "one interim",
        "interim without end",
        "silence",
        "close",
        "garbage",
        "long head",
        "many heads",
    ),
    *("early hints", "two lengths", "NUL in head"),
)
STATUSES = (
    200,
    200,
    200,
    200,
    400,
    400,
    401,
    401,
    403,
    404,
    429,
    500,
    503,
    301,
    302,
    307,
    204,
    999,
)
_BOMB = gzip.compress(b" " * 20_000_000)
_CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


@dataclass
class Given:
    """One answer: what it was, and whether it came whole and as it should."""

    status: int
    body: bytes
    sound: bool


@dataclass
class HttpMachine:
    """Answers each connection once, with one of the documents or what is made of it."""

    choose: Choose[Any]
    context: ssl.SSLContext
    documents: Sequence[bytes]
    secrets: Sequence[str]
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    written: int = 0
    #: Where redirects lead, which nobody may follow.
    elsewhere: int = 0
    strays: int = 0
    _talks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def start(self) -> list[asyncio.Server]:
        async def stray(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.strays += 1
            writer.transport.abort()

        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        other = await asyncio.start_server(stray, "127.0.0.1", 0)
        self.port, self.elsewhere = (one.sockets[0].getsockname()[1] for one in (server, other))
        return [server, other]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            length = next(
                (part for part in head.lower().split(b"\r\n") if b"content-length" in part), b":0"
            )
            await reader.readexactly(int(length.partition(b":")[2]))
            await self._answer(writer)
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await reader.read()
        except (OSError, EOFError, Broken, ValueError):
            pass
        except asyncio.CancelledError:
            pass  # the end of the scene
        finally:
            writer.transport.abort()
            self._talks.discard(talk)

    async def end(self, servers: Sequence[asyncio.Server]) -> None:
        for server in servers:
            server.close()
        await asyncio.sleep(0)
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _write(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        self.written += len(octets)
        writer.write(octets)
        await writer.drain()
        await asyncio.sleep(0)
        if writer.transport.is_closing():
            raise Broken

    async def _forever(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        for _ in range(ENDLESS // len(octets)):
            await self._write(writer, octets)
        raise AssertionError("somebody took all of an endless answer")

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        given = Given(0, b"", sound=False)
        self.given.append(given)
        opening = self.choose(OPENINGS)
        match opening:
            case "one interim":
                await self._write(writer, b"HTTP/1.1 100 Continue\r\n\r\n")
            case "early hints":
                await self._write(writer, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            case "interim without end":
                await self._forever(writer, b"HTTP/1.1 102 Processing\r\n\r\n" * 2000)
            case "silence":
                await asyncio.sleep(3600)
            case "close":
                raise Broken
            case "garbage":
                await self._write(writer, self.choose((b"220 mail ESMTP\r\n", b"\0\xff" * 99)))
            case "long head":
                await self._write(writer, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20)
            case "many heads":
                await self._write(writer, b"HTTP/1.1 200 OK\r\n" + b"x: x\r\n" * 2**16)
        given.status = self.choose(STATUSES)
        given.body = self._body()
        kind = self.choose(("application/json",) * 4 + ("text/html", "application/json; charset=x"))
        head = [f"HTTP/1.1 {given.status} X", f"Content-Type: {kind}"]
        head += self.choose(([],) * 6 + tuple([line] for line in self._lines()))
        if opening == "two lengths":
            head += ["Content-Length: 1", "Content-Length: 2"]
        if opening == "NUL in head":
            head.append("X: a\0b")
        plain = opening in ("nothing", "one interim", "early hints")
        # A parameter changes nothing: JSON has none (RFC 8259 section 11).
        given.sound = plain and kind.startswith("application/json")
        await self._send(writer, "\r\n".join(head).encode("latin-1"), given)

    def _lines(self) -> list[str]:
        secret = self.secrets[0]
        return [
            f"Location: https://login.example.com:{self.elsewhere}/{secret}",
            f"Set-Cookie: session={secret}; Path=/",
            "Content-Encoding: gzip",
            "Transfer-Encoding: gzip, chunked",
            "Retry-After: 99999999999999999999",
            "Retry-After: Fri, 99 Foo 9999 99:99:99 GMT",
            "Date: Thu, 01 Jan 1970 00:00:00 GMT",
            f"WWW-Authenticate: Bearer error={secret}",
            "Connection: keep-alive",
        ]

    def _body(self) -> bytes:
        body = bytes(self.choose(self.documents))
        how = self.choose(("as it is",) * 5 + ("compressed", "bomb", "padded", "cut", "doubled"))
        match how:
            case "compressed":
                return gzip.compress(body)
            case "bomb":
                return _BOMB
            case "padded":
                return body + b" " * 2_000_000
            case "cut":
                return body[: len(body) // 2]
            case "doubled":
                return body + body
        return body

    async def _send(self, writer: asyncio.StreamWriter, head: bytes, given: Given) -> None:
        body, frame = given.body, self.choose(FRAMES)
        given.sound &= frame in ("length", "chunks", "until the end", "octet by octet", "no end")
        sized = head + b"\r\nContent-Length: %d\r\n\r\n"
        chunked = head + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        match frame:
            case "length":
                await self._write(writer, sized % len(body) + body)
            case "too short":
                await self._write(writer, sized % (len(body) + 9) + body)
                raise Broken
            case "too long":
                await self._write(writer, sized % max(len(body) - 9, 0) + body)
            case "no end":
                await self._write(writer, sized % (len(body) + 1) + body)
                given.sound = False
                await asyncio.sleep(3600)
            case "until the end":
                await self._write(writer, head + b"\r\n\r\n" + body)
                raise Broken
            case "chunks":
                size = self.choose((1, 7, 4096))
                pieces = [body[at : at + size] for at in range(0, min(len(body), 50 * size), size)]
                pieces.append(body[50 * size :])
                text = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces if one)
                await self._write(writer, chunked + text + b"0\r\n\r\n")
            case "chunks without end":
                await self._write(writer, chunked)
                await self._forever(writer, _CHUNK)
            case "bad chunk":
                await self._write(writer, chunked + b"zz\r\n" + body + b"\r\n0\r\n\r\n")
            case "octet by octet":
                await self._write(writer, sized % len(body))
                for octet in body[:2000]:
                    await self._write(writer, bytes([octet]))
                    await asyncio.sleep(0.01 if len(body) < 500 else 0.5)
                await self._write(writer, body[2000:])


def objects_of(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a body is, None where it is none; strictly read."""
    try:
        made = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return made if isinstance(made, dict) else None
