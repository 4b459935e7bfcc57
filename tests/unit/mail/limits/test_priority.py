# SPDX-License-Identifier: Apache-2.0
"""The gate of probes: bounds, and that those that stall keep nobody out for long."""

from __future__ import annotations

import asyncio

import pytest

from postroom.mail.limits.priority import Gate, Pace

PATIENCE = 0.01


async def stall(gate: Gate, pace: Pace, until: asyncio.Event, namespace: str = "x") -> None:
    async with gate.place(pace, namespace):
        await until.wait()


async def enters(gate: Gate, pace: Pace, within: float, namespace: str = "healthy") -> bool:
    """Tell whether a probe gets a place in time."""
    try:
        async with asyncio.timeout(within), gate.place(pace, namespace):
            return True
    except TimeoutError:
        return False


@pytest.fixture
def end() -> asyncio.Event:
    return asyncio.Event()


async def stalled(gate: Gate, number: int, end: asyncio.Event) -> list[asyncio.Task[None]]:
    """Let probes of different hosts and namespaces begin, and stall."""
    found = [asyncio.create_task(stall(gate, Pace(), end, f"n{one}")) for one in range(number)]
    await asyncio.sleep(0)
    return found


async def test_no_more_than_the_places_begin(end: asyncio.Event) -> None:
    gate = Gate(2, 2, patience=5)
    tasks = await stalled(gate, 2, end)
    assert not await enters(gate, Pace(), PATIENCE)
    end.set()
    await asyncio.gather(*tasks)
    assert await enters(gate, Pace(), PATIENCE)


async def test_those_that_stall_make_room(end: asyncio.Event) -> None:
    gate = Gate(2, 2, PATIENCE)
    tasks = await stalled(gate, 2, end)
    assert await enters(gate, Pace(), 1)
    end.set()
    await asyncio.gather(*tasks)


async def test_even_those_are_bounded(end: asyncio.Event) -> None:
    gate = Gate(2, 1, PATIENCE)
    tasks = await stalled(gate, 3, end)
    assert not await enters(gate, Pace(), 5 * PATIENCE)
    end.set()
    await asyncio.gather(*tasks)
    assert await enters(gate, Pace(), 1)


async def test_a_host_that_is_known_to_stall_takes_no_place(end: asyncio.Event) -> None:
    gate, pace = Gate(1, 1, PATIENCE), Pace()
    pace.slow = True
    tasks = [asyncio.create_task(stall(gate, pace, end))]
    await asyncio.sleep(0)
    assert await enters(gate, Pace(), PATIENCE)
    assert not await enters(gate, pace, PATIENCE)
    end.set()
    await asyncio.gather(*tasks)


async def test_a_host_that_answers_again_is_no_longer_slow() -> None:
    gate, pace = Gate(1, 1, PATIENCE), Pace()
    async with gate.place(pace, "x"):
        await asyncio.sleep(3 * PATIENCE)
    assert pace.slow
    assert await enters(gate, pace, PATIENCE)
    assert not pace.slow


async def test_whoever_gives_up_leaves_its_place(end: asyncio.Event) -> None:
    gate = Gate(1, 1, PATIENCE)
    tasks = await stalled(gate, 1, end)
    await asyncio.sleep(3 * PATIENCE)
    waiting = asyncio.create_task(stall(gate, Pace(), end))
    await asyncio.sleep(0)
    for task in (*tasks, waiting):
        task.cancel()
    await asyncio.gather(*tasks, waiting, return_exceptions=True)
    assert await enters(gate, Pace(), PATIENCE)
    slow = Pace()
    slow.slow = True
    assert await enters(gate, slow, PATIENCE)


async def test_stalled_probes_of_one_namespace_leave_room_for_another(end: asyncio.Event) -> None:
    """Even where they are more than all places of either kind."""
    gate = Gate(10, 10, PATIENCE)
    tasks = [asyncio.create_task(stall(gate, Pace(), end, "silent")) for _ in range(100)]
    for _ in range(3):
        assert await enters(gate, Pace(), PATIENCE / 2)
        slow = Pace()
        slow.slow = True
        assert await enters(gate, slow, PATIENCE / 2)
        await asyncio.sleep(3 * PATIENCE)
    end.set()
    await asyncio.gather(*tasks)
