# SPDX-License-Identifier: Apache-2.0
"""Limits that stand still while work is held back, also where several wait for the same work."""

from __future__ import annotations

import asyncio

import pytest

from postroom.concurrency.holding import held_back, limited
from postroom.dns.asking.cache import SingleFlightCache


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_work_alone_has_its_limit() -> None:
    with pytest.raises(TimeoutError):
        async with limited(0.02, 5.0):
            await asyncio.sleep(1)


async def test_a_hold_counts_for_nothing() -> None:
    started = now()
    with pytest.raises(TimeoutError):
        async with limited(0.1, 5.0):
            for _ in range(3):
                with held_back():
                    await asyncio.sleep(0.1)
            await asyncio.sleep(5)
    assert 0.39 <= now() - started < 1.0


async def test_holds_have_a_limit_of_their_own_in_all() -> None:
    started = now()
    with pytest.raises(TimeoutError):
        async with limited(0.05, 0.15):
            while True:
                with held_back():
                    await asyncio.sleep(0.04)
    assert 0.15 <= now() - started < 0.6


async def test_an_inner_hold_holds_the_outer_limit() -> None:
    async with limited(0.05, 5.0), limited(0.03, 5.0):
        with held_back():
            await asyncio.sleep(0.2)


async def test_who_shares_a_look_is_held_back_with_it() -> None:
    cache: SingleFlightCache[str, str] = SingleFlightCache()

    async def fetch() -> tuple[str, float]:
        with held_back():
            await asyncio.sleep(0.3)
        return "found", 0

    async def look(after: float) -> str:
        await asyncio.sleep(after)
        async with limited(0.1, 5.0):
            return await cache.get("name", fetch)

    # One that comes while the look is held back already, too.
    assert await asyncio.gather(look(0), look(0), look(0.05)) == ["found"] * 3


async def test_the_time_of_a_waiter_runs_on_when_another_look_is_held_back() -> None:
    cache: SingleFlightCache[str, str] = SingleFlightCache()

    async def slow() -> tuple[str, float]:
        await asyncio.sleep(1)
        return "late", 0

    async def held() -> None:
        async with limited(0.05, 5.0):
            with held_back():
                await asyncio.sleep(0.3)

    async def waits() -> None:
        async with limited(0.05, 5.0):
            await cache.get("slow", slow)

    outcomes = await asyncio.gather(held(), waits(), return_exceptions=True)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], TimeoutError)


async def test_who_gives_up_is_told_nothing_more() -> None:
    cache: SingleFlightCache[str, str] = SingleFlightCache()

    async def fetch() -> tuple[str, float]:
        with held_back():
            await asyncio.sleep(0.1)
        return "found", 0

    with pytest.raises(TimeoutError):
        async with limited(0.01, 0.02):
            await cache.get("name", fetch)
    assert await cache.get("name", fetch) == "found"
