# SPDX-License-Identifier: Apache-2.0
"""Sharing one look among all who want it at the same time, and remembering what it yielded.

Covers: single flight, time to keep and its bounds, capacity, clocks, failures, impatient waiters.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.asking.cache import KEEP_LEAST, KEEP_MOST, SingleFlightCache, kept_for

PATIENCE = 0.02


class Source:
    """Counts how often it is fetched from; each fetch yields the count."""

    def __init__(self, keep: float) -> None:
        self.fetched, self.keep, self.fails = 0, keep, False

    async def __call__(self) -> tuple[int, float]:
        self.fetched += 1
        await asyncio.sleep(PATIENCE)
        if self.fails:
            raise RuntimeError("no source")
        return self.fetched, self.keep


async def test_concurrent_requests_share_one_fetch() -> None:
    cache, source = SingleFlightCache[str, int](), Source(0)
    found = await asyncio.gather(*(cache.get("a", source) for _ in range(10)))
    assert (set(found), source.fetched) == ({1}, 1)
    assert await cache.get("a", source) == 2


async def test_a_value_is_kept_as_long_as_it_may_be() -> None:
    now = 100.0
    cache, source = SingleFlightCache[str, int](clock=lambda: now), Source(5)
    assert [await cache.get("a", source) for _ in range(2)] == [1, 1]
    now = 104.9
    assert (cache.kept("a"), await cache.get("a", source)) == (1, 1)
    now = 105.0
    assert cache.kept("a") is None
    assert await cache.get("a", source) == 2


async def test_the_least_recently_used_value_goes_first() -> None:
    cache, source = SingleFlightCache[str, int](capacity=2), Source(60)
    for key in ("a", "b", "a", "c"):
        await cache.get(key, source)
    assert [await cache.get(key, source) for key in ("a", "c")] == [1, 3]
    assert await cache.get("b", source) == 4


async def test_what_came_another_way_is_kept_and_can_be_forgotten() -> None:
    cache, source = SingleFlightCache[str, int](), Source(0)
    cache.keep("a", 7, 60)
    cache.keep("b", 7, 0)
    assert [await cache.get(key, source) for key in ("a", "b")] == [7, 1]
    cache.forget("a")
    cache.forget("never there")
    assert await cache.get("a", source) == 2


async def test_a_failure_reaches_all_and_is_not_kept() -> None:
    cache, source = SingleFlightCache[str, int](), Source(60)
    source.fails = True
    found = await asyncio.gather(
        *(cache.get("a", source) for _ in range(2)), return_exceptions=True
    )
    assert [type(one) for one in found] == [RuntimeError, RuntimeError]
    source.fails = False
    assert await cache.get("a", source) == 2


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    cache, source = SingleFlightCache[str, int](), Source(0)
    patient = asyncio.ensure_future(cache.get("a", source))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PATIENCE / 4):
            await cache.get("a", source)
    assert await patient == 1


@given(st.none() | st.integers(min_value=0, max_value=2**31))
def test_ttls_are_kept_within_bounds(ttl: int | None) -> None:
    assert KEEP_LEAST <= kept_for(ttl) <= KEEP_MOST
    if ttl is not None and KEEP_LEAST <= ttl <= KEEP_MOST:
        assert kept_for(ttl) == ttl
