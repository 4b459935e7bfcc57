# SPDX-License-Identifier: Apache-2.0
"""Token buckets: burst, rate, turns, who gives up."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.token_bucket import TokenBucket


class Clock:
    """A clock that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=2, burst=3, clock=clock)
    assert [bucket.try_take() for _ in range(4)] == [True, True, True, False]
    clock.now = 0.5
    assert [bucket.try_take() for _ in range(2)] == [True, False]


def test_an_idle_bucket_keeps_no_more_than_its_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=10, burst=2, clock=clock)
    clock.now = 1000.0
    assert [bucket.try_take() for _ in range(3)] == [True, True, False]


async def test_parties_that_wait_are_served_in_turns() -> None:
    clock, served = Clock(), list[str]()
    bucket = TokenBucket(rate=1000, burst=1, clock=clock)
    assert bucket.try_take()

    async def take(party: str, name: str) -> None:
        await bucket.take(party)
        served.append(name)

    names = [("busy", f"b{number}") for number in range(50)] + [("quiet", "q0"), ("quiet", "q1")]
    tasks = [asyncio.ensure_future(take(*one)) for one in names]
    await asyncio.sleep(0)
    while len(served) < len(names):
        clock.now += 0.001
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    assert served[:4] == ["b0", "q0", "b1", "q1"]
    assert served[4:] == [f"b{number}" for number in range(2, 50)]


async def test_who_gives_up_waiting_takes_no_token() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=100, burst=1, clock=clock)
    assert bucket.try_take()
    impatient = [asyncio.ensure_future(bucket.take("x")) for _ in range(3)]
    patient = asyncio.ensure_future(bucket.take("y"))
    await asyncio.sleep(0)
    for one in impatient:
        one.cancel()
    clock.now = 0.01
    await asyncio.wait_for(patient, 1)
    assert not bucket.try_take()
    clock.now = 0.02
    assert bucket.try_take()


async def test_take_waits_for_its_token() -> None:
    bucket = TokenBucket(rate=50, burst=1)
    bucket_began, began = time.monotonic(), asyncio.get_running_loop().time()
    await asyncio.gather(*(bucket.take() for _ in range(3)))
    assert time.monotonic() - bucket_began >= 0.03
    assert asyncio.get_running_loop().time() - began < 1


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_that_never_gives_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="token bucket"):
        TokenBucket(rate, burst)


@given(st.lists(st.floats(0, 5), max_size=50), st.floats(0.1, 10), st.integers(1, 10))
def test_a_bucket_never_gives_more_than_burst_and_rate_allow(
    steps: list[float], rate: float, burst: int
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    given_out = 0
    for step in steps:
        clock.now += step
        given_out += sum(bucket.try_take() for _ in range(20))
        assert given_out <= burst + clock.now * rate + 1e-6
