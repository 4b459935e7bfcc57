# SPDX-License-Identifier: Apache-2.0
"""A name server: answers from its zones, or fails to in the ways that servers do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from dns.rdatatype import ANY, DS, MX, NS

from dnsworld.message import (
    BADVERS,
    FORMERR,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    YXDOMAIN,
    Query,
    Reply,
)
from dnsworld.names import ROOT, Name, and_ancestors, name_of, parent
from dnsworld.rdata import RRset, rdata_of
from dnsworld.zone import Found, Lookup, Zone

_ALIAS_LIMIT = 16
#: How long a secondary keeps its own copy when nobody says otherwise: for ever.
FOR_EVER = float("inf")


class Lame(Enum):
    """How a server shows that it does not serve a zone that it was given."""

    REFUSED = auto()
    SERVFAIL = auto()
    NOT_AUTHORITATIVE = auto()  # answers, but without AA
    UPWARD = auto()  # refers to the root


class Edns(Enum):
    """What a server does with a query that has an OPT record."""

    UNDERSTOOD = auto()
    FORMERR = auto()
    BADVERS = auto()
    DROPPED = auto()


@dataclass
class NameServer:
    """One server with one name; may have several addresses.

    `latency` is the time of one exchange in seconds, `loss` the probability that a datagram or its
    reply is lost. `udp_limit` bounds replies over UDP below what the query allows.
    `empty_is_nxdomain`: denies names that exist only because of names below them.
    `alias_hides`: of a CNAME beside other records, only the CNAME is seen.
    """

    name: str
    addresses: tuple[str, ...]
    latency: float = 0.005
    loss: float = 0.0
    dead: bool = False
    tcp_blocked: bool = False
    udp_limit: int | None = None
    edns: Edns = Edns.UNDERSTOOD
    empty_is_nxdomain: bool = False
    alias_hides: bool = False
    queries: int = 0
    _zones: dict[Name, Zone] = field(default_factory=dict)
    _held: dict[Name, tuple[Zone, float]] = field(default_factory=dict)
    _lame: dict[Name, Lame] = field(default_factory=dict)

    def serve(self, zone: Zone) -> None:
        """Serve a zone, always as it is now."""
        self._zones[zone.apex] = zone
        self._held.pop(zone.apex, None)

    def forget(self, apex: str) -> None:
        """Serve a zone no more: questions about it are refused."""
        self._zones.pop(name_of(apex), None)
        self._held.pop(name_of(apex), None)

    def hold(self, apex: str, until: float = FOR_EVER) -> Zone:
        """Keep the zone as it is now and miss later changes, until a time of the world's clock.

        Returns this server's own copy, which may be changed too.
        """
        own = self._zones[name_of(apex)].copy()
        self._held[own.apex] = (own, until)
        return own

    def transfer(self, apex: str) -> None:
        """Catch up with the zone."""
        self._held.pop(name_of(apex), None)

    def held_until(self, apex: Name) -> float:
        """When this server catches up with the zone by itself; 0 where it lags not."""
        return self._held[apex][1] if apex in self._held else 0.0

    def make_lame(self, apex: str, how: Lame | None) -> None:
        """Be lame for a zone (the root means all); None mends it."""
        if how is None:
            self._lame.pop(name_of(apex), None)
        else:
            self._lame[name_of(apex)] = how

    def answer(self, query: Query, now: float) -> tuple[Reply | None, float]:
        """Answer at a time of the world's clock; None says nothing. Thinking takes no time."""
        self.queries += 1
        if query.payload is not None and self.edns is not Edns.UNDERSTOOD:
            if self.edns is Edns.DROPPED:
                return None, 0.0
            if self.edns is Edns.BADVERS:
                return Reply(BADVERS), 0.0
            return Reply(FORMERR, edns=False), 0.0
        if query.type == ANY:
            return Reply(NOTIMP), 0.0
        lame = self._lameness(query.name) if self._lame else None
        match lame:
            case Lame.REFUSED:
                return Reply(REFUSED), 0.0
            case Lame.SERVFAIL:
                return Reply(SERVFAIL), 0.0
            case Lame.UPWARD:
                root = RRset(ROOT, NS, 518400, (rdata_of(NS, "a.root-servers.net"),))
                return Reply(authority=[root]), 0.0
        reply = self._resolve(query, now)
        if lame is Lame.NOT_AUTHORITATIVE:
            reply.authoritative = False
        reply.answer = [rrset.rotated(self.queries) for rrset in reply.answer]
        return reply, 0.0

    def _lameness(self, name: Name) -> Lame | None:
        return next(
            (self._lame[ancestor] for ancestor in and_ancestors(name) if ancestor in self._lame),
            None,
        )

    def _zone_of(self, name: Name, kind: int, now: float) -> Zone | None:
        """The deepest zone served here that holds the name; a DS is held above the cut."""
        start = parent(name) if kind == DS and name != ROOT else name
        for apex in (*and_ancestors(start), name):
            if apex in self._zones:
                held, until = self._held.get(apex, (None, 0.0))
                return held if held is not None and now < until else self._zones[apex]
        return None

    def _resolve(self, query: Query, now: float) -> Reply:
        """Answer as far as the zones served here reach (RFC 1034 section 4.3.2)."""
        reply, name, seen = Reply(), query.name, set[Name]()
        zone = self._zone_of(name, query.type, now)
        if zone is None:
            return Reply(REFUSED)
        while zone is not None and name not in seen and len(seen) < _ALIAS_LIMIT:
            seen.add(name)
            step = zone.lookup(name, query.type, alias_hides=self.alias_hides)
            if step.found is Found.REFERRAL:
                cut = step.rrsets[0]
                reply.authority.append(cut)
                reply.additional += zone.glue(cut)
                return reply
            if len(seen) == 1:
                reply.authoritative = True
            reply.answer += step.rrsets
            if step.found is not Found.ALIAS or step.target is None:
                self._conclude(reply, step, zone)
                return reply
            name = step.target
            zone = self._zone_of(name, query.type, now)
        return reply

    def _conclude(self, reply: Reply, step: Lookup, zone: Zone) -> None:
        """End a reply with what the last name has, or with the proof that it has nothing."""
        match step.found:
            case Found.ANSWER:
                if step.rrsets[0].type in (MX, NS):
                    reply.additional += zone.glue(step.rrsets[0])
                return
            case Found.TOO_LONG:
                reply.rcode = YXDOMAIN
                return
            case Found.NX_DOMAIN:
                reply.rcode = NXDOMAIN
            case Found.NO_DATA if step.empty and self.empty_is_nxdomain:
                reply.rcode = NXDOMAIN
        reply.authority.append(zone.denial)
