# SPDX-License-Identifier: Apache-2.0
"""Defaults of a namespace: the newest mark wins, the others say by whom they were superseded.

Covers: marks that came with an object and that were set later, before anybody looked and after;
ties; a clock that runs behind; suspended, invalid and unreadable objects; accounts that follow, and
stay where they are until the new default is ready; random histories of servers and accounts, looked
at in any order, with and without restarts: one default at most, everybody agrees, nobody is out.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.api.status import MarkedStatus
from postroom.api.times import timestamp
from postroom.reconcile.world import LookupUnavailable, SecretContent
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, MailWorld, message, verdict

KINDS = (Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT)
DEFAULT, READY = ConditionType.DEFAULT, ConditionType.READY
SUPERSEDED, NEWEST = ("False", "Superseded"), ("True", "NewestDefault")


def key(name: str, kind: Kind = Kind.MAIL_SERVER) -> Key:
    return Key(kind, NAMESPACE, name)


class Defaults(MailWorld):
    """Objects with creation times, which are marked and unmarked."""

    def put(self, name: str, kind: Kind = Kind.MAIL_SERVER, **spec: Any) -> Key:
        """Create an object, or change its spec."""
        place = key(name, kind)
        created = self.objects.get(place, {}).get("metadata", {}).get("creationTimestamp")
        needed = {"host": f"{name}.example.com"}
        if kind is Kind.EMAIL_ACCOUNT:
            needed = {"address": f"{name}@example.com"}
        self.add(place, **needed, **spec)
        self.objects[place]["metadata"]["creationTimestamp"] = created or timestamp(self.time)
        return place

    async def seen(self, name: str, kind: Kind = Kind.MAIL_SERVER) -> MarkedStatus:
        return cast("MarkedStatus", await self.look(key(name, kind), timedelta(seconds=5)))

    async def account(self) -> EmailAccountStatus:
        return cast("EmailAccountStatus", await self.look(ACCOUNT, timedelta(seconds=5)))

    def defaults(self, kind: Kind) -> list[str]:
        """The objects that say they are the default."""
        found = self.stored(kind)
        return [name for name, status in found.items() if status.get("isDefault")]

    def stored(self, kind: Kind) -> dict[str, dict[str, Any]]:
        return {
            place.name: raw["status"] or {}
            for place, raw in sorted(self.objects.items())
            if place.kind is kind
        }


@pytest.mark.parametrize("kind", KINDS)
async def test_the_newest_mark_wins_and_the_others_say_by_whom(kind: Kind) -> None:
    world = Defaults()
    world.put("old", kind, default=True)
    old = await world.seen("old", kind)
    assert (old.is_default, old.default_since) == (True, timestamp(NOW))
    assert verdict(old, DEFAULT) == NEWEST
    world.put("new", kind)
    assert verdict(await world.seen("new", kind), DEFAULT) is None
    world.put("new", kind, default=True)
    new = await world.seen("new", kind)
    assert (new.is_default, verdict(new, DEFAULT)) == (True, NEWEST)
    old = await world.seen("old", kind)
    assert (old.is_default, verdict(old, DEFAULT)) == (False, SUPERSEDED)
    assert f"{kind.value} new was made the default later" in message(old, DEFAULT)
    assert ("SUPERSEDED", "default") in {(each.code, each.subject) for each in old.findings}
    assert (old.default_since or "") < (new.default_since or "")
    world.put("new", kind)
    new = await world.seen("new", kind)
    assert (new.is_default, new.default_since, verdict(new, DEFAULT)) == (False, None, None)
    old = await world.seen("old", kind)
    assert (old.is_default, old.default_since) == (True, timestamp(NOW))
    assert "SUPERSEDED" not in {each.code for each in old.findings}


@pytest.mark.parametrize("kind", KINDS)
async def test_losing_does_not_keep_from_being_ready(kind: Kind) -> None:
    world = Defaults()
    for name in ("old", "new"):
        world.put(name, kind, default=True)
        world.time += timedelta(hours=1)
    superseded = await world.seen("old", kind)
    assert verdict(superseded, DEFAULT) == SUPERSEDED
    world.put("old", kind)
    unmarked = await world.seen("old", kind)
    assert verdict(unmarked, READY) == verdict(superseded, READY)


async def test_marks_that_came_with_their_objects_are_as_old_as_those() -> None:
    world = Defaults()
    for name in ("older", "younger"):
        world.put(name, default=True)
        world.time += timedelta(hours=1)
    # The order in which they are looked at is of no matter.
    assert (await world.seen("younger")).is_default
    assert not (await world.seen("older")).is_default
    world.put("older", default=True, interval="10m")  # an edit of something else
    older = await world.seen("older")
    assert (older.is_default, older.default_since) == (False, timestamp(NOW))


async def test_objects_of_one_moment_are_told_apart_by_name() -> None:
    world = Defaults()
    for name in ("b", "a", "c"):
        world.put(name, default=True)
    for name in ("c", "b", "a"):
        assert (await world.seen(name)).is_default is (name == "a")


async def test_of_two_marks_of_one_second_the_younger_object_wins() -> None:
    world = Defaults()
    for name in ("a", "b"):
        world.put(name)
        await world.seen(name)
        world.time += timedelta(hours=1)
    for name in ("a", "b"):
        world.objects[key(name)]["status"]["defaultSince"] = timestamp(NOW)
        world.put(name, default=True)
    assert not (await world.seen("a")).is_default
    assert (await world.seen("b")).is_default


async def test_a_clock_that_runs_behind_makes_no_mark_older() -> None:
    world = Defaults()
    for name in ("first", "second"):
        world.put(name)
        await world.seen(name)
    world.put("first", default=True)
    first = await world.seen("first")
    world.time -= timedelta(hours=2)  # another leader
    world.put("second", default=True)
    second = await world.seen("second")
    assert second.is_default
    assert (second.default_since or "") > (first.default_since or "")
    assert not (await world.seen("first")).is_default


async def test_a_mark_stands_while_its_object_is_suspended() -> None:
    world = Defaults()
    world.put("a", default=True)
    world.put("b")
    await world.seen("a"), await world.seen("b")
    world.put("a", default=True, suspend=True)
    assert (await world.seen("a")).is_default
    world.put("b", default=True)
    assert (await world.seen("b")).is_default
    suspended = await world.seen("a")
    assert (suspended.is_default, verdict(suspended, DEFAULT)) == (False, SUPERSEDED)
    world.put("a", suspend=True)
    unmarked = await world.seen("a")
    assert (unmarked.default_since, verdict(unmarked, DEFAULT)) == (None, None)
    world.put("a", suspend=True, default=True)
    assert (await world.seen("a")).is_default


async def test_a_spec_that_cannot_be_understood_marks_nothing() -> None:
    world = Defaults()
    world.put("a", default=True)
    assert (await world.seen("a")).is_default
    world.put("a", default=True, port="many")
    broken = cast("MarkedStatus", await world.look(key("a")))
    assert verdict(broken, READY) == ("False", "InvalidSpec")
    assert (broken.is_default, broken.default_since, verdict(broken, DEFAULT)) == (
        False,
        None,
        None,
    )


async def test_a_secret_that_cannot_be_read_takes_no_mark_away() -> None:
    world = Defaults()

    async def unreadable(namespace: str, name: str) -> SecretContent | None:
        raise LookupUnavailable("Secret relay could not be read.")

    world.secret = unreadable  # type: ignore[method-assign]
    world.put("a", default=True, credentialsRef={"name": "relay"})
    status = await world.seen("a")
    assert verdict(status, READY) == ("Unknown", "Progressing")
    assert (status.is_default, status.default_since) == (True, timestamp(NOW))


class Followed(Defaults):
    """An account that names no server, and ``old``, which is the default."""

    def __init__(self) -> None:
        super().__init__()
        self.put("old", default=True)
        self.add(ACCOUNT, address="support@example.com")

    async def settled(self) -> EmailAccountStatus:
        await self.seen("old")
        return await self.account()


def using(status: EmailAccountStatus) -> tuple[str | None, str]:
    found = verdict(status, READY)
    assert found is not None
    return status.server_name, found[0]


async def test_an_account_moves_when_the_new_default_is_ready_and_is_never_out() -> None:
    world = Followed()
    assert using(await world.settled()) == ("old", "True")
    world.put("new", default=True)
    waiting = await world.account()  # before anybody looked at it
    assert using(waiting) == ("old", "True")
    assert "MailServer new is the default" in next(
        each.message for each in waiting.findings if each.code == "MAIL_SERVER_NOT_READY"
    )
    await world.seen("new")
    moved = await world.account()
    assert using(moved) == ("new", "True")
    assert moved.findings == []
    world.put("old")
    assert using(await world.settled()) == ("new", "True")


async def test_a_new_default_that_does_not_work_breaks_nobody() -> None:
    world = Followed()
    await world.settled()
    world.put("new", default=True)
    world.put("new", default=True, credentialsRef={"name": "missing"})
    new = await world.seen("new")
    assert new.is_default
    assert verdict(new, READY) == ("False", "SecretNotFound")
    assert using(await world.account()) == ("old", "True")
    # It is the default, though: who has used nothing yet waits for it, and so does everybody once
    # the old one is not marked any more.
    world.put("old")
    assert using(await world.account()) == ("new", "False")


async def test_an_account_stays_with_the_default_that_it_uses_when_that_fails() -> None:
    world = Followed()
    await world.settled()
    world.put("new", default=True)
    await world.seen("new")
    assert using(await world.account()) == ("new", "True")
    world.put("new", default=True, credentialsRef={"name": "missing"})
    await world.seen("new")
    assert using(await world.account()) == ("new", "False")


async def test_without_any_mark_there_is_no_default() -> None:
    world = Followed()
    await world.settled()
    world.put("old")
    status = await world.account()
    assert verdict(status, ConditionType.REFERENCES_RESOLVED) == ("False", "NoDefault")
    assert using(status) == (None, "False")
    assert status.effective_sender is not None
    assert status.effective_sender.address is None
    del world.objects[key("old")]
    assert verdict(await world.account(), READY) == ("False", "NoDefault")


async def test_defaults_of_other_namespaces_are_none_of_ours() -> None:
    world = Followed()
    await world.settled()
    theirs = Key(Kind.MAIL_SERVER, "elsewhere", "theirs")
    world.add(theirs, host="theirs.example.com", default=True)
    world.objects[theirs]["metadata"]["creationTimestamp"] = timestamp(NOW + timedelta(days=1))

    async def find(kind: Kind, namespace: str, index: str) -> Any:
        found = await MailWorld.find(world, kind, namespace, index)
        return [each for each in found if each.metadata.namespace == namespace]

    world.find = find  # type: ignore[method-assign]
    assert (await world.seen("old")).is_default
    assert using(await world.account()) == ("old", "True")


NAMES = ("a", "b", "c")
STEPS = st.tuples(
    st.sampled_from(["mark", "unmark", "delete", "edit"]),
    st.sampled_from(NAMES),
    st.permutations(NAMES),
    st.booleans(),
)


class History:
    """A world in which things happen one after the other, and what must come of it."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.world = kind, Defaults()
        #: Who is marked, in the order in which they were.
        self.marked: list[str] = []

    def do(self, action: str, name: str) -> None:
        world = self.world
        raw = world.objects.get(key(name, self.kind))
        spec = {"suspend": False} if raw is None else {"suspend": not raw["spec"].get("suspend")}
        if action == "delete":
            world.objects.pop(key(name, self.kind), None)
            world._memories.pop(key(name, self.kind), None)
        elif action == "edit":
            if name in self.marked:
                spec["default"] = True
            world.put(name, self.kind, **spec)
        elif action == "mark":
            world.put(name, self.kind, default=True)
        else:
            world.put(name, self.kind)
        if action in ("delete", "unmark") and name in self.marked:
            self.marked.remove(name)
        if action == "mark" and name not in self.marked:
            self.marked.append(name)

    async def settle(self, order: list[str]) -> None:
        """Look at everything until nothing changes, as the watch makes the operator do."""
        for _ in range(6):
            before = self.world.stored(self.kind)
            for name in order:
                if key(name, self.kind) in self.world.objects:
                    await self.world.seen(name, self.kind)
            if before == self.world.stored(self.kind):
                break
        self.agrees()

    def agrees(self) -> None:
        defaults = self.world.defaults(self.kind)
        assert len(defaults) == (1 if self.marked else 0)
        for name, status in self.world.stored(self.kind).items():
            said = [each for each in status["conditions"] if each["type"] == "Default"]
            assert bool(said) is (name in self.marked) is ("defaultSince" in status)
            if said and name not in defaults:
                assert said[0]["reason"] == "Superseded"
                assert f" {defaults[0]} was made the default later" in said[0]["message"]


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), steps=st.lists(STEPS, min_size=1, max_size=12))
def test_whatever_happens_one_at_a_time_the_last_mark_wins(
    kind: Kind, steps: list[tuple[str, str, list[str], bool]]
) -> None:
    async def run() -> None:
        history = History(kind)
        for action, name, order, restart in steps:
            history.do(action, name)
            if restart:
                history.world._memories.clear()
            await history.settle(order)
            assert history.world.defaults(kind) == history.marked[-1:]

    asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), steps=st.lists(STEPS, min_size=1, max_size=12))
def test_marks_of_a_clock_that_was_wrong_are_told_as_of_now_in_the_same_order(
    kind: Kind, steps: list[tuple[str, str, list[str], bool]]
) -> None:
    async def run() -> None:
        history = History(kind)
        for action, name, order, is_wrong in steps:
            history.world.time += is_wrong * timedelta(days=9999)
            history.do(action, name)
            if key(name, kind) in history.world.objects:
                await history.world.seen(name, kind)
            history.world.time -= is_wrong * timedelta(days=9999)
            for looked in order:
                # Nobody is the default in between who is not in the end.
                if key(looked, kind) in history.world.objects:
                    status = await history.world.seen(looked, kind)
                    assert bool(status.is_default) is ([looked] == history.marked[-1:])
            await history.settle(order)
        latest = timestamp(history.world.time + timedelta(minutes=10))
        marks = history.world.stored(kind).values()
        assert [each for each in marks if each.get("defaultSince", "") > latest] == []

    asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    steps=st.lists(STEPS, min_size=2, max_size=12),
    order=st.permutations(NAMES),
)
def test_whatever_happens_at_once_there_is_one_default_on_which_all_agree(
    kind: Kind, steps: list[tuple[str, str, list[str], bool]], order: list[str]
) -> None:
    async def run() -> None:
        history = History(kind)
        for action, name, _, looked in steps:
            history.do(action, name)
            if looked and key(name, kind) in history.world.objects:
                await history.world.seen(name, kind)
        await history.settle(order)
        kept = history.world.stored(kind)
        await history.settle(order[::-1])
        assert [each.get("defaultSince") for each in history.world.stored(kind).values()] == [
            each.get("defaultSince") for each in kept.values()
        ]

    asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_an_account_is_out_only_where_no_server_is_marked(
    steps: list[tuple[str, str, list[str], bool]],
) -> None:
    async def run() -> None:
        history = History(Kind.MAIL_SERVER)
        world = history.world
        world.add(ACCOUNT, address="support@example.com")
        for action, name, order, early in steps:
            used = world.objects[ACCOUNT]["status"] or {}
            history.do("mark" if action == "edit" else action, name)
            if early and used.get("serverName") in history.marked:
                # Before the new one was looked at: nothing has become worse.
                assert using(await world.account()) == (used["serverName"], "True")
            await history.settle(order)
            status = await world.account()
            expected = (history.marked[-1], "True") if history.marked else (None, "False")
            assert using(status) == expected

    asyncio.run(run())
