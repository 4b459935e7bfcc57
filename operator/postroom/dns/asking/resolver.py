# SPDX-License-Identifier: Apache-2.0
"""Asks DNS from two points of view: the zone's own servers, and the resolver.

The place of a zone is kept as long as its TTLs say; answers about records are not, because "check
now" must see the truth now. Equal questions at the same moment share one look.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

from postroom.api.hosts import AliasedAddresses
from postroom.concurrency.patience import limited
from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.asking.authority import AuthorityView
from postroom.dns.asking.cache import Clock, SingleFlightCache
from postroom.dns.asking.delegation import ParentView
from postroom.dns.asking.exchange import Exchange, Server
from postroom.dns.asking.guarded import GuardedTransport
from postroom.dns.asking.health import Health
from postroom.dns.asking.https import HttpsClient
from postroom.dns.asking.limiter import QueryLimiters
from postroom.dns.asking.recursion import ResolverView, resolvers_of
from postroom.dns.asking.retrying import RetryingClient, Timing
from postroom.dns.asking.sockets import SocketTransport
from postroom.dns.asking.transport import Transport
from postroom.dns.asking.wire import View
from postroom.dns.asking.zones import MayAsk, ZoneFinder
from postroom.dns.names import canonical, fits_into_query

ResultT = TypeVar("ResultT")


class DnsAsker:
    """Implements `postroom.dns.answers.Asker` over the network, or over another transport.

    `resolvers` are (address, port) pairs, asked in their order; a URL of DNS over HTTPS may stand
    in place of an address; None takes those of the system. `authoritative_port` is 53 everywhere
    but in a lab. `clock` is what TTLs are measured with, by default that of the running loop;
    `tls` replaces the system's trust for DNS over HTTPS. `may_ask` tells whether an address may be
    dialled at all; only the resolvers are exempt, as whoever configured this has named them.
    Belongs to one event loop.
    """

    def __init__(
        self,
        resolvers: Sequence[tuple[str, int]] | None = None,
        *,
        authoritative_port: int = 53,
        timing: Timing | None = None,
        transport: Transport | None = None,
        limiters: QueryLimiters | None = None,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
        may_ask: MayAsk | None = None,
    ) -> None:
        timing = timing or Timing()
        self._sockets = SocketTransport()
        self._https = HttpsClient(tls)
        health: Health[Server] = Health(timing.least, timing.unknown)
        carrier: Transport = self._sockets if transport is None else transport
        known = resolvers_of(resolvers)
        if may_ask is not None:
            carrier = GuardedTransport(carrier, may_ask, known)
        exchange = Exchange(carrier, self._https, health)
        client = RetryingClient(
            exchange, health, QueryLimiters() if limiters is None else limiters, timing
        )
        self._resolver = ResolverView(known, client, clock)
        zones = ZoneFinder(self._resolver, authoritative_port, timing, clock, may_ask)
        self._authorities = AuthorityView(zones, self._resolver, client)
        parents = ParentView(self._authorities, client)
        self._authoritative = _Looks(self._authorities.ask, Answer, timing)
        self._recursive = _Looks(self._resolver.answer, Answer, timing)
        unvalidated = partial(self._resolver.answer, view=View.UNVALIDATED)
        self._unvalidated = _Looks(unvalidated, Answer, timing)
        self._zone_of: _Looks[Zone | Answer] = _Looks(self._locate, Answer, timing)
        self._parent: _Looks[Delegation | Answer] = _Looks(parents.delegation, Answer, timing)
        self._every = _Looks(self._authorities.every, _no_servers, timing)
        at_the_apex = partial(self._authorities.every, at_apex=True)
        self._at_the_apex = _Looks(at_the_apex, _no_servers, timing)

    @property
    def resolver_only(self) -> bool:
        """Whether the way to authoritative servers is known to be blocked."""
        return self._authorities.reach.blocked

    async def close(self) -> None:
        """Close what is open at once; without this, it ends with the event loop."""
        self._sockets.close()
        await self._https.close()

    async def zone_of(self, name: str) -> Zone | Answer:
        return await self._zone_of(Question(name, RecordType.SOA))

    async def authoritative(self, question: Question) -> Answer:
        return await self._authoritative(question)

    async def recursive(self, question: Question) -> Answer:
        return await self._recursive(question)

    async def shared(self, question: Question) -> Answer:
        if not fits_into_query(question.name):
            return Answer(question, Outcome.NX_DOMAIN)
        return await self._resolver.shared(question)

    async def unvalidated(self, question: Question) -> Answer:
        return await self._unvalidated(question)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        return await self._every(question)

    async def serials(self, name: str) -> tuple[ServerAnswer, ...]:
        serials: list[ServerAnswer] = []
        for server in await self._at_the_apex(Question(name, RecordType.SOA)):
            # Of a SOA only the serial (RFC 1035 section 3.3.13: the third field).
            fields = [value.split() for value in server.answer.values]
            serial = tuple(field[2] for field in fields if len(field) == 7)
            serials.append(replace(server, answer=replace(server.answer, values=serial)))
        return tuple(serials)

    async def delegation(self, apex: str) -> Delegation | Answer:
        return await self._parent(Question(apex, RecordType.NS))

    async def addresses(self, host: str) -> tuple[str, ...] | Answer:
        """Return a host's addresses, IPv4 first, or the answer that says why there are none.

        Where the host is an alias, the addresses are `AliasedAddresses`.
        """
        answers = await asyncio.gather(
            self.recursive(Question(canonical(host), RecordType.A)),
            self.recursive(Question(canonical(host), RecordType.AAAA)),
        )
        found = tuple(value for answer in answers for value in answer.values)
        if found:
            return AliasedAddresses(found) if any(answer.aliases for answer in answers) else found
        return next((answer for answer in answers if not answer.conclusive), answers[0])

    async def resolve_host(self, host: str) -> tuple[str, ...] | None:
        """Return a host's addresses: empty where it has none, None where that could not be seen."""
        found = await self.addresses(host)
        if isinstance(found, Answer):
            return () if found.conclusive else None
        return found

    async def _locate(self, question: Question) -> Zone | Answer:
        found = await self._authorities.locate(question.name)
        return found if isinstance(found, Answer) else found.zone


class _Looks(Generic[ResultT]):
    """One kind of look: bounded in time, and shared by all who ask the same at the same moment.

    `otherwise` makes the result where a look cannot be made, or takes longer than `Timing.look`.
    """

    def __init__(
        self,
        look: Callable[[Question], Awaitable[ResultT]],
        otherwise: Callable[[Question, Outcome], ResultT],
        timing: Timing,
    ) -> None:
        self._look, self._otherwise, self._timing = look, otherwise, timing
        self._flights: SingleFlightCache[Question, ResultT] = SingleFlightCache()

    async def __call__(self, question: Question) -> ResultT:
        if not fits_into_query(question.name):
            return self._otherwise(question, Outcome.NX_DOMAIN)
        return await self._flights.get(question, lambda: self._bounded(question))

    async def _bounded(self, question: Question) -> tuple[ResultT, float]:
        try:
            async with limited(self._timing.look, self._timing.queue):
                return await self._look(question), 0
        except TimeoutError:
            return self._otherwise(question, Outcome.TIMEOUT), 0


def _no_servers(question: Question, outcome: Outcome) -> tuple[ServerAnswer, ...]:
    return ()
