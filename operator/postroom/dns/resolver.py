# SPDX-License-Identifier: Apache-2.0
"""Asks DNS from two points of view: the zone's own servers, and the resolver.

The place of a zone is kept as long as its TTLs say; answers about records are not, because "check
now" must see the truth now. Equal questions at the same moment share one look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import dns.message
import dns.rcode
import dns.resolver

from postroom.dns.answers import Answer, Outcome, Question, RecordType, Zone
from postroom.dns.cache import SingleFlightCache
from postroom.dns.names import can_be_asked, canonical
from postroom.dns.turns import ask_in_turn
from postroom.dns.wire import ALIAS_LIMIT, Reply, ServerAddress, Wire, answer_of
from postroom.dns.zones import Servers, ZoneFinder

_REFERRAL_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: for one query, until the next server is asked too, for the servers of one zone, and
    for a whole question with all its aliases and the resolver in place of silent servers."""

    query: float = 2.0
    patience: float = 0.5
    zone: float = 3.0
    question: float = 5.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one server replied, and what that says."""

    reply: Reply
    answer: Answer


class DnsAsker:
    """Implements `postroom.dns.answers.Asker` over the network.

    `resolvers` are (address, port) pairs, asked in their order; None takes those of the system.
    `authoritative_port` is 53 everywhere but in a lab.
    """

    def __init__(
        self,
        resolvers: Sequence[tuple[str, int]] | None = None,
        *,
        authoritative_port: int = 53,
        timing: Timing | None = None,
    ) -> None:
        self._timing = timing or Timing()
        named = tuple(ServerAddress(*one) for one in resolvers or ())
        self._resolvers = named or _system_resolvers()
        self._wire = Wire(self._timing.query)
        self._zones = ZoneFinder(
            self._ask_resolvers, self.recursive, authoritative_port, self._timing.question
        )
        self._flights: SingleFlightCache[tuple[str, Question], Answer] = SingleFlightCache()

    async def zone_of(self, name: str) -> Zone | Answer:
        if not can_be_asked(name):
            return Answer(Question(name, RecordType.SOA), Outcome.NX_DOMAIN)
        found = await self._zones.find(name)
        return found if isinstance(found, Answer) else found.zone

    async def recursive(self, question: Question) -> Answer:
        return await self._once("recursive", question, self._recursive)

    async def authoritative(self, question: Question) -> Answer:
        return await self._once("authoritative", question, self._follow)

    async def addresses(self, host: str) -> tuple[str, ...] | Answer:
        """Return a host's addresses, IPv4 first, or the answer that says why there are none."""
        answers = await asyncio.gather(
            self.recursive(Question(canonical(host), RecordType.A)),
            self.recursive(Question(canonical(host), RecordType.AAAA)),
        )
        found = tuple(value for answer in answers for value in answer.values)
        if found:
            return found
        return next((one for one in answers if not one.conclusive), answers[0])

    async def _once(
        self, view: str, question: Question, look: Callable[[Question], Awaitable[Answer]]
    ) -> Answer:
        """Look in bounded time; who asks the same meanwhile gets the same answer."""
        if not can_be_asked(question.name):
            return Answer(question, Outcome.NX_DOMAIN)

        async def bounded() -> tuple[Answer, float]:
            try:
                async with asyncio.timeout(self._timing.question):
                    return await look(question), 0
            except TimeoutError:
                return Answer(question, Outcome.TIMEOUT), 0

        return await self._flights.get((view, question), bounded)

    async def _recursive(self, question: Question) -> Answer:
        async def ask(server: ServerAddress) -> Answer:
            reply = await self._wire.exchange(server, question, recurse=True)
            return answer_of(reply, question, server)

        answer, failures = await ask_in_turn(
            self._resolvers, ask, lambda one: one.conclusive, self._timing.patience
        )
        return replace(answer or _worst(failures, question), authoritative=False)

    async def _ask_resolvers(self, question: Question) -> Reply:
        async def ask(server: ServerAddress) -> _Attempt:
            reply = await self._wire.exchange(server, question, recurse=True)
            return _Attempt(reply, answer_of(reply, question, server))

        best, failures = await ask_in_turn(
            self._resolvers, ask, lambda one: one.answer.conclusive, self._timing.patience
        )
        if best is not None:
            return best.reply
        return _worst([one.answer for one in failures], question).outcome

    async def resolve_host(self, host: str) -> tuple[str, ...] | None:
        """Return a host's addresses: empty where it has none, None where that could not be seen."""
        found = await self.addresses(host)
        if isinstance(found, Answer):
            return () if found.conclusive else None
        return found

    async def _follow(self, question: Question) -> Answer:
        """Ask the zone's servers, and those of the zones that CNAMEs lead to."""
        aliases: tuple[str, ...] = ()
        here = question
        while True:
            answer = await self._ask_zone(here)
            aliases += answer.aliases
            # A server of one zone need not know what stands behind an alias into another.
            dangling = answer.aliases and answer.conclusive and answer.outcome is not Outcome.FOUND
            if not dangling or not answer.authoritative:
                return replace(answer, question=question, aliases=aliases)
            if len(aliases) > ALIAS_LIMIT or len({question.name, *aliases}) <= len(aliases):
                return Answer(question, Outcome.MALFORMED, aliases=aliases[:ALIAS_LIMIT])
            here = Question(aliases[-1], question.type)
            if not can_be_asked(here.name):
                return Answer(question, Outcome.NX_DOMAIN, aliases=aliases, authoritative=True)

    async def _ask_zone(self, question: Question) -> Answer:
        """Ask the servers of the zone that holds the name, and of those it is delegated to."""
        servers = await self._zones.find(question.name)
        if isinstance(servers, Answer):
            return replace(servers, question=question)
        for _ in range(_REFERRAL_LIMIT):
            found = await self._ask_servers(servers, question)
            if isinstance(found, Answer):
                return found
            servers = found
        return Answer(question, Outcome.MALFORMED)

    async def _ask_servers(self, servers: Servers, question: Question) -> Answer | Servers:
        """Ask the servers of one zone until one answers with authority, or refers deeper.

        Where all are silent, the way to them is taken for blocked and the resolver's word stands.
        """

        async def ask(server: ServerAddress) -> tuple[Answer, Servers | None]:
            reply = await self._wire.exchange(server, question, recurse=False)
            deeper = await self._zones.refer(reply, question.name, servers)
            return answer_of(reply, question, server), deeper

        def usable(one: tuple[Answer, Servers | None]) -> bool:
            answer, deeper = one
            return deeper is not None or (answer.conclusive and answer.authoritative)

        try:
            async with asyncio.timeout(self._timing.zone):
                found, failures = await ask_in_turn(
                    servers.addresses, ask, usable, self._timing.patience
                )
        except TimeoutError:
            found, failures = None, ()
        if found is not None:
            return found[1] or found[0]
        # What answers without authority is lame: its word counts as little as a refusal.
        lame = [
            replace(answer, outcome=Outcome.REFUSED, values=(), aliases=())
            if answer.conclusive
            else answer
            for answer, _ in failures
        ]
        worst = _worst(lame, question)
        return await self._recursive(question) if worst.outcome is Outcome.TIMEOUT else worst


def _worst(failures: Sequence[Answer], question: Question) -> Answer:
    """Choose the failure to tell, in an order that does not depend on who was faster."""
    order = (Outcome.SERVER_FAILURE, Outcome.REFUSED, Outcome.MALFORMED)
    for outcome in order:
        for answer in failures:
            if answer.outcome is outcome:
                return answer
    return Answer(question, Outcome.TIMEOUT)


def _system_resolvers() -> tuple[ServerAddress, ...]:
    """The resolvers of /etc/resolv.conf; this host itself where there are none."""
    try:
        configured = [str(one) for one in dns.resolver.Resolver().nameservers]
    except dns.resolver.NoResolverConfiguration:
        configured = []
    return tuple(map(ServerAddress, configured or ["127.0.0.1"]))
