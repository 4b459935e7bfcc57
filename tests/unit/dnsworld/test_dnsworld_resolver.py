# SPDX-License-Identifier: Apache-2.0
"""The resolver: delegations, TTLs of records and denials on the virtual clock, aliases, failures
with their extended errors, DNSSEC, stale answers, split horizon, and servers that misbehave."""

from __future__ import annotations

import asyncio

import dns.flags
import dns.message
import dns.rcode
import pytest

from dnsworld.clock import run
from dnsworld.server import Edns, Lame
from dnsworld.stub import answers, ask, errors
from dnsworld.world import World
from dnsworld.zone import Zone

SERVFAIL, NXDOMAIN = dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN


def a_world() -> tuple[World, Zone]:
    world = World(1)
    zone = world.register("example.com", 3, minimum=60)
    zone.add("example.com", "TXT", "old")
    zone.add("alias.example.com", "CNAME", "target.other.org")
    world.publish("target.other.org", "TXT", "far")
    return world, zone


def resolved(world: World, name: str, kind: str = "TXT", flags: int = 0) -> dns.message.Message:
    return run(ask(world, name, kind, flags=flags))


def test_resolves_through_the_delegations() -> None:
    world, _ = a_world()
    reply = resolved(world, "example.com")
    assert answers(reply, "TXT") == ['"old"']
    assert reply.flags & dns.flags.RA
    assert not reply.flags & dns.flags.AA


def test_follows_aliases_into_other_zones() -> None:
    world, _ = a_world()
    reply = resolved(world, "alias.example.com")
    assert answers(reply, "CNAME") == ["target.other.org."]
    assert answers(reply, "TXT") == ['"far"']


def test_a_loop_of_aliases_fails() -> None:
    world, zone = a_world()
    zone.add("a.example.com", "CNAME", "b.example.com")
    zone.add("b.example.com", "CNAME", "a.example.com")
    assert resolved(world, "a.example.com").rcode() == SERVFAIL


def test_a_dangling_alias_is_nxdomain() -> None:
    world, zone = a_world()
    zone.add("b.example.com", "CNAME", "nowhere.other.org")
    reply = resolved(world, "b.example.com")
    assert reply.rcode() == NXDOMAIN
    assert answers(reply, "CNAME") == ["nowhere.other.org."]


def test_records_are_kept_as_long_as_their_ttl() -> None:
    world, zone = a_world()

    async def look() -> list[tuple[list[str], int]]:
        seen = list[tuple[list[str], int]]()
        for pause in (100, 190, 20):
            reply = await ask(world, "example.com", "TXT")
            seen.append((answers(reply, "TXT"), round(reply.answer[0].ttl, -1)))
            zone.replace("example.com", "TXT", "new")
            await asyncio.sleep(pause)
        reply = await ask(world, "example.com", "TXT")
        return [*seen, (answers(reply, "TXT"), round(reply.answer[0].ttl, -1))]

    old, new = ['"old"'], ['"new"']
    assert run(look()) == [(old, 300), (old, 200), (old, 10), (new, 300)]


@pytest.mark.parametrize(("name", "rcode"), [("no.example.com", NXDOMAIN), ("example.com", 0)])
def test_denials_are_kept_as_long_as_the_minimum(name: str, rcode: int) -> None:
    world, zone = a_world()

    async def look() -> list[tuple[int, int]]:
        seen = list[tuple[int, int]]()
        for pause in (30, 31, 0):
            reply = await ask(world, name, "MX")
            seen.append((reply.rcode(), len(answers(reply, "MX"))))
            zone.add(name, "MX", "10 mx.example.com")
            await asyncio.sleep(pause)
        return seen

    assert run(look()) == [(rcode, 0), (rcode, 0), (0, 1)]


def test_a_denial_shows_the_seconds_that_are_left() -> None:
    world, _ = a_world()

    async def look() -> list[int]:
        seen = list[int]()
        for _ in range(2):
            reply = await ask(world, "no.example.com", "A")
            seen.append(reply.authority[0].ttl)
            await asyncio.sleep(20)
        return seen

    assert run(look()) == [60, 40]


def test_ttls_may_be_capped() -> None:
    world, _ = a_world()
    world.resolver.ttl_cap = 30
    assert resolved(world, "example.com").answer[0].ttl == 30


def test_nxdomain_may_hold_for_names_below() -> None:
    world, zone = a_world()
    world.resolver.denies_below = True

    async def look() -> int:
        await ask(world, "no.example.com", "A")
        zone.add("x.no.example.com", "A", "192.0.2.1")
        return (await ask(world, "x.no.example.com", "A")).rcode()

    assert run(look()) == NXDOMAIN


def test_all_servers_silent_is_servfail_with_no_reachable_authority() -> None:
    world, _ = a_world()
    for server in world.servers_of("example.com"):
        server.dead = True
    reply = resolved(world, "example.com")
    assert (reply.rcode(), errors(reply)) == (SERVFAIL, [22])


@pytest.mark.parametrize("how", list(Lame))
def test_all_servers_lame_is_servfail_with_a_network_error(how: Lame) -> None:
    world, _ = a_world()
    for server in world.servers_of("example.com"):
        server.make_lame("example.com", how)
    reply = resolved(world, "example.com")
    assert (reply.rcode(), errors(reply)) == (SERVFAIL, [22, 23])


def test_one_good_server_is_enough() -> None:
    world, _ = a_world()
    dead, lame, _ = world.servers_of("example.com")
    dead.dead = True
    lame.make_lame("example.com", Lame.UPWARD)
    assert answers(resolved(world, "example.com"), "TXT") == ['"old"']


def test_a_failure_is_remembered_for_a_while() -> None:
    world, _ = a_world()
    servers = world.servers_of("example.com")

    async def look() -> list[int]:
        for server in servers:
            server.make_lame("example.com", Lame.REFUSED)
        seen = [(await ask(world, "example.com", "TXT")).rcode()]
        for server in servers:
            server.make_lame("example.com", None)
        seen.append((await ask(world, "example.com", "TXT")).rcode())
        await asyncio.sleep(6)
        return [*seen, (await ask(world, "example.com", "TXT")).rcode()]

    assert run(look()) == [SERVFAIL, SERVFAIL, 0]


@pytest.mark.parametrize("edns", list(Edns))
def test_servers_with_broken_edns_are_asked_without(edns: Edns) -> None:
    world, _ = a_world()
    for server in world.servers_of("example.com"):
        server.edns = edns
    assert answers(resolved(world, "example.com"), "TXT") == ['"old"']


@pytest.mark.parametrize(("blocked", "rcode"), [(False, 0), (True, SERVFAIL)])
def test_long_answers_come_over_tcp_where_it_works(blocked: bool, rcode: int) -> None:
    world, zone = a_world()
    zone.add("long.example.com", "TXT", "x" * 800)
    for server in world.servers_of("example.com"):
        server.udp_limit, server.tcp_blocked = 512, blocked
    assert resolved(world, "long.example.com").rcode() == rcode


@pytest.mark.parametrize("error", [6, 7, 9, 10])
def test_bad_signatures_are_servfail_but_not_with_cd(error: int) -> None:
    world, _ = a_world()
    world.sign("example.com", error)
    reply = resolved(world, "example.com")
    assert (reply.rcode(), errors(reply)) == (SERVFAIL, [error])
    assert answers(resolved(world, "example.com", flags=dns.flags.CD), "TXT") == ['"old"']


def test_without_its_ds_a_zone_is_insecure_once_the_ds_expires() -> None:
    world, _ = a_world()
    world.sign("example.com", 9)

    async def look() -> list[int]:
        seen = [(await ask(world, "example.com", "TXT")).rcode()]
        world.remove_ds("example.com")
        seen.append((await ask(world, "example.com", "TXT")).rcode())
        await asyncio.sleep(world.settling_time("example.com") + 1)
        return [*seen, (await ask(world, "example.com", "TXT")).rcode()]

    assert run(look()) == [SERVFAIL, SERVFAIL, 0]


def test_a_bad_zone_spoils_those_below_it() -> None:
    world, _ = a_world()
    sub = world.register("sub.example.com", 1)
    sub.add("sub.example.com", "TXT", "sound")
    world.sign("example.com", 7)
    world.sign("sub.example.com")
    assert errors(resolved(world, "sub.example.com")) == [7]


@pytest.mark.parametrize(("flags", "shown"), [(dns.flags.AD, True), (0, False)])
def test_sound_zones_are_shown_as_authentic_to_who_asks(flags: int, shown: bool) -> None:
    world, _ = a_world()
    world.sign("example.com")
    reply = resolved(world, "example.com", flags=flags)
    assert bool(reply.flags & dns.flags.AD) is shown


def test_unsigned_zones_are_not_authentic_even_behind_an_alias() -> None:
    world, _ = a_world()
    world.sign("example.com")
    reply = resolved(world, "alias.example.com", flags=dns.flags.AD)
    assert not reply.flags & dns.flags.AD


def test_a_resolver_that_does_not_validate_answers_all() -> None:
    world, _ = a_world()
    world.sign("example.com", 6)
    world.resolver.validating = False
    assert answers(resolved(world, "example.com"), "TXT") == ['"old"']


def test_expired_records_are_served_where_nobody_answers() -> None:
    world, _ = a_world()
    world.resolver.stale = True

    async def look() -> list[tuple[list[str], int, bool]]:
        await ask(world, "example.com", "TXT")
        await asyncio.sleep(1000)
        for server in world.servers_of("example.com"):
            server.dead = True
        replies = [await ask(world, "example.com", "TXT") for _ in range(2)]
        return [
            (answers(reply, "TXT"), reply.answer[0].ttl, 3 in errors(reply)) for reply in replies
        ]

    assert run(look()) == [(['"old"'], 30, True)] * 2


def test_a_split_horizon_shows_another_zone() -> None:
    world, _ = a_world()
    inside = Zone("example.com")
    inside.add("example.com", "TXT", "inside")
    world.resolver.serve_locally(inside)
    assert answers(resolved(world, "example.com"), "TXT") == ['"inside"']
    assert resolved(world, "alias.example.com").rcode() == NXDOMAIN


def test_resolvers_do_not_share_their_caches() -> None:
    world, zone = a_world()
    world.add_resolver()

    async def look() -> list[list[str]]:
        await ask(world, "example.com", "TXT")
        zone.replace("example.com", "TXT", "new")
        replies = [
            await ask(world, "example.com", "TXT", server=address.address, flags=dns.flags.RD)
            for address in world.resolver_addresses
        ]
        return [answers(reply, "TXT") for reply in replies]

    assert run(look()) == [['"old"'], ['"new"']]


def test_who_asks_meanwhile_waits_as_long_as_the_first() -> None:
    world, _ = a_world()
    for server in world.servers_of("example.com"):
        server.latency = 0.3

    async def look() -> float:
        start = world.now()
        first = asyncio.ensure_future(ask(world, "example.com", "TXT"))
        await asyncio.sleep(0.1)
        await ask(world, "example.com", "TXT")
        assert first.done()
        return world.now() - start

    assert 0.3 < run(look()) < 0.4
    assert world.servers_of("example.com")[0].queries <= 1


def test_a_server_without_an_address_does_not_stop_the_others() -> None:
    world, zone = a_world()
    world.nameserver("ghost.nowhere.org", [])
    world.delegate("example.com", ["ghost.nowhere.org", "ns1.dnshost.example"])
    assert answers(resolved(world, "example.com"), "TXT") == ['"old"']
    assert zone.values("example.com", "NS") != []


def test_a_resolver_does_not_answer_without_recursion() -> None:
    world, _ = a_world()
    address = world.resolver_address.address
    reply = run(ask(world, "example.com", "TXT", server=address))
    assert reply.rcode() == dns.rcode.REFUSED
