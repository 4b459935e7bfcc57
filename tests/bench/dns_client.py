# SPDX-License-Identifier: Apache-2.0
"""The engine and the floor, measured: wall time, CPU of this process, queries at the server."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import dns.asyncquery
import dns.message
import dns.query

from bench.dns_server import Asked, ServedWorld
from bench.dns_world import RESOLVER, loopback
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.sockets import SocketTransport
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.requirements import DomainPlan
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import Scope, verify

_TIMEOUT = 5.0
#: Seconds after which a question may be put again; the engine waits longer.
_MAY_BE_LOST = 0.1


class LoopbackTransport(SocketTransport):
    """The real sockets, to where the world's addresses are on loopback.

    `repeated` counts the questions that were put to a server while the same one was under way,
    unless so much later that the first may have been lost. Only this side can tell: a server that
    gets no time of the machine sees them all at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.repeated = 0
        self._open: dict[tuple[ServerAddress, bytes], float] = {}

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        question, now = (server, query[2:]), asyncio.get_running_loop().time()
        if now - self._open.get(question, -1.0) < _MAY_BE_LOST:
            self.repeated += 1
        self._open[question] = now
        try:
            return await super().udp(_here(server), query, timeout)
        finally:
            if self._open.get(question) == now:
                del self._open[question]

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        return await super().tcp(_here(server), query, timeout)


def _here(server: ServerAddress) -> ServerAddress:
    return ServerAddress(loopback(server.address), server.port)


@asynccontextmanager
async def asking(served: ServedWorld) -> AsyncIterator[tuple[DnsAsker, LoopbackTransport]]:
    """An asker that has learnt nothing yet, and what it asks through."""
    transport = LoopbackTransport()
    asker = DnsAsker([(RESOLVER, served.port)], authoritative_port=served.port, transport=transport)
    try:
        yield asker, transport
    finally:
        await asker.close()
        transport.close()


@dataclass
class Cost:
    """What something took: wall and CPU seconds, and the queries that it sent."""

    wall: float = 0.0
    cpu: float = 0.0
    log: list[Asked] = field(default_factory=list)

    @property
    def queries(self) -> int:
        """How many queries there were."""
        return len(self.log)


@contextmanager
def measuring(served: ServedWorld) -> Iterator[Cost]:
    """Measure what happens inside; the cost is complete at the end."""
    served.take_log()
    cost = Cost()
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.wall, cost.cpu = time.perf_counter() - wall, time.process_time() - cpu
    cost.log = served.take_log()


async def look(
    plan: DomainPlan, asker: DnsAsker, *, known: bool = False, told: Collection[str] = ()
) -> DomainReport:
    """Look at a domain once, as the operator does; `known`: all its records were valid before;
    `told`: the codes of the findings that its status has."""
    ids = [record.id for record in plan.records] if known else ()
    return await verify(plan, asker, Scope(known_valid=ids, reported=told))


async def round_trip(served: ServedWorld) -> float:
    """The seconds of one datagram to the server and its answer, with nothing else around."""
    query = dns.message.make_query("domain0.com.", "SOA").to_wire()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bare:
        bare.setblocking(False)
        bare.connect((loopback(RESOLVER), served.port))
        started = time.perf_counter()
        await loop.sock_sendall(bare, query)
        async with asyncio.timeout(_TIMEOUT):
            await loop.sock_recv(bare, 4096)
        return time.perf_counter() - started


async def bare_queries(served: ServedWorld, asked: Iterable[Asked]) -> None:
    """Ask the same servers the same questions with dnspython's client, all at once."""
    await asyncio.gather(
        *(
            dns.asyncquery.udp(
                dns.message.make_query(f"{one.name}.", one.type, use_edns=0),
                loopback(one.server),
                timeout=_TIMEOUT,
                port=served.port,
            )
            for one in asked
        )
    )


async def many(
    jobs: Sequence[Callable[[], Awaitable[DomainReport]]], at_once: int
) -> list[DomainReport]:
    """Do many looks, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Callable[[], Awaitable[DomainReport]]) -> DomainReport:
        async with gate:
            return await job()

    return list(await asyncio.gather(*map(one, jobs)))
