# SPDX-License-Identifier: Apache-2.0
"""The application of the soak: takes messages, and by a seed is slow, refuses, lies or hangs up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
from collections import Counter
from dataclasses import dataclass

from aiohttp import web

#: Answers before it reads, hangs up while it does, answers so, takes it and says that it has not,
#: takes it and says nothing, takes its time.
_MISCHIEF = ("early", "half", "500", "503", "400", "lie", "cut", "slow")


@dataclass(frozen=True)
class Taken:
    """One message as it was taken: the account's name, what was told, and the hash of its body."""

    account: str
    event: str
    oversized: bool
    marked: bool
    message_id: str
    body: str


class Consumer:
    """Listens at one or more ports of an address; `keys` are all that may have signed."""

    def __init__(self, address: str, ports: int, dice: random.Random, faults: float) -> None:
        self.address, self._count, self._dice, self.faults = address, ports, dice, faults
        self.ports: list[int] = []
        self.keys: list[bytes] = []
        self.taken: list[Taken] = []
        self.did: Counter[str] = Counter()
        self.unsigned = 0
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=2**27)
        application.add_routes([web.post("/{account}", self._post)])
        return application

    async def start(self) -> None:
        await self._runner.setup()
        for _ in range(self._count):
            await web.TCPSite(self._runner, self.address, 0).start()
        self.ports = [place[1] for place in self._runner.addresses]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        mischief = "none"
        if self._dice.random() < self.faults:
            mischief = self._dice.choice(
                ["early", "half", "500", "503", "400", "lie", "cut", "slow"]
            )
        self.did[mischief] += 1
        if mischief == "early":
            return web.Response(status=500)
        if mischief == "half":
            await request.content.readany()
            self._hang_up(request)
            return web.Response(status=500)
        body = await request.read()
        if mischief in ("500", "400"):
            return web.Response(status=int(mischief))
        if mischief == "503":
            return web.Response(status=503, headers={"Retry-After": "1"})
        if mischief == "slow":
            await asyncio.sleep(self._dice.uniform(0.1, 1.5))
        self._take(request, body)
        if mischief == "lie":
            return web.Response(status=500)
        if mischief == "cut":
            self._hang_up(request)
        return web.Response(status=204)

    def _hang_up(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()

    def _take(self, request: web.Request, body: bytes) -> None:
        told = request.headers
        signatures = told["webhook-signature"]
        if not self._is_signed(told["webhook-id"], told["webhook-timestamp"], body, signatures):
            self.unsigned += 1
        self.taken.append(
            Taken(
                request.match_info["account"],
                told["ce-id"],
                told["ce-type"].endswith("oversized.v1"),
                told.get("ce-mayberepeated") == "true",
                told["ce-messageid"],
                hashlib.sha256(body).hexdigest(),
            )
        )

    def _is_signed(self, event: str, stamp: str, body: bytes, signatures: str) -> bool:
        given = signatures.split()
        for key in self.keys:
            made = hmac.new(key, f"{event}.{stamp}.".encode() + body, "sha256").digest()
            if f"v1,{base64.b64encode(made).decode()}" in given:
                return True
        return False
