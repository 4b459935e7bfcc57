# SPDX-License-Identifier: Apache-2.0
"""The pace: rates, bursts, queries in flight, who waits, who is refused, who gives up."""

from __future__ import annotations

import asyncio
import gc

import pytest

from dnsworld.clock import run
from postroom.dns.asking.pace import Gate, Overloaded, Pace, PaceLimits

FEW = PaceLimits(rate=100.0, burst=3, in_flight=2)
WIDE = PaceLimits(rate=1000.0, burst=1000, in_flight=1000)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_rested_gate_lets_a_burst_pass() -> None:
    gate = Gate(PaceLimits(rate=100.0, burst=3, in_flight=10))
    assert [gate.try_enter() for _ in range(4)] == [True, True, True, False]
    await asyncio.sleep(0.035)
    assert [gate.try_enter() for _ in range(4)] == [True, True, True, False]


def test_no_window_sees_more_than_a_burst() -> None:
    """In virtual time: a busy machine would wake up late who passed in time."""

    async def passes() -> list[float]:
        gate, passed = Gate(PaceLimits(rate=200.0, burst=10, in_flight=100)), list[float]()

        async def enter() -> None:
            await gate.enter(1.0)
            passed.append(now())

        await asyncio.gather(*(enter() for _ in range(45)))
        return passed

    passed = run(passes())
    windows = list(zip(passed, passed[10:], strict=False))
    assert len(windows) == 35
    assert all(later - earlier >= 0.05 - 1e-6 for earlier, later in windows)


async def test_only_some_are_in_flight() -> None:
    gate = Gate(FEW)
    assert [gate.try_enter() for _ in range(3)] == [True, True, False]
    gate.leave()
    assert gate.try_enter()


async def test_who_waits_passes_in_order_and_at_the_rate() -> None:
    gate, order = Gate(PaceLimits(rate=100.0, burst=1, in_flight=50)), list[int]()

    async def pass_(number: int) -> None:
        await gate.enter(5.0)
        order.append(number)
        gate.leave()

    started = now()
    await asyncio.gather(*map(pass_, range(11)))
    assert order == list(range(11))
    assert now() - started >= 0.095


async def test_who_cannot_pass_in_time_is_refused_at_once() -> None:
    gate = Gate(PaceLimits(rate=1.0, burst=1, in_flight=50))
    assert gate.try_enter()
    started = now()
    with pytest.raises(Overloaded):
        await gate.enter(0.5)
    assert now() - started < 0.1


async def test_who_waits_for_another_to_leave_is_refused_in_time() -> None:
    gate = Gate(PaceLimits(rate=1000.0, burst=10, in_flight=1))
    assert gate.try_enter()
    with pytest.raises(Overloaded):
        await gate.enter(0.02)
    gate.leave()
    assert gate.idle or gate.try_enter()


async def test_who_gives_up_leaves_nothing_behind() -> None:
    gate = Gate(PaceLimits(rate=1000.0, burst=10, in_flight=1))
    assert gate.try_enter()
    waiting = [asyncio.ensure_future(gate.enter(5.0)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.leave()  # the second may pass, and is cancelled before it notices
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 1)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert gate.busy
    gate.leave()
    assert not gate.busy


async def test_addresses_do_not_stand_in_each_others_way_but_all_pass_one_gate() -> None:
    pace = Pace(FEW, WIDE, PaceLimits(rate=1000.0, burst=1000, in_flight=5))
    passed = {
        address: [pace.try_enter(address, resolver=False) for _ in range(3)]
        for address in ("192.0.2.1", "192.0.2.2")
    }
    assert set(map(tuple, passed.values())) == {(True, True, False)}
    assert pace.busy("192.0.2.1", resolver=False)
    assert pace.try_enter("192.0.2.1", resolver=True)
    assert not pace.try_enter("192.0.2.3", resolver=False)
    pace.leave("192.0.2.1", resolver=True)
    await pace.enter("192.0.2.3", resolver=False, patience=0.1)


async def test_a_refusal_at_the_common_gate_gives_the_first_one_free() -> None:
    pace = Pace(FEW, WIDE, PaceLimits(rate=1000.0, burst=1000, in_flight=1))
    assert pace.try_enter("192.0.2.1", resolver=False)
    for _ in range(5):
        with pytest.raises(Overloaded):
            await pace.enter("192.0.2.2", resolver=False, patience=0.01)
    pace.leave("192.0.2.1", resolver=False)
    await pace.enter("192.0.2.2", resolver=False, patience=0.2)


async def test_gates_of_many_addresses_do_not_pile_up() -> None:
    before = sum(isinstance(thing, Gate) for thing in gc.get_objects())
    pace = Pace(FEW, WIDE, WIDE)
    assert pace.try_enter("192.0.2.1", resolver=False)
    for number in range(10_000):
        pace.busy(f"address {number}", resolver=False)
    assert [pace.try_enter("192.0.2.1", resolver=False) for _ in range(2)] == [True, False]
    assert sum(isinstance(thing, Gate) for thing in gc.get_objects()) - before < 5000
