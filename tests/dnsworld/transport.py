# SPDX-License-Identifier: Apache-2.0
"""The world behind the client's seam: carries its queries, and keeps a log of them."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnsworld.message import TCP_LIMIT, Query, read_query, udp_limit, write_reply
from dnsworld.names import text_of
from dnsworld.rdata import type_text
from postroom.dns.asking.transport import ServerAddress

if TYPE_CHECKING:
    from dnsworld.world import World


@dataclass(slots=True)
class Exchange:
    """One query of the client. Times in seconds of the world's clock; `end` is None in flight."""

    server: str
    name: str
    type: str
    start: float
    tcp: bool
    recursion_desired: bool
    checking_disabled: bool
    edns: bool
    end: float | None = None
    answered: bool = False

    @property
    def question(self) -> tuple[str, str, str, bool, bool, bool, bool]:
        """What makes two exchanges the same."""
        return (
            self.server,
            self.name,
            self.type,
            self.tcp,
            self.recursion_desired,
            self.checking_disabled,
            self.edns,
        )


class WorldTransport:
    """Implements `postroom.dns.asking.transport.Transport` over a world.

    `log` holds every exchange in the order in which they began.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.log: list[Exchange] = []

    async def udp(
        self,
        server: ServerAddress,
        query: bytes,
        timeout: float,  # noqa: ASYNC109
    ) -> bytes:
        """Send one datagram and wait for the reply."""
        return await self._exchange(server, query, timeout, tcp=False)

    async def tcp(
        self,
        server: ServerAddress,
        query: bytes,
        timeout: float,  # noqa: ASYNC109
    ) -> bytes:
        """Ask over TCP."""
        return await self._exchange(server, query, timeout, tcp=True)

    async def _exchange(
        self, server: ServerAddress, wire: bytes, seconds_left: float, *, tcp: bool
    ) -> bytes:
        query = read_query(wire)
        entry = self._enter(server, query, tcp=tcp)
        try:
            reply, seconds = None, 0.0
            if self._world.is_reached(server):
                reply, seconds = self._world.exchange(server.address, query, tcp=tcp)
            if reply is None or seconds > seconds_left:
                await asyncio.sleep(seconds_left)
                raise TimeoutError
            await asyncio.sleep(seconds)
            entry.answered = True
            return write_reply(query, reply, TCP_LIMIT if tcp else udp_limit(query))
        finally:
            entry.end = self._world.now()

    def _enter(self, server: ServerAddress, query: Query, *, tcp: bool) -> Exchange:
        entry = Exchange(
            server.address,
            text_of(query.name),
            type_text(query.type),
            self._world.now(),
            tcp,
            query.recursion_desired,
            query.checking_disabled,
            query.payload is not None,
        )
        self.log.append(entry)
        return entry

    def count(self, server: str | None = None, *, name: str = "", kind: str = "") -> int:
        """How many queries there were, to one server or all, for a name and a type or any."""
        return sum(
            (server is None or one.server == server)
            and (not name or one.name == name)
            and (not kind or one.type == kind)
            for one in self.log
        )

    def per_server(self) -> Counter[str]:
        """How many queries went to each address."""
        return Counter(one.server for one in self.log)

    def most_in_flight(self, server: str) -> int:
        """The most queries that were under way to one address at a moment."""
        most, at_once = 0, 0
        for _, step in sorted(self._steps(server)):
            at_once += step
            most = max(most, at_once)
        return most

    def _steps(self, server: str) -> Iterator[tuple[float, int]]:
        for one in self.log:
            if one.server == server:
                yield one.start, 1
                if one.end is not None:
                    yield one.end, -1

    def most_in_a_second(self, server: str) -> int:
        """The most queries that went to one address within any one second."""
        starts = sorted(one.start for one in self.log if one.server == server)
        return max(
            (bisect_right(starts, start + 1.0 - 1e-9) - at for at, start in enumerate(starts)),
            default=0,
        )

    def duplicates_in_flight(self, retransmission: float = float("inf")) -> list[Exchange]:
        """Queries sent to a server while the same question to it was under way.

        One that comes `retransmission` seconds or more after the last such is a second try for a
        lost datagram, and does not count.
        """
        under_way = dict[tuple[object, ...], float]()
        sent = dict[tuple[object, ...], float]()
        found = list[Exchange]()
        for one in self.log:
            end = float("inf") if one.end is None else one.end
            repeated = one.start < under_way.get(one.question, 0.0)
            if repeated and one.start - sent[one.question] < retransmission:
                found.append(one)
            sent[one.question] = one.start
            under_way[one.question] = max(end, under_way.get(one.question, 0.0))
        return found
