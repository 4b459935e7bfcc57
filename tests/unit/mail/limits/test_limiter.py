# SPDX-License-Identifier: Apache-2.0
"""The limiter of probes: bounds, and that those that stall keep nobody out for long."""

from __future__ import annotations

import asyncio

import pytest

from postroom.mail.limits.limiter import HostSpeed, ProbeLimiter

PATIENCE = 0.01


async def stall(
    limiter: ProbeLimiter, speed: HostSpeed, until: asyncio.Event, namespace: str = "x"
) -> None:
    async with limiter.slot(speed, namespace):
        await until.wait()


async def enters(
    limiter: ProbeLimiter, speed: HostSpeed, within: float, namespace: str = "healthy"
) -> bool:
    """Tell whether a probe gets a slot in time."""
    try:
        async with asyncio.timeout(within), limiter.slot(speed, namespace):
            return True
    except TimeoutError:
        return False


@pytest.fixture
def end() -> asyncio.Event:
    return asyncio.Event()


async def stalled(
    limiter: ProbeLimiter, number: int, end: asyncio.Event
) -> list[asyncio.Task[None]]:
    """Let probes of different hosts and namespaces begin, and stall."""
    found = [
        asyncio.create_task(stall(limiter, HostSpeed(), end, f"n{one}")) for one in range(number)
    ]
    await asyncio.sleep(0)
    return found


async def test_no_more_than_the_places_begin(end: asyncio.Event) -> None:
    limiter = ProbeLimiter(2, 2, patience=5)
    tasks = await stalled(limiter, 2, end)
    assert not await enters(limiter, HostSpeed(), PATIENCE)
    end.set()
    await asyncio.gather(*tasks)
    assert await enters(limiter, HostSpeed(), PATIENCE)


async def test_those_that_stall_make_room(end: asyncio.Event) -> None:
    limiter = ProbeLimiter(2, 2, PATIENCE)
    tasks = await stalled(limiter, 2, end)
    assert await enters(limiter, HostSpeed(), 1)
    end.set()
    await asyncio.gather(*tasks)


async def test_even_those_are_bounded(end: asyncio.Event) -> None:
    limiter = ProbeLimiter(2, 1, PATIENCE)
    tasks = await stalled(limiter, 3, end)
    assert not await enters(limiter, HostSpeed(), 5 * PATIENCE)
    end.set()
    await asyncio.gather(*tasks)
    assert await enters(limiter, HostSpeed(), 1)


async def test_a_host_that_is_known_to_stall_takes_no_place(end: asyncio.Event) -> None:
    limiter, speed = ProbeLimiter(1, 1, PATIENCE), HostSpeed()
    speed.slow = True
    tasks = [asyncio.create_task(stall(limiter, speed, end))]
    await asyncio.sleep(0)
    assert await enters(limiter, HostSpeed(), PATIENCE)
    assert not await enters(limiter, speed, PATIENCE)
    end.set()
    await asyncio.gather(*tasks)


async def test_a_host_that_answers_again_is_no_longer_slow() -> None:
    limiter, speed = ProbeLimiter(1, 1, PATIENCE), HostSpeed()
    async with limiter.slot(speed, "x"):
        await asyncio.sleep(3 * PATIENCE)
    assert speed.slow
    assert await enters(limiter, speed, PATIENCE)
    assert not speed.slow


async def test_whoever_gives_up_leaves_its_place(end: asyncio.Event) -> None:
    limiter = ProbeLimiter(1, 1, PATIENCE)
    tasks = await stalled(limiter, 1, end)
    await asyncio.sleep(3 * PATIENCE)
    waiting = asyncio.create_task(stall(limiter, HostSpeed(), end))
    await asyncio.sleep(0)
    for task in (*tasks, waiting):
        task.cancel()
    await asyncio.gather(*tasks, waiting, return_exceptions=True)
    assert await enters(limiter, HostSpeed(), PATIENCE)
    slow = HostSpeed()
    slow.slow = True
    assert await enters(limiter, slow, PATIENCE)


async def test_stalled_probes_of_one_namespace_leave_room_for_another(end: asyncio.Event) -> None:
    """Even where they are more than all slots of either kind."""
    limiter = ProbeLimiter(10, 10, PATIENCE)
    tasks = [asyncio.create_task(stall(limiter, HostSpeed(), end, "silent")) for _ in range(100)]
    for _ in range(3):
        assert await enters(limiter, HostSpeed(), PATIENCE / 2)
        slow = HostSpeed()
        slow.slow = True
        assert await enters(limiter, slow, PATIENCE / 2)
        await asyncio.sleep(3 * PATIENCE)
    end.set()
    await asyncio.gather(*tasks)
