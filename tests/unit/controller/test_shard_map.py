# SPDX-License-Identifier: Apache-2.0
"""Agreement on how many shards there are: who counts differently never works at the same time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.concurrency.shards import Shard
from postroom.controller.client import ApiError
from postroom.controller.lease import LEASE_DURATION, LeaderElection, lease_name
from postroom.controller.shard_map import NUMBER_ANNOTATION, ShardMap, number_in
from unit.controller.contenders import Contender
from unit.controller.test_lease import Clock

PLACE = "postroom-system"
SHARDS = [Shard(index, of) for of in (1, 2, 3) for index in range(of)]


def name_of(shard: Shard) -> str:
    return lease_name((), shard=shard)


class Leases:
    """Leases with resource versions; a write that changes nothing makes no new version."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.refusing: int | None = None

    async def lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        if self.refusing is not None:
            raise ApiError("GET", self.refusing)
        return self.stored.get(name)

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        if lease["metadata"]["name"] in self.stored:
            raise ApiError("POST", 409)
        return self._store(lease)

    async def replace_lease(
        self, namespace: str, name: str, lease: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if self.stored.get(name, {}).get("metadata", {}) != self._metadata_before(lease, name):
            raise ApiError("PUT", 409)
        return self._store(lease)

    def _metadata_before(self, lease: Mapping[str, Any], name: str) -> dict[str, Any]:
        before = self.stored.get(name, {}).get("metadata", {})
        version = lease["metadata"]["resourceVersion"]
        return {**before, "resourceVersion": version}

    def _store(self, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        name = lease["metadata"]["name"]
        before = self.stored.get(name)
        if before is not None and before == lease:
            return before
        self.version += 1
        metadata = {**lease["metadata"], "resourceVersion": str(self.version)}
        self.stored[name] = {**lease, "metadata": metadata}
        return self.stored[name]

    @property
    def number(self) -> int:
        return number_in(self.stored.get(name_of(Shard())))


class Process(Contender):
    """One that would work on a shard: its Lease, and what it agrees to."""

    def __init__(self, leases: Leases, shard: Shard, clock: Clock) -> None:
        self.shard = shard
        self.found = ShardMap(leases, PLACE, shard, name_of, clock)
        super().__init__(
            LeaderElection(leases, PLACE, self.new_identity(), clock, name=name_of(shard)),
            self.found._attempt,
        )


async def begun(leases: Leases, shard: Shard, clock: Clock | None = None) -> Process:
    process = Process(leases, shard, clock or Clock())
    await process.step()
    await process.step()
    return process


async def test_shards_of_one_number_work_side_by_side() -> None:
    leases = Leases()
    found = [await begun(leases, Shard(index, 3)) for index in range(3)]
    assert all(process.works for process in found)
    assert leases.number == 3


async def test_one_that_counts_differently_stands_by_until_all_have_ended() -> None:
    leases = Leases()
    before = [await begun(leases, Shard(index, 2)) for index in range(2)]
    after = await begun(leases, Shard(0, 3))
    assert not after.joined and after.found.waiting_for == "postroom-0-of-2"
    await before[0].election.release()
    await after.step()
    assert not after.joined and after.found.waiting_for == "postroom-1-of-2"
    await before[1].election.release()
    await after.step()
    assert after.works and leases.number == 3 and after.found.waiting_for is None


@pytest.mark.parametrize(("before", "after"), [(Shard(), Shard(1, 2)), (Shard(1, 2), Shard())])
async def test_the_whole_is_a_number_like_others(before: Shard, after: Shard) -> None:
    leases = Leases()
    first = await begun(leases, before)
    second = await begun(leases, after)
    assert first.works and not second.joined
    await first.election.release()
    await second.step()
    assert second.works


async def test_those_that_all_died_are_waited_for_together() -> None:
    leases, clock = Leases(), Clock()
    for index in range(3):
        await begun(leases, Shard(index, 3), clock)
    after = await begun(leases, Shard(), clock)
    clock.now += LEASE_DURATION - 1
    await after.step()
    assert not after.joined
    clock.now += 1
    await after.step()
    assert after.joined


async def test_who_begins_by_the_old_number_and_who_puts_the_new_one_are_not_both_let_in() -> None:
    """Between the look at all Leases and the write, another takes one of them and joins."""
    leases = Leases()
    await (await begun(leases, Shard(0, 2))).election.release()
    late, early = Process(leases, Shard(0, 3), Clock()), Process(leases, Shard(1, 2), Clock())
    await late.step()
    put = late.found._put

    async def overtaken(name: str, stored: Mapping[str, Any] | None) -> None:
        await early.step()
        await early.step()
        await put(name, stored)

    late.found._put = overtaken  # type: ignore[method-assign]
    await late.step()
    assert early.works and not late.joined
    late.found._put = put  # type: ignore[method-assign]
    await late.step()
    assert not late.joined and leases.number == 2


async def test_what_was_read_before_a_long_stop_tells_nothing_of_it() -> None:
    """The answer is from before this process was stopped; those it waits for went on meanwhile."""
    leases, clock = Leases(), Clock()
    before = await begun(leases, Shard(0, 2), clock)
    after = await begun(leases, Shard(0, 3), clock)
    read = leases.lease

    async def stopped(namespace: str, name: str) -> Mapping[str, Any] | None:
        answer = await read(namespace, name)
        if name == name_of(before.shard):
            leases.lease = read  # type: ignore[method-assign]
            for _ in range(8):
                clock.now += 5.0
                await before.renew()
        return answer

    leases.lease = stopped  # type: ignore[method-assign]
    await after.step()
    assert before.works and not after.joined


@pytest.mark.parametrize("status", [403, 404])
async def test_who_may_not_use_the_lease_is_no_standby(status: int) -> None:
    leases = Leases()
    process = Process(leases, Shard(0, 2), Clock())
    await process.step()
    leases.refusing = status
    await process.step()
    assert (
        process.found.obstacle is not None and "postroom-system/postroom" in process.found.obstacle
    )
    leases.refusing = None
    await process.step()
    assert process.joined and process.found.obstacle is None


@pytest.mark.parametrize("text", ["", "0", "-2", "65", "three", "²", "1e1", "9" * 5000])
def test_a_number_that_is_none_counts_as_one(text: str) -> None:
    assert number_in({"metadata": {"annotations": {NUMBER_ANNOTATION: text}}}) == 1


async def test_join_returns_once_it_may() -> None:
    leases = Leases()
    before = await begun(leases, Shard(0, 2))
    found = ShardMap(leases, PLACE, Shard(), name_of, retry_period=0.001)
    joining = asyncio.ensure_future(found.join())
    await asyncio.sleep(0.02)
    assert not joining.done()
    await before.election.release()
    await asyncio.wait_for(joining, 5)


class Randomly(Leases):
    """Answers come in any order: each takes its time on its way there and back."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311 - it is to be repeatable

    async def _pass(self) -> None:
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)

    async def lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        await self._pass()
        found = await super().lease(namespace, name)
        await self._pass()
        return found

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._pass()
        return await super().create_lease(namespace, lease)

    async def replace_lease(
        self, namespace: str, name: str, lease: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        await self._pass()
        return await super().replace_lease(namespace, name, lease)


class History:
    """Processes of any number that start, go on, freeze, wake, stop and die."""

    def __init__(self, seed: int) -> None:
        self.leases, self.clock = Randomly(seed), Clock()
        self.running: list[Process] = []
        self.frozen: set[Process] = set()
        self.worked = 0

    async def go_on(self) -> None:
        """All that are not frozen, beside each other, for as long as between two renewals."""
        self.clock.now += 2.0
        awake = [process for process in self.running if process not in self.frozen]
        await asyncio.gather(*(process.renew() for process in awake))
        await asyncio.gather(*(process.step() for process in awake))

    async def carry_out(self, verb: str, what: int) -> None:
        if verb == "start":
            self.running.append(Process(self.leases, SHARDS[what], self.clock))
        elif verb == "go on":
            for _ in range(what + 1):
                await self.go_on()
                self.check()
        elif self.running:
            process = self.running[what % len(self.running)]
            if verb == "freeze":
                self.frozen.add(process)
            elif verb == "thaw":
                self.frozen.discard(process)
            else:
                self.running.remove(process)
                if verb == "stop" and process not in self.frozen:
                    await process.election.release()
        self.check()

    def check(self) -> None:
        """No namespace is in two hands."""
        working = [process for process in self.running if process.works]
        self.worked += len(working)
        assert len({process.shard.of for process in working}) <= 1
        assert len({process.shard for process in working}) == len(working)


_verbs = st.sampled_from(["start", "start", "go on", "go on", "freeze", "thaw", "stop", "kill"])
_steps = st.lists(st.tuples(_verbs, st.integers(0, len(SHARDS) - 1)), max_size=40)
_seeds = st.integers(0, 2**32)


@settings(max_examples=80, deadline=None)
@given(_steps, _seeds, st.integers(1, 3))
def test_no_history_has_a_namespace_in_two_hands_and_those_who_stay_all_work(
    steps: list[tuple[str, int]], seed: int, number: int
) -> None:
    async def live() -> None:
        history = History(seed)
        for verb, what in steps:
            await history.carry_out(verb, what)
        # Nothing that others left keeps the last ones from their work for ever.
        history.running = [
            Process(history.leases, Shard(index, number), history.clock) for index in range(number)
        ]
        for _ in range(40):
            await history.go_on()
            history.check()
        assert all(process.works for process in history.running)

    asyncio.run(live())
