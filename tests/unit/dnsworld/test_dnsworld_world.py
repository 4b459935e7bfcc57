# SPDX-License-Identifier: Apache-2.0
"""The world: registration, glue, providers, blocked ways, the log of queries; the real client runs
on it unchanged, at a price that allows thousands of worlds."""

from __future__ import annotations

import asyncio
import time

import dns.message
import pytest

from dnsworld.clock import run
from dnsworld.providers import add_provider, publish_customer
from dnsworld.stub import answers, ask
from dnsworld.world import Egress, World
from postroom.dns.answers import Delegation, Outcome, Question, RecordType
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.transport import ServerAddress


def a_world(seed: int = 1) -> World:
    world = World(seed)
    zone = world.register("example.com", 3)
    publish_customer(zone, "example.com", add_provider(world))
    return world


@pytest.mark.parametrize("apex", ["example.com", "example.co.uk", "example.dev", "a.b.example.com"])
def test_a_registered_zone_is_found_from_the_root(apex: str) -> None:
    world = World()
    zone = world.register(apex)
    zone.add(apex, "TXT", "here")
    assert answers(run(ask(world, apex, "TXT")), "TXT") == ['"here"']


def test_name_servers_below_their_own_zone_have_glue() -> None:
    world = World()
    world.register("example.com", ["ns1.example.com", "ns2.example.com"])
    registry = world.servers_of("com")[0].addresses[0]
    reply = run(ask(world, "example.com", "NS", server=registry))
    glue = sorted(one.name.to_text() for one in reply.additional)
    assert glue == ["ns1.example.com.", "ns2.example.com."]
    assert len(answers(run(ask(world, "example.com", "NS")), "NS")) == 2


def test_servers_of_one_operator_are_shared() -> None:
    world = World()
    world.register("example.com", 2, operator="ns.cloudflare.com")
    world.register("example.org", 2, operator="ns.cloudflare.com")
    assert world.servers_of("example.com") == world.servers_of("example.org")


def test_parent_and_child_may_disagree() -> None:
    world = World()
    world.register("example.com", ["ns1.new.net"])
    world.delegate("example.com", ["ns1.old.net"])
    assert [server.name for server in world.servers_of("example.com")] == ["ns1.old.net"]
    assert world.zone_at("example.com").values("example.com", "NS") == ["ns1.new.net"]


def test_an_expired_domain_is_nxdomain() -> None:
    world = World()
    world.register("example.com")
    world.delegate("example.com", [])
    assert run(ask(world, "example.com", "TXT")).rcode() == 3


def test_publishing_registers_the_domain() -> None:
    world = World()
    world.publish("_spf.mail.example.org", "TXT", "v=spf1 -all")
    assert world.zone_at("_spf.mail.example.org") is world.zone_at("example.org")
    assert world.truth("_spf.mail.example.org", "TXT") == ["v=spf1 -all"]


def test_a_server_may_have_ipv6_only() -> None:
    world = World()
    world.nameserver("ns6.example.net", ["2001:db8::53"])
    world.register("example.com", ["ns6.example.net"]).add("example.com", "TXT", "six")
    assert answers(run(ask(world, "example.com", "TXT")), "TXT") == ['"six"']


def test_truth_follows_aliases() -> None:
    world = a_world()
    assert world.truth("k1._domainkey.example.com", "TXT")[0].startswith("v=DKIM1; k=rsa; p=MII")
    assert world.truth("nope.example.com", "TXT") == []


def test_providers_are_looked_up_backwards_too() -> None:
    reply = run(ask(a_world(), "25.2.0.192.in-addr.arpa", "PTR"))
    assert answers(reply, "PTR") == ["mx1.mailprovider.net."]


@pytest.mark.parametrize(
    ("egress", "error"), [(Egress.DROPPED, TimeoutError), (Egress.REFUSED, ConnectionRefusedError)]
)
def test_the_way_to_name_servers_may_be_closed(egress: Egress, error: type[Exception]) -> None:
    world = a_world()
    world.egress = egress
    server = world.servers_of("example.com")[0].addresses[0]
    with pytest.raises(error):
        run(ask(world, "example.com", "TXT", server=server))
    assert answers(run(ask(world, "example.com", "TXT")), "TXT") != []


def test_nothing_listens_elsewhere() -> None:
    world = a_world()
    with pytest.raises(ConnectionRefusedError):
        query = dns.message.make_query("example.com", "TXT").to_wire()
        run(world.transport.udp(ServerAddress("10.96.0.10", 54), query, 1.0))
    with pytest.raises(TimeoutError):
        run(ask(world, "example.com", "TXT", server="203.0.113.99"))


def test_the_log_counts_queries() -> None:
    world = a_world()
    server = world.servers_of("example.com")[0].addresses[0]

    async def storm() -> None:
        asks = [ask(world, f"n{number}.example.com", "A", server=server) for number in range(5)]
        await asyncio.gather(*asks)
        await asyncio.sleep(2)
        await ask(world, "n1.example.com", "TXT", server=server)

    run(storm())
    transport = world.transport
    assert transport.count(server) == transport.per_server()[server] == 6
    assert transport.count(server, name="n1.example.com") == 2
    assert transport.count(kind="TXT") == 1
    assert (transport.most_in_flight(server), transport.most_in_a_second(server)) == (5, 5)
    assert transport.duplicates_in_flight() == []


def test_the_log_shows_duplicates_in_flight() -> None:
    world = a_world()

    async def twice(pause: float) -> int:
        first = asyncio.ensure_future(ask(world, "example.com", "MX"))
        await asyncio.sleep(pause)
        await ask(world, "example.com", "MX")
        await first
        return len(world.transport.duplicates_in_flight())

    run(ask(world, "mx.example.com", "A"))
    assert run(twice(1)) == 0
    assert run(twice(0)) == 1


def test_a_second_try_is_no_duplicate() -> None:
    world = a_world()
    world.resolver.latency = 1.0

    async def again() -> tuple[int, int]:
        first = asyncio.ensure_future(ask(world, "example.com", "MX"))
        await asyncio.sleep(0.3)
        await asyncio.gather(first, ask(world, "example.com", "MX"))
        transport = world.transport
        return len(transport.duplicates_in_flight()), len(transport.duplicates_in_flight(0.2))

    assert run(again()) == (1, 0)


def test_a_zone_settles_when_no_cache_keeps_an_old_state() -> None:
    world = a_world()
    run(ask(world, "example.com", "TXT"))
    assert world.settling_time("example.com") == 300
    world.delegate("example.com", ["ns.new.net"])
    assert world.settling_time("example.com") > 80000


def test_a_seed_tells_the_whole_course() -> None:
    def course(seed: int) -> list[tuple[str, float]]:
        world = a_world(seed)
        world.loss = 0.3

        async def look() -> list[tuple[str, float]]:
            for number in range(10):
                try:
                    await ask(world, f"n{number}.example.com", "A")
                except TimeoutError:
                    continue
            return [(one.name, one.end or 0.0) for one in world.transport.log]

        return run(look())

    assert course(3) == course(3)
    assert course(3) != course(4)


def questions() -> list[Question]:
    names = ["example.com", "k1._domainkey.example.com", "_dmarc.example.com", "no.example.com"]
    return [Question(name, RecordType.TXT) for name in names]


def test_the_real_client_sees_both_views() -> None:
    world = a_world()

    async def look() -> list[tuple[Outcome, Outcome, bool]]:
        asker = DnsAsker([world.resolver_address], transport=world.transport)
        truth = [await asker.authoritative(question) for question in questions()]
        cached = [await asker.recursive(question) for question in questions()]
        await asker.close()
        return [
            (one.outcome, two.outcome, one.authoritative)
            for one, two in zip(truth, cached, strict=True)
        ]

    found, missing = Outcome.FOUND, Outcome.NX_DOMAIN
    assert run(look()) == [(found, found, True)] * 3 + [(missing, missing, True)]


def test_the_real_client_finds_servers_serials_and_the_delegation() -> None:
    world = a_world()
    world.sign("example.com")
    lagging = world.servers_of("example.com")[2]
    lagging.hold("example.com")
    world.zone_at("example.com").add("new.example.com", "A", "192.0.2.9")

    async def look() -> tuple[int, bool | None]:
        asker = DnsAsker([world.resolver_address], transport=world.transport)
        serials = await asker.serials("example.com")
        delegation = await asker.delegation("example.com")
        await asker.close()
        assert isinstance(delegation, Delegation)
        return len({serial.answer.values for serial in serials}), delegation.signed

    assert run(look()) == (2, True)


def test_a_world_with_thirty_queries_costs_little() -> None:
    """2,000 of them must run in well under a minute, the client left aside."""

    async def look(seed: int) -> None:
        world = a_world(seed)
        for number in range(10):
            await ask(world, f"n{number}.example.com", "TXT")
            await ask(world, "k1._domainkey.example.com", "TXT")
            server = world.servers_of("example.com")[0].addresses[0]
            await ask(world, f"n{number}.example.com", "TXT", server=server)

    began = time.process_time()
    for seed in range(20):
        run(look(seed))
    assert (time.process_time() - began) / 20 < 0.05
