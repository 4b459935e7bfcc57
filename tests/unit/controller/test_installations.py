# SPDX-License-Identifier: Apache-2.0
"""Installations in several namespaces: never do two of them work, and one that is there does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postroom.concurrency.shards import Shard
from postroom.controller import installations
from postroom.controller.client import ApiError
from postroom.controller.installations import (
    ACCOUNT_ANNOTATION,
    GIVEN_UP_AFTER,
    LOOK_PERIOD,
    REFUSED_FOR,
    WORKS_ANNOTATION,
    Installations,
    OtherInstallation,
)
from postroom.controller.lease import RETRY_PERIOD, SCOPE_LABEL, LeaderElection, lease_name
from unit.controller.contenders import Contender
from unit.controller.test_lease import Clock

SCOPE = "postroom"
PLACES = ("blue", "green", "red")
BLUE, GREEN, RED = PLACES


class Leases:
    """The Leases of all namespaces; each answer takes its time on its way there and back."""

    def __init__(self, seed: int | None = None) -> None:
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self.version = 0
        self.refusing: int | None = None
        #: Those who may write statuses in all namespaces: the accounts named postroom of these.
        self.installed = set(PLACES)
        self.asked: list[tuple[str, str]] = []
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - repeatable

    async def _pass(self) -> None:
        if self.refusing is not None:
            raise ApiError("GET leases", self.refusing)
        for _ in range(self._random.randrange(4) if self._random else 0):
            await asyncio.sleep(0)

    async def lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        await self._pass()
        found = self.stored.get((namespace, name))
        await self._pass()
        return found

    async def own_account(self, namespace: str) -> str | None:
        await self._pass()
        return "postroom" if namespace in self.installed else None

    async def may_write_statuses(self, namespace: str, account: str) -> bool:
        await self._pass()
        self.asked.append((namespace, account))
        return namespace in self.installed and account == "postroom"

    async def leases(self, selector: str) -> AsyncIterator[Mapping[str, Any]]:
        await self._pass()
        label, _, value = selector.partition("=")
        found = [
            each
            for each in self.stored.values()
            if (each["metadata"].get("labels") or {}).get(label) == value
        ]
        await self._pass()
        for each in sorted(found, key=lambda each: str(each["metadata"]["namespace"])):
            yield each

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._pass()
        if (namespace, lease["metadata"]["name"]) in self.stored:
            raise ApiError("POST", 409)
        return self._store(lease)

    async def replace_lease(
        self, namespace: str, name: str, lease: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        await self._pass()
        stored = self.stored.get((namespace, name))
        version = lease["metadata"]["resourceVersion"]
        if stored is None or stored["metadata"]["resourceVersion"] != version:
            raise ApiError("PUT", 409)
        return self._store(lease)

    def _store(self, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        self.version += 1
        metadata = {**lease["metadata"], "resourceVersion": str(self.version)}
        stored = {**lease, "metadata": metadata}
        self.stored[metadata["namespace"], metadata["name"]] = stored
        return stored


class Process(Contender):
    """One of an installation: its Lease, and whether others let it work."""

    def __init__(
        self, leases: Leases, place: str, clock: Clock, shard: Shard | None = None
    ) -> None:
        name = lease_name((), shard=shard or Shard())
        self.place, self.shard = place, shard or Shard()
        election = LeaderElection(leases, place, self.new_identity(), clock, name=name, scope=SCOPE)
        self.others = Installations(leases, leases, election, SCOPE, clock)
        super().__init__(election, self.others._attempt)


class World:
    """Time, and all who are there."""

    def __init__(self, seed: int | None = None) -> None:
        self.leases, self.clock = Leases(seed), Clock()
        self.running: list[Process] = []
        self.frozen: set[Process] = set()

    def start(self, place: str, shard: Shard | None = None) -> Process:
        self.running.append(Process(self.leases, place, self.clock, shard))
        return self.running[-1]

    async def go_on(self, seconds: float = RETRY_PERIOD) -> None:
        for _ in range(int(seconds / RETRY_PERIOD)):
            self.clock.now += RETRY_PERIOD
            awake = [each for each in self.running if each not in self.frozen]
            await asyncio.gather(*(each.renew() for each in awake))
            await asyncio.gather(*(each.step() for each in awake))
            self.check()

    async def stop(self, process: Process, *, orderly: bool = True) -> None:
        self.running.remove(process)
        if orderly and process not in self.frozen:
            await process.election.release()

    def check(self) -> None:
        """No two installations work."""
        assert len({each.place for each in self.running if each.works}) <= 1


def says_it_works(world: World, place: str) -> bool:
    metadata = world.leases.stored[place, "postroom"]["metadata"]
    return WORKS_ANNOTATION in metadata["annotations"]


#: Annotations of a Lease in whose namespace there is no installation.
_FORGED: list[dict[str, str]] = [
    {WORKS_ANNOTATION: "true"},
    {WORKS_ANNOTATION: "true", ACCOUNT_ANNOTATION: ""},
    {WORKS_ANNOTATION: "true", ACCOUNT_ANNOTATION: "postroom"},
    {WORKS_ANNOTATION: "true", ACCOUNT_ANNOTATION: "x{}"},
    {ACCOUNT_ANNOTATION: "default"},
]


async def test_the_first_one_works_and_the_second_stands_by_and_says_for_whom(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    first = world.start(GREEN)
    await world.go_on(4)
    second = world.start(BLUE)
    await world.go_on(60)
    assert first.works and not second.joined
    assert second.others.waiting_for == "green/postroom"
    said = second.others.obstacle or ""
    assert "in namespace green" in said and "uninstall one of the two" in said
    assert caplog.text.count("standing by for another installation") == 1


async def test_one_that_is_restarted_stays_the_one_that_works() -> None:
    world = World()
    first = world.start(GREEN)
    await world.go_on(4)
    other = world.start(BLUE)
    for orderly in (True, False):
        await world.stop(first, orderly=orderly)
        await world.go_on(120)
        assert not other.joined
        first = world.start(GREEN)
        await world.go_on(20)
        assert first.works and not other.joined


async def test_one_that_is_gone_for_five_minutes_is_followed_and_stands_by_if_it_returns() -> None:
    world = World()
    first, other = world.start(BLUE), world.start(GREEN)
    await world.go_on(6)
    assert first.works
    await world.stop(first)
    await world.go_on(GIVEN_UP_AFTER - 10)
    assert not other.joined
    await world.go_on(20)
    assert other.works and other.others.obstacle is None
    again = world.start(BLUE)
    await world.go_on(20)
    assert other.works and not again.joined
    assert not says_it_works(world, BLUE)


async def test_one_whose_lease_is_deleted_is_followed_at_once() -> None:
    world = World()
    first, other = world.start(BLUE), world.start(GREEN)
    await world.go_on(6)
    await world.stop(first)
    del world.leases.stored[BLUE, "postroom"]
    await world.go_on(4)
    assert other.works


async def test_one_that_is_uninstalled_with_its_rights_is_followed_within_a_minute() -> None:
    world = World()
    first, other = world.start(BLUE), world.start(GREEN)
    await world.go_on(6)
    assert first.works
    await world.stop(first)
    world.leases.installed.discard(BLUE)
    await world.go_on(64)
    assert other.works


async def test_shards_of_one_installation_are_no_others() -> None:
    world = World()
    mine = [world.start(GREEN, Shard(index, 3)) for index in range(3)]
    await world.go_on(6)
    assert all(each.works for each in mine)
    alone = world.start(BLUE)
    await world.go_on(20)
    assert not alone.joined
    await world.stop(mine.pop())
    mine.append(world.start(GREEN, Shard(2, 3)))
    await world.go_on(20)
    assert all(each.works for each in mine) and not alone.joined


async def test_who_was_overtaken_between_its_look_and_its_mark_takes_that_back() -> None:
    world = World()
    late, early = world.start(GREEN), world.start(BLUE)
    await late.step()
    renewed = late.election.renewed

    async def overtaken() -> bool:
        if not early.joined:
            await early.step()
            await early.step()
        return await renewed()

    late.election.renewed = overtaken  # type: ignore[method-assign]
    await late.step()
    assert early.works and not late.joined
    assert not says_it_works(world, GREEN)


async def test_of_two_who_mark_theirs_at_once_both_take_it_back_and_one_goes_on() -> None:
    world = World()
    both = [world.start(GREEN), world.start(BLUE)]
    for process in both:
        await process.step()
        told = {WORKS_ANNOTATION: process.election.identity, ACCOUNT_ANNOTATION: "postroom"}
        process.election.annotations |= told
        assert await process.election.renewed()
    await world.go_on(20)
    assert sum(process.works for process in both) == 1


@pytest.mark.parametrize("annotations", _FORGED)
async def test_a_lease_that_a_tenant_writes_holds_nobody_up(annotations: dict[str, str]) -> None:
    world = World()
    mine = world.start(GREEN)
    for number in range(50):
        name = f"postroom-{number}-of-50" if number else "postroom"
        told = {name: value.format(number) for name, value in annotations.items()}
        metadata = {"namespace": "a-tenant", "name": name, "resourceVersion": "1"}
        metadata |= {"labels": {SCOPE_LABEL: SCOPE}, "annotations": told}
        spec = {"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.000000Z"}
        world.leases.stored["a-tenant", name] = {"metadata": metadata, "spec": spec}
    await world.go_on(6)
    assert mine.works and mine.others.obstacle is None
    assert len(world.leases.asked) <= 1


async def test_another_program_and_other_namespaces_are_nobodys_business() -> None:
    world = World()
    mine = world.start(BLUE)
    stranger = LeaderElection(world.leases, RED, "x", world.clock, name="postroom-1a2b")
    assert await stranger._attempt()
    await world.go_on(4)
    assert mine.works


async def test_what_keeps_us_from_knowing_for_now_is_named() -> None:
    world = World()
    mine = world.start(BLUE)
    await world.go_on()
    world.leases.refusing = 503
    assert not await mine.others._attempt()
    assert "which answers 503" in (mine.others.obstacle or "")
    world.leases.refusing = None
    await world.go_on()
    assert mine.works and mine.others.obstacle is None


def forbid(world: World, refused: str, patched: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: str) -> None:
        raise ApiError("POST", 403)

    async def none_listed(_: str) -> AsyncIterator[Mapping[str, Any]]:
        raise ApiError("GET", 403)
        yield {}

    patched.setattr(world.leases, refused, none_listed if refused == "leases" else forbidden)


@pytest.mark.parametrize("refused", ["own_account", "leases", "may_write_statuses"])
async def test_who_may_not_look_says_so_works_and_is_seen_by_those_who_may(
    refused: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    first = world.start(BLUE)
    await world.go_on(4)
    second = world.start(GREEN)

    with monkeypatch.context() as patched:
        forbid(world, refused, patched)
        await world.go_on(REFUSED_FOR)
        assert not second.joined and "grant this service account" in (second.others.obstacle or "")
        for _ in range(3):
            world.clock.now += RETRY_PERIOD
            await second.renew()
            await second.step()
    assert second.joined and second.others.obstacle is None
    assert caplog.text.count("grant this service account list on leases") == 1
    await world.stop(first)
    first = world.start(BLUE)
    told = world.leases.stored[GREEN, "postroom"]["metadata"]["annotations"]
    assert told[WORKS_ANNOTATION] == second.election.identity


async def test_an_api_server_that_begins_and_refuses_everybody_brings_no_second_to_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.start(BLUE)
    await world.go_on(4)
    second = world.start(GREEN)
    await world.go_on(10)
    for refused in ("leases", "may_write_statuses"):
        with monkeypatch.context() as patched:
            forbid(world, refused, patched)
            await world.go_on(GIVEN_UP_AFTER / 2)
        await world.go_on(10)
        assert not second.joined and second.others.waiting_for == "blue/postroom"


async def test_an_installation_is_seen_behind_leases_of_one_that_was_there_before() -> None:
    world = World()
    before = {"namespace": BLUE, "name": "postroom", "resourceVersion": "1"}
    before |= {"labels": {SCOPE_LABEL: SCOPE}, "annotations": {ACCOUNT_ANNOTATION: "release-1"}}
    spec = {"holderIdentity": "", "renewTime": "2026-01-01T00:00:00.000000Z"}
    world.leases.stored[BLUE, "postroom"] = {"metadata": before, "spec": spec}
    shards = [world.start(BLUE, Shard(index, 2)) for index in range(2)]
    await world.go_on(4)
    other = world.start(RED)
    await world.go_on(20)
    assert all(each.works for each in shards) and not other.joined


async def test_who_has_followed_another_does_not_wait_for_it_at_each_restart() -> None:
    world = World()
    first, other = world.start(BLUE), world.start(GREEN)
    await world.go_on(6)
    await world.stop(first, orderly=False)
    await world.go_on(GIVEN_UP_AFTER + 20)
    assert other.works and says_it_works(world, BLUE)
    for orderly in (True, False):
        await world.stop(other, orderly=orderly)
        other = world.start(GREEN)
        await world.go_on(40)
        assert other.works


async def test_a_mark_that_was_left_keeps_nobody_out_for_longer_though_its_lease_is_renewed() -> (
    None
):
    world = World()
    first, other = world.start(BLUE), world.start(GREEN)
    await world.go_on(6)
    await world.stop(first)
    # It waits for others of its own, and never looks at those of other namespaces.
    waits = world.start(BLUE)
    waits.step = waits.election._attempt  # type: ignore[method-assign,assignment]
    await world.go_on(GIVEN_UP_AFTER - 20)
    assert not other.joined
    await world.go_on(40)
    assert other.works


@pytest.mark.parametrize("name", ["postroom-x", "postroom-1-of-2-of-3", "x-postroom"])
async def test_a_lease_of_another_name_counts_for_nothing(name: str) -> None:
    world = World()
    told = {WORKS_ANNOTATION: "x", ACCOUNT_ANNOTATION: "postroom"}
    metadata = {"namespace": BLUE, "name": name, "labels": {SCOPE_LABEL: SCOPE}}
    stored = {"metadata": {**metadata, "annotations": told}, "spec": {"holderIdentity": "x"}}
    world.leases.stored[BLUE, name] = stored
    mine = world.start(GREEN)
    await world.go_on(6)
    assert mine.works


async def both_at_work() -> tuple[World, Process, Process]:
    """Two that do not know of each other, as where a Lease was deleted beneath its holder."""
    world = World()
    first = world.start(BLUE)
    await world.go_on(4)
    del world.leases.stored[BLUE, "postroom"]
    second = world.start(GREEN)
    await second.step()
    await second.step()
    assert second.works and first.works
    return world, first, second


async def look_on(world: World, process: Process) -> None:
    """Look twice, as far apart as it does."""
    await process.others._look_on()
    for _ in range(int(LOOK_PERIOD)):
        world.clock.now += 1
        for each in world.running:
            await each.renew()
    await process.others._look_on()


async def test_of_two_who_work_whoever_sees_the_other_ends() -> None:
    world, first, second = await both_at_work()
    for process in (first, second):
        with pytest.raises(OtherInstallation, match=r"by lease (blue|green)/postroom"):
            await look_on(world, process)
    # Both are started again, and one of them works.
    for process in (first, second):
        await world.stop(process)
        world.start(process.place)
    await world.go_on(40)
    assert sum(each.works for each in world.running) == 1


async def test_who_works_ends_for_nobody_who_does_not() -> None:
    world, first, second = await both_at_work()
    await world.stop(second, orderly=False)
    await look_on(world, first)
    second = world.start(GREEN)
    await world.go_on(20)
    assert not second.joined and second.others.waiting_for == "blue/postroom"
    await look_on(world, first)
    world.leases.installed.discard(GREEN)
    second.election.annotations[WORKS_ANNOTATION] = second.election.identity
    await second.election.renewed()
    world.clock.now += 61
    await first.election._attempt()
    await look_on(world, first)
    world.leases.refusing = 503
    await first.others._look_on()


async def test_who_works_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installations, "LOOK_PERIOD", 0.001)
    world, first, _ = await both_at_work()
    watching = asyncio.ensure_future(first.others.keep_watch())
    for _ in range(1000):
        world.clock.now += 1
        for each in world.running:
            await each.renew()
        await asyncio.sleep(0.002)
        if watching.done():
            break
    with pytest.raises(OtherInstallation):
        await asyncio.wait_for(watching, 0.1)


async def test_join_returns_once_it_may() -> None:
    leases = Leases()
    world = World()
    world.leases = leases
    first = world.start(GREEN)
    await world.go_on(4)
    second = Process(leases, BLUE, world.clock)
    await second.step()
    found = Installations(leases, leases, second.election, SCOPE, world.clock, retry_period=0.001)
    joining = asyncio.ensure_future(found.join())
    await asyncio.sleep(0.02)
    assert not joining.done()
    await world.stop(first)
    del leases.stored[GREEN, "postroom"]
    await asyncio.wait_for(joining, 5)


_verbs = st.sampled_from(["start", "start", "go on", "go on", "long", "freeze", "thaw", "stop"])
_steps = st.lists(st.tuples(_verbs, st.integers(0, 8)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(_steps, st.integers(0, 2**32))
def test_no_history_has_two_at_work_and_those_who_stay_find_one(
    steps: list[tuple[str, int]], seed: int
) -> None:
    async def live() -> None:
        world = World(seed)
        for verb, what in steps:
            if verb == "start":
                world.start(PLACES[what % 3], Shard(what % 2, 2) if what > 5 else None)
            elif verb == "go on":
                await world.go_on(RETRY_PERIOD * (what + 1))
            elif verb == "long":
                # Of those who are frozen, some have been given up by then.
                await world.go_on(GIVEN_UP_AFTER + 20 if what > 5 else 30)
            elif world.running:
                process = world.running[what % len(world.running)]
                if verb == "freeze":
                    world.frozen.add(process)
                elif verb == "thaw":
                    world.frozen.discard(process)
                else:
                    await world.stop(process, orderly=what % 2 == 0)
            world.check()
        world.running = [world.start(place) for place in PLACES]
        world.frozen.clear()
        await world.go_on(GIVEN_UP_AFTER + 60)
        assert sum(each.works for each in world.running) == 1

    asyncio.run(live())


class Guarded(World):
    """Whoever works looks on, and is started again where it ends for another one."""

    async def go_on(self, seconds: float = RETRY_PERIOD) -> None:
        for number in range(int(seconds / RETRY_PERIOD)):
            await super().go_on()
            if number % int(LOOK_PERIOD / RETRY_PERIOD):
                continue
            for process in [each for each in self.running if each.works]:
                try:
                    await process.others._look_on()
                except OtherInstallation:
                    await self.stop(process)
                    self.start(process.place, process.shard)

    def check(self) -> None:
        """For a moment two may work: a Lease that is deleted tells nothing."""


_blows = st.sampled_from(["start", "start", "go on", "delete", "revoke", "grant", "freeze", "kill"])


@settings(max_examples=60, deadline=None)
@example([("start", 0), ("go on", 1), ("start", 1), ("go on", 1), ("delete", 0)], 1)
@given(st.lists(st.tuples(_blows, st.integers(0, 8)), max_size=20), st.integers(0, 2**32))
def test_whatever_is_deleted_revoked_or_granted_one_works_in_the_end_and_stays(
    blows: list[tuple[str, int]], seed: int
) -> None:
    async def live() -> None:
        world = Guarded(seed)
        for verb, what in blows:
            place = PLACES[what % 3]
            if verb == "start":
                world.start(place)
            elif verb == "go on":
                await world.go_on(RETRY_PERIOD * (4 * what + 1))
            elif verb == "delete":
                world.leases.stored.pop((place, "postroom"), None)
                # Others look before its holder has renewed it.
                for process in [*world.running] * 2:
                    if process.place != place and process not in world.frozen:
                        await process.step()
            elif verb == "revoke":
                world.leases.installed.discard(place)
            elif verb == "grant":
                world.leases.installed.add(place)
            elif world.running:
                process = world.running[what % len(world.running)]
                if verb == "freeze":
                    world.frozen ^= {process}
                else:
                    await world.stop(process, orderly=False)
        world.leases.installed, world.frozen = set(PLACES), set()
        for place in set(PLACES) - {each.place for each in world.running}:
            world.start(place)
        await world.go_on(GIVEN_UP_AFTER + 120)
        working = [each for each in world.running if each.works]
        assert len(working) == 1
        await world.go_on(120)
        assert [each for each in world.running if each.works] == working

    asyncio.run(live())
