# SPDX-License-Identifier: Apache-2.0
"""The walk of a resolver from the root to the servers of a zone, one question at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from dns.rdatatype import AAAA, CNAME, DS, NS, A

from dnsworld.message import (
    BADVERS,
    FORMERR,
    NOERROR,
    NXDOMAIN,
    SERVFAIL,
    Query,
    Reply,
)
from dnsworld.names import ROOT, Name, and_ancestors, is_within, parent
from dnsworld.rdata import RRset, value_text
from dnsworld.zone import Zone

NO_REACHABLE_AUTHORITY, NETWORK_ERROR = 22, 23  # RFC 8914 section 4
_REFERRAL_LIMIT = 16
_QUERY_LIMIT = 100
#: Seconds: until a server counts as silent, until a resolution is given up, and how long a silent
#: server is asked after all others.
_PATIENCE, _GIVE_UP, _SHUN = 0.4, 1.6, 900.0
_PAYLOAD = 1232


class Network(Protocol):
    """What a resolver needs of the world."""

    #: Zones that are signed; the value is the extended error of those whose signatures are bad.
    signed: dict[Name, int | None]
    #: Zones of registries, taken for signed and sound.
    registries: set[Name]
    #: All zones there are.
    zones: dict[Name, Zone]

    def now(self) -> float:
        """The time in seconds."""
        ...

    def exchange(self, address: str, query: Query, *, tcp: bool) -> tuple[Reply | None, float]:
        """Ask a server; None where nothing comes back. With the seconds that it takes."""
        ...


@dataclass(slots=True)
class Work:
    """What one resolution has taken so far, and what went wrong on the way."""

    elapsed: float = 0.0
    queries: int = 0
    depth: int = 0
    errors: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the servers of a zone say: records (perhaps a CNAME), or a denial, or SERVFAIL."""

    rcode: int
    rrset: RRset | None = None
    soa: RRset | None = None


@dataclass(frozen=True, slots=True)
class _Cut:
    """Who serves a zone, as its parent said."""

    hosts: tuple[Name, ...]
    glue: dict[Name, tuple[str, ...]]
    until: float


#: Finds the addresses of a host by other means than glue.
FindAddresses = Callable[[Name, Work], tuple[str, ...]]


class Walk:
    """Asks the world's servers, and remembers the delegations it met as long as their TTL says."""

    def __init__(
        self, network: Network, root: str, find_addresses: FindAddresses, random: Random
    ) -> None:
        self._network, self._find_addresses, self._random = network, find_addresses, random
        self._cuts = {ROOT: _Cut((ROOT,), {ROOT: (root,)}, float("inf"))}
        self._silent: dict[str, float] = {}

    def forget(self) -> None:
        """Forget all delegations."""
        self._cuts = {ROOT: self._cuts[ROOT]}
        self._silent.clear()

    def longest_left(self, apex: Name) -> float:
        """How long, in seconds, a delegation at or below a name is remembered that changed."""
        now = self._network.now()
        cuts = (
            cut.until - now
            for name, cut in self._cuts.items()
            if is_within(name, apex) and self._has_changed(name, cut)
        )
        return max(0.0, *cuts, 0.0)

    def _has_changed(self, name: Name, cut: _Cut) -> bool:
        zones = self._network.zones
        above = next(
            zones[ancestor] for ancestor in and_ancestors(parent(name)) if ancestor in zones
        )
        ns = above.rrset(name, NS)
        return ns is None or {host for data in ns.data for host in data.names} != set(cut.hosts)

    def ask(self, name: Name, kind: int, work: Work) -> Outcome:
        """Find what the zone that holds a name says of it, one step far."""
        zone = self._nearest(name, kind)
        for _ in range(_REFERRAL_LIMIT):
            reply = self._ask_servers(zone, name, kind, work)
            if reply is None:
                break
            below = _referral(reply, zone, name)
            if below is None:
                return _outcome(reply, name, kind)
            self._remember(below, reply)
            zone = below.owner
        return Outcome(SERVFAIL)

    def _nearest(self, name: Name, kind: int) -> Name:
        """The deepest zone known to hold the name; a DS is held above the cut."""
        now = self._network.now()
        start = parent(name) if kind == DS and name != ROOT else name
        return next(
            ancestor
            for ancestor in and_ancestors(start)
            if ancestor in self._cuts and now < self._cuts[ancestor].until
        )

    def _remember(self, ns: RRset, reply: Reply) -> None:
        hosts = tuple(name for data in ns.data for name in data.names)
        glue = {host: _addresses(reply.additional, host) for host in hosts}
        self._cuts[ns.owner] = _Cut(hosts, glue, self._network.now() + ns.ttl)

    def _ask_servers(self, zone: Name, name: Name, kind: int, work: Work) -> Reply | None:
        """Ask the servers of a zone in a random order until one answers with sense."""
        cut = self._cuts[zone]
        hosts = self._random.sample(cut.hosts, len(cut.hosts))
        addresses = [
            address
            for host in hosts
            for address in cut.glue.get(host) or self._find_addresses(host, work)
        ]
        now = self._network.now()
        for address in sorted(addresses, key=lambda one: self._silent.get(one, 0.0) > now):
            if work.elapsed >= _GIVE_UP or work.queries > _QUERY_LIMIT:
                break
            reply = self._ask_server(address, name, kind, work)
            if reply is not None and _makes_sense(reply, zone, name):
                return reply
            if reply is None:
                self._silent[address] = now + _SHUN
            else:
                work.errors |= {NETWORK_ERROR}
        work.errors |= {NO_REACHABLE_AUTHORITY}
        return None

    def _ask_server(self, address: str, name: Name, kind: int, work: Work) -> Reply | None:
        """Ask one server: again without EDNS, or over TCP, where that is called for."""
        query = Query(name, kind, payload=_PAYLOAD)
        reply = self._send(address, query, work, tcp=False)
        if reply is None or reply.rcode in (FORMERR, BADVERS):
            query = replace(query, payload=None)
            reply = self._send(address, query, work, tcp=False)
        if reply is not None and reply.truncated:
            reply = self._send(address, query, work, tcp=True)
        return reply

    def _send(self, address: str, query: Query, work: Work, *, tcp: bool) -> Reply | None:
        reply, seconds = self._network.exchange(address, query, tcp=tcp)
        work.queries += 1
        work.elapsed += min(seconds, _PATIENCE) if reply is not None else _PATIENCE
        return reply if seconds <= _PATIENCE else None


def _addresses(rrsets: Sequence[RRset], host: Name) -> tuple[str, ...]:
    return tuple(
        value_text(rrset.type, data)
        for rrset in rrsets
        if rrset.owner == host and rrset.type in (A, AAAA)
        for data in rrset.data
    )


def _referral(reply: Reply, zone: Name, name: Name) -> RRset | None:
    """The delegation in a reply that leads nearer to a name."""
    if reply.answer or reply.authoritative:
        return None
    return next(
        (
            rrset
            for rrset in reply.authority
            if rrset.type == NS
            and rrset.owner != zone
            and is_within(rrset.owner, zone)
            and is_within(name, rrset.owner)
        ),
        None,
    )


def _makes_sense(reply: Reply, zone: Name, name: Name) -> bool:
    """Whether a reply comes from a server of the zone: with authority, or with a referral down."""
    if reply.rcode not in (NOERROR, NXDOMAIN):
        return False
    return reply.authoritative or _referral(reply, zone, name) is not None


def _outcome(reply: Reply, name: Name, kind: int) -> Outcome:
    """Take what a server says of the name itself; what it says of an alias target is not kept."""
    for rrset in reply.answer:
        if rrset.owner == name and rrset.type in (kind, CNAME):
            return Outcome(NOERROR, rrset)
    soa = next(iter(reply.authority), None)
    return Outcome(NXDOMAIN if reply.rcode == NXDOMAIN else NOERROR, soa=soa)
