# SPDX-License-Identifier: Apache-2.0
"""Worlds made from a seed: records right, wrong or gone on each name server, and faults on the way.

What each server has is noted, so that a verdict can be held against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from closed_loop.loop import APEX, OTHER_KEY, OWN_KEY, spec_of
from dnsworld.message import Query
from dnsworld.names import name_of
from dnsworld.providers import add_provider
from dnsworld.rdata import type_of
from dnsworld.server import Edns, Lame, NameServer
from dnsworld.world import Egress, World
from dnsworld.zone import Zone
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns import planning
from postroom.dns.requirements import DomainPlan, PlannedRecord

_WRONG = {
    "ownership": "postroom-verification=of-another-account",
    "dkim-k1": "k1.dkim.elsewhere.net",
    "dkim-s1": f"v=DKIM1; k=rsa; p={OTHER_KEY}",
    "spf": "v=spf1 -all",
    "dmarc": "v=DMARC1; p=none",
    "mx-mx1.mailprovider.net": "10 mail.elsewhere.net",
}
_OPTIONAL = ("dkim", "spf", "dmarc", "mx")


class There(Enum):
    """What a server has of a record."""

    RIGHT = auto()
    WRONG = auto()
    NOTHING = auto()


@dataclass
class Scene:
    """A world, the spec and its plan that is verified in it, and what each server has of each
    record."""

    world: World
    spec: SendingDomainSpec
    plan: DomainPlan
    servers: list[NameServer]
    has: dict[str, dict[str, There]] = field(default_factory=dict)

    def serving(self) -> list[NameServer]:
        """The servers that serve the zone, be it slowly or with losses."""
        return [server for server in self.servers if not server.dead and not server._lame]

    def answering(self, heard: frozenset[str]) -> list[NameServer]:
        """The servers that serve the zone, of those with these names."""
        return [one for one in self.serving() if one.name in heard]

    def heard(self, record: PlannedRecord) -> frozenset[str]:
        """The servers that answered about the record, by the log of queries."""
        plain = {server.name: server.edns is Edns.UNDERSTOOD for server in self.servers}
        names = {
            address: server.name
            for server in self.servers
            for address in server.addresses
            if not self._is_cut_off(record, server)
        }
        return frozenset(
            name
            for one in self.world.transport.log
            if (one.name, one.type) == (record.name, record.type.value)
            and one.answered
            and not one.recursion_desired
            # What a server says to a query with EDNS that it does not understand is no answer.
            and ((name := names.get(one.server, "")) and (plain[name] or not one.edns))
        )

    def _is_cut_off(self, record: PlannedRecord, server: NameServer) -> bool:
        """Whether the answer needs TCP, and there is none; only a key is that long."""
        is_long = record.id == "dkim-s1" and self.has[record.id][server.name] is not There.NOTHING
        return is_long and server.udp_limit is not None and server.tcp_blocked

    def right(self, record: PlannedRecord, servers: list[NameServer]) -> int:
        """How many of these servers have the record as it must be."""
        return sum(self.has[record.id][server.name] is There.RIGHT for server in servers)


def scene(seed: int) -> Scene:
    """Make the world of a seed."""
    random = Random(seed)  # noqa: S311
    world = World(seed)
    provider = add_provider(world)
    keys = [
        {"selector": "k1", "cname": provider.dkim["k1"]},
        {"selector": "s1", "publicKey": OWN_KEY},
    ]
    changes: dict[str, object] = {
        "dkim": [random.choice(keys)],
        "mx": [{"host": provider.exchanges[0], "preference": 10}],
        "returnPath": None,
        "tracking": None,
    }
    # Few records in each world make room for many worlds.
    changes |= {one: None for one in _OPTIONAL if random.random() < 0.7}
    spec = spec_of(APEX, provider, **changes)
    plan = planning.plan(spec, "mail", b"key", {})
    zone = world.register(APEX, random.choice((1, 2, 2, 3, 3, 4)), minimum=random.choice((60, 900)))
    zone.add(APEX, "A", "192.0.2.99")
    made = Scene(world, spec, plan, world.servers_of(APEX))
    before = {record.id: _any_state(random) for record in plan.records}
    _publish(zone, plan, before)
    if random.random() < 0.5:
        _fill_the_cache(world, plan, random)
    after = {
        record.id: _any_state(random) if random.random() < 0.5 else before[record.id]
        for record in plan.records
    }
    _publish(zone, plan, after)
    _differ(made, after, random)
    _disturb(made, random)
    return made


def _any_state(random: Random) -> There:
    return random.choices(list(There), (6, 2, 2))[0]


def _publish(zone: Zone, plan: DomainPlan, states: dict[str, There]) -> None:
    for record in plan.records:
        for value in (record.value, _WRONG[record.id]):
            zone.remove(record.name, record.type.value, value)
        _put(zone, record, states[record.id])


def _put(zone: Zone, record: PlannedRecord, state: There) -> None:
    if state is not There.NOTHING:
        value = record.value if state is There.RIGHT else _WRONG[record.id]
        zone.add(record.name, record.type.value, value)


def _fill_the_cache(world: World, plan: DomainPlan, random: Random) -> None:
    """Others have asked the resolver for some of the records before."""
    for record in plan.records:
        if random.random() < 0.7:
            query = Query(name_of(record.name), type_of(record.type.value), recursion_desired=True)
            world.resolver.answer(query, world.now())


def _differ(made: Scene, states: dict[str, There], random: Random) -> None:
    """Give some servers a copy of their own, with its serial or with that of the others."""
    for record in made.plan.records:
        made.has[record.id] = {server.name: states[record.id] for server in made.servers}
    for server in made.servers:
        if random.random() < 0.5:
            continue
        copy = server.hold(APEX)
        serial = copy.serial
        for record in made.plan.records:
            if random.random() < 0.5:
                state = _any_state(random)
                made.has[record.id][server.name] = state
                for value in (record.value, _WRONG[record.id]):
                    copy.remove(record.name, record.type.value, value)
                _put(copy, record, state)
        if random.random() < 0.4:
            copy.serial = serial - 1
            copy.bump()


def _disturb(made: Scene, random: Random) -> None:
    world = made.world
    for server in made.servers:
        fault = random.random()
        if fault < 0.1:
            server.dead = True
        elif fault < 0.22:
            server.make_lame(APEX, random.choice(list(Lame)))
        elif fault < 0.32:
            server.loss = random.choice((0.1, 0.3, 0.6))
        elif fault < 0.4:
            server.edns = random.choice((Edns.FORMERR, Edns.BADVERS, Edns.DROPPED))
        elif fault < 0.46:
            server.udp_limit, server.tcp_blocked = 300, random.random() < 0.5
        elif fault < 0.5:
            server.latency = random.choice((0.1, 0.4))
    resolver = world.resolver
    resolver.stale, resolver.denies_below = random.random() < 0.4, random.random() < 0.5
    resolver.loss = random.choice((0.0,) * 8 + (0.2, 0.5))
    resolver.ttl_cap = random.choice((None, None, 30))
    if random.random() < 0.08:
        world.sign(APEX, random.choice((6, 7, 9, 10)))
        resolver.flush()
    if random.random() < 0.05:
        world.egress = random.choice((Egress.DROPPED, Egress.REFUSED))
    if random.random() < 0.03:
        resolver.dead = True
