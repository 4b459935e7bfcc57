# SPDX-License-Identifier: Apache-2.0
"""The virtual clock: order, timeouts, a long wait in no time, threads, and being stuck."""

from __future__ import annotations

import asyncio
import time

import pytest

from dnsworld import clock


def test_a_week_takes_no_time() -> None:
    async def wait() -> float:
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(7 * 86400)
        return asyncio.get_running_loop().time() - start

    began = time.monotonic()
    assert clock.run(wait()) == pytest.approx(7 * 86400)
    assert time.monotonic() - began < 60


def test_who_waits_shorter_wakes_first() -> None:
    async def race() -> list[float]:
        woken = list[float]()

        async def sleeper(seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(seconds)

        await asyncio.gather(*map(sleeper, (3.0, 1.0, 2.0, 0.5)))
        return woken

    assert clock.run(race()) == [0.5, 1.0, 2.0, 3.0]


def test_a_timeout_fires_at_its_time() -> None:
    async def hurry() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(10)
        return asyncio.get_running_loop().time() - start

    assert clock.run(hurry()) == pytest.approx(5)


def test_a_thread_wakes_the_loop() -> None:
    async def ask() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert clock.run(ask()) == 7


def test_who_waits_for_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_STUCK", 0.01)

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="Nothing is scheduled"):
        clock.run(wait())


def test_time_advances_however_far_it_is() -> None:
    async def wait() -> int:
        await asyncio.sleep(1e7)
        for _ in range(100):
            await asyncio.sleep(1e-6)
        return 100

    assert clock.run(wait()) == 100
