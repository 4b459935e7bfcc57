# SPDX-License-Identifier: Apache-2.0
"""The servers of the inbound benchmark, in a process of their own: a mailbox over IMAP, and an
application that takes what is posted to it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import trustme
from aiohttp import web

from bench.certificates import certified, showing
from bench.server_process import ServerProcess
from loopback import own_address
from postroom.lab.imap import LabImap
from postroom.lab.mailboxes import Accounts

HOST, USER, PASSWORD = "imap.example.com", "user@example.com", "correct horse Gs8"
_PATIENCE = 120


def _message(number: int, size: int) -> bytes:
    head = (
        f"From: a@example.net\r\nTo: {USER}\r\nSubject: number {number}\r\n"
        f"Message-ID: <{number}@example.net>\r\n\r\n"
    )
    line = b"0123456789abcdef" * 4 + b"\r\n"
    return head.encode() + line * (max(size - len(head), 0) // len(line))


class _Servers:
    """What the process is told by its orders, one after the other."""

    def __init__(self) -> None:
        self.accounts = Accounts({USER: PASSWORD})
        account = self.accounts.authenticate(USER, PASSWORD)
        assert account is not None
        self.box = account.mailboxes["INBOX"]
        self.taken: list[float] = []
        self.octets = 0
        self._came = asyncio.Event()

    async def post(self, request: web.Request) -> web.Response:
        async for piece in request.content.iter_any():
            self.octets += len(piece)
        self.taken.append(time.perf_counter())
        self._came.set()
        return web.Response(status=204)

    def fill(self, count: int, size: int) -> None:
        """Have so many messages lie there, and no others."""
        self.box.expunge(list(self.box.messages))
        for number in range(count):
            self.box.deliver(_message(number, size))
        self.taken.clear()
        self.octets = 0

    async def latency(self) -> float:
        """Seconds from a message's arrival until it is posted."""
        self._came.clear()
        begun = time.perf_counter()
        self.box.deliver(_message(0, 4000))
        async with asyncio.timeout(_PATIENCE):
            await self._came.wait()
        return self.taken[-1] - begun

    def count(self) -> tuple[int, int]:
        """How many messages were posted since it was filled, and their octets."""
        return len(self.taken), self.octets


def _serve(orders: Connection, address: str, pair: bytes) -> None:
    asyncio.run(_run(orders, address, pair))


async def _run(orders: Connection, address: str, pair: bytes) -> None:
    servers = _Servers()
    await LabImap(servers.accounts, showing(pair), address, 2993).start()
    application = web.Application(client_max_size=2**27)
    application.add_routes([web.post("/mail", servers.post)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, 8080).start()
    orders.send("ready")
    with suppress(EOFError):
        while True:
            name, *arguments = await asyncio.to_thread(orders.recv)
            answer: Any = getattr(servers, name)(*arguments)
            orders.send(await answer if asyncio.iscoroutine(answer) else answer)


@dataclass(frozen=True)
class Place:
    """Where the servers listen, and whom to trust."""

    address: str
    authority: str
    imap: int = 2993
    http: int = 8080


class InboundServers(ServerProcess):
    """The process, to be used as a context manager."""

    def __init__(self) -> None:
        authority, address = trustme.CA(), own_address(8)
        super().__init__(_serve, address, certified(authority, HOST))
        self.place = Place(address, authority.cert_pem.bytes().decode())

    async def ask(self, name: str, *arguments: object) -> Any:
        """Have one of the methods above called there."""
        return await self.answer((name, *arguments))
