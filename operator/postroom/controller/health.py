# SPDX-License-Identifier: Apache-2.0
"""The health server: is the operator alive, is it ready, and its metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from postroom.controller.queue import KeyedQueue
from postroom.metrics import Metrics

#: Seconds: how often the heart beats, and how late a beat may come before the loop counts as stuck.
_BEAT, _LATE = 1.0, 30.0


class Health:
    """What the probes of the kubelet are answered with."""

    def __init__(
        self, queue: KeyedQueue, stuck_after: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue = queue
        self._stuck_after = stuck_after
        self._clock = clock
        self._beat = clock()
        self.feed_ended = False
        #: Why the operator is not ready yet; None once it is.
        self.waiting_for: str | None = "the start"

    async def beat(self) -> None:
        """Note again and again that the event loop runs, until cancelled."""
        while True:
            self._beat = self._clock()
            await asyncio.sleep(_BEAT)

    def problems(self) -> list[str]:
        """Return why a restart is needed; empty when it is not."""
        found = []
        if self._clock() - self._beat > _LATE:
            found.append("the event loop is blocked")
        if self.feed_ended:
            found.append("the watch has ended")
        if self.waiting_for is None and self._queue.oldest_wait() > self._stuck_after:
            found.append("the queue is stuck: a key waits for too long")
        if self._queue.oldest_run() > self._stuck_after:
            found.append("an evaluation is stuck")
        return found


def application(health: Health, metrics: Metrics) -> web.Application:
    """Return the web application with /healthz, /readyz and /metrics."""

    async def live(_: web.Request) -> web.Response:
        problems = health.problems()
        return web.Response(status=503 if problems else 200, text="\n".join(problems) or "ok")

    async def ready(_: web.Request) -> web.Response:
        waiting = health.waiting_for
        text = f"waiting for {waiting}" if waiting else "ok"
        return web.Response(status=503 if waiting else 200, text=text)

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", live), web.get("/readyz", ready), web.get("/metrics", render)]
    )
    return app


async def serve(app: web.Application, address: str, port: int) -> web.AppRunner:
    """Start the server; raises `OSError` where the address cannot be had. Clean the runner up."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
