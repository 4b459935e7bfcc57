# SPDX-License-Identifier: Apache-2.0
"""Several parties ask through one client: neither questions nor silence of one cost another."""

from __future__ import annotations

import asyncio

import pytest

from dnsworld.clock import run
from postroom.concurrency.acting import acting_for
from postroom.dns.asking.cache import SingleFlightCache
from postroom.dns.asking.health import Health
from postroom.dns.asking.limiter import Overloaded, QueryLimiter, QueryLimiters, QueryLimits
from postroom.dns.asking.reach import OpenWay

QUICK = QueryLimits(rate=1000.0, burst=1000, in_flight=16)


async def hold(limiter: QueryLimiter, name: str) -> None:
    """Enter on behalf of a party, and get no answer."""
    with acting_for(name):
        await limiter.acquire(1e6)
        try:
            await asyncio.sleep(1e6)
        finally:
            limiter.release()


async def passes(limiter: QueryLimiter, name: str, patience: float) -> float:
    """Enter and leave; return how long that took."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    with acting_for(name):
        await limiter.acquire(patience)
        limiter.release()
    return clock() - begun


def test_silence_that_one_party_meets_leaves_room_at_the_server() -> None:
    async def scene() -> None:
        limiter = QueryLimiter(QUICK)
        held = [asyncio.ensure_future(hold(limiter, "b")) for _ in range(1000)]
        await asyncio.sleep(1)
        assert [await passes(limiter, "a", 5) for _ in range(50)] == [0.0] * 50
        for one in held:
            one.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        assert limiter._in_flight.taken == 0

    run(scene())


def test_a_flood_of_questions_delays_another_party_by_its_turn_alone() -> None:
    async def scene() -> None:
        limiter = QueryLimiter(QueryLimits(rate=50.0, burst=1, in_flight=16))
        flood = [asyncio.ensure_future(passes(limiter, "b", 1e6)) for _ in range(5000)]
        await asyncio.sleep(1)
        for _ in range(20):
            assert await passes(limiter, "a", 5) <= 2 / 50 + 1e-6
        with acting_for("b"), pytest.raises(Overloaded):
            await limiter.acquire(5)
        for one in flood:
            one.cancel()
        await asyncio.gather(*flood, return_exceptions=True)

    run(scene())


def test_one_party_alone_has_all_that_one_may_have() -> None:
    async def scene() -> int:
        limiter = QueryLimiter(QUICK)
        count = 0
        while limiter.try_acquire():
            count += 1
        return count

    assert run(scene()) == QUICK.in_flight


def test_the_common_limiter_is_shared_too() -> None:
    async def scene() -> None:
        limiters = QueryLimiters(overall=QueryLimits(rate=1e6, burst=1000, in_flight=8))

        async def ask(name: str, address: str) -> None:
            with acting_for(name):
                await limiters.acquire(address, resolver=False, patience=1e6)
                await asyncio.sleep(1e6)

        asking = [asyncio.ensure_future(ask("b", f"192.0.2.{one}")) for one in range(200)]
        await asyncio.sleep(1)
        with acting_for("a"):
            assert limiters.try_acquire("198.51.100.1", resolver=False)
            limiters.release("198.51.100.1", resolver=False)
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    run(scene())


def test_parties_do_not_wait_for_each_others_questions() -> None:
    async def scene() -> None:
        cache: SingleFlightCache[str, str] = SingleFlightCache()
        asked = list[str]()

        async def fetch(name: str, seconds: float) -> tuple[str, float]:
            asked.append(name)
            await asyncio.sleep(seconds)
            return name, 60

        async def get(name: str, seconds: float) -> str:
            with acting_for(name):
                return await cache.get("key", lambda: fetch(name, seconds))

        slow = [asyncio.ensure_future(get("b", 100)) for _ in range(3)]
        await asyncio.sleep(1)
        assert await asyncio.wait_for(get("a", 1), 2) == "a"
        assert await get("c", 1) == "a", "what is known is known to all"
        await asyncio.gather(*slow)
        assert asked == ["b", "a"]

    run(scene())


def test_a_server_that_passes_over_ones_questions_is_not_dead_to_another() -> None:
    async def scene() -> None:
        health: Health[str] = Health(0.1, 0.25)
        with acting_for("b"):
            for _ in range(5):
                health.silent("ns")
            assert health.is_dead("ns")
        with acting_for("a"):
            assert not health.is_dead("ns")

    run(scene())


def test_silent_zones_of_one_party_close_the_way_for_no_other() -> None:
    async def scene() -> None:
        reach = OpenWay()
        with acting_for("b"):
            for number in range(10):
                reach.silent(f"z{number}.example")
            assert reach.blocked
            assert not reach.may_ask()
        with acting_for("a"):
            assert not reach.blocked
            assert reach.may_ask()
            # One with a single zone learns from the others that it is not its zone alone.
            reach.silent("own.example")
            assert reach.blocked
            reach.heard()
            assert reach.may_ask()
        with acting_for("b"):
            assert reach.may_ask()

    run(scene())
