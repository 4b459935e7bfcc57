# SPDX-License-Identifier: Apache-2.0
"""A recursive resolver with a cache, positive and negative, on the world's clock.

A resolution is computed at once and its duration added up; who asks the same meanwhile waits as
long as the first. So there is one course of events for one seed, and a query costs little.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from dns.rdatatype import AAAA, CNAME, DS, A

from dnsworld.iteration import Network, Outcome, Walk, Work
from dnsworld.message import NOERROR, NXDOMAIN, REFUSED, SERVFAIL, Query, Reply
from dnsworld.names import Name, and_ancestors, is_within, name_of, parent
from dnsworld.rdata import RRset, first_target, value_text
from dnsworld.zone import Found, Zone

STALE_ANSWER = 3  # RFC 8914 section 4.4
_STALE_TTL = 30  # RFC 8767 section 4
_ALIAS_LIMIT = 12
_DEPTH_LIMIT = 4
_EVERY_TYPE = 0  # cache key of a denial that holds for all types


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of a name and type. Times in seconds: when it was stored, how long it may
    be kept, and when the resolution that found it ended."""

    outcome: Outcome
    stored: float
    ttl: float
    errors: tuple[int, ...] = ()
    ready: float = 0.0

    def left(self, now: float) -> float:
        return min(self.stored + self.ttl - now, self.ttl)


class RecursiveResolver:
    """Answers recursive questions.

    `latency` is the time of an exchange with a client, `failure_ttl` that for which a failure is
    remembered (RFC 9520), in seconds. `validating`: signed zones with bad signatures are answered
    SERVFAIL, unless the query has CD set, and sound ones with AD. `stale`: expired records are
    served where no server answers (RFC 8767). `ttl_cap` bounds all TTLs, in seconds.
    `denies_below`: NXDOMAIN holds for names below too (RFC 8020).
    """

    def __init__(self, network: Network, address: str, root: str, random: Random) -> None:
        self.addresses = (address,)
        self.latency, self.loss = 0.001, 0.0
        self.dead = self.tcp_blocked = False
        self.udp_limit: int | None = None
        self.failure_ttl = 5.0
        self.validating, self.stale, self.denies_below = True, False, False
        self.ttl_cap: int | None = None
        self.queries = 0
        self._network = network
        self._local: dict[Name, Zone] = {}
        self._cache: dict[tuple[Name, int], _Known] = {}
        self._failing: dict[tuple[Name, int], float] = {}
        self._walk = Walk(network, root, self._addresses_of, random)

    def serve_locally(self, zone: Zone) -> None:
        """Answer from this zone, not from the world: a split horizon."""
        self._local[zone.apex] = zone

    def flush(self) -> None:
        """Forget everything."""
        self._cache.clear()
        self._failing.clear()
        self._walk.forget()

    def longest_left(self, apex: str) -> float:
        """How long, in seconds, anything at or below a name stays remembered; of delegations, what
        has changed since."""
        now, top = self._network.now(), name_of(apex)
        known = (one.left(now) for (name, _), one in self._cache.items() if is_within(name, top))
        return max(self._walk.longest_left(top), *known, 0.0)

    def answer(self, query: Query, now: float) -> tuple[Reply | None, float]:
        """Answer a client at a time of the world's clock, with the seconds that it takes."""
        self.queries += 1
        if not query.recursion_desired:
            return Reply(REFUSED, recursion_available=True), 0.0
        work = Work()
        reply, names = self._follow(query, work, now)
        if self.validating and reply.rcode in (NOERROR, NXDOMAIN):
            secure, bogus = self._validate(names, work)
            if bogus is not None and not query.checking_disabled:
                reply = Reply(SERVFAIL, errors=(bogus,))
            wanted = query.authentic_data or query.dnssec_ok
            reply.authentic_data = secure and wanted and not query.checking_disabled
        reply.recursion_available = True
        return reply, work.elapsed

    def _follow(self, query: Query, work: Work, now: float) -> tuple[Reply, list[Name]]:
        """Answer along the chain of aliases; with the names that it passed."""
        reply, name, names, errors = Reply(), query.name, list[Name](), set[int]()
        for _ in range(_ALIAS_LIMIT):
            known = self._look(name, query.type, work, now)
            outcome, ttl = known.outcome, self._shown_ttl(known, now)
            names.append(parent(name) if query.type == DS else name)
            errors |= set(known.errors)
            if outcome.rcode == SERVFAIL:
                return Reply(SERVFAIL, errors=tuple(sorted(errors))), names
            if outcome.rrset is None:
                reply.rcode = outcome.rcode
                if outcome.soa is not None:
                    reply.authority.append(replace(outcome.soa, ttl=ttl))
                break
            reply.answer.append(replace(outcome.rrset, ttl=ttl).rotated(self.queries))
            if outcome.rrset.type == query.type:
                break
            name = first_target(outcome.rrset)
        else:
            return Reply(SERVFAIL), names
        reply.errors = tuple(sorted(errors))
        return reply, names

    def _shown_ttl(self, known: _Known, now: float) -> int:
        left = known.left(now)
        return round(left) if left > 0 else _STALE_TTL

    def _look(self, name: Name, kind: int, work: Work, now: float) -> _Known:
        """Remember, or find out, what there is at one name."""
        for apex in and_ancestors(name):
            if apex in self._local:
                return _known_locally(self._local[apex], name, kind, now)
        fresh = self._remembered(name, kind, now)
        if fresh is not None:
            work.elapsed = max(work.elapsed, fresh.ready - now)
            return fresh
        old = self._cache.get((name, CNAME)) or self._cache.get((name, kind))
        if old is not None and now < self._failing.get((name, kind), 0.0):
            return replace(old, errors=(STALE_ANSWER,))
        mine = Work(depth=work.depth, queries=work.queries)
        outcome = self._walk.ask(name, kind, mine)
        work.elapsed += mine.elapsed
        work.queries = mine.queries
        failed = outcome.rcode == SERVFAIL
        if failed and self.stale and old is not None and old.outcome.rcode != SERVFAIL:
            self._failing[name, kind] = now + work.elapsed + self.failure_ttl
            return replace(old, errors=(STALE_ANSWER, *sorted(mine.errors)))
        ready = now + work.elapsed
        known = _Known(outcome, ready, self._keep(outcome), (), ready)
        if failed:
            known = replace(known, errors=tuple(sorted(mine.errors)))
        self._store(name, kind, known)
        return known

    def _remembered(self, name: Name, kind: int, now: float) -> _Known | None:
        keys = [(name, CNAME), (name, kind), (name, _EVERY_TYPE)]
        if self.denies_below:
            keys += [(above, _EVERY_TYPE) for above in and_ancestors(name)]
        for key in keys:
            known = self._cache.get(key)
            if known is None or known.left(now) <= 0:
                continue
            if key[1] == CNAME != kind and known.outcome.rrset is None:
                continue  # that there is no CNAME says nothing of other types
            return known
        return None

    def _store(self, name: Name, kind: int, known: _Known) -> None:
        outcome = known.outcome
        if outcome.rrset is not None:
            kind = outcome.rrset.type
        elif outcome.rcode == NXDOMAIN:
            kind = _EVERY_TYPE
        self._cache[name, kind] = known

    def _keep(self, outcome: Outcome) -> float:
        """How many seconds an outcome may be kept."""
        if outcome.rcode == SERVFAIL:
            return self.failure_ttl
        source = outcome.rrset or outcome.soa
        ttl = float(source.ttl) if source is not None else 0.0
        return ttl if self.ttl_cap is None else min(ttl, self.ttl_cap)

    def _addresses_of(self, host: Name, work: Work) -> tuple[str, ...]:
        """Resolve the name of a name server that came without glue."""
        if work.depth >= _DEPTH_LIMIT:
            return ()
        work.depth += 1
        found = tuple[str, ...]()
        for kind in (A, AAAA):
            outcome = self._look(host, kind, work, self._network.now()).outcome
            if outcome.rrset is not None and outcome.rrset.type == kind:
                found = tuple(value_text(kind, data) for data in outcome.rrset.data)
                break
        work.depth -= 1
        return found

    def _validate(self, names: list[Name], work: Work) -> tuple[bool, int | None]:
        """Whether the zones of all names are signed and sound, and the extended error of the first
        that is signed badly (RFC 4035 section 4.3)."""
        secure = True
        for name in names:
            zones = [
                ancestor for ancestor in and_ancestors(name) if ancestor in self._network.zones
            ]
            for zone in reversed(zones):
                if zone in self._network.registries:
                    continue
                if zone not in self._network.signed or not self._has_ds(zone, work):
                    secure = False  # and so is everything below, whatever it is signed with
                    break
                bogus = self._network.signed[zone]
                if bogus is not None:
                    return False, bogus
        return secure, None

    def _has_ds(self, zone: Name, work: Work) -> bool:
        found = self._look(zone, DS, work, self._network.now()).outcome.rrset
        return found is not None and found.type == DS


def _known_locally(zone: Zone, name: Name, kind: int, now: float) -> _Known:
    step = zone.lookup(name, kind)
    rrset: RRset | None = step.rrsets[-1] if step.found in (Found.ANSWER, Found.ALIAS) else None
    rcode = NXDOMAIN if step.found is Found.NX_DOMAIN else NOERROR
    soa = zone.denial if rrset is None else None
    ttl = rrset.ttl if rrset is not None else zone.minimum
    return _Known(Outcome(rcode, rrset, soa), now, ttl)
