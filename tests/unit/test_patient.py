# SPDX-License-Identifier: Apache-2.0
"""Bounds of tests measure what a process did, and not how long it waited for a processor."""

from __future__ import annotations

import asyncio
import time

import pytest

from patient import PatientLoop


async def test_who_is_held_up_has_the_rest_of_its_time() -> None:
    assert isinstance(asyncio.get_running_loop(), PatientLoop)
    async with asyncio.timeout(0.5):
        time.sleep(1.0)  # noqa: ASYNC251 - as the machine does
        await asyncio.sleep(0.1)


async def test_who_waits_for_nothing_is_told_so() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.Event().wait()


async def test_an_event_goes_before_what_became_due_since() -> None:
    """Who was held up while it waited finds what came meanwhile."""
    answered, due = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    began = loop.time()
    loop.call_later(0.3, due.set)
    loop.call_soon(time.sleep, 0.6)
    loop.call_soon_threadsafe(answered.set)
    await answered.wait()
    assert not due.is_set()
    await due.wait()
    assert loop.time() - began >= 0.3
