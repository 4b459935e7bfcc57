# SPDX-License-Identifier: Apache-2.0
"""Single flight: who shares, who gives up, what fails, what lingers."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.concurrency.flights import Flights
from postroom.concurrency.patience import limited


class Work:
    """Work that ends when it is told; each beginning yields its number."""

    def __init__(self) -> None:
        self.begun = 0
        self.gates: list[asyncio.Future[None]] = []

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return number


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_come_while_it_is_under_way_share_it() -> None:
    flights, work = Flights[str, int](), Work()
    waiting = [asyncio.create_task(flights.join("a", work)) for _ in range(5)]
    await settle()
    assert (work.begun, "a" in flights, list(flights)) == (1, True, ["a"])
    work.gates[0].set_result(None)
    assert await asyncio.gather(*waiting) == [1] * 5
    assert (list(flights), "a" in flights) == ([], False)


async def test_a_failure_reaches_all_and_the_next_one_begins_anew() -> None:
    flights, work = Flights[str, int](), Work()
    waiting = [asyncio.create_task(flights.join("a", work)) for _ in range(3)]
    await settle()
    work.gates[0].set_exception(OSError("broken"))
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(failure) for failure in failed] == ["broken"] * 3
    again = asyncio.create_task(flights.join("a", work))
    await settle()
    work.gates[1].set_result(None)
    assert await again == 2


async def test_who_gives_up_takes_it_from_nobody_even_if_all_give_up() -> None:
    flights, work = Flights[str, int](), Work()
    first, second = (asyncio.create_task(flights.join("a", work)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert first.cancelled()
    assert not second.done()
    second.cancel()
    await settle()
    third = asyncio.create_task(flights.join("a", work))
    await settle()
    work.gates[0].set_result(None)
    assert (await third, work.begun) == (1, 1)


async def test_a_failure_that_nobody_waits_for_is_no_error() -> None:
    complaints = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    flights, work = Flights[str, int](), Work()
    waiter = asyncio.create_task(flights.join("a", work))
    await settle()
    waiter.cancel()
    work.gates[0].set_exception(OSError("broken"))
    await settle()
    assert (list(flights), complaints) == ([], [])


async def test_work_that_was_cancelled_itself_is_begun_again() -> None:
    flights, work = Flights[str, int](linger=60), Work()
    waiter = asyncio.create_task(flights.join("a", work))
    await settle()
    work.gates[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    again = asyncio.create_task(flights.join("a", work))
    await settle()
    work.gates[1].set_result(None)
    assert await again == 2


async def test_what_lingers_serves_others_failures_too() -> None:
    flights, work = Flights[str, int](linger=0.02), Work()
    waiter = asyncio.create_task(flights.join("a", work))
    await settle()
    work.gates[0].set_exception(OSError("broken"))
    for _ in range(2):
        with pytest.raises(OSError, match="broken"):
            await waiter
        waiter = asyncio.create_task(flights.join("a", work))
    with pytest.raises(OSError, match="broken"):
        await waiter
    assert work.begun == 1
    await asyncio.sleep(0.05)
    waiter = asyncio.create_task(flights.join("a", work))
    await settle()
    work.gates[1].set_result(None)
    assert await waiter == 2


async def test_after_forgetting_the_next_one_begins_anew_and_the_old_one_ends_for_its_own() -> None:
    flights, work = Flights[str, int](), Work()
    old = asyncio.create_task(flights.join("a", work))
    await settle()
    flights.forget("a")
    flights.forget("never there")
    new = asyncio.create_task(flights.join("a", work))
    await settle()
    work.gates[0].set_result(None)
    assert await old == 1
    await settle()
    assert "a" in flights, "the end of the old one is not that of the new one"
    work.gates[1].set_result(None)
    assert await new == 2


async def test_closing_ends_what_is_under_way() -> None:
    flights, work = Flights[str, int](), Work()
    waiting = [asyncio.create_task(flights.join(key, work)) for key in "ab"]
    await settle()
    await flights.close()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError] * 2
    assert list(flights) == []


def test_who_shares_it_is_held_back_with_it() -> None:
    async def scene() -> None:
        flights = Flights[str, str]()

        async def work() -> str:
            await asyncio.sleep(50)
            return "done"

        async def look() -> str:
            async with limited(1.0, 100.0):
                return await flights.join("a", work)

        assert await asyncio.gather(look(), look()) == ["done", "done"]

    run(scene())


async def test_work_for_its_waiters_ends_with_the_last_of_them() -> None:
    flights, work = Flights[str, int](for_waiters=True), Work()
    first, second = (asyncio.create_task(flights.join("a", work)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert "a" in flights, "one still waits"
    second.cancel()
    # Who comes in this very moment must not get the end of what was given up.
    third = asyncio.create_task(flights.join("a", work))
    await settle()
    assert (work.gates[0].cancelled(), work.begun) == (True, 2)
    work.gates[1].set_result(None)
    assert await third == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "give up", "end", "fail"]), st.sampled_from("ab")),
        max_size=30,
    )
)
def test_at_any_time_one_is_under_way_for_each_key(events: list[tuple[str, str]]) -> None:
    async def story() -> None:
        flights = Flights[str, int]()
        work = {key: Work() for key in "ab"}
        waiting: dict[str, list[asyncio.Task[int]]] = {key: [] for key in "ab"}
        ends: Counter[str] = Counter()
        for what, key in events:
            gates = work[key].gates
            under_way = len(gates) > ends[key]
            if what == "join":
                waiting[key].append(asyncio.create_task(flights.join(key, work[key])))
            elif what == "give up" and waiting[key]:
                waiting[key].pop().cancel()
            elif what in ("end", "fail") and under_way:
                if what == "end":
                    gates[-1].set_result(None)
                else:
                    gates[-1].set_exception(OSError("broken"))
                ends[key] += 1
                got = await asyncio.gather(*waiting[key], return_exceptions=True)
                assert all(
                    isinstance(one, OSError) if what == "fail" else one == work[key].begun
                    for one in got
                )
                waiting[key].clear()
            await settle()
            assert len(gates) - ends[key] in (0, 1)
            assert (key in flights) == (len(gates) > ends[key])
        await flights.close()
        await asyncio.gather(*waiting["a"], *waiting["b"], return_exceptions=True)

    asyncio.run(story())


async def test_what_work_yields_is_in_no_print_of_its_task() -> None:
    flights: Flights[str, dict[str, str]] = Flights(linger=60.0)

    async def secret() -> dict[str, str]:
        return {"password": "a2xSWk11"}

    assert await flights.join("a", secret) == {"password": "a2xSWk11"}
    ((flight, _),) = flights._flights.values()
    assert flight.done() and "a2xSWk11" not in repr(flight)


class Large:
    """What somebody may have thousands of read."""


async def test_what_lingers_is_bounded_and_what_is_dropped_is_held_by_nobody() -> None:
    flights: Flights[int, Large] = Flights(linger=3600.0, most=5)
    there = weakref.WeakSet[Large]()

    async def read() -> Large:
        found = Large()
        there.add(found)
        return found

    for number in range(20):
        await flights.join(number, read)
        await asyncio.sleep(0)
    gc.collect()
    assert list(flights) == list(range(15, 20))
    assert len(there) == 5
    flights.forget(17)
    await flights.join(18, read)
    await asyncio.sleep(0)
    gc.collect()
    assert (list(flights), len(there)) == ([15, 16, 18, 19], 4), "and 18 was not read again"


async def test_what_was_forgotten_while_it_was_under_way_does_not_linger() -> None:
    flights: Flights[str, int] = Flights(linger=3600.0)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> int:
        begun.set()
        await go_on.wait()
        return 1

    async def fresh() -> int:
        return 2

    waits = asyncio.ensure_future(flights.join("a", slow))
    await begun.wait()
    flights.forget("a")
    assert await flights.join("a", fresh) == 2
    go_on.set()
    assert await waits == 1
    assert await flights.join("a", slow) == 2
