# SPDX-License-Identifier: Apache-2.0
"""Applications on loopback that messages are handed to: a proper one, and scripted ones."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from postroom.api.masked import Masked
from postroom.delivery import signing
from postroom.delivery.answers import Answer
from postroom.delivery.contract import Sink
from postroom.delivery.events import Format, Place, attributes
from postroom.delivery.sinks import http
from postroom.delivery.spool import Spool
from postroom.mail.connect.tls import TrustStore
from postroom.mail.round_trip.header import read_header

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER_KEY = "whsec_" + base64.b64encode(b"o" * 32).decode()
NAME = "tickets.mail.svc"
PLACE = Place("mail", "support", "INBOX", 7, 4711, "8e0c", 1)
MESSAGE = b"From: a@example.com\r\nMessage-ID: <1@example.com>\r\nSubject: s\r\n\r\nHello\r\n"
#: What no test waits for.
SHORT = http.Limits(connect=2.0, silence=0.3, total=5.0)

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def told(message: bytes = MESSAGE, **changed: Any) -> Mapping[str, str]:
    """What is told of a message that lies at `PLACE`."""
    arrived = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    return attributes(PLACE, read_header(message), arrived, len(message), **changed)


@dataclass
class Hit:
    """One request as an application got it."""

    method: str
    path: str
    headers: Mapping[str, str]
    names: list[str]
    body: bytes


@dataclass
class Application:
    """Answers `status` and keeps what it got."""

    status: int = 204
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        names = [name.decode().lower() for name, _ in request.raw_headers]
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.hits.append(Hit(request.method, request.raw_path, headers, names, body))
        self.connections.add(id(request.transport))
        return web.Response(status=self.status, headers=self.answer_headers)


@asynccontextmanager
async def serving(
    application: Application, host: str = "127.0.0.1", context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve an application; yields its port."""
    runner = web.ServerRunner(web.Server(application.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=context)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def scripted(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve each connection by a script; yields the port. Scripts are cut off at the end."""
    running = set[asyncio.Task[Any]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with suppress(ConnectionError, EOFError, asyncio.CancelledError):
                await script(reader, writer)
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one whole request by its Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return head, await reader.readexactly(length)


def answering(*raw: bytes, close: bool = True) -> Script:
    """Read whole requests and write one of `raw` to each, the last ever after."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(raw)
        while True:
            await read_request(reader)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()
            if close:
                return

    return script


@asynccontextmanager
async def sink(
    port: int,
    *,
    address: str = "127.0.0.1",
    path: str = "/mail",
    secure: bool = False,
    ca_bundle: str | None = None,
    keys: tuple[str, ...] = (KEY,),
    written_as: Format = Format.RAW,
    limits: http.Limits | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[http.HttpSink]:
    """The sink of an application at a port of loopback."""
    destination = http.Destination(address, port, NAME, path, secure, ca_bundle)
    parsed: list[Masked] = [signing.parse_key(key) for key in keys]
    async with http.open_session() as session:
        yield http.HttpSink(session, destination, parsed, now, written_as, TrustStore(), limits)


async def send(
    to: Sink, message: bytes | None = MESSAGE, what: Mapping[str, str] | None = None
) -> Answer:
    """Hand a message over as a courier does."""
    if message is None:
        return await to.send(what or told(oversized=True), None)
    async with Spool(64 * 1024 * 1024).message("mail", max(len(message), 1)) as spooled:
        for at in range(0, len(message), 256 * 1024):
            await spooled.add(message[at : at + 256 * 1024])
        return await to.send(what or told(message), spooled)
