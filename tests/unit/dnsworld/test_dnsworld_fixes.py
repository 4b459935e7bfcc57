# SPDX-License-Identifier: Apache-2.0
"""Fixes: each action applied to the world, and every way in which a fix can be unusable."""

from __future__ import annotations

import asyncio

import pytest

from dnsworld.clock import run
from dnsworld.fixes import Effect, UnusableFix, apply
from dnsworld.hosts import DNSHost
from dnsworld.quirks import QUIRKS
from dnsworld.stub import answers, ask
from dnsworld.world import World
from postroom.api.findings import Fix, FixAction, RecordToRemove

APEX = "example.com"


def a_host(quirk: str = "nice") -> DNSHost:
    world = World()
    return DNSHost(world, world.register(APEX), QUIRKS[quirk])


def fix(
    action: FixAction, name: str = APEX, kind: str = "TXT", value: str = "new", **more: object
) -> Fix:
    return Fix.model_validate(
        {"action": action, "name": name, "type": kind, "value": value, **more}
    )


def gone(name: str, kind: str, value: str = "") -> RecordToRemove:
    return RecordToRemove(name=name, type=kind, value=value)


def applied(host: DNSHost, todo: Fix) -> Effect:
    return run(apply(todo, host.world, host))


def test_create_works_around_the_quirks_of_the_host() -> None:
    host = a_host("appends-zone")
    todo = fix(FixAction.CREATE, "_dmarc.example.com", value="v=DMARC1", hostLabel="_dmarc")
    assert applied(host, todo) is Effect.CHANGED
    assert host.zone.values("_dmarc.example.com", "TXT") == ["v=DMARC1"]


def test_replace_removes_exactly_what_is_listed() -> None:
    host = a_host()
    for value in ("v=spf1 a -all", "v=spf1 mx -all", "keep"):
        host.add("", "TXT", value)
    remove = [gone(APEX, "TXT", "v=spf1 a -all"), gone(APEX, "TXT", "v=spf1 mx -all")]
    applied(host, fix(FixAction.REPLACE, value="v=spf1 a mx -all", remove=remove))
    assert host.zone.values(APEX, "TXT") == ["keep", "v=spf1 a mx -all"]


def test_move_takes_the_record_from_where_it_was() -> None:
    host = a_host("appends-zone")
    host.add("_dmarc.example.com", "TXT", "v=DMARC1")
    wrong = "_dmarc.example.com.example.com"
    todo = fix(
        FixAction.MOVE,
        "_dmarc.example.com",
        value="v=DMARC1",
        remove=[gone(wrong, "TXT", "v=DMARC1")],
    )
    applied(host, todo)
    assert host.zone.values(wrong, "TXT") == []
    assert host.zone.values("_dmarc.example.com", "TXT") == ["v=DMARC1"]


def test_delete_without_a_value_takes_all_of_the_type() -> None:
    host = a_host()
    host.add("w", "TXT", "one")
    host.add("w", "TXT", "two")
    host.add("w", "A", "192.0.2.1")
    applied(host, fix(FixAction.DELETE, "", "", "", remove=[gone("w.example.com", "TXT")]))
    assert host.zone.types_at("w.example.com") == ["A"]


def test_octets_beyond_ascii_are_removed_by_their_latin_1_form() -> None:
    host = a_host()
    host.add("", "TXT", "“v=spf1”")
    seen = host.zone.values(APEX, "TXT")[0]
    applied(host, fix(FixAction.REPLACE, value="v=spf1 -all", remove=[gone(APEX, "TXT", seen)]))
    assert host.zone.values(APEX, "TXT") == ["v=spf1 -all"]


@pytest.mark.parametrize(
    ("kind", "value", "presentation"),
    [
        ("CNAME", "k1.example.net", "k1.example.net."),
        ("MX", "10 mx.example.net", "10 mx.example.net."),
        ("TXT", "a; b", '"a" "; b"'),
    ],
)
def test_values_of_all_types_are_published(kind: str, value: str, presentation: str) -> None:
    host = a_host()
    applied(host, fix(FixAction.CREATE, "n.example.com", kind, value, presentation=presentation))
    assert host.zone.values("n.example.com", kind) == [value]


def test_the_deepest_zone_of_the_user_gets_the_record() -> None:
    host = a_host()
    below = DNSHost(host.world, host.world.register("mail.example.com"))
    todo = fix(FixAction.CREATE, "_dmarc.mail.example.com", hostLabel="_dmarc")
    run(apply(todo, host.world, host, below))
    assert below.zone.values("_dmarc.mail.example.com", "TXT") == ["new"]


def test_waiting_outlasts_caches_and_lagging_servers() -> None:
    host = a_host()
    world = host.world
    host.add("", "TXT", "old", ttl=7200)

    async def look() -> list[list[str]]:
        await ask(world, APEX, "TXT")
        lagging = world.servers_of(APEX)[1]
        lagging.hold(APEX, until=world.now() + 9000)
        host.edit("", "TXT", "old", "new")
        seen = [answers(await ask(world, APEX, "TXT"), "TXT")]
        assert await apply(Fix(action=FixAction.WAIT), world, host) is Effect.WAITED
        seen.append(answers(await ask(world, APEX, "TXT"), "TXT"))
        direct = await ask(world, APEX, "TXT", server=lagging.addresses[0])
        return [*seen, answers(direct, "TXT")]

    assert run(look()) == [['"old"'], ['"new"'], ['"new"']]


def test_what_is_up_to_others_is_left_or_played() -> None:
    host = a_host()
    host.world.sign(APEX, 6)

    async def look() -> list[int]:
        external = Fix(action=FixAction.EXTERNAL)
        assert await apply(external, host.world, host) is Effect.LEFT
        codes = [(await ask(host.world, APEX, "SOA")).rcode()]
        effect = await apply(
            external, host.world, host, outsider=lambda _: host.world.remove_ds(APEX)
        )
        assert effect is Effect.CHANGED
        await asyncio.sleep(host.world.settling_time(APEX) + 1)
        return [*codes, (await ask(host.world, APEX, "SOA")).rcode()]

    assert run(look()) == [2, 0]


@pytest.mark.parametrize(
    ("todo", "why"),
    [
        (fix(FixAction.CREATE, "other.net"), "no zone"),
        (fix(FixAction.CREATE, "a.example.com", hostLabel="b"), "leads to"),
        (fix(FixAction.CREATE, "a.example.com", hostLabel="a..b"), "not a name"),
        (fix(FixAction.CREATE, "a.example.com", "A", "nothing"), "cannot be published"),
        (fix(FixAction.CREATE, "a.example.com", "NONE", "x"), "cannot be published"),
        (fix(FixAction.CREATE, "a.example.com", value="€"), "cannot be published"),
        (fix(FixAction.CREATE, "a.example.com", presentation='"other"'), "something else"),
        (fix(FixAction.CREATE, "taken.example.com", "CNAME", "x.net"), "beside"),
        (fix(FixAction.CREATE, "alias.example.com"), "beside"),
        (fix(FixAction.CREATE, "alias.example.com", "CNAME", "y.net"), "another CNAME"),
        (fix(FixAction.DELETE, remove=[gone(APEX, "TXT", "absent")]), "There is no"),
        (fix(FixAction.DELETE, remove=[gone(APEX, "A", "absent")]), "There is no"),
        (fix(FixAction.DELETE), "nothing to delete"),
    ],
)
def test_unusable_fixes_are_told(todo: Fix, why: str) -> None:
    host = a_host()
    host.add("taken", "TXT", "x")
    host.add("alias", "CNAME", "x.net")
    with pytest.raises(UnusableFix, match=why):
        applied(host, todo)
