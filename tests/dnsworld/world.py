# SPDX-License-Identifier: Apache-2.0
"""A whole DNS in memory: the root, registries, zones, their servers, and resolvers.

Everything random comes from the seed. The clock is that of the running event loop, so that
`dnsworld.clock.run` makes waiting free:

    async def story() -> Answer:
        world = World(seed=7)
        zone = world.register("example.com", 3, operator="ns.dnshost.net")
        publish_customer(zone, "mail.example.com", add_provider(world))
        host = DNSHost(world, zone, QUIRKS["appends-zone"])
        host.add("_dmarc.example.com", "TXT", "v=DMARC1; p=none")  # the user's mistake
        world.servers_of("example.com")[0].dead = True
        asker = DnsAsker([world.resolver_address], transport=world.transport)
        return await asker.authoritative(Question("_dmarc.example.com", RecordType.TXT))

    answer = run(story())
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum, auto
from random import Random

from dns.rdatatype import NS

from dnsworld.message import TCP_LIMIT, Query, Reply, udp_limit, write_reply
from dnsworld.names import ROOT, Name, and_ancestors, is_within, name_of, parent, text_of
from dnsworld.rdata import type_of, value_text
from dnsworld.resolver import RecursiveResolver
from dnsworld.server import FOR_EVER, NameServer
from dnsworld.suffixes import registrable, suffixes
from dnsworld.transport import WorldTransport
from dnsworld.zone import Found, Value, Zone
from postroom.dns.asking.transport import ServerAddress

_ROOT_SERVER = "a.root-servers.net"
_REGISTRY_SERVERS = ("a.gtld-servers.net", "b.gtld-servers.net")
_REGISTRIES = ("com", "net", "org", "example", "co.uk")
_INFRASTRUCTURE = ("root-servers.net", "gtld-servers.net")
_REGISTRY_TTL, _REGISTRY_MINIMUM = 86400, 900
_ALIAS_LIMIT = 16
#: A DS record like any other.
DS = "12345 13 2 " + "0123456789abcdef" * 4

_Server = NameServer | RecursiveResolver


class Egress(Enum):
    """What becomes of queries to servers other than the resolvers."""

    OPEN = auto()
    DROPPED = auto()
    REFUSED = auto()


class World:
    """A DNS of one's own.

    `latency` is that of new name servers, in seconds; `loss` the probability that any exchange is
    lost, over that of the server. `transport` is what a client asks through, `resolver` the first
    resolver.
    """

    def __init__(self, seed: int = 0, *, latency: float = 0.005) -> None:
        self.random = Random(seed)  # noqa: S311
        self.latency, self.loss = latency, 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now, self._ahead = 0.0, 0.0
        self.egress, self.tcp_blocked = Egress.OPEN, False
        self.zones: dict[Name, Zone] = {}
        self.signed: dict[Name, int | None] = {}
        self.registries: set[Name] = set()
        self.servers: dict[str, _Server] = {}
        self._by_name: dict[Name, NameServer] = {}
        self._next_address = 1
        self.resolvers: list[RecursiveResolver] = []
        self.transport = WorldTransport(self)
        self._root = self._found()
        self.resolver = self.add_resolver()

    # Time and exchanges --------------------------------------------------------------------------

    def now(self) -> float:
        """The time in seconds, that of the running loop; it goes on where another loop takes over,
        and stands still where none runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._now
        if loop is not self._loop:
            self._loop, self._ahead = loop, self._now - loop.time()
        self._now = loop.time() + self._ahead
        return self._now

    def exchange(self, address: str, query: Query, *, tcp: bool) -> tuple[Reply | None, float]:
        """Ask the server at an address; None where nothing comes back. With the seconds it takes.

        A reply that does not fit over UDP has TC set and nothing else.
        """
        server = self.servers.get(address)
        if server is None or server.dead:
            return None, 0.0
        no_tcp = server.tcp_blocked or self.tcp_blocked
        if tcp and no_tcp:
            return None, 0.0
        for loss in (self.loss, server.loss):
            if loss and not tcp and self.random.random() < loss:
                return None, 0.0
        reply, seconds = server.answer(query, self.now())
        if reply is not None and not tcp and (server.udp_limit is not None or no_tcp):
            write_reply(query, reply, min(server.udp_limit or TCP_LIMIT, udp_limit(query)))
            if reply.truncated:
                reply = Reply(reply.rcode, reply.authoritative, truncated=True)
        return reply, seconds + server.latency * (2 if tcp else 1)

    def is_reached(self, server: ServerAddress) -> bool:
        """Whether queries of a client get to an address. Raises `ConnectionRefusedError`."""
        if server.port != 53:
            raise ConnectionRefusedError(f"Nothing listens at {server}.")
        resolver = isinstance(self.servers.get(server.address), RecursiveResolver)
        if self.egress is Egress.REFUSED and not resolver:
            raise ConnectionRefusedError(f"The way to {server} is closed.")
        return resolver or self.egress is Egress.OPEN

    # Servers -------------------------------------------------------------------------------------

    def add_resolver(self) -> RecursiveResolver:
        """Add a resolver with a cache of its own; its attributes set how it behaves."""
        address = f"10.96.0.{10 + len(self.resolvers)}"
        seed = Random(self.random.random())  # noqa: S311
        resolver = RecursiveResolver(self, address, self._root, seed)
        self.servers[address] = resolver
        self.resolvers.append(resolver)
        return resolver

    @property
    def resolver_address(self) -> ServerAddress:
        """Where the first resolver listens."""
        return ServerAddress(self.resolver.addresses[0])

    @property
    def resolver_addresses(self) -> list[ServerAddress]:
        """Where the resolvers listen."""
        return [ServerAddress(resolver.addresses[0]) for resolver in self.resolvers]

    def nameserver(self, name: str, addresses: Sequence[str] | None = None) -> NameServer:
        """Return the server of this name; a new one gets an address and a place in DNS.

        `addresses` may be empty, IPv6 or several.
        """
        known = self._by_name.get(name_of(name))
        if known is not None:
            return known
        if addresses is None:
            addresses = (self._address(),)
        server = self._by_name[name_of(name)] = NameServer(
            text_of(name_of(name)), tuple(addresses), self.latency
        )
        for address in addresses:
            self.servers[address] = server
            self.publish(name, "AAAA" if ":" in address else "A", address)
        return server

    def servers_of(self, apex: str) -> list[NameServer]:
        """The servers that the parent names for a zone, in the order of the delegation."""
        zone = self.zones[name_of(apex)]
        above = self.zone_above(apex)
        cut = above.rrset(zone.apex, NS)
        if cut is None:
            return []
        return [self._by_name[name] for data in cut.data for name in data.names]

    def _address(self) -> str:
        number = self._next_address
        self._next_address += 1
        return f"198.18.{number // 250}.{number % 250 + 1}"

    # Zones ---------------------------------------------------------------------------------------

    def register(
        self,
        apex: str,
        nameservers: Sequence[str] | int = 2,
        *,
        operator: str = "dnshost.example",
        ttl: int = 300,
        minimum: int = 300,
    ) -> Zone:
        """Make a zone and delegate to it; return its records, which all its servers follow.

        `nameservers` are names, or how many below the operator's domain: ``ns1.<operator>``. TTLs
        in seconds; `minimum` is that of denials.
        """
        if isinstance(nameservers, int):
            nameservers = [f"ns{number}.{operator}" for number in range(1, nameservers + 1)]
        zone = Zone(apex, ttl=ttl, minimum=minimum, primary=nameservers[0])
        self.zones[zone.apex] = zone
        for name in nameservers:
            zone.add(apex, "NS", name)
        for name in nameservers:
            self.nameserver(name).serve(zone)
        self.delegate(apex, nameservers)
        return zone

    def delegate(self, apex: str, nameservers: Sequence[str]) -> None:
        """Name the servers of a zone at its parent, in the place of any before; none: expired.

        What the zone itself says of its servers stays as it is.
        """
        above = self.zone_above(apex)
        above.replace(apex, "NS", *nameservers)
        for name in nameservers:
            server = self.nameserver(name)
            if is_within(name_of(name), name_of(apex)):
                for address in server.addresses:
                    above.add(name, "AAAA" if ":" in address else "A", address)

    def sign(self, apex: str, error: int | None = None, *, ds: str = DS) -> None:
        """Sign a zone and put its DS at the parent.

        `error` is the extended error (RFC 8914: 6, 7, 9 or 10) of bad signatures; None: sound.
        """
        self.signed[name_of(apex)] = error
        self.zone_above(apex).replace(apex, "DS", ds)

    def remove_ds(self, apex: str) -> bool:
        """Take the DS of a zone away at its parent: the zone is insecure, whatever its keys."""
        return self.zone_above(apex).remove(apex, "DS")

    def publish(self, name: str, kind: str, value: Value, ttl: int | None = None) -> Zone:
        """Add a record to the zone that holds the name; registers the domain where there is none.

        Such a domain is served by a server of its own, ``ns.<domain>``.
        """
        zone = self.zone_at(name)
        if zone.apex in self.registries:
            domain = registrable(name_of(name))
            zone = self.register(domain, [f"ns.{domain}"])
        zone.add(name, kind, value, ttl)
        return zone

    def zone_at(self, name: str) -> Zone:
        """The deepest zone that holds a name; registries come to be when they are needed."""
        for ancestor in and_ancestors(self._with_registry(name_of(name))):
            if ancestor in self.zones:
                return self.zones[ancestor]
        raise LookupError(name)

    def zone_above(self, apex: str) -> Zone:
        """The zone that delegates to an apex."""
        return self.zone_at(text_of(parent(self._with_registry(name_of(apex)))) or ".")

    def truth(self, name: str, kind: str) -> list[str]:
        """The values at a name as the zones have them now, aliases followed; no servers asked."""
        here, number = name_of(name), type_of(kind)
        for _ in range(_ALIAS_LIMIT):
            step = self.zone_at(text_of(here) or ".").lookup(here, number)
            if step.found is Found.ANSWER:
                return [value_text(number, data) for data in step.rrsets[0].data]
            if step.found is not Found.ALIAS or step.target is None:
                return []
            here = step.target
        return []

    def settling_time(self, apex: str) -> float:
        """Seconds after which no cache and no server keeps an old state of a zone.

        Servers that hold their copy for ever are left out.
        """
        zone = self.zones[name_of(apex)]
        holds = (one.held_until(zone.apex) - self.now() for one in self._by_name.values())
        return max(
            float(zone.longest_ttl()),
            *(resolver.longest_left(apex) for resolver in self.resolvers),
            *(hold for hold in holds if hold < FOR_EVER),
        )

    # The top -------------------------------------------------------------------------------------

    def _found(self) -> str:
        """Make the root and the servers of all registries; return the root server's address."""
        root = self.zones[ROOT] = Zone(
            ".", ttl=_REGISTRY_TTL, minimum=_REGISTRY_MINIMUM, primary=_ROOT_SERVER
        )
        self.registries.add(ROOT)
        for name in (_ROOT_SERVER, *_REGISTRY_SERVERS):
            address = self._address()
            server = NameServer(name, (address,), self.latency)
            self._by_name[name_of(name)] = self.servers[address] = server
            root.add(name, "A", address)
        root.add(".", "NS", _ROOT_SERVER)
        server = self._by_name[name_of(_ROOT_SERVER)]
        server.serve(root)
        for name in _REGISTRIES:
            self._with_registry(name_of(name))
        for name in _INFRASTRUCTURE:
            zone = self._add_registry(name_of(name))
            for host in (_ROOT_SERVER, *_REGISTRY_SERVERS):
                if is_within(name_of(host), zone.apex):
                    zone.add(host, "A", self._by_name[name_of(host)].addresses[0])
        return server.addresses[0]

    def _add_registry(self, apex: Name) -> Zone:
        zone = Zone(
            text_of(apex),
            ttl=_REGISTRY_TTL,
            minimum=_REGISTRY_MINIMUM,
            primary=_REGISTRY_SERVERS[0],
        )
        self.zones[apex] = zone
        self.registries.add(apex)
        above = self.zones[
            next(ancestor for ancestor in and_ancestors(parent(apex)) if ancestor in self.zones)
        ]
        for name in _REGISTRY_SERVERS:
            zone.add(text_of(apex), "NS", name)
            above.add(text_of(apex), "NS", name)
            self._by_name[name_of(name)].serve(zone)
        return zone

    def _with_registry(self, name: Name) -> Name:
        """Return the name, after its registry came to be."""
        for suffix in suffixes(name):
            if suffix not in self.zones:
                self._add_registry(suffix)
        return name
