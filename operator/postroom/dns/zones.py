# SPDX-License-Identifier: Apache-2.0
"""Which zone holds a name, and where its servers listen: asked of the resolver, kept by TTL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import dns.message
import dns.rcode

from postroom.dns.answers import Answer, Outcome, Question, RecordType, Zone
from postroom.dns.cache import SingleFlightCache
from postroom.dns.names import and_ancestors, canonical, is_within
from postroom.dns.wire import (
    Reply,
    Section,
    ServerAddress,
    authority,
    glue,
    is_authoritative,
    read_answer,
)

#: Most servers of one zone that are considered.
SERVERS_LIMIT = 8
#: Bounds on how long a zone's place is kept, in seconds, whatever its TTL says.
_KEEP_LEAST, _KEEP_MOST = 1.0, 3600.0

#: Asks the resolvers one question; a rcode other than NOERROR and NXDOMAIN comes as an outcome.
AskReply = Callable[[Question], Awaitable[Reply]]
AskAnswer = Callable[[Question], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Servers:
    """A zone and where its servers listen."""

    zone: Zone
    addresses: tuple[ServerAddress, ...]


class ZoneFinder:
    """Finds zones. `port` is where authoritative servers listen, `limit` in seconds bounds a look.

    Concurrent looks share their questions; failures are not kept.
    """

    def __init__(self, ask_reply: AskReply, ask: AskAnswer, port: int, limit: float) -> None:
        self._ask_reply, self._ask, self._port, self._limit = ask_reply, ask, port, limit
        self._apexes: SingleFlightCache[str, str | Answer] = SingleFlightCache()
        self._answers: SingleFlightCache[Question, Answer] = SingleFlightCache()

    async def find(self, name: str) -> Servers | Answer:
        """Return the zone that holds `name`, or the answer that kept us from finding it."""
        apex = await self._apexes.get(name, lambda: self._find_apex(name))
        if isinstance(apex, Answer):
            return apex
        ns = await self._kept(Question(apex, RecordType.NS))
        if not ns.values:
            return replace(ns, outcome=_failure(ns))
        nameservers = tuple(sorted(set(ns.values)))[:SERVERS_LIMIT]
        addresses = await self._addresses(nameservers)
        if not addresses:
            return Answer(ns.question, Outcome.SERVER_FAILURE)
        return Servers(Zone(apex, nameservers), addresses)

    async def refer(self, reply: Reply, name: str, servers: Servers) -> Servers | None:
        """Return the deeper zone that a reply refers to; the resolver did not know of it yet."""
        if isinstance(reply, Outcome) or reply.answer or is_authoritative(reply):
            return None
        for owner, rrset in authority(reply, RecordType.NS):
            # Downwards only: a referral upwards is what lame servers give.
            if owner == servers.zone.apex or not is_within(owner, servers.zone.apex):
                continue
            if not is_within(name, owner):
                continue
            names = tuple(sorted(canonical(str(rdata)) for rdata in rrset))[:SERVERS_LIMIT]
            addresses = self._in_rounds([glue(reply, one) for one in names])
            addresses = addresses or await self._addresses(names)
            return Servers(Zone(owner, names), addresses) if addresses else None
        return None

    async def _find_apex(self, name: str) -> tuple[str | Answer, float]:
        """Find the nearest SOA at a name or above it (RFC 1034 section 4.2.1)."""
        try:
            async with asyncio.timeout(self._limit):
                for ancestor in and_ancestors(name):
                    question = Question(ancestor, RecordType.SOA)
                    reply = await self._ask_reply(question)
                    if isinstance(reply, Outcome):
                        return Answer(question, reply), 0
                    found = _apex(reply, question)
                    if found is not None:
                        return found[0], _bounded(found[1])
        except TimeoutError:
            return Answer(Question(name, RecordType.SOA), Outcome.TIMEOUT), 0
        return Answer(Question(name, RecordType.SOA), Outcome.NX_DOMAIN), 0

    async def _kept(self, question: Question) -> Answer:
        """Ask the resolvers, or remember what they said."""

        async def fetch() -> tuple[Answer, float]:
            answer = await self._ask(question)
            return answer, _bounded(answer.ttl or 0) if answer.conclusive else 0

        return await self._answers.get(question, fetch)

    async def _addresses(self, nameservers: Sequence[str]) -> tuple[ServerAddress, ...]:
        kinds = (RecordType.A, RecordType.AAAA)
        answers = await asyncio.gather(
            *(self._kept(Question(name, kind)) for name in nameservers for kind in kinds)
        )
        pairs = zip(answers[::2], answers[1::2], strict=True)
        return self._in_rounds([(*four.values, *six.values) for four, six in pairs])

    def _in_rounds(self, by_server: Sequence[Sequence[str]]) -> tuple[ServerAddress, ...]:
        """Order addresses: the first of each server before the second of any."""
        rounds = max(map(len, by_server), default=0)
        return tuple(
            ServerAddress(addresses[index], self._port)
            for index in range(rounds)
            for addresses in by_server
            if index < len(addresses)
        )


def _bounded(ttl: float) -> float:
    return min(max(ttl, _KEEP_LEAST), _KEEP_MOST)


def _failure(answer: Answer) -> Outcome:
    """A zone without servers is broken; otherwise say why its servers could not be learnt."""
    return Outcome.SERVER_FAILURE if answer.conclusive else answer.outcome


def _apex(reply: dns.message.Message, question: Question) -> tuple[str, float] | None:
    """Return the apex that a SOA reply shows, with the seconds that it may be kept.

    It is the name itself, or the zone that denies it (RFC 2308 section 3). At an alias the reply
    may be about the zone of the target, which says nothing.
    """
    section = read_answer(reply, question)
    if not isinstance(section, Section) or section.aliases:
        return None
    if section.values:
        return question.name, float(section.ttl or 0)
    for owner, rrset in authority(reply, RecordType.SOA):
        if is_within(question.name, owner):
            return owner, float(min(rrset.ttl, rrset[0].minimum))
    return None
