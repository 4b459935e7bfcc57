# SPDX-License-Identifier: Apache-2.0
"""Which zone holds a name, and where its servers listen: found, kept, and never beyond bounds."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsworld.clock import run
from dnsworld.world import World
from postroom.dns.answers import Answer, Outcome, Zone
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.zones import SERVERS_LIMIT, Servers, considered
from unit.dns.asking.views import Views

HOSTED = ("ns1.dnshost.example", "ns2.dnshost.example")


def world() -> World:
    made = World()
    made.register("example.com")
    made.register("deep.example.com", ["ns.deep.example.com"])
    return made


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("example.com", Zone("example.com", HOSTED)),
        ("_dmarc.no.such.example.com", Zone("example.com", HOSTED)),
        ("a.deep.example.com", Zone("deep.example.com", ("ns.deep.example.com",))),
        ("notdeep.example.com", Zone("example.com", HOSTED)),
    ],
)
def test_the_deepest_zone_holds_a_name(name: str, zone: Zone) -> None:
    found = run(Views(world()).zones.exact(name))
    assert isinstance(found, Servers)
    assert found.zone == zone
    assert [host for host, _ in found.hosts] == list(zone.nameservers)
    assert all(address.port == 53 for address in found.addresses)


def test_a_top_level_domain_that_the_root_denies_is_none() -> None:
    found = run(Views(world()).zones.exact("x.nosuchtld"))
    assert isinstance(found, Answer)
    assert found.outcome is Outcome.NX_DOMAIN


async def asked_again(forget: bool) -> tuple[int, int]:
    there = world()
    zones = Views(there).zones
    found = await zones.exact("a.example.com")
    assert isinstance(found, Servers)
    before = there.transport.count()
    if forget:
        zones.forget(found)
    await zones.exact("a.example.com")
    return before, there.transport.count()


def test_a_zone_is_kept_until_it_is_forgotten() -> None:
    first, then = run(asked_again(forget=False))
    assert first == then
    first, then = run(asked_again(forget=True))
    assert first < then


async def near() -> tuple[list[object], int]:
    there = world()
    zones = Views(there).zones
    await zones.exact("example.com")
    before = there.transport.count()
    found = [await zones.near(name) for name in ("k1._domainkey.example.com", "a.b.example.com")]
    apexes = [one.zone.apex if isinstance(one, Servers) else one for one in found]
    return list(apexes), there.transport.count() - before


def test_a_zone_above_that_is_known_is_near_enough() -> None:
    assert run(near()) == (["example.com", "example.com"], 0)


@pytest.mark.parametrize(
    ("name", "apex"),
    [("deep.example.com", "example.com"), ("a.deep.example.com", "deep.example.com"),
     ("example.com", None), ("com", None)],
)  # fmt: skip
def test_what_is_above_is_no_top_level_domain(name: str, apex: str | None) -> None:
    found = run(Views(world()).zones.above(name))
    assert (found and found.zone.apex) == apex


def at(*addresses: str, may_ask: str = "") -> Servers:
    """The zone as it is seen where its one server has these addresses."""
    there = World()
    made = there.register("host.example")
    for address in addresses:
        made.add("ns.host.example", "AAAA" if ":" in address else "A", address)
    views = Views(there, lambda address: address.startswith(may_ask))
    return run(views.zones.of_hosts("example.com", ["ns.host.example"]))


@pytest.mark.parametrize("nobody", ["224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1", "::"])
def test_an_address_that_is_nobodys_own_is_not_asked(nobody: str) -> None:
    assert at(nobody).addresses == ()
    assert at(nobody).denied == frozenset()
    assert at(nobody, "192.0.2.7").addresses == (ServerAddress("192.0.2.7"),)


def test_a_server_of_which_no_address_may_be_dialled_is_denied() -> None:
    assert at("10.0.0.5", may_ask="192.").denied == {"ns.host.example"}
    beside = at("10.0.0.5", "192.0.2.7", may_ask="192.")
    assert (beside.denied, beside.addresses) == (frozenset(), (ServerAddress("192.0.2.7"),))


def test_of_a_mass_of_addresses_four_are_considered() -> None:
    assert len(at(*(f"192.0.2.{number}" for number in range(1, 9))).addresses) == 4


def test_each_server_is_asked_at_one_address_before_any_is_at_another() -> None:
    a, b, c, d = (ServerAddress(f"192.0.2.{number}") for number in range(1, 5))
    hosts = (("ns1", (a, b, c)), ("ns2", ()), ("ns3", (d,)))
    made = Servers(Zone("example.com", ("ns1", "ns2", "ns3")), hosts)
    assert made.addresses == (a, d, b, c)
    assert dataclasses.replace(made, hosts=()).addresses == ()


@given(st.lists(st.sampled_from([f"ns{number}" for number in range(12)])))
def test_servers_are_considered_in_order_each_once_and_few(names: list[str]) -> None:
    found = considered(names)
    assert list(found) == sorted(set(names))[:SERVERS_LIMIT]
