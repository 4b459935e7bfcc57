# SPDX-License-Identifier: Apache-2.0
"""The zone's own point of view: aliases into other zones, each server's word, and a blocked way."""

from __future__ import annotations

import pytest

from dnsworld.clock import run
from dnsworld.server import Lame
from dnsworld.world import Egress, World
from dnsworld.zone import Zone as StoredZone
from postroom.dns.answers import TCP_FAILED, Answer, Outcome, Question, RecordType, Zone
from postroom.dns.asking.authority import Silence, has_authority
from postroom.dns.asking.retrying import Heard
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.zones import Servers
from unit.dns.asking.views import Views

TXT, APEX = RecordType.TXT, "example.com"


def world() -> World:
    made = World()
    zone = made.register(APEX)
    zone.add(APEX, "TXT", "v=spf1 -all")
    zone.add(f"k1._domainkey.{APEX}", "CNAME", "k1.provider.net")
    zone.add(f"loop.{APEX}", "CNAME", "loop.provider.net")
    zone.add(f"gone.{APEX}", "CNAME", "gone.provider.net")
    provider = made.register("provider.net", operator="ns.provider.net")
    provider.add("k1.provider.net", "CNAME", "k1.keys.net")
    provider.add("loop.provider.net", "CNAME", f"loop.{APEX}")
    made.register("keys.net", operator="ns.keys.net").add("k1.keys.net", "TXT", "p=AAAA")
    return made


def ask(there: World, name: str) -> Answer:
    return run(Views(there).authorities.ask(Question(name, TXT)))


@pytest.mark.parametrize(
    ("name", "outcome", "values", "aliases"),
    [
        (APEX, Outcome.FOUND, ("v=spf1 -all",), ()),
        (f"none.{APEX}", Outcome.NX_DOMAIN, (), ()),
        (f"_domainkey.{APEX}", Outcome.NO_DATA, (), ()),
        (
            f"k1._domainkey.{APEX}",
            Outcome.FOUND,
            ("p=AAAA",),
            ("k1.provider.net", "k1.keys.net"),
        ),
        (f"gone.{APEX}", Outcome.NX_DOMAIN, (), ("gone.provider.net",)),
    ],
)
def test_the_servers_of_the_zones_are_believed(
    name: str, outcome: Outcome, values: tuple[str, ...], aliases: tuple[str, ...]
) -> None:
    found = ask(world(), name)
    assert (found.outcome, found.values, found.aliases) == (outcome, values, aliases)
    assert found.question == Question(name, TXT)
    assert found.authoritative


def test_aliases_that_lead_in_a_circle_are_malformed() -> None:
    assert ask(world(), f"loop.{APEX}").outcome is Outcome.MALFORMED


def test_the_truth_is_what_the_zone_says_now_not_what_the_resolver_keeps() -> None:
    async def story() -> tuple[tuple[str, ...], tuple[str, ...]]:
        there = world()
        views = Views(there)
        await views.resolver.answer(Question(APEX, TXT))
        there.zone_at(APEX).replace(APEX, "TXT", "v=spf1 ~all")
        stale = await views.resolver.answer(Question(APEX, TXT))
        return stale.values, (await views.authorities.ask(Question(APEX, TXT))).values

    assert run(story()) == (("v=spf1 -all",), ("v=spf1 ~all",))


def test_where_the_way_is_blocked_the_resolver_s_word_stands_but_not_as_the_zone_s() -> None:
    there = world()
    there.egress = Egress.DROPPED
    found = ask(there, APEX)
    assert (found.values, found.authoritative) == (("v=spf1 -all",), False)


@pytest.mark.parametrize("how", [None, Lame.REFUSED, Lame.SERVFAIL, Lame.NOT_AUTHORITATIVE])
@pytest.mark.parametrize("kept", [True, False])
def test_servers_that_refuse_and_silent_ones_leave_what_the_resolver_keeps(
    how: Lame | None, kept: bool
) -> None:
    async def story() -> Answer:
        there = world()
        views = Views(there)
        if kept:
            await views.resolver.answer(Question(APEX, TXT))
        for server in there.servers_of(APEX):
            if how is None:
                server.dead = True
            else:
                server.make_lame(APEX, how)
        return await views.authorities.ask(Question(APEX, TXT))

    found = run(story())
    assert found.values == (("v=spf1 -all",) if kept else ())
    assert (found.conclusive, found.authoritative) == (kept, False)


def test_each_server_is_told_by_itself() -> None:
    there = world()
    dead, lame, *_ = there.servers_of(APEX)
    dead.dead = True
    lame.make_lame(APEX, Lame.NOT_AUTHORITATIVE)
    looks = run(Views(there).authorities.every(Question(APEX, TXT)))
    assert [look.nameserver for look in looks] == sorted(look.nameserver for look in looks)
    assert {look.nameserver: look.answer.outcome for look in looks} == {
        dead.name: Outcome.TIMEOUT,
        lame.name: Outcome.REFUSED,
    }


def test_at_the_apex_each_is_asked_for_the_zone_not_for_the_name() -> None:
    question = Question(f"a.b.{APEX}", RecordType.SOA)
    looks = run(Views(world()).authorities.every(question, at_apex=True))
    assert len(looks) == 2
    assert {look.answer.question.name for look in looks} == {APEX}
    assert {look.answer.outcome for look in looks} == {Outcome.FOUND}


def test_no_server_answers_for_what_is_no_zone() -> None:
    assert run(Views(world()).authorities.every(Question("x.nosuchtld", TXT))) == ()


def test_servers_without_an_address_fail() -> None:
    named = run(Views(world()).authorities.named(APEX, ["none.dnshost.example"]))
    assert [look.answer.outcome for look in named] == [Outcome.SERVER_FAILURE]


def test_where_addresses_could_not_be_learnt_nobody_was_silent_and_no_resolver_stands_in() -> None:
    async def story() -> tuple[object, bool]:
        views = Views(world())
        for apex in (APEX, "provider.net"):
            nowhere = Servers(Zone(apex, ("ns1.lost.example",), 53), (("ns1.lost.example", ()),))
            found = await views.authorities.ask_servers(nowhere, Question(apex, TXT))
        return found, views.authorities.reach.blocked

    found, blocked = run(story())
    assert isinstance(found, Answer) and found.outcome is Outcome.SERVER_FAILURE
    assert not blocked


def test_silence_is_a_timeout_that_tells_of_tcp() -> None:
    question = Question(APEX, TXT)
    assert Silence(overloaded=False).answer(question) == Answer(question, Outcome.TIMEOUT)
    cut_off = Silence(overloaded=False, cut_off=True).answer(question)
    assert cut_off.errors == (TCP_FAILED,)


@pytest.mark.parametrize(
    ("outcome", "authoritative", "has"),
    [
        (Outcome.FOUND, True, True),
        (Outcome.NX_DOMAIN, True, True),
        (Outcome.FOUND, False, False),
        (Outcome.SERVER_FAILURE, True, False),
    ],
)
def test_only_what_says_something_with_aa_has_authority(
    outcome: Outcome, authoritative: bool, has: bool
) -> None:
    answer = Answer(Question(APEX, TXT), outcome, authoritative=authoritative)
    assert has_authority(Heard(ServerAddress("192.0.2.1"), outcome, answer)) is has


def strangers_copy(there: World, apex: str) -> StoredZone:
    """A copy of a zone at the servers of another one: an old one, or one that anybody may add."""
    copy = StoredZone(apex)
    for server in there.servers_of(APEX):
        server.serve(copy)
    return copy


@pytest.mark.parametrize("value", ["p=OLD", None])
def test_what_servers_have_of_another_zone_is_hearsay(value: str | None) -> None:
    """Whoever resolves an alias asks the servers of the zone that it leads to."""
    there = world()
    copy = strangers_copy(there, "provider.net")
    if value is not None:
        copy.add("k1.provider.net", "TXT", value)
    found = ask(there, f"k1._domainkey.{APEX}")
    assert (found.outcome, found.values) == (Outcome.FOUND, ("p=AAAA",))
    assert found.aliases == ("k1.provider.net", "k1.keys.net")
    assert found.authoritative
    for look in run(Views(there).authorities.every(Question(f"k1._domainkey.{APEX}", TXT))):
        assert (look.answer.values, look.answer.aliases) == ((), ("k1.provider.net",))
        assert look.answer.conclusive


def test_nor_does_an_alias_of_theirs_lead_on() -> None:
    there = world()
    copy = strangers_copy(there, "provider.net")
    copy.add("k1.provider.net", "CNAME", f"old.{APEX}")
    there.zone_at(APEX).add(f"old.{APEX}", "TXT", "p=OLD")
    found = ask(there, f"k1._domainkey.{APEX}")
    assert (found.values, found.aliases) == (("p=AAAA",), ("k1.provider.net", "k1.keys.net"))


def test_what_lies_below_the_zone_is_its_servers_to_tell() -> None:
    there = world()
    there.zone_at(APEX).add(f"a.{APEX}", "CNAME", f"b.sub.{APEX}")
    there.register(f"sub.{APEX}").add(f"b.sub.{APEX}", "TXT", "here")
    found = ask(there, f"a.{APEX}")
    assert (found.values, found.aliases) == (("here",), (f"b.sub.{APEX}",))


@pytest.mark.parametrize("made_up", [".", "com"])
def test_a_zone_is_not_denied_by_one_above_it(made_up: str) -> None:
    """A server that serves a root of its own denies every name, with AA."""
    there = world()
    one, other, *_ = there.servers_of(APEX)
    for server in (one, other):
        server.forget(APEX)
        server.serve(StoredZone(made_up))
        looks = run(Views(there).authorities.every(Question(APEX, TXT)))
        told = {look.nameserver: look.answer.outcome for look in looks}
        assert told[server.name] is Outcome.REFUSED
        found = ask(there, APEX)
        if server is one:
            assert (found.outcome, found.values) == (Outcome.FOUND, ("v=spf1 -all",))
        else:
            assert found.outcome is not Outcome.NX_DOMAIN
