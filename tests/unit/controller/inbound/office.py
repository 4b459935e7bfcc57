# SPDX-License-Identifier: Apache-2.0
"""What `postroom deliver` works on, without a mail server: mailboxes that are lists, an account
that the operator has judged, its Secrets, and an application that listens on loopback."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from aiohttp import web

from postroom.api.names import Kind
from postroom.mail.imap.reading import Following, Waiting
from postroom.mail.report import Endpoint, Login
from postroom.reconcile.world import Outbound
from postroom.settings import Settings
from unit.controller.fakeapi import FakeAPI

ARRIVED = datetime.now(UTC).replace(microsecond=0)
SPEC: dict[str, Any] = {
    "address": "support@example.com",
    "imap": {"host": "imap.example.com", "credentialsRef": {"name": "mailbox"}},
}


@dataclass
class Mailbox:
    """One mailbox of messages that come and stay."""

    messages: list[bytes] = field(default_factory=list)
    opened: int = 0
    news_came: asyncio.Event = field(default_factory=asyncio.Event)

    def arrive(self, message: bytes) -> None:
        """Have a message come."""
        self.messages.append(message)
        self.news_came.set()

    @asynccontextmanager
    async def reading(self, endpoint: Endpoint, login: Login) -> AsyncIterator[Mailbox]:
        """Sign in."""
        self.opened += 1
        yield self

    idles = promises = True

    async def open(self, mailbox: str) -> tuple[int, int]:
        return 7, len(self.messages) + 1

    async def following(self, uid: int, uid_next: int) -> Following:
        found = [
            Waiting(number, ARRIVED, len(message))
            for number, message in enumerate(self.messages, 1)
            if number > uid
        ]
        return Following(found, uid_next - 1, len(found))

    async def header(self, uid: int) -> bytes:
        return self.messages[uid - 1].partition(b"\r\n\r\n")[0]

    async def pieces(self, uid: int, size: int) -> AsyncIterator[bytes]:
        yield self.messages[uid - 1]

    async def news(self, seconds: float) -> None:
        await self.news_came.wait()
        self.news_came.clear()

    def reach(self, settings: Settings, api_server: str) -> Outbound:
        """Nothing of the outside but this mailbox."""
        nobody = cast("Any", None)
        return Outbound(nobody, cast("Any", self), nobody)


@dataclass
class Application:
    """Takes messages, answering the first ones what it is told to, and waits for `answering`
    first."""

    port: int = 0
    first: list[int] = field(default_factory=list)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)

    async def post(self, request: web.Request) -> web.Response:
        status = self.first.pop(0) if self.first else 204
        self.taken.append((dict(request.headers), await request.read()))
        await asyncio.to_thread(self.answering.wait)
        return web.Response(status=status, headers={"Set-Cookie": "one=two"})

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        app = web.Application()
        app.add_routes([web.post("/mail", self.post)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        # Not where the API server is: nothing is handed over to that.
        await web.TCPSite(runner, "127.0.0.2", 0).start()
        self.port = runner.addresses[0][1]
        started.set()
        await stop.wait()
        await runner.cleanup()

    def ids(self) -> list[str]:
        return [headers["ce-id"] for headers, _ in self.taken]


@contextmanager
def application() -> Iterator[Application]:
    """An application on loopback, in a thread of its own: kopf ends what it finds in its loop."""
    found, loop = Application(), asyncio.new_event_loop()
    found.answering.set()
    started, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(found.serve(started, stop)), daemon=True
    )
    thread.start()
    assert started.wait(10)
    try:
        yield found
    finally:
        found.answering.set()
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


def secret(**data: str) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}}


def furnish(api: FakeAPI, port: int, namespace: str = "mail", **deliver: Any) -> None:
    """An account that the operator has signed in to, with all that it names."""
    asked = {
        "service": {"name": "tickets", "port": port, "path": "/mail"},
        "signingKeyRef": {"name": "tickets-hook"},
        "start": "Backfill",
        **deliver,
    }
    key = "whsec_" + base64.b64encode(b"0" * 32).decode()
    api.put("secrets", "tickets-hook", secret(current=key), namespace)
    api.put("secrets", "mailbox", secret(username="support", password="hush"), namespace)
    ports = [{"port": port, "protocol": "TCP"}]
    api.put("services", "tickets", {"spec": {"clusterIP": "127.0.0.2", "ports": ports}}, namespace)
    api.apply(
        Kind.EMAIL_ACCOUNT,
        "support",
        {**SPEC, "inbound": {"deliver": asked}, "sync": {"backfillDays": 60}},
        namespace,
    )


def judged(generation: int = 1) -> dict[str, Any]:
    """What the operator says of an account whose mailbox it reads."""
    return {
        "observedGeneration": generation,
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": "ProbeSucceeded",
                "message": "",
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for kind in ("ReferencesResolved", "IMAPAuthenticated", "Ready")
        ],
    }
