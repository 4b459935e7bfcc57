# SPDX-License-Identifier: Apache-2.0
"""A name server: authority, referrals, aliases between its zones, and each of its faults."""

from __future__ import annotations

import asyncio

import dns.flags
import dns.message
import dns.rcode
import pytest

from dnsworld.clock import run
from dnsworld.server import Edns, Lame, NameServer
from dnsworld.stub import answers, ask
from dnsworld.world import World

Message = dns.message.Message


def a_world() -> tuple[World, NameServer]:
    world = World(1)
    zone = world.register("example.com", 2)
    zone.add("example.com", "TXT", "apex")
    zone.add("k1._domainkey.example.com", "CNAME", "k1.other.org")
    zone.add("www.example.com", "CNAME", "web.example.com")
    zone.add("web.example.com", "A", "192.0.2.80")
    return world, world.servers_of("example.com")[0]


def asked(world: World, server: NameServer, name: str, kind: str, **options: bool) -> Message:
    return run(ask(world, name, kind, server=server.addresses[0], **options))


def authoritative(reply: Message) -> bool:
    return bool(reply.flags & dns.flags.AA)


def test_answers_with_authority() -> None:
    world, server = a_world()
    reply = asked(world, server, "example.com", "TXT")
    assert answers(reply, "TXT") == ['"apex"']
    assert authoritative(reply)


@pytest.mark.parametrize(
    ("name", "rcode"),
    [("_domainkey.example.com", dns.rcode.NOERROR), ("no.example.com", dns.rcode.NXDOMAIN)],
)
def test_denials_carry_the_soa(name: str, rcode: int) -> None:
    world, server = a_world()
    reply = asked(world, server, name, "TXT")
    assert reply.rcode() == rcode
    assert [one.name.to_text() for one in reply.authority] == ["example.com."]
    assert authoritative(reply)


def test_an_alias_is_followed_as_far_as_the_zones_reach() -> None:
    world, server = a_world()
    inside = asked(world, server, "www.example.com", "A")
    outside = asked(world, server, "k1._domainkey.example.com", "TXT")
    assert answers(inside, "A") == ["192.0.2.80"]
    assert answers(outside, "CNAME") == ["k1.other.org."]
    assert (outside.authority, outside.rcode()) == ([], dns.rcode.NOERROR)


def test_an_alias_that_loops_ends() -> None:
    world, server = a_world()
    world.publish("a.example.com", "CNAME", "b.example.com")
    world.publish("b.example.com", "CNAME", "a.example.com")
    reply = asked(world, server, "a.example.com", "TXT")
    assert answers(reply, "CNAME") == ["a.example.com.", "b.example.com."]


def test_a_delegation_is_referred_to_with_glue() -> None:
    world, server = a_world()
    world.register("sub.example.com", ["ns.sub.example.com"])
    reply = asked(world, server, "x.sub.example.com", "TXT")
    assert not authoritative(reply)
    assert reply.authority[0].to_text() == "sub.example.com. 300 IN NS ns.sub.example.com."
    assert reply.additional[0].name.to_text() == "ns.sub.example.com."


def test_the_parent_answers_for_the_ds() -> None:
    world, server = a_world()
    world.register("sub.example.com", ["ns.sub.example.com"])
    world.sign("sub.example.com")
    reply = asked(world, server, "sub.example.com", "DS")
    assert authoritative(reply)
    assert len(answers(reply, "DS")) == 1


def test_other_zones_are_refused() -> None:
    world, server = a_world()
    assert asked(world, server, "example.org", "A").rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize(
    ("how", "rcode"), [(Lame.REFUSED, dns.rcode.REFUSED), (Lame.SERVFAIL, dns.rcode.SERVFAIL)]
)
def test_a_lame_server_says_so(how: Lame, rcode: int) -> None:
    world, server = a_world()
    server.make_lame("example.com", how)
    assert asked(world, server, "example.com", "TXT").rcode() == rcode
    server.make_lame("example.com", None)
    assert asked(world, server, "example.com", "TXT").rcode() == dns.rcode.NOERROR


def test_a_lame_server_answers_without_authority() -> None:
    world, server = a_world()
    server.make_lame("example.com", Lame.NOT_AUTHORITATIVE)
    reply = asked(world, server, "example.com", "TXT")
    assert answers(reply, "TXT") == ['"apex"']
    assert not authoritative(reply)


def test_a_lame_server_refers_upwards() -> None:
    world, server = a_world()
    server.make_lame("example.com", Lame.UPWARD)
    reply = asked(world, server, "example.com", "TXT")
    assert [one.name.to_text() for one in reply.authority] == ["."]


def test_a_server_lags_until_it_transfers() -> None:
    world, server = a_world()
    zone = world.zone_at("example.com")
    server.hold("example.com")
    zone.replace("example.com", "TXT", "new")
    assert answers(asked(world, server, "example.com", "TXT"), "TXT") == ['"apex"']
    server.transfer("example.com")
    assert answers(asked(world, server, "example.com", "TXT"), "TXT") == ['"new"']


def test_a_lag_may_end_by_itself() -> None:
    world, server = a_world()
    server.hold("example.com", until=4000.0)
    world.zone_at("example.com").replace("example.com", "TXT", "new")

    async def twice() -> list[list[str]]:
        seen = list[list[str]]()
        for _ in range(2):
            reply = await ask(world, "example.com", "TXT", server=server.addresses[0])
            seen.append(answers(reply, "TXT"))
            await asyncio.sleep(5000)
        return seen

    assert run(twice()) == [['"apex"'], ['"new"']]


@pytest.mark.parametrize("edns", [Edns.FORMERR, Edns.BADVERS])
def test_edns_is_not_understood(edns: Edns) -> None:
    world, server = a_world()
    server.edns = edns
    refused = asked(world, server, "example.com", "TXT").rcode()
    assert refused == {Edns.FORMERR: dns.rcode.FORMERR, Edns.BADVERS: dns.rcode.BADVERS}[edns]
    assert asked(world, server, "example.com", "TXT", edns=False).rcode() == dns.rcode.NOERROR


def test_edns_is_dropped() -> None:
    world, server = a_world()
    server.edns = Edns.DROPPED
    with pytest.raises(TimeoutError):
        asked(world, server, "example.com", "TXT")
    assert asked(world, server, "example.com", "TXT", edns=False).rcode() == dns.rcode.NOERROR


def test_long_answers_are_truncated_over_udp_and_whole_over_tcp() -> None:
    world, server = a_world()
    world.publish("long.example.com", "TXT", "x" * 700)
    small = asked(world, server, "long.example.com", "TXT", edns=False)
    assert small.flags & dns.flags.TC
    assert not asked(world, server, "long.example.com", "TXT").flags & dns.flags.TC
    server.udp_limit = 512
    assert asked(world, server, "long.example.com", "TXT").flags & dns.flags.TC
    whole = asked(world, server, "long.example.com", "TXT", tcp=True)
    assert len(answers(whole, "TXT")[0]) > 700


def test_tcp_is_blocked() -> None:
    world, server = a_world()
    server.tcp_blocked = True
    with pytest.raises(TimeoutError):
        asked(world, server, "example.com", "TXT", tcp=True)


def test_a_dead_server_is_silent() -> None:
    world, server = a_world()
    server.dead = True
    with pytest.raises(TimeoutError):
        asked(world, server, "example.com", "TXT")


def test_loss_follows_the_seed() -> None:
    def lost(seed: int) -> list[bool]:
        world = World(seed)
        world.register("example.com")
        server = world.servers_of("example.com")[0]
        server.loss = 0.5
        outcomes = list[bool]()
        for _ in range(40):
            try:
                asked(world, server, "example.com", "SOA")
            except TimeoutError:
                outcomes.append(True)
            else:
                outcomes.append(False)
        return outcomes

    assert lost(1) == lost(1)
    assert lost(1) != lost(2)
    assert 5 < sum(lost(1)) < 35


def test_an_empty_name_may_be_denied_wrongly() -> None:
    world, server = a_world()
    server.empty_is_nxdomain = True
    assert asked(world, server, "_domainkey.example.com", "TXT").rcode() == dns.rcode.NXDOMAIN
    assert asked(world, server, "web.example.com", "TXT").rcode() == dns.rcode.NOERROR


def test_an_alias_may_hide_what_is_beside_it() -> None:
    world, server = a_world()
    world.publish("www.example.com", "TXT", "beside")
    assert answers(asked(world, server, "www.example.com", "TXT"), "TXT") == ['"beside"']
    server.alias_hides = True
    assert answers(asked(world, server, "www.example.com", "TXT"), "TXT") == []


def test_records_come_in_any_order() -> None:
    world, server = a_world()
    for number in range(3):
        world.publish("many.example.com", "A", f"192.0.2.{number}")
    first = {asked(world, server, "many.example.com", "A").answer[0][0].to_text() for _ in "abc"}
    assert len(first) == 3
