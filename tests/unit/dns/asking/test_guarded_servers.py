# SPDX-License-Identifier: Apache-2.0
"""Name servers behind the dial guard: never asked, and said in words that tell of no network.

Whoever holds a zone names its servers. With addresses inside of our network, what a status says of
them would be a scan of its ports.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closed_loop.loop import spec_of
from dnsworld.clock import run
from dnsworld.providers import add_provider
from dnsworld.server import Edns, Lame, NameServer
from dnsworld.world import World
from postroom.dns import planning
from postroom.dns.answers import Answer, Outcome, Question, RecordType, Zone
from postroom.dns.asking.guarded import GuardedTransport
from postroom.dns.asking.https import HttpsServer
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify
from postroom.mail.connect.guard import DialPolicy, may_dial

#: Where the world has its public servers.
PUBLIC = ipaddress.ip_network("198.18.0.0/15")
INNER = "10.0.0.5"
APEX = "evil.example"


def guard(*opened: str) -> Callable[[str], bool]:
    policy = DialPolicy((PUBLIC, *map(ipaddress.ip_network, opened)))
    return lambda address: may_dial(address, policy)


def serves(server: NameServer) -> None:
    """Nothing is wrong with it: it serves the zone."""


def is_dead(server: NameServer) -> None:
    server.dead = True


def is_slow(server: NameServer) -> None:
    server.latency = 2.0


def knows_no_edns(server: NameServer) -> None:
    server.edns = Edns.FORMERR


def lame(how: Lame) -> Callable[[NameServer], None]:
    return lambda server: server.make_lame(".", how)


#: What may be at an inner address.
THERE = [serves, is_dead, is_slow, knows_no_edns, *map(lame, Lame)]


def world_with(
    there: Callable[[NameServer], None] | None,
    zone: str = APEX,
    addresses: tuple[str, ...] = (INNER,),
) -> World:
    """A zone whose only server has inner addresses; None: there is no machine at all."""
    world = World()
    if zone != APEX:
        world.register(APEX)
    server = world.nameserver(f"ns.{zone}", addresses)
    made = world.register(zone, [server.name])
    for address in addresses:
        made.add(server.name, "AAAA" if ":" in address else "A", address)
    made.add(zone, "TXT", "v=spf1 -all")
    if there is None:
        for address in addresses:
            del world.servers[address]
    else:
        there(server)
    return world


async def look_at(
    world: World, domain: str, may_ask: Callable[[str], bool] | None
) -> tuple[DomainReport, DomainReport]:
    """Look twice: the second look knows what the first one learnt."""
    address = world.resolver_address
    asker = DnsAsker([(address.address, address.port)], transport=world.transport, may_ask=may_ask)
    plan = planning.plan(spec_of(domain, add_provider(world)), "mail", b"key", {})
    reports = (await verify(plan, asker), await verify(plan, asker))
    await asker.close()
    return reports


def asked(world: World, *addresses: str) -> int:
    return sum(world.transport.count(address) for address in addresses)


@pytest.mark.parametrize("domain", [APEX, f"x.{APEX}"])
def test_what_is_said_does_not_depend_on_what_is_there(domain: str) -> None:
    told = list[tuple[DomainReport, DomainReport]]()
    for there in (None, *THERE):
        world = world_with(there, zone=domain)
        told.append(run(look_at(world, domain, guard())))
        assert asked(world, INNER) == 0
    first, second = told[0]
    assert all(one == (first, second) for one in told)
    for report in (first, second):
        codes = [finding.code for finding in report.findings if finding.subject == "domain"]
        assert codes[0] == "NS_NOT_ASKED"
        assert not {"LAME", "NS_UNREACHABLE", "SERVFAIL_OTHER", "EDNS_BROKEN"} & set(codes)
        assert INNER not in str(report)
        assert {
            record.state.value for record in report.records if record.name.endswith(domain)
        } == {"Unknown"}


def test_an_opened_range_is_asked() -> None:
    world = world_with(serves)
    _, report = run(look_at(world, APEX, guard("10.0.0.0/24")))
    assert asked(world, INNER) > 0
    assert "NS_NOT_ASKED" not in {finding.code for finding in report.findings}


def test_without_a_guard_the_scan_works() -> None:
    """So that the tests above can fail."""
    reports = [
        run(look_at(world_with(one), APEX, None))[1] for one in (is_dead, lame(Lame.REFUSED))
    ]
    assert reports[0].findings != reports[1].findings


def test_no_setting_opens_metadata() -> None:
    world = world_with(serves, addresses=("169.254.169.254", "fd20:ce::254"))
    run(look_at(world, APEX, guard("0.0.0.0/0", "::/0")))
    assert asked(world, "169.254.169.254", "fd20:ce::254") == 0


def test_a_server_that_is_also_public_is_asked_there_alone() -> None:
    world = World()
    server = world.nameserver(f"ns.{APEX}", (INNER, "198.18.9.9", "fd00::9"))
    zone = world.register(APEX, [server.name])
    for kind, address in (("A", INNER), ("A", "198.18.9.9"), ("AAAA", "fd00::9")):
        zone.add(server.name, kind, address)
    zone.add(APEX, "TXT", "v=spf1 -all")

    async def look() -> Answer:
        address = world.resolver_address
        asker = DnsAsker(
            [(address.address, address.port)], transport=world.transport, may_ask=guard()
        )
        found = await asker.authoritative(Question(APEX, RecordType.TXT))
        await asker.every_server(Question(APEX, RecordType.SOA))
        await asker.close()
        return found

    assert run(look()).values == ("v=spf1 -all",)
    assert asked(world, "198.18.9.9") > 0
    assert asked(world, INNER, "fd00::9") == 0


def test_beside_good_servers_an_inner_one_is_named_and_not_asked() -> None:
    world = World()
    inner = world.nameserver(f"inner.{APEX}", (INNER,))
    zone = world.register(APEX, ["ns1.dnshost.example", "ns2.dnshost.example", inner.name])
    zone.add(inner.name, "A", INNER)
    reports = [run(look_at(world, APEX, guard()))]
    inner.dead = True
    reports.append(run(look_at(world, APEX, guard())))
    assert asked(world, INNER) == 0
    for report, _ in reports:
        found = [finding for finding in report.findings if finding.code == "NS_NOT_ASKED"]
        assert [one.message.split(",")[0] for one in found] == [inner.name]
        assert not {"LAME", "NS_UNREACHABLE"} & {finding.code for finding in report.findings}


def test_an_address_that_changes_after_it_was_judged_is_not_asked() -> None:
    """Rebinding: what was public is inner when the TTL has ended, and is judged again."""
    world = World()
    server = world.nameserver(f"ns.{APEX}", ("198.18.9.9",))
    zone = world.register(APEX, [server.name], ttl=1)
    zone.add(server.name, "A", "198.18.9.9")

    async def look() -> list[Outcome]:
        address = world.resolver_address
        asker = DnsAsker(
            [(address.address, address.port)], transport=world.transport, may_ask=guard()
        )
        outcomes = list[Outcome]()
        for there in ("198.18.9.9", INNER):
            zone.replace(server.name, "A", there)
            world.zone_above(APEX).replace(server.name, "A", there)
            world.servers[there] = server
            await asyncio.sleep(100_000)
            found = await asker.every_server(Question(APEX, RecordType.SOA))
            outcomes += [one.answer.outcome for one in found]
        await asker.close()
        return outcomes

    assert run(look()) == [Outcome.FOUND, Outcome.DENIED]
    assert asked(world, INNER) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.ip_addresses(v=4).map(str),
            st.ip_addresses(v=6).map(str),
            st.sampled_from(
                ["127.0.0.1", "::1", "::ffff:10.0.0.5", "64:ff9b::a00:5", "10.96.0.10"]
            ),
        ),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    st.booleans(),
)
def test_whatever_a_zone_names_only_what_may_be_dialled_is_asked(
    addresses: list[str], below: bool
) -> None:
    domain = f"x.{APEX}" if below else APEX
    world = World()
    known = set(world.servers)
    addresses = [one for one in addresses if one not in known] or [INNER]
    world = world_with(is_dead, zone=domain, addresses=tuple(addresses))
    may_ask = guard()

    async def look() -> None:
        address = world.resolver_address
        asker = DnsAsker(
            [(address.address, address.port)], transport=world.transport, may_ask=may_ask
        )
        question = Question(domain, RecordType.TXT)
        await asker.authoritative(question)
        await asker.every_server(question)
        await asker.delegation(domain)
        await asker.serials(domain)
        await asker.close()

    run(look())
    for one in addresses:
        assert may_ask(one) or not asked(world, one)


async def test_the_last_door_lets_only_resolvers_through() -> None:
    sent = list[ServerAddress]()

    class Wire:
        async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
            sent.append(server)
            return b""

        tcp = udp

    resolver = ServerAddress("10.96.0.10", 53)
    door = GuardedTransport(Wire(), guard(), [resolver, HttpsServer("https://x.example/dns-query")])
    await door.udp(resolver, b"", 1)
    await door.tcp(resolver, b"", 1)
    await door.udp(ServerAddress("198.18.0.1"), b"", 1)
    for denied in (ServerAddress(INNER), ServerAddress("10.96.0.10", 5353)):
        for ask in (door.udp, door.tcp):
            with pytest.raises(PermissionError):
                await ask(denied, b"", 1)
    assert len(sent) == 3


def test_the_zone_is_still_named() -> None:
    async def locate(world: World) -> Zone | Answer:
        address = world.resolver_address
        asker = DnsAsker(
            [(address.address, address.port)], transport=world.transport, may_ask=guard()
        )
        zone = await asker.zone_of(APEX)
        await asker.close()
        return zone

    assert run(locate(world_with(serves))) == Zone(APEX, (f"ns.{APEX}",))
