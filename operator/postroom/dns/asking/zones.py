# SPDX-License-Identifier: Apache-2.0
"""Which zone holds a name, and where its servers listen: asked of the resolver, kept by TTL."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

import dns.message
import dns.rcode

from postroom.concurrency.patience import limited
from postroom.dns.answers import PORT, Answer, Outcome, Question, RecordType, Zone
from postroom.dns.asking.cache import Clock, SingleFlightCache, kept_for
from postroom.dns.asking.recursion import ResolverView
from postroom.dns.asking.retrying import Timing
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import Reply, Section, authority, glue, is_referral, read_answer
from postroom.dns.names import and_ancestors, canonical, is_within

#: Most servers of one zone, and addresses of one server, that are considered.
SERVERS_LIMIT = 8
ADDRESSES_LIMIT = 4
_ZONES_LIMIT = 20_000
#: The address of all hosts of the own network (RFC 919).
_EVERYBODY = "255.255.255.255"

#: Tells whether an address may be dialled.
MayAsk = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Servers:
    """A zone and where its servers listen: (name, addresses) of each, in the order of names.

    `ttl` is in seconds: how long this may be believed. `denied` are the servers that have
    addresses, of which none may be dialled.
    """

    zone: Zone
    hosts: tuple[tuple[str, tuple[ServerAddress, ...]], ...]
    ttl: float = 0.0
    denied: frozenset[str] = frozenset()

    @property
    def addresses(self) -> tuple[ServerAddress, ...]:
        """All addresses: the first of each server before the second of any."""
        rounds = max((len(addresses) for _, addresses in self.hosts), default=0)
        return tuple(
            addresses[index]
            for index in range(rounds)
            for _, addresses in self.hosts
            if index < len(addresses)
        )


class ZoneFinder:
    """Finds zones through the resolver; `port` is where authoritative servers listen.

    `may_ask` judges each address that a zone or a referral names, before it is dialled: whoever
    holds a zone could make us ask servers inside of our own network otherwise.
    Concurrent looks share their questions; failures are kept for a moment only. `Timing.look`
    bounds the way up to the zone's apex.
    """

    def __init__(
        self,
        view: ResolverView,
        port: int,
        timing: Timing,
        clock: Clock | None,
        may_ask: MayAsk | None = None,
    ) -> None:
        self._view, self._port, self._timing = view, port, timing
        self._may_ask = may_ask or (lambda address: True)
        self._apexes: SingleFlightCache[str, str | Answer] = SingleFlightCache(_ZONES_LIMIT, clock)
        self._servers: SingleFlightCache[str, Servers | Answer] = SingleFlightCache(
            _ZONES_LIMIT, clock
        )

    async def exact(self, name: str) -> Servers | Answer:
        """Return the zone that holds `name`, or the answer that kept us from finding it."""
        apex = await self._apexes.get(name, lambda: self._climb(name))
        if isinstance(apex, Answer):
            return apex
        servers = await self._servers_of(apex)
        if isinstance(servers, Answer):
            self._apexes.forget(name)  # it may have ceased to be a zone
        return servers

    async def of_hosts(self, apex: str, names: Sequence[str]) -> Servers:
        """Return a zone with these servers, whoever named them, and where they listen."""
        wanted = considered(names)
        return self._servers_at(Zone(apex, wanted, self._port), await self._hosts(wanted))

    async def near(self, name: str) -> Servers | Answer:
        """Return the zone that holds `name`, or one above it that is known already.

        The servers of a zone above refer to the deeper one, so that nothing is lost by asking
        them; and the resolver need not be asked about every name of a domain.
        """
        known = self._known(name)
        # Of the names above, or this one, the nearest whose zone is looked for at this moment.
        ancestors = (ancestor for ancestor in and_ancestors(name) if "." in ancestor)
        coming = next(filter(self._apexes.in_flight, ancestors), None)
        if known is None and coming is not None:
            await self.exact(coming)
            known = self._known(name)
        servers = None if known is None else await self._servers_of(known)
        if isinstance(servers, Servers):
            return servers
        # Names with an underscore hold records of a domain (RFC 8552); it is the domain, behind the
        # last of these labels, whose zone is worth knowing.
        labels = name.split(".")
        marked = [index for index, label in enumerate(labels) if label.startswith("_")]
        rest = labels[marked[-1] + 1 :] if marked else labels
        return await self.exact(".".join(rest) if len(rest) > 1 else name)

    async def above(self, name: str) -> Servers | None:
        """Return the nearest zone that holds the parent of a name, but no top-level domain."""
        found = await self.exact(name.partition(".")[2] or name)
        return found if isinstance(found, Servers) and "." in found.zone.apex else None

    def remember(self, servers: Servers) -> None:
        """Keep a zone that was found by following a referral."""
        apex, seconds = servers.zone.apex, kept_for(servers.ttl)
        self._servers.keep(apex, servers, seconds)
        self._apexes.keep(apex, apex, seconds)

    def forget(self, servers: Servers) -> None:
        """Look for a zone's servers again next time: those that were found do not serve it."""
        self._servers.forget(servers.zone.apex)
        self._view.forget(Question(servers.zone.apex, RecordType.NS))

    async def refer(self, reply: Reply, name: str, servers: Servers) -> Servers | None:
        """Return the deeper zone that a reply refers to; the resolver did not know of it yet."""
        if isinstance(reply, Outcome) or not is_referral(reply):
            return None
        for owner, rrset in authority(reply, RecordType.NS):
            # Downwards only: a referral upwards is what lame servers give.
            if owner == servers.zone.apex or not is_within(owner, servers.zone.apex):
                continue
            if not is_within(name, owner):
                continue
            names = considered(canonical(str(rdata)) for rdata in rrset)
            zone, ttl = Zone(owner, names, self._port), float(rrset.ttl)
            # What they say of hosts that are in no zone of theirs is hearsay (RFC 5452 section 6).
            glued = {
                host: glue(reply, host) if is_within(host, servers.zone.apex) else ()
                for host in names
            }
            looked_up = dict(await self._hosts([host for host in names if not glued[host]]))
            found = self._servers_at(
                zone, [(host, glued[host] or looked_up[host]) for host in names], ttl
            )
            if found.addresses or not any(glued.values()):
                return found
            elsewhere = self._servers_at(zone, await self._hosts(names), ttl)
            return replace(elsewhere, denied=elsewhere.denied | found.denied)
        return None

    def _known(self, name: str) -> str | None:
        """The apex of the nearest zone above a name that was found before.

        Never a top-level domain: its servers are to be spared.
        """
        for ancestor in and_ancestors(name):
            if "." not in ancestor:
                return None
            if isinstance(self._servers.kept(ancestor), Servers):
                return ancestor
            apex = self._apexes.kept(ancestor)
            if isinstance(apex, str) and "." in apex:
                return apex
        return None

    async def _climb(self, name: str) -> tuple[str | Answer, float]:
        """Find the nearest SOA at a name or above it (RFC 1034 section 4.2.1)."""
        try:
            async with limited(self._timing.look, self._timing.queue):
                for ancestor in and_ancestors(name):
                    question = Question(ancestor, RecordType.SOA)
                    heard = await self._view.ask(question)
                    if isinstance(heard.reply, Outcome) or not heard.answer.conclusive:
                        return heard.answer, 0
                    found = _apex(heard.reply, question)
                    if found is not None:
                        return found[0], kept_for(found[1])
                    denied_by = (owner for owner, _ in authority(heard.reply, RecordType.SOA))
                    if heard.reply.rcode() == dns.rcode.NXDOMAIN and "" in denied_by:
                        # The root itself says that there is no such top-level domain.
                        return Answer(Question(name, RecordType.SOA), Outcome.NX_DOMAIN), 0
        except TimeoutError:
            return Answer(Question(name, RecordType.SOA), Outcome.TIMEOUT), 0
        # A sound denial shows the zone that it comes from, at last the root (RFC 2308 section 3).
        # Who denies a top-level domain and shows not even that denies all: it proves nothing.
        return Answer(Question(name, RecordType.SOA), Outcome.SERVER_FAILURE), 0

    async def _servers_of(self, apex: str) -> Servers | Answer:
        async def look() -> tuple[Servers | Answer, float]:
            ns = await self._view.shared(Question(apex, RecordType.NS))
            if not ns.values:
                # A zone without servers is broken; otherwise say why they could not be learnt.
                outcome = Outcome.SERVER_FAILURE if ns.conclusive else ns.outcome
                return replace(ns, outcome=outcome), 0
            names = considered(ns.values)
            ttl = float(ns.ttl or 0)
            servers = self._servers_at(Zone(apex, names, self._port), await self._hosts(names), ttl)
            if not servers.addresses and not servers.denied:
                return Answer(ns.question, Outcome.SERVER_FAILURE), 0
            return servers, kept_for(ttl)

        return await self._servers.get(apex, look)

    async def _hosts(self, names: Sequence[str]) -> Sequence[tuple[str, Sequence[str]]]:
        kinds = (RecordType.A, RecordType.AAAA)
        answers = await asyncio.gather(
            *(self._view.shared(Question(name, kind)) for name in names for kind in kinds)
        )
        pairs = zip(names, answers[::2], answers[1::2], strict=True)
        return [(name, (*four.values, *six.values)) for name, four, six in pairs]

    def _servers_at(
        self, zone: Zone, found: Sequence[tuple[str, Sequence[str]]], ttl: float = 0.0
    ) -> Servers:
        """Take of each server the addresses that it can listen at; of a mass of them, some."""
        hosts, denied = list[tuple[str, tuple[ServerAddress, ...]]](), set[str]()
        for name, addresses in found:
            # A query to an address that is nobody's own might reach a whole network.
            fine = [
                address
                for address in addresses
                if not (parsed := ip_address(address)).is_multicast
                and not parsed.is_unspecified
                and address != _EVERYBODY
            ]
            allowed = [address for address in fine if self._may_ask(address)]
            if fine and not allowed:
                denied.add(name)
            usable = (ServerAddress(address, self._port) for address in allowed[:ADDRESSES_LIMIT])
            hosts.append((name, tuple(usable)))
        if self._port != PORT:
            zone = replace(zone, addresses={name: at[0].address for name, at in hosts if at})
        return Servers(zone, tuple(hosts), ttl, frozenset(denied))


def considered(names: Iterable[str]) -> tuple[str, ...]:
    """The names of servers that are considered, sorted."""
    return tuple(sorted(set(names)))[:SERVERS_LIMIT]


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
