# SPDX-License-Identifier: Apache-2.0
"""Threads that parties share: one with endless work has another wait for none of it."""

import asyncio
import threading

import pytest

from postroom.concurrency.acting import acting_for
from postroom.concurrency.threads import in_thread


async def of(name: str, hold: threading.Event | None = None) -> str:
    """Work on behalf of a party, until told to go on."""
    with acting_for(name):
        return await in_thread(lambda: name if hold is None or hold.wait(30) else "stuck")


@pytest.mark.parametrize("jobs", [1, 2, 200])
async def test_a_party_with_much_to_compute_keeps_room_for_another(jobs: int) -> None:
    hold = threading.Event()
    busy = [asyncio.ensure_future(of("b", hold)) for _ in range(jobs)]
    try:
        await asyncio.sleep(0)
        assert [await of(name) for name in ("a", "a", "c")] == ["a", "a", "c"]
        assert not any(job.done() for job in busy), "it holds its threads still"
    finally:
        hold.set()
    assert set(await asyncio.gather(*busy)) == {"b"}


async def test_a_failure_gives_the_place_back() -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0)
    assert await of("a") == "a"


async def test_a_thread_that_nobody_waits_for_holds_its_place_until_it_ends() -> None:
    hold = threading.Event()
    given_up = [asyncio.ensure_future(of("b", hold)) for _ in range(2)]
    await asyncio.sleep(0.01)
    for job in given_up:
        job.cancel()
    late = asyncio.ensure_future(of("b"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not late.done(), "both of its threads still run"
    hold.set()
    assert await late == "b"
