# SPDX-License-Identifier: Apache-2.0
"""Asks DNS from two points of view: the zone's own servers, and the resolver.

The zone of a name and the addresses of its servers are kept as long as their TTLs say; answers
about records are not, because "check now" must see the truth now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import dns.message
import dns.rcode
import dns.resolver

from postroom.dns.answers import Answer, Outcome, Question, RecordType, Zone
from postroom.dns.cache import SingleFlightCache
from postroom.dns.names import and_ancestors, canonical, is_within
from postroom.dns.wire import (
    Section,
    ServerAddress,
    Wire,
    authority,
    is_authoritative,
    read_answer,
)

#: Longest that one question may take, all servers and aliases included.
QUESTION_SECONDS = 5.0
_ALIAS_LIMIT = 8
_REFERRAL_LIMIT = 4
_SERVERS_LIMIT = 8
_KEEP_LEAST, _KEEP_MOST = 1, 3600


@dataclass(frozen=True, slots=True)
class _Servers:
    """A zone and where its servers listen."""

    zone: Zone
    addresses: tuple[ServerAddress, ...]


class DnsAsker:
    """Implements `postroom.dns.answers.Asker` over the network.

    `resolvers` are asked in their order; None takes those of the system. `authoritative_port` is
    53 everywhere but in a lab.
    """

    def __init__(
        self,
        resolvers: Sequence[ServerAddress] | None = None,
        *,
        authoritative_port: int = 53,
        timeout: float = 2.0,
    ) -> None:
        self._resolvers = tuple(resolvers) if resolvers else _system_resolvers()
        self._port = authoritative_port
        self._wire = Wire(timeout)
        self._zones: SingleFlightCache[str, _Servers | Answer] = SingleFlightCache()

    async def zone_of(self, name: str) -> Zone | Answer:
        found = await self._servers_of(name)
        return found if isinstance(found, Answer) else found.zone

    async def recursive(self, question: Question) -> Answer:
        outcome = Outcome.TIMEOUT
        for server in self._resolvers:
            reply = await self._wire.exchange(server, question, recurse=True)
            answer = _judge(reply, question, server)
            if answer.conclusive:
                return replace(answer, authoritative=False)
            outcome = answer.outcome
        return Answer(question, outcome)

    async def authoritative(self, question: Question) -> Answer:
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                return await self._follow(question)
        except TimeoutError:
            return Answer(question, Outcome.TIMEOUT)

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

    async def _follow(self, question: Question) -> Answer:
        """Ask the zone's servers, and those of the zones that CNAMEs lead to."""
        aliases: tuple[str, ...] = ()
        here = question
        while len(aliases) <= _ALIAS_LIMIT:
            answer = await self._ask_zone(here)
            aliases += answer.aliases
            dangling = (
                answer.outcome is Outcome.NO_DATA
                and answer.aliases
                and question.type is not RecordType.CNAME
            )
            if not dangling:
                return replace(answer, question=question, aliases=aliases)
            if len(set(aliases)) < len(aliases):
                break
            here = Question(aliases[-1], question.type)
        return Answer(question, Outcome.MALFORMED, aliases=aliases[:_ALIAS_LIMIT])

    async def _ask_zone(self, question: Question) -> Answer:
        """Ask the servers of one zone in turn until one gives an authoritative answer."""
        servers = await self._servers_of(question.name)
        if isinstance(servers, Answer):
            return replace(servers, question=question)
        failures: list[Outcome] = []
        queue = list(servers.addresses[:_SERVERS_LIMIT])
        referrals = 0
        while queue:
            server = queue.pop(0)
            reply = await self._wire.exchange(server, question, recurse=False)
            answer = _judge(reply, question, server)
            if answer.conclusive and answer.authoritative:
                return answer
            deeper = _referral(reply, question.name, servers.zone.apex)
            if deeper is not None and referrals < _REFERRAL_LIMIT:
                # The resolver did not know of this delegation yet.
                referrals += 1
                queue = list(await self._resolve_servers(deeper)) or queue
                continue
            failures.append(Outcome.REFUSED if answer.conclusive else answer.outcome)
        if all(one is Outcome.TIMEOUT for one in failures):
            return await self.recursive(question)
        return Answer(question, next(one for one in failures if one is not Outcome.TIMEOUT))

    async def _servers_of(self, name: str) -> _Servers | Answer:
        return await self._zones.get(name, lambda: self._find_servers(name))

    async def _find_servers(self, name: str) -> tuple[_Servers | Answer, float]:
        """Find the zone that holds a name: the nearest SOA at it or above it (RFC 1034)."""
        for ancestor in and_ancestors(name):
            question = Question(ancestor, RecordType.SOA)
            reply = await self._ask_resolvers(question)
            if isinstance(reply, Outcome):
                return Answer(question, reply), 0
            apex = _apex(reply, ancestor)
            if apex is None:
                continue
            ns = await self.recursive(Question(apex, RecordType.NS))
            if not ns.conclusive or not ns.values:
                return replace(ns, outcome=Outcome.SERVER_FAILURE), 0
            nameservers = tuple(sorted(set(ns.values)))
            addresses = await self._resolve_servers(nameservers)
            if not addresses:
                return Answer(ns.question, Outcome.SERVER_FAILURE), 0
            keep = min(max(ns.ttl or 0, _KEEP_LEAST), _KEEP_MOST)
            return _Servers(Zone(apex, nameservers), addresses), keep
        return Answer(Question(name, RecordType.SOA), Outcome.NX_DOMAIN), 0

    async def _ask_resolvers(self, question: Question) -> dns.message.Message | Outcome:
        outcome: Outcome = Outcome.TIMEOUT
        for server in self._resolvers:
            reply = await self._wire.exchange(server, question, recurse=True)
            if not isinstance(reply, dns.message.Message):
                outcome = reply
            elif reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return reply
            else:
                outcome = _OUTCOMES.get(reply.rcode(), Outcome.SERVER_FAILURE)
        return outcome

    async def _resolve_servers(self, nameservers: Sequence[str]) -> tuple[ServerAddress, ...]:
        """Resolve name servers, the first address of each before the second of any."""
        found = await asyncio.gather(
            *(self.addresses(name) for name in nameservers[:_SERVERS_LIMIT])
        )
        by_server = [one for one in found if not isinstance(one, Answer)]
        rounds = max(map(len, by_server), default=0)
        return tuple(
            ServerAddress(addresses[index], self._port)
            for index in range(rounds)
            for addresses in by_server
            if index < len(addresses)
        )


def _system_resolvers() -> tuple[ServerAddress, ...]:
    """The resolvers of /etc/resolv.conf."""
    try:
        configured = dns.resolver.Resolver().nameservers
    except dns.resolver.NoResolverConfiguration:
        return (ServerAddress("127.0.0.1"),)
    return tuple(ServerAddress(str(one)) for one in configured) or (ServerAddress("127.0.0.1"),)


_OUTCOMES = {dns.rcode.SERVFAIL: Outcome.SERVER_FAILURE, dns.rcode.REFUSED: Outcome.REFUSED}


def _judge(
    reply: dns.message.Message | Outcome, question: Question, server: ServerAddress
) -> Answer:
    """Turn a reply, or its failure, into an answer."""
    if isinstance(reply, Outcome):
        return Answer(question, reply, server=str(server))
    code = reply.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        outcome = _OUTCOMES.get(code, Outcome.SERVER_FAILURE)
        return Answer(question, outcome, server=str(server))
    section = read_answer(reply, question)
    if not isinstance(section, Section):
        return Answer(question, section, server=str(server))
    if section.values:
        outcome = Outcome.FOUND
    elif code == dns.rcode.NXDOMAIN and not section.aliases:
        outcome = Outcome.NX_DOMAIN
    else:
        outcome = Outcome.NO_DATA
    return Answer(
        question,
        outcome,
        section.values,
        section.aliases,
        section.ttl,
        authoritative=is_authoritative(reply),
        server=str(server),
    )


def _apex(reply: dns.message.Message, name: str) -> str | None:
    """Return the apex that a SOA reply shows: of the name itself, or of the zone that denies it."""
    section = read_answer(reply, Question(name, RecordType.SOA))
    if isinstance(section, Section) and section.values and not section.aliases:
        return name
    for owner, _ in authority(reply, RecordType.SOA):
        if is_within(name, owner):
            return owner
    return None


def _referral(reply: dns.message.Message | Outcome, name: str, apex: str) -> tuple[str, ...] | None:
    """Return the servers of a deeper zone, if the reply refers to one."""
    if isinstance(reply, Outcome) or reply.answer or is_authoritative(reply):
        return None
    for owner, rrset in authority(reply, RecordType.NS):
        if owner != apex and is_within(owner, apex) and is_within(name, owner):
            return tuple(sorted(canonical(str(rdata)) for rdata in rrset))
    return None
