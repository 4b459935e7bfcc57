# SPDX-License-Identifier: Apache-2.0
"""Leader election: one holder at a time, judged by our own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from postroom.concurrency.shards import Shard
from postroom.controller.client import ApiError
from postroom.controller.lease import LeaderElection, LeaseLost, lease_name, steady


class Leases:
    """One Lease with resource versions."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.version = 0
        self.down = False

    async def lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        self._fail_if_down()
        return self.stored

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.stored is not None:
            raise ApiError("POST", 409)
        return self._store(lease)

    async def replace_lease(
        self, namespace: str, name: str, lease: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        self._fail_if_down()
        if self.stored is None or lease["metadata"]["resourceVersion"] != str(self.version):
            raise ApiError("PUT", 409)
        return self._store(lease)

    def _fail_if_down(self) -> None:
        if self.down:
            raise ApiError("GET", 503)

    def _store(self, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        self.version += 1
        metadata = {**lease["metadata"], "resourceVersion": str(self.version)}
        self.stored = {**lease, "metadata": metadata}
        return self.stored

    @property
    def holder(self) -> str:
        assert self.stored is not None
        return str(self.stored["spec"]["holderIdentity"])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def election(leases: Leases, name: str, clock: Clock | None = None) -> LeaderElection:
    return LeaderElection(leases, "postroom", name, clock or Clock(), retry_period=0.001)


async def is_held_up(one: LeaderElection) -> bool:
    try:
        await asyncio.wait_for(one.acquire(), 0.02)
    except TimeoutError:
        return True
    return False


async def test_the_first_one_leads_and_the_second_waits() -> None:
    leases = Leases()
    await election(leases, "one").acquire()
    assert await is_held_up(election(leases, "two"))
    assert leases.holder == "one"


async def test_a_released_lease_is_taken_at_once() -> None:
    leases = Leases()
    one = election(leases, "one")
    await one.acquire()
    await one.release()
    assert not await is_held_up(election(leases, "two"))
    assert leases.stored is not None and leases.stored["spec"]["leaseTransitions"] == 1


async def test_a_record_that_stands_still_on_our_clock_has_lost_its_holder() -> None:
    leases, clock = Leases(), Clock()
    await election(leases, "one").acquire()
    two = election(leases, "two", clock)
    assert await is_held_up(two)
    clock.now = 14.0
    assert await is_held_up(two)
    clock.now = 16.0
    assert not await is_held_up(two)


async def test_a_holder_that_renews_is_never_overtaken() -> None:
    leases, clock = Leases(), Clock()
    one, two = election(leases, "one"), election(leases, "two", clock)
    await one.acquire()
    for _ in range(5):
        assert await is_held_up(two)
        clock.now += 10.0
        assert await one._attempt()
    assert leases.holder == "one"


async def test_two_that_take_at_the_same_time_do_not_both_get_it() -> None:
    leases, clock = Leases(), Clock()
    await election(leases, "gone").acquire()
    rivals = [election(leases, name, clock) for name in ("one", "two")]
    assert [await is_held_up(rival) for rival in rivals] == [True, True]
    clock.now = 60.0
    assert sorted([await is_held_up(rival) for rival in rivals]) == [False, True]


async def test_losing_the_lease_to_another_is_the_end() -> None:
    leases = Leases()
    one = election(leases, "one")
    await one.acquire()
    assert leases.stored is not None
    leases._store({**leases.stored, "spec": {**leases.stored["spec"], "holderIdentity": "two"}})
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(one.hold(), 1)
    assert not one.leading


async def test_a_short_outage_is_survived_and_a_long_one_is_the_end() -> None:
    leases, clock = Leases(), Clock()
    one = election(leases, "one", clock)
    await one.acquire()
    leases.down = True
    hold = asyncio.ensure_future(one.hold())
    await asyncio.sleep(0.02)
    assert not hold.done()
    clock.now = 11.0
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(hold, 1)


async def test_missing_rights_are_named(caplog: pytest.LogCaptureFixture) -> None:
    leases = Leases()

    async def forbidden(namespace: str, name: str) -> Mapping[str, Any] | None:
        raise ApiError("GET", 403)

    leases.lease = forbidden  # type: ignore[method-assign]
    one = election(leases, "one")
    assert await is_held_up(one)
    assert "grant get, create and update" in caplog.text
    assert one.obstacle is not None and "in namespace postroom" in one.obstacle
    del leases.lease  # type: ignore[method-assign]
    assert not await is_held_up(one)
    assert one.obstacle is None


@pytest.mark.parametrize(("status", "obstructs"), [(403, True), (404, True), (409, False)])
async def test_who_may_read_the_lease_and_not_write_it_is_no_standby(
    status: int, obstructs: bool
) -> None:
    leases, clock = Leases(), Clock()
    await election(leases, "one").acquire()

    async def refused(namespace: str, name: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        raise ApiError("PUT", status)

    two = election(leases, "two", clock)
    assert await is_held_up(two)
    assert two.obstacle is None, "another holds it, and that is how it should be"
    leases.replace_lease = refused  # type: ignore[method-assign]
    clock.now = 60.0
    assert await is_held_up(two)
    assert (two.obstacle is not None) is obstructs


async def test_who_does_not_lead_releases_nothing() -> None:
    leases = Leases()
    await election(leases, "one").acquire()
    await election(leases, "two").release()
    assert leases.holder == "one"


async def test_a_holder_that_was_stopped_knows_at_once_that_it_may_not_act() -> None:
    """Before any task of it had the time to notice."""
    leases, clock = Leases(), Clock()
    one = election(leases, "one", clock)
    assert not one.holds()
    await one.acquire()
    clock.now = 9.9
    assert one.holds()
    clock.now = 60.0
    assert not one.holds()
    assert one.leading


async def test_a_renewal_counts_from_when_it_was_asked_for() -> None:
    leases, clock = Leases(), Clock()
    one = election(leases, "one", clock)
    await one.acquire()
    slow = leases.lease

    async def late(namespace: str, name: str) -> Mapping[str, Any] | None:
        found = await slow(namespace, name)
        clock.now += 8.0
        return found

    leases.lease = late  # type: ignore[method-assign]
    assert await one._attempt()
    clock.now += 2.5
    assert not one.holds()


async def test_a_holder_that_was_stopped_ends_without_asking_again() -> None:
    leases, clock = Leases(), Clock()
    one = election(leases, "one", clock)
    await one.acquire()
    clock.now = 60.0
    version = leases.version
    with pytest.raises(LeaseLost):
        await one.hold()
    assert (leases.version, one.holds()) == (version, False)


async def test_who_released_holds_no_longer() -> None:
    one = election(Leases(), "one")
    await one.acquire()
    await one.release()
    assert not one.holds()


def test_the_clock_goes_on_while_the_machine_is_suspended() -> None:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("only Linux has a clock that counts suspension")
    assert abs(steady() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5.0


def test_who_serves_the_same_shares_a_lease_and_nobody_else() -> None:
    scopes = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a-b",)]
    names = [lease_name(scope) for scope in scopes]
    assert len(set(names)) == len(names)
    assert names[0] == "postroom"
    assert lease_name(("b", "a", "b")) == lease_name(("a", "b"))
    long = lease_name([f"namespace-{number}" for number in range(200)])
    assert len(long) <= 63


async def test_operators_of_other_namespaces_do_not_wait_for_each_other() -> None:
    leases = {lease_name((name,)): Leases() for name in ("a", "b")}
    for name, held in leases.items():
        one = LeaderElection(held, "postroom", "one", Clock(), retry_period=0.001, name=name)
        assert not await is_held_up(one)
        assert held.stored is not None
        assert held.stored["metadata"]["name"] == name


def test_programs_and_shards_do_not_wait_for_each_other() -> None:
    parts = [Shard(index, of) for of in (1, 2, 3) for index in range(of)]
    names = [
        lease_name(namespaces, program, part)
        for namespaces in ((), ("mail",), ("mail", "shop"))
        for program in ("postroom", "postroom-deliver")
        for part in parts
    ]
    assert len(set(names)) == len(names)
    assert {"postroom", "postroom-deliver", "postroom-deliver-1-of-3"} <= set(names)
    assert all(len(name) <= 63 for name in names)


async def test_a_standby_that_hears_nobody_says_so_and_no_hiccup_is_told() -> None:
    leases, clock = Leases(), Clock()
    leases.down = True
    two = election(leases, "two", clock)
    assert await is_held_up(two)
    assert two.obstacle == "the API server, which answers 503", "it never was heard"
    leases.down = False
    await election(leases, "one").acquire()
    assert await is_held_up(two)
    assert two.obstacle is None
    leases.down = True
    clock.now = 14.0
    assert await is_held_up(two)
    assert two.obstacle is None
    clock.now = 16.0
    assert await is_held_up(two)
    assert two.obstacle == "the API server, which answers 503"
