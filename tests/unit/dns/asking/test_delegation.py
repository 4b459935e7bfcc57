# SPDX-License-Identifier: Apache-2.0
"""The parent's point of view: the servers it names for a zone, and whether it vouches for it."""

from __future__ import annotations

import pytest

from dnsworld.clock import run
from dnsworld.world import Egress, World
from postroom.dns.answers import Answer, Delegation, Outcome, Question, RecordType
from unit.dns.asking.views import Views

APEX = "example.com"
SERVERS = ("ns1.dnshost.example", "ns2.dnshost.example")


def world() -> World:
    made = World()
    made.register(APEX)
    return made


def look(there: World, apex: str = APEX) -> Delegation | Answer:
    return run(Views(there).parents.delegation(Question(apex, RecordType.NS)))


@pytest.mark.parametrize("signed", [True, False])
def test_what_the_parent_says(signed: bool) -> None:
    there = world()
    if signed:
        there.sign(APEX)
    found = look(there)
    assert found == Delegation("com", SERVERS, signed)
    assert isinstance(found, Delegation)
    told = {server.nameserver: server.answer.outcome for server in found.servers}
    assert told == dict.fromkeys(SERVERS, Outcome.FOUND)


def test_the_parent_counts_not_what_the_zone_says_of_itself() -> None:
    there = world()
    there.delegate(APEX, ["ns9.other.net"])
    found = look(there)
    assert isinstance(found, Delegation)
    assert found.nameservers == ("ns9.other.net",)
    # It was never told of the zone.
    assert [server.answer.outcome for server in found.servers] == [Outcome.REFUSED]


def test_a_zone_below_another_one_has_that_as_its_parent() -> None:
    there = world()
    there.register(f"deep.{APEX}", ["ns.deep.example.com"])
    found = look(there, f"deep.{APEX}")
    assert isinstance(found, Delegation)
    assert (found.parent, found.nameservers) == (APEX, ("ns.deep.example.com",))


@pytest.mark.parametrize(
    ("apex", "outcome"),
    [("nobody.com", Outcome.NX_DOMAIN), (f"x.{APEX}", Outcome.NX_DOMAIN)],
)
def test_the_parent_says_that_there_is_no_such_zone(apex: str, outcome: Outcome) -> None:
    found = look(world(), apex)
    assert isinstance(found, Answer)
    assert (found.outcome, found.authoritative) == (outcome, True)


def test_nobody_is_asked_for_a_top_level_domain() -> None:
    there = world()
    found = look(there, "com")
    assert isinstance(found, Answer)
    assert (found.outcome, there.transport.count()) == (Outcome.REFUSED, 0)


def test_where_the_way_is_blocked_nothing_is_known() -> None:
    there = world()
    there.egress = Egress.DROPPED
    found = look(there)
    assert isinstance(found, Answer)
    assert (found.outcome, found.authoritative) == (Outcome.TIMEOUT, False)


def test_servers_that_may_not_be_asked_are_denied() -> None:
    views = Views(world(), lambda address: False)
    found = run(views.parents.delegation(Question(APEX, RecordType.NS)))
    assert isinstance(found, Answer)
    assert found.outcome is Outcome.DENIED


def test_where_the_parent_is_silent_nothing_is_known() -> None:
    there = world()
    for server in there.servers_of("com"):
        server.dead = True
    found = look(there)
    assert isinstance(found, Answer)
    assert found.outcome not in (Outcome.FOUND, Outcome.NO_DATA, Outcome.NX_DOMAIN)
    assert not found.authoritative
