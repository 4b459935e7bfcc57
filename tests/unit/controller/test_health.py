# SPDX-License-Identifier: Apache-2.0
"""Liveness, readiness and metrics, as the kubelet and Prometheus see them."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from postroom.controller.health import Health, add_metrics, application, serve
from postroom.controller.queue import KeyedQueue
from postroom.metrics import Metrics
from unit.controller.samples import SERVER


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A health server whose clock moves when told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.queue = KeyedQueue(clock=self.clock)
        self.health = Health(self.queue, stuck_after=600, clock=self.clock)
        self.metrics = Metrics()

    async def get(self, path: str) -> tuple[int, str]:
        app = application(self.health)
        add_metrics(app, self.metrics)
        async with TestClient(TestServer(app)) as client:
            answer = await client.get(path)
            return answer.status, await answer.text()

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.health._beat = self.clock.now


async def test_a_fresh_operator_lives_but_is_not_ready() -> None:
    one = Bench()
    assert await one.get("/healthz") == (200, "ok")
    assert await one.get("/readyz") == (503, "waiting for the start")


async def test_an_operator_that_waits_for_nothing_is_ready() -> None:
    one = Bench()
    one.health.waiting_for = None
    assert await one.get("/readyz") == (200, "ok")


async def test_a_standby_is_ready_and_says_that_it_stands_by() -> None:
    one = Bench()
    one.health.waiting_for, one.health.standing_by = None, True
    assert await one.get("/readyz") == (200, "ok: another works, this one stands by")


async def test_a_standby_that_could_never_take_over_is_not_ready() -> None:
    one = Bench()
    one.health.waiting_for = None
    why: list[str | None] = ["the right to use the lease"]
    one.health.obstacle = lambda: why[-1]
    assert await one.get("/readyz") == (503, "waiting for the right to use the lease")
    assert await one.get("/healthz") == (200, "ok"), "a restart would mend nothing"
    why.append(None)
    assert await one.get("/readyz") == (200, "ok")


async def test_what_is_missing_stands_in_the_place_of_what_it_is_for() -> None:
    one = Bench()
    one.health.waiting_for = "the first list of objects"
    one.health.obstacle = lambda: "the right to list"
    assert await one.get("/readyz") == (503, "waiting for the right to list")


async def test_a_blocked_loop_is_noticed() -> None:
    one = Bench()
    one.clock.now = 31.0
    assert await one.get("/healthz") == (503, "the event loop is blocked")


async def test_an_ended_watch_is_noticed() -> None:
    one = Bench()
    one.health.feed_ended = True
    assert (await one.get("/healthz"))[0] == 503


async def test_a_key_that_waits_for_ever_is_noticed_once_there_are_workers() -> None:
    one = Bench()
    one.queue.add(SERVER)
    one.pass_time(601)
    assert (await one.get("/healthz"))[0] == 200
    one.health.waiting_for = None
    status, text = await one.get("/healthz")
    assert status == 503
    assert "queue is stuck" in text


async def test_a_backlog_is_no_reason_to_restart() -> None:
    """Four hundred silent servers: keys wait for long, but evaluations begin and end."""
    one = Bench()
    one.health.waiting_for = None
    keys = [SERVER._replace(name=f"silent{number}") for number in range(400)]
    for key in keys:
        one.queue.add(key)
    for _ in range(300):
        running = await one.queue.take()
        one.pass_time(15)
        one.queue.done(running)
    assert one.queue.oldest_wait() > 3600
    assert await one.get("/healthz") == (200, "ok")


async def test_a_run_that_never_ends_is_noticed() -> None:
    one = Bench()
    one.queue.add(SERVER)
    await one.queue.take()
    one.pass_time(601)
    assert await one.get("/healthz") == (503, "an evaluation is stuck")


async def test_what_objects_tell_is_made_when_asked_and_follows_the_rest() -> None:
    one, told = Bench(), [b"postroom_condition{} 1.0\n"]

    async def pieces() -> list[bytes]:
        return told

    one.metrics.observe_objects(pieces)
    assert (await one.get("/metrics"))[1].endswith("\npostroom_condition{} 1.0\n")
    told.clear()
    assert "postroom_condition" not in (await one.get("/metrics"))[1]


async def test_gauges_are_read_when_asked() -> None:
    one = Bench()
    one.metrics.observe_gauge("postroom_queue_depth", lambda: one.queue.waiting)
    one.queue.add(SERVER)
    assert "postroom_queue_depth 1.0" in (await one.get("/metrics"))[1]


async def test_what_is_served_is_listed() -> None:
    one = Bench()
    app = application(one.health)
    add_metrics(app, one.metrics)
    runner = await serve(app, "127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 200
            assert await answer.text() == "postroom\n/healthz\n/metrics\n/readyz\n"
            assert answer.content_type == "text/plain"
    finally:
        await runner.cleanup()


async def test_an_address_in_use_is_an_error() -> None:
    one = Bench()
    runner = await serve(application(one.health), "127.0.0.1", 0)
    port = runner.addresses[0][1]
    with pytest.raises(OSError, match="in use"):
        await serve(application(one.health), "127.0.0.1", port)
    await runner.cleanup()


async def test_a_loop_that_is_held_tells_for_how_long() -> None:
    one = Bench()
    told: asyncio.Queue[float] = asyncio.Queue()
    one.health.late = told.put_nowait
    beat = asyncio.create_task(one.health.beat())
    found = []
    for held in (0.0, 3.0):
        await asyncio.sleep(0)
        one.clock.now += 0.5 + held
        found.append(await told.get())
    beat.cancel()
    assert found == [0.0, 3.0]
