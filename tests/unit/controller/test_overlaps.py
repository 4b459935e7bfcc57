# SPDX-License-Identifier: Apache-2.0
"""Operators whose namespaces overlap: never do two of them work, and those that share none do."""

from __future__ import annotations

import asyncio
import random
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.concurrency.shards import WHOLE, Shard
from postroom.controller.client import ApiError
from postroom.controller.lease import (
    LEASE_DURATION,
    RETRY_PERIOD,
    LeaderElection,
    lease_name,
)
from postroom.controller.overlaps import Overlaps
from postroom.controller.shard_map import ShardMap
from unit.controller.contenders import Contender
from unit.controller.test_installations import Leases
from unit.controller.test_lease import Clock

PLACE, PROGRAM = "postroom-system", "postroom"
AB, BC, C, ALL = ("a", "b"), ("b", "c"), ("c",), ()
Scope = tuple[str, ...]


class Process(Contender):
    """One that would work on a scope, or on a shard of it."""

    def __init__(
        self, leases: Leases, served: Scope, clock: Clock | None = None, shard: Shard = WHOLE
    ) -> None:
        self.served, self.shard, clock = served, shard, clock or Clock()
        self.found = Overlaps(leases, PLACE, PROGRAM, served, clock)
        self._agreed = False
        self._number = ShardMap(leases, PLACE, shard, self._name_of, clock)
        name = self._name_of(shard)
        election = LeaderElection(leases, PLACE, self.new_identity(), clock, name=name)
        super().__init__(election, self._attempt)

    def _name_of(self, shard: Shard) -> str:
        return lease_name(self.served, PROGRAM, shard)

    async def _attempt(self) -> bool:
        self._agreed = self._agreed or await self._number._attempt()
        return self._agreed and await self.found._attempt()

    def clashes_with(self, other: Process) -> bool:
        """Whether both would write the same status."""
        one = frozenset(self.served or "abc")
        shared = one.intersection(other.served or "abc")
        return any(self.shard.has(each) and other.shard.has(each) for each in shared)


async def begun(leases: Leases, served: Scope, clock: Clock | None = None) -> Process:
    process = Process(leases, served, clock)
    await process.step()
    await process.step()
    return process


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (AB, BC, "namespace b"),
        (BC, C, "namespace c"),
        (ALL, C, "namespace c"),
        (C, ALL, "namespace c"),
    ],
)
async def test_of_two_that_share_a_namespace_the_second_stands_by(
    first: Scope, second: Scope, shared: str
) -> None:
    leases, clock = Leases(), Clock()
    one, other = await begun(leases, first, clock), await begun(leases, second, clock)
    assert one.works and not other.joined
    told = f"another operator, which holds lease {PLACE}/{lease_name(first)} and serves {shared}, "
    assert str(other.found.obstacle).startswith(told)
    await one.election.release()
    await other.step()
    assert other.works and other.found.obstacle is None and other.found.waiting_for is None
    # The first is the second now.
    again = await begun(leases, first, clock)
    assert not again.joined


@pytest.mark.parametrize("served", [AB, ALL])
async def test_those_that_share_none_and_one_that_begins_again_work(served: Scope) -> None:
    leases = Leases()
    if served:
        assert (await begun(leases, C)).works
    before = await begun(leases, served)
    await before.election.release()
    assert (await begun(leases, served)).works


async def test_one_that_died_is_waited_for_as_long_as_a_lease_lasts() -> None:
    leases, clock = Leases(), Clock()
    await begun(leases, AB, clock)
    other = await begun(leases, BC, clock)
    clock.now += LEASE_DURATION - 1
    await other.step()
    assert not other.joined
    clock.now += 1
    await other.step()
    assert other.joined


async def test_one_that_begins_again_and_one_that_saw_it_gone_are_not_both_let_in() -> None:
    """Between the look at all Leases and the write, the one whose scope stands there joins."""
    leases = Leases()
    await (await begun(leases, AB)).election.release()
    late, early = Process(leases, BC), Process(leases, AB)
    await late.step()
    put = late.found._put

    async def overtaken(*given: Any) -> None:
        await early.step()
        await early.step()
        await put(*given)

    late.found._put = overtaken  # type: ignore[method-assign]
    await late.step()
    assert early.works and not late.joined
    late.found._put = put  # type: ignore[method-assign]
    await late.step()
    assert not late.joined and late.found.waiting_for == lease_name(AB)


async def test_all_shards_of_another_scope_count() -> None:
    leases, clock = Leases(), Clock()
    shards = [Process(leases, AB, clock, Shard(index, 2)) for index in range(2)]
    for each in shards:
        await each.step()
        await each.step()
    other = await begun(leases, BC, clock)
    assert all(each.works for each in shards) and not other.joined
    await shards[0].election.release()
    await other.step()
    assert not other.joined
    await shards[1].election.release()
    await other.step()
    assert other.works


async def test_of_other_programs_nothing_is_said() -> None:
    leases = Leases()
    assert (await begun(leases, AB)).works
    worker = Overlaps(leases, PLACE, "postroom-deliver", BC, Clock())
    assert await worker._attempt()


@pytest.mark.parametrize("status", [403, 404])
async def test_who_may_not_use_the_lease_is_told(status: int) -> None:
    leases = Leases()
    process = Process(leases, AB)
    await process.step()
    leases.refusing = status
    assert not await process.found._attempt()
    assert f"{PLACE}/postroom-scopes" in str(process.found.obstacle)
    leases.refusing = None
    assert await process.found._attempt()
    assert process.found.obstacle is None


def scopes_in(leases: Leases) -> set[str]:
    annotations = leases.stored[PLACE, "postroom-scopes"]["metadata"]["annotations"]
    return {str(text) for scope, text in annotations.items() if scope.startswith("scope.")}


async def test_scopes_that_nobody_works_on_go_though_they_share_nothing() -> None:
    leases, clock = Leases(), Clock()
    working, back, deleted, dead = [
        await begun(leases, (name,), clock) for name in ("works", "back", "deleted", "dead")
    ]
    await back.election.release()
    del leases.stored[PLACE, lease_name(deleted.served)]
    leases.stored[PLACE, "postroom-scopes"]["metadata"]["annotations"]["team"] = "mail"
    await begun(leases, C, clock)
    # One that has died looks as one that works to whoever looks once.
    assert scopes_in(leases) == {"works", "dead", "c"}
    assert leases.stored[PLACE, "postroom-scopes"]["metadata"]["annotations"]["team"] == "mail"
    assert working.works and dead.works
    assert (await begun(leases, back.served, clock)).works
    assert scopes_in(leases) == {"works", "dead", "c", "back"}


async def test_scopes_whose_leases_may_not_be_read_stay_and_hold_nobody_up() -> None:
    leases = Leases()
    await (await begun(leases, AB)).election.release()
    late = Process(leases, C)
    await late.step()
    read = leases.lease

    async def restricted(namespace: str, name: str) -> Any:
        if name == lease_name(AB):
            raise ApiError(f"GET {name}", 403)
        return await read(namespace, name)

    leases.lease = restricted  # type: ignore[method-assign]
    await late.step()
    assert late.works and scopes_in(leases) == {"a,b", "c"}


_PARTS = st.sampled_from(
    [(served, shard) for served in (AB, BC, C, ALL) for shard in (WHOLE, Shard(0, 2), Shard(1, 2))]
)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(_PARTS, min_size=2, max_size=5), seed=st.integers(0, 2**16))
def test_never_do_two_work_on_one_namespace(parts: list[tuple[Scope, Shard]], seed: int) -> None:
    """In any order, with answers that take their time, deaths, and processes that are stopped."""
    chance, leases, clock = random.Random(seed), Leases(seed), Clock()  # noqa: S311 - repeatable
    running = [Process(leases, served, clock, shard) for served, shard in parts]

    def well() -> None:
        working = [each for each in running if each.works]
        clashes = [(one, two) for one, two in combinations(working, 2) if one.clashes_with(two)]
        assert clashes == []

    async def play() -> None:
        for _ in range(40):
            active = [each for each in running if chance.random() < 0.8]
            tasks = [asyncio.ensure_future(each.renew()) for each in active]
            tasks += [asyncio.ensure_future(each.step()) for each in active]
            while tasks:
                _, pending = await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
                tasks = list(pending)
                well()
            clock.now += chance.choice((RETRY_PERIOD, RETRY_PERIOD, LEASE_DURATION))
            well()
            if chance.random() < 0.1:
                ended = chance.choice(running)
                await ended.election.release()
                ended.joined = ended._agreed = False
        # Left alone, whoever may work does.
        for _ in range(30):
            for each in running:
                await each.renew()
                await each.step()
            clock.now += RETRY_PERIOD
        well()
        assert any(each.works for each in running)

    asyncio.run(play())
