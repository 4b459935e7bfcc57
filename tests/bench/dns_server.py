# SPDX-License-Identifier: Apache-2.0
"""Serves a world of `tests/dnsworld` over real sockets on loopback, in a process of its own.

Every answer leaves a fixed time after its question came. What was asked is logged here, where no
client can miscount.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from random import Random
from typing import NamedTuple

from bench.dns_world import RESOLVER, loopback
from bench.server_process import ServerProcess
from dnsworld.message import NotAQuery, read_query, write_reply
from dnsworld.names import text_of
from dnsworld.rdata import type_text
from dnsworld.server import NameServer
from dnsworld.world import World

#: Seconds between a question and its answer.
LATENCY = 0.02
_ANSWERS_LIMIT = 65536


class Asked(NamedTuple):
    """One query as the server saw it; times in seconds of its clock. `until` is when the answer
    left, or would have, had it not been lost."""

    at: float
    until: float
    server: str
    name: str
    type: str
    recursive: bool
    tcp: bool


@dataclass
class _Server:
    """The sockets and the log. `world` is what they answer from; `loss` the share of datagrams
    that get no answer, `dead` the world's addresses that never answer."""

    port: int = 0
    world: World = field(default_factory=World)
    loss: float = 0.0
    dead: frozenset[str] = frozenset()
    log: list[Asked] = field(default_factory=list)
    chance: Random = field(default_factory=lambda: Random(7))  # noqa: S311
    _answers: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    _listening: dict[str, socket.socket] = field(default_factory=dict)
    _streams: list[asyncio.Server] = field(default_factory=list)

    async def show(self, world: World) -> int:
        """Answer from another world; return the port at which all its servers listen."""
        self.world, self.loss, self.dead = world, 0.0, frozenset()
        self._answers.clear()
        self.log.clear()
        for address in (RESOLVER, *world.servers):
            if address not in self._listening:
                await self._listen(address)
        return self.port

    async def _listen(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.setblocking(False)
        listening.bind((loopback(address), self.port))
        self.port = listening.getsockname()[1]
        self._listening[address] = listening
        loop.add_reader(listening, self._read, address, listening)
        self._streams.append(
            await asyncio.start_server(
                lambda reader, writer: self._converse(address, reader, writer),
                loopback(address),
                self.port,
            )
        )

    def _read(self, address: str, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                wire, peer = listening.recvfrom(4096)
            except BlockingIOError:
                return
            lost = address in self.dead or self.chance.random() < self.loss
            answer = self._answer(address, wire, tcp=False)
            if answer is not None and not lost:
                loop.call_later(LATENCY, _send, listening, answer, peer)

    async def _converse(
        self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = self._answer(address, await reader.readexactly(length), tcp=True)
                await asyncio.sleep(LATENCY)
                if answer is None or address in self.dead:
                    break
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        writer.close()

    def _answer(self, address: str, wire: bytes, *, tcp: bool) -> bytes | None:
        """Log a query and answer it; equal ones are answered alike, whatever the id."""
        try:
            query = read_query(wire)
        except NotAQuery:
            return None
        now = asyncio.get_running_loop().time()
        name, kind = text_of(query.name), type_text(query.type)
        self.log.append(
            Asked(now, now + LATENCY, address, name, kind, query.recursion_desired, tcp)
        )
        key = (address, bytes([tcp]) + wire[2:])
        body = self._answers.get(key)
        if body is None:
            reply, _ = self.world.exchange(address, query, tcp=tcp)
            if reply is None:
                return None
            limit = 65535 if tcp else query.payload or 512
            body = write_reply(query, reply, limit)[2:]
            if len(self._answers) < _ANSWERS_LIMIT:
                self._answers[key] = body
        return wire[:2] + body


def _send(listening: socket.socket, answer: bytes, peer: tuple[str, int]) -> None:
    with suppress(BlockingIOError):
        listening.sendto(answer, peer)


def serve(orders: Connection) -> None:
    """Serve until `orders` end: the main function of the process.

    An order is (what, argument): ("show", builder of a world), ("fail", (loss, dead)),
    ("log", None), which takes the log away. Each is answered.
    """
    asyncio.run(_serve(orders))


async def _serve(orders: Connection) -> None:
    server, loop = _Server(), asyncio.get_running_loop()
    waiting = asyncio.Event()
    loop.add_reader(orders.fileno(), waiting.set)
    orders.send("ready")
    while True:
        await waiting.wait()
        waiting.clear()
        if not orders.poll():
            continue  # told twice of one order: waiting for the next must not stop the answers
        try:
            what, argument = orders.recv()
        except EOFError:
            return  # who gave the orders is gone
        match what:
            case "show":
                orders.send(await server.show(argument()))
            case "fail":
                server.loss, server.dead = argument
                orders.send(None)
            case "log":
                orders.send(server.log)
                server.log = []


class ServedWorld(ServerProcess):
    """The process that serves, as the benchmark sees it; to be used as a context manager."""

    def __init__(self) -> None:
        super().__init__(serve)
        self.port = 0

    def show(self, builder: Callable[[], World]) -> None:
        """Serve the world that a function builds, which can be pickled."""
        self.port = int(self.order(("show", builder)))

    def fail(self, loss: float, *dead: NameServer) -> None:
        """Lose this share of datagrams, and let these servers be silent."""
        addresses = [address for one in dead for address in one.addresses]
        self.order(("fail", (loss, frozenset(addresses))))

    def take_log(self) -> list[Asked]:
        """Take away what was asked since the last time."""
        log: list[Asked] = self.order(("log", None))
        return log
