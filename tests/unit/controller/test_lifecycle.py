# SPDX-License-Identifier: Apache-2.0
"""How a process on a cluster lives and ends, whatever it works on."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.controller import client, lifecycle
from postroom.controller.cache import Cache
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.sweep import Sweep
from postroom.metrics import Metrics
from postroom.settings import Settings, load
from unit.controller.fakeapi import serving, write_kubeconfig
from unit.controller.test_run import until


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with serving() as api:
        kubeconfig = write_kubeconfig(api.url, tmp_path)
        flags = {"kubeconfig": kubeconfig, "namespaces": "mail", "health_address": "off"}
        yield load(flags, {})


class Life(lifecycle.Lifecycle):
    """One whose work ends when it is told to."""

    def __init__(self, cluster: client.Cluster, settings: Settings) -> None:
        metrics = Metrics()
        intake = Intake(Cache(), KeyedQueue())
        sweep = Sweep(cluster, intake, settings.namespaces, metrics)
        super().__init__(cluster, settings, intake, metrics, sweep, "a-lease")
        self.told: list[str] = []
        self.settled, self.broken = asyncio.Event(), asyncio.Event()

    async def _start(self) -> None:
        self.told.append("started")
        self._spawn(self._break(), "work")

    async def _break(self) -> None:
        await self.broken.wait()
        raise ValueError("it broke")

    def _filled(self) -> None:
        self.told.append("filled")

    async def _settle(self) -> None:
        self.told.append("settling")
        await self.settled.wait()
        self.told.append("settled")

    async def _end(self, *, failed: bool) -> None:
        self.told.append("failed" if failed else "ended")


def begin(settings: Settings) -> tuple[list[Life], asyncio.Task[int]]:
    lives: list[Life] = []

    def born(cluster: client.Cluster) -> Life:
        lives.append(Life(cluster, settings))
        return lives[0]

    return lives, asyncio.ensure_future(lifecycle.live(settings.kubeconfig, 4, born))


async def begun(settings: Settings) -> tuple[Life, asyncio.Task[int]]:
    lives, task = begin(settings)
    await until(lambda: lives and "filled" in lives[0].told)
    return lives[0], task


async def test_one_signal_lets_what_is_under_way_end(settings: Settings) -> None:
    life, task = await begun(settings)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: "settling" in life.told)
    life.settled.set()
    assert await asyncio.wait_for(task, 10) == lifecycle.EXIT_STOPPED
    assert life.told == ["started", "filled", "settling", "settled", "ended"]


async def test_a_second_signal_ends_the_grace(settings: Settings) -> None:
    life, task = await begun(settings)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: "settling" in life.told)
    assert await asyncio.wait_for(task, 10) == lifecycle.EXIT_STOPPED
    assert life.told == ["started", "filled", "settling", "ended"]


async def test_what_breaks_ends_the_process_without_grace(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    life, task = await begun(settings)
    life.broken.set()
    assert await asyncio.wait_for(task, 10) == lifecycle.EXIT_FAILED
    assert life.told == ["started", "filled", "failed"]
    assert "work ended: ValueError: it broke" in caplog.text


async def test_what_the_first_lists_brought_is_in_no_later_pass_of_the_collector(
    settings: Settings,
) -> None:
    before = list(gc.callbacks)
    kept = [[number] for number in range(50_000)]
    life, task = await begun(settings)
    assert len(gc.get_objects()) < len(kept)
    assert len(gc.callbacks) == len(before) + 1
    life.broken.set()
    assert await asyncio.wait_for(task, 10) == lifecycle.EXIT_FAILED
    assert gc.callbacks == before
