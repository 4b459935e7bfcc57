# SPDX-License-Identifier: Apache-2.0
"""The limiters: rates, bursts, queries in flight, who waits, who is refused, who gives up."""

from __future__ import annotations

import asyncio
import gc

import pytest

from dnsworld.clock import run
from postroom.concurrency.shards import Shard
from postroom.dns.asking.limiter import (
    NAMESERVER_LIMITS,
    RESOLVER_LIMITS,
    Overloaded,
    QueryLimiter,
    QueryLimiters,
    QueryLimits,
)

FEW = QueryLimits(rate=100.0, burst=3, in_flight=2)
WIDE = QueryLimits(rate=1000.0, burst=1000, in_flight=1000)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_rested_limiter_lets_a_burst_pass() -> None:
    """In virtual time: a busy machine would take so long for four that it may have a fourth."""

    async def bursts() -> list[list[bool]]:
        limiter = QueryLimiter(QueryLimits(rate=100.0, burst=3, in_flight=10))
        first = [limiter.try_acquire() for _ in range(4)]
        await asyncio.sleep(0.035)
        return [first, [limiter.try_acquire() for _ in range(4)]]

    assert run(bursts()) == [[True, True, True, False]] * 2


def test_no_window_sees_more_than_a_burst() -> None:
    """In virtual time: a busy machine would wake up late who passed in time."""

    async def passes() -> list[float]:
        limiter, passed = (
            QueryLimiter(QueryLimits(rate=200.0, burst=10, in_flight=100)),
            list[float](),
        )

        async def acquire() -> None:
            await limiter.acquire(1.0)
            passed.append(now())

        await asyncio.gather(*(acquire() for _ in range(45)))
        return passed

    passed = run(passes())
    windows = list(zip(passed, passed[10:], strict=False))
    assert len(windows) == 35
    assert all(later - earlier >= 0.05 - 1e-6 for earlier, later in windows)


async def test_only_some_are_in_flight() -> None:
    limiter = QueryLimiter(FEW)
    assert [limiter.try_acquire() for _ in range(3)] == [True, True, False]
    limiter.release()
    assert limiter.try_acquire()


async def test_who_waits_passes_in_order_and_at_the_rate() -> None:
    limiter, order = QueryLimiter(QueryLimits(rate=100.0, burst=1, in_flight=50)), list[int]()

    async def pass_(number: int) -> None:
        await limiter.acquire(5.0)
        order.append(number)
        limiter.release()

    started = now()
    await asyncio.gather(*map(pass_, range(11)))
    assert order == list(range(11))
    assert now() - started >= 0.095


async def test_who_cannot_pass_in_time_is_refused_at_once() -> None:
    limiter = QueryLimiter(QueryLimits(rate=1.0, burst=1, in_flight=50))
    assert limiter.try_acquire()
    started = now()
    with pytest.raises(Overloaded):
        await limiter.acquire(0.5)
    assert now() - started < 0.1


async def test_who_waits_for_another_to_leave_is_refused_in_time() -> None:
    limiter = QueryLimiter(QueryLimits(rate=1000.0, burst=10, in_flight=1))
    assert limiter.try_acquire()
    with pytest.raises(Overloaded):
        await limiter.acquire(0.02)
    limiter.release()
    assert limiter.idle or limiter.try_acquire()


async def test_who_gives_up_leaves_nothing_behind() -> None:
    limiter = QueryLimiter(QueryLimits(rate=1000.0, burst=10, in_flight=1))
    assert limiter.try_acquire()
    waiting = [asyncio.ensure_future(limiter.acquire(5.0)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    limiter.release()  # the second may pass, and is cancelled before it notices
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 1)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert limiter.busy
    limiter.release()
    assert not limiter.busy


async def test_addresses_do_not_stand_in_each_others_way_but_all_pass_one_limiter() -> None:
    limiters = QueryLimiters(FEW, WIDE, QueryLimits(rate=1000.0, burst=1000, in_flight=5))
    passed = {
        address: [limiters.try_acquire(address, resolver=False) for _ in range(3)]
        for address in ("192.0.2.1", "192.0.2.2")
    }
    assert set(map(tuple, passed.values())) == {(True, True, False)}
    assert limiters.busy("192.0.2.1", resolver=False)
    assert limiters.try_acquire("192.0.2.1", resolver=True)
    assert not limiters.try_acquire("192.0.2.3", resolver=False)
    limiters.release("192.0.2.1", resolver=True)
    await limiters.acquire("192.0.2.3", resolver=False, patience=0.1)


async def test_a_refusal_at_the_common_limiter_gives_the_first_one_free() -> None:
    limiters = QueryLimiters(FEW, WIDE, QueryLimits(rate=1000.0, burst=1000, in_flight=1))
    assert limiters.try_acquire("192.0.2.1", resolver=False)
    for _ in range(5):
        with pytest.raises(Overloaded):
            await limiters.acquire("192.0.2.2", resolver=False, patience=0.01)
    limiters.release("192.0.2.1", resolver=False)
    await limiters.acquire("192.0.2.2", resolver=False, patience=0.2)


async def test_limiters_of_many_addresses_do_not_pile_up() -> None:
    before = sum(type(thing) is QueryLimiter for thing in gc.get_objects())
    limiters = QueryLimiters(FEW, WIDE, WIDE)
    assert limiters.try_acquire("192.0.2.1", resolver=False)
    for number in range(10_000):
        limiters.busy(f"address {number}", resolver=False)
    assert [limiters.try_acquire("192.0.2.1", resolver=False) for _ in range(2)] == [True, False]
    assert sum(type(thing) is QueryLimiter for thing in gc.get_objects()) - before < 5000


@pytest.mark.parametrize("limits", [NAMESERVER_LIMITS, RESOLVER_LIMITS])
@pytest.mark.parametrize("number", [1, 2, 3, 7, 64])
def test_shards_ask_a_server_no_more_than_one_process_did(limits: QueryLimits, number: int) -> None:
    parts = [limits.of_shard(Shard(index, number)) for index in range(number)]
    assert sum(part.rate for part in parts) == pytest.approx(limits.rate)
    assert sum(part.burst for part in parts) == max(limits.burst, number)
    assert sum(part.in_flight for part in parts) == max(limits.in_flight, number)
    assert min(part.burst for part in parts) >= 1 and min(part.in_flight for part in parts) >= 1
