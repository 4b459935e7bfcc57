# SPDX-License-Identifier: Apache-2.0
"""The zone's point of view: its own servers, found from above, each believed only with AA."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroom.dns.answers import TCP_FAILED, Answer, Outcome, Question, RecordType, ServerAnswer
from postroom.dns.asking.cache import SingleFlightCache
from postroom.dns.asking.reach import OpenWay
from postroom.dns.asking.recursion import ResolverView
from postroom.dns.asking.retrying import Heard, RetryingClient
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import ALIAS_LIMIT, View, authority, is_referral
from postroom.dns.asking.zones import Servers, ZoneFinder
from postroom.dns.names import and_ancestors, can_be_asked, is_within

_REFERRAL_LIMIT = 4
#: A question to one server of a zone.
_AtHost = tuple[str, tuple[ServerAddress, ...], Question]


@dataclass(frozen=True, slots=True)
class Silence:
    """No server of a zone said anything; `overloaded`: because we did not ask them.

    `cut_off`: they answered, but what does not fit into a datagram could not be had over TCP.
    """

    overloaded: bool
    cut_off: bool = False

    def answer(self, question: Question) -> Answer:
        """The timeout as an answer, with the TCP failure where there was one."""
        errors = (TCP_FAILED,) if self.cut_off else ()
        return Answer(question, Outcome.TIMEOUT, errors=errors)


#: Of these the resolver would say the same.
_UNREADABLE = frozenset({Outcome.MALFORMED, Outcome.TOO_LARGE})


class AuthorityView:
    """Asks the servers of zones. Where the way to them is blocked, the resolver's word stands."""

    def __init__(self, zones: ZoneFinder, resolver: ResolverView, client: RetryingClient) -> None:
        self._zones, self._resolver, self._client = zones, resolver, client
        self.reach = OpenWay()
        self._hosts: SingleFlightCache[_AtHost, Answer | Servers] = SingleFlightCache()

    async def locate(self, name: str) -> Servers | Answer:
        """Return the zone that holds a name, exactly.

        Where the resolver fails at it, as it does for a zone with broken DNSSEC, the delegation
        is followed from the nearest zone above that it can see. So in whichever way it fails: what
        it meets at servers that we may not ask must not show.
        """
        found = await self._zones.exact(name)
        if isinstance(found, Answer) and not found.conclusive:
            return await self._descend(name) or found
        return found

    async def ask(self, question: Question) -> Answer:
        """The answer of the zone's servers, and of those of the zones that CNAMEs lead to."""
        aliases: tuple[str, ...] = ()
        strict, here = True, question
        while True:
            answer = await self._ask_zone(here)
            aliases += answer.aliases
            strict = strict and answer.authoritative
            # A server of one zone need not know what stands behind an alias into another.
            dangling = answer.aliases and answer.conclusive and answer.outcome is not Outcome.FOUND
            if not dangling or not answer.authoritative:
                return replace(answer, question=question, aliases=aliases, authoritative=strict)
            if len(aliases) > ALIAS_LIMIT or len({question.name, *aliases}) <= len(aliases):
                return Answer(question, Outcome.MALFORMED, aliases=aliases[:ALIAS_LIMIT])
            here = Question(aliases[-1], question.type)
            if not can_be_asked(here.name):
                return Answer(question, Outcome.NX_DOMAIN, aliases=aliases, authoritative=strict)

    async def every(self, question: Question, *, at_apex: bool = False) -> tuple[ServerAnswer, ...]:
        """What each server of the zone answers that holds the name; `at_apex`: for its apex."""
        servers = await self.locate(question.name)
        for _ in range(_REFERRAL_LIMIT):
            if isinstance(servers, Answer):
                return ()
            asked = Question(servers.zone.apex, question.type) if at_apex else question
            looks = await asyncio.gather(
                *(
                    self._ask_host(servers, host, addresses, asked)
                    for host, addresses in servers.hosts
                )
            )
            deeper = next((look for look in looks if isinstance(look, Servers)), None)
            if deeper is None or at_apex:
                return _told(servers, looks)
            if any(isinstance(look, Answer) and look.conclusive for look in looks):
                # Some have another version of the zone, in which the name is not handed away.
                led = await asyncio.gather(*(self._led(look, question) for look in looks))
                return _told(servers, led)
            self._zones.remember(deeper)
            servers = deeper
        return ()

    async def named(self, apex: str, hosts: Sequence[str]) -> tuple[ServerAnswer, ...]:
        """The SOA of a zone at each of the servers that somebody names for it, by their names."""
        servers = await self._zones.of_hosts(apex, hosts)
        question = Question(apex, RecordType.SOA)
        looks = await asyncio.gather(
            *(
                self._ask_host(servers, host, addresses, question)
                for host, addresses in servers.hosts
            )
        )
        return _told(servers, looks)

    async def ask_servers(self, servers: Servers, question: Question) -> Answer | Servers | Silence:
        """The first answer with authority, or referral deeper, of the servers of one zone."""
        if not servers.addresses:
            # Nobody was silent: where they listen could not be learnt, or none may be asked. The
            # resolver's word, which may be an old one, does not stand in for theirs.
            failure = Outcome.DENIED if servers.denied else Outcome.SERVER_FAILURE
            return Answer(question, failure)
        found = await self._ask(servers, servers.addresses, question)
        if isinstance(found, Servers):
            self._zones.remember(found)
        return found

    async def _ask_zone(self, question: Question) -> Answer:
        """The answer of the zone that holds the name, or of those that it is delegated to."""
        if not self.reach.may_ask():
            return await self._resolver.answer(question)
        servers = await self._zones.near(question.name)
        if isinstance(servers, Answer) and not servers.conclusive:
            # Its own records may be what the resolver fails at: a CNAME that leads in a circle.
            name = question.name
            servers = await self._descend(name) or await self._zones.above(name) or servers
        if isinstance(servers, Answer):
            return replace(servers, question=question, authoritative=False)
        for _ in range(_REFERRAL_LIMIT):
            found = await self.ask_servers(servers, question)
            if isinstance(found, Answer):
                if found.conclusive or found.outcome is Outcome.DENIED:
                    return found
                self._zones.forget(servers)
                return await self._kept(found)
            if isinstance(found, Servers):
                servers = found
                continue
            if found.overloaded:
                return found.answer(question)
            answer = await self._resolver.answer(question)
            return found.answer(question) if found.cut_off and not answer.conclusive else answer
        return Answer(question, Outcome.MALFORMED)

    async def _led(self, found: Answer | Servers | Silence, question: Question) -> Answer:
        """What is answered where a server refers to: whoever asks that server sees it."""
        for _ in range(_REFERRAL_LIMIT):
            if not isinstance(found, Servers):
                break
            found = await self.ask_servers(found, question)
        if isinstance(found, Servers):
            return Answer(question, Outcome.MALFORMED)
        return found.answer(question) if isinstance(found, Silence) else found

    async def _kept(self, failure: Answer) -> Answer:
        """What the world still sees where all servers refuse, as where all are silent: what the
        resolver keeps, until that expires."""
        if failure.server is None or failure.outcome in _UNREADABLE:
            return failure
        answer = await self._resolver.answer(failure.question)
        return answer if answer.outcome is Outcome.FOUND else failure

    async def _ask_host(
        self,
        servers: Servers,
        host: str,
        addresses: Sequence[ServerAddress],
        question: Question,
    ) -> Answer | Servers:
        if not addresses:
            denied = host in servers.denied
            return Answer(question, Outcome.DENIED if denied else Outcome.SERVER_FAILURE)
        # A server that is known to be dead is asked again when that is too long ago to count: no
        # look should wait for the same silence as the one before.
        if not self.reach.may_ask() or all(map(self._client.health.is_dead, addresses)):
            return Answer(question, Outcome.TIMEOUT)

        async def look() -> tuple[Answer | Servers, float]:
            found = await self._ask(servers, addresses, question, alone=True)
            return found.answer(question) if isinstance(found, Silence) else found, 0

        # A look at the zone and one at its delegation ask the same servers for the same SOA.
        return await self._hosts.get((servers.zone.apex, tuple(addresses), question), look)

    async def _ask(
        self,
        servers: Servers,
        addresses: Sequence[ServerAddress],
        question: Question,
        *,
        alone: bool = False,
    ) -> Answer | Servers | Silence:
        """The first answer with authority, or referral deeper, of some servers of a zone."""
        started = asyncio.get_running_loop().time()
        apex = servers.zone.apex

        def usable(heard: Heard) -> bool:
            return speaks_for(heard, apex)

        found = await self._client.ask(addresses, question, View.NAMESERVER, usable, alone=alone)
        if any(self._client.health.heard_since(address, started) for address in addresses):
            self.reach.heard()
        if found.usable is not None:
            return within(found.usable.answer, apex)
        for heard in found.failures:
            deeper = await self._zones.refer(heard.reply, question.name, servers)
            if deeper is not None:
                return deeper
        answer = found.without_authority().answer(question)
        if answer.outcome is not Outcome.TIMEOUT:
            return answer
        cut_off = TCP_FAILED in answer.errors
        if not (found.overloaded or cut_off) and set(addresses) == set(servers.addresses):
            self.reach.silent(servers.zone.apex)
        return Silence(found.overloaded, cut_off)

    async def _descend(self, name: str) -> Servers | None:
        """Follow the delegations to a name from the nearest zone above that can be found."""
        for ancestor in list(and_ancestors(name))[1:]:
            servers = await self._zones.exact(ancestor)
            if isinstance(servers, Servers):
                break
        else:
            return None
        above = servers
        for _ in range(_REFERRAL_LIMIT):
            found = await self.ask_servers(servers, Question(name, RecordType.SOA))
            if not isinstance(found, Servers):
                break
            servers = found
        # Whoever answers with authority holds the name, even if it was known from the beginning.
        held = isinstance(found, Answer) and found.conclusive
        return servers if held or servers is not above else None


def _told(servers: Servers, looks: Sequence[Answer | Servers]) -> tuple[ServerAnswer, ...]:
    """The answers among what the servers of a zone said, by their names."""
    return tuple(
        ServerAnswer(name, look)
        for (name, _), look in zip(servers.hosts, looks, strict=True)
        if isinstance(look, Answer)
    )


def has_authority(heard: Heard) -> bool:
    """Whether a reply says something, with AA."""
    return heard.answer.conclusive and heard.answer.authoritative


def speaks_for(heard: Heard, apex: str) -> bool:
    """Whether a reply says something, with AA, that servers of a zone may say of its names."""
    return has_authority(heard) and not is_of_another_zone(heard, apex)


def is_of_another_zone(heard: Heard, apex: str) -> bool:
    """Whether a name of a zone is denied by a zone above it, such as a root that a server has made
    up, or referred to another one, whatever AA says: the server does not tell of this one (RFC 2308
    sections 2.2 and 3)."""
    answer = heard.answer
    if isinstance(heard.reply, Outcome) or answer.outcome is Outcome.FOUND or answer.aliases:
        return False
    if is_referral(heard.reply):
        return all(owner != apex for owner, _ in authority(heard.reply, RecordType.NS))
    owners = [owner for owner, _ in authority(heard.reply, RecordType.SOA)]
    return bool(owners) and not any(is_within(owner, apex) for owner in owners)


def within(answer: Answer, apex: str) -> Answer:
    """What the servers of a zone may tell: of aliases that lead out of it, where the first leads.

    What they have of another zone may be an old copy, or one that a stranger has put there; whoever
    resolves the name asks that zone's own servers (RFC 2181 section 5.4.1).
    """
    for count, alias in enumerate(answer.aliases, start=1):
        if not is_within(alias, apex):
            return replace(
                answer,
                outcome=Outcome.NO_DATA,
                aliases=answer.aliases[:count],
                values=(),
                strings=(),
            )
    return answer
