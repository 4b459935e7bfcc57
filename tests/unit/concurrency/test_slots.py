# SPDX-License-Identifier: Apache-2.0
"""Places by key: each key has its own, for as long as somebody needs them."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.slots import KeyedSlots, Slots


async def test_keys_do_not_stand_in_each_others_way() -> None:
    limiter = KeyedSlots[str](1, 1)
    async with limiter.slot("a", "x"), limiter.slot("b", "x"):
        with pytest.raises(TimeoutError):
            async with limiter.slot("a", "y", patience=0.01):
                pytest.fail("there is one place")
    async with limiter.slot("a", "y", patience=0.01):
        pass


async def test_patience_is_for_the_place_and_not_for_the_work() -> None:
    limiter = KeyedSlots[str](1, 1)
    async with limiter.slot("a", "x", patience=0.01):
        await asyncio.sleep(0.05)


def alive() -> int:
    """How many limits exist in the process."""
    gc.collect()
    return sum(type(thing) is Slots for thing in gc.get_objects())


async def test_nothing_is_kept_of_a_key_that_nobody_needs() -> None:
    before = alive()
    limiter = KeyedSlots[int](2, 1)
    for key in range(100):
        async with limiter.slot(key, "x"):
            pass
    async with limiter.slot(7, "x"):
        waiting = asyncio.create_task(limiter.slot(7, "x").__aenter__())
        await asyncio.sleep(0)
        assert alive() == before + 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    del waiting
    await asyncio.sleep(0)
    assert alive() == before


@given(
    st.lists(st.tuples(st.sampled_from("kl"), st.sampled_from("xyz")), max_size=25),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_bounds_hold_for_each_key_and_party_and_all_are_served(
    wants: list[tuple[str, str]], total: int, each: int
) -> None:
    limiter = KeyedSlots[str](total, each)
    held: Counter[str] = Counter()
    of_party: Counter[tuple[str, str]] = Counter()
    served = list[tuple[str, str]]()

    async def work(key: str, party: str) -> None:
        async with limiter.slot(key, party):
            held[key] += 1
            of_party[key, party] += 1
            assert held[key] <= total
            assert of_party[key, party] <= each
            await asyncio.sleep(0)
            held[key] -= 1
            of_party[key, party] -= 1
            served.append((key, party))

    async def story() -> None:
        await asyncio.gather(*(work(key, party) for key, party in wants))

    asyncio.run(story())
    assert Counter(served) == Counter(wants)
