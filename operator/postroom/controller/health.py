# SPDX-License-Identifier: Apache-2.0
"""The health server: is the operator alive, is it ready, and its metrics."""

import asyncio
import ssl
import time
from collections.abc import Callable

from aiohttp import web

from postroom.controller.queue import KeyedQueue
from postroom.controller.scraping import Permission, ScrapePermission
from postroom.metrics import Registry

#: Seconds: how often the heart beats, and how late a beat may come before the loop counts as stuck.
_BEAT, _LATE = 0.5, 30.0

METRICS_PATH = "/metrics"


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
        #: Whether another works in our stead; that is no cause not to be ready.
        self.standing_by = False
        #: The same more precisely, as it is at the moment of the question: what is missing.
        self.obstacle: Callable[[], str | None] = lambda: None
        #: Told with every beat by how many seconds it came too late: how long the loop was held.
        self.late: Callable[[float], None] = lambda seconds: None

    async def beat(self) -> None:
        """Note again and again that the event loop runs, until cancelled."""
        while True:
            self._beat = self._clock()
            await asyncio.sleep(_BEAT)
            self.late(max(0.0, self._clock() - self._beat - _BEAT))

    def problems(self) -> list[str]:
        """Return why a restart is needed; empty when it is not."""
        found = []
        if self._clock() - self._beat > _LATE:
            found.append("the event loop is blocked")
        if self.feed_ended:
            found.append("the watch has ended")
        # A backlog is no reason to restart, which would only lengthen it: standing still is.
        if self.waiting_for is None and self._queue.stalled_for() > self._stuck_after:
            found.append("the queue is stuck: keys wait and no evaluation begins or ends")
        if self._queue.oldest_run() > self._stuck_after:
            found.append("an evaluation is stuck")
        return found


def application(health: Health) -> web.Application:
    """Return the web application with /healthz and /readyz."""

    async def live(_: web.Request) -> web.Response:
        problems = health.problems()
        return web.Response(status=503 if problems else 200, text="\n".join(problems) or "ok")

    async def ready(_: web.Request) -> web.Response:
        waiting = health.obstacle() or health.waiting_for
        at_rest = "ok: another works, this one stands by" if health.standing_by else "ok"
        text = f"waiting for {waiting}" if waiting else at_rest
        return web.Response(status=503 if waiting else 200, text=text)

    app = web.Application()
    app.add_routes([web.get("/healthz", live), web.get("/readyz", ready)])
    return app


def add_metrics(
    app: web.Application, metrics: Registry, permission: ScrapePermission | None = None
) -> None:
    """Serve /metrics as well; with a `permission`, only to whom it is granted."""

    async def render(request: web.Request) -> web.Response:
        if permission is not None:
            granted = await permission.of(
                request.headers.get("Authorization"), address=request.remote
            )
            if granted is not Permission.GRANTED:
                return web.Response(status=granted.value, text=granted.refusal(METRICS_PATH))
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    app.add_routes([web.get(METRICS_PATH, render)])


async def _list(request: web.Request) -> web.Response:
    """The paths that there are, which tells nothing of what is there."""
    paths = {resource.canonical for resource in request.app.router.resources()}
    listed = sorted(path for path in paths if not path.endswith("/"))
    return web.Response(text="\n".join(["postroom", *listed, ""]))


async def serve(
    app: web.Application, address: str, port: int, tls: ssl.SSLContext | None = None
) -> web.AppRunner:
    """Start the server, which lists at / what it serves; raises `OSError` where the address cannot
    be had. Clean the runner up."""
    app.add_routes([web.get("/", _list)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
