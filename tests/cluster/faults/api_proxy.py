# SPDX-License-Identifier: Apache-2.0
"""A door before the API server that can be told to misbehave, one request after the other.

What passes is passed on as it is, credentials included, so that audit and rights are those of the
client. HTTP on loopback towards the client, TLS towards the server.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

from postroom.lab.controlplane import ControlPlane

#: What a client may send and a server answer that a door passes on.
_REQUEST = ("Authorization", "Accept", "Content-Type", "User-Agent")
_ANSWER = ("Content-Type", "Retry-After", "Audit-Id")
Forward = Callable[[], Awaitable[web.StreamResponse]]
#: What becomes of a request; `forward` has the server answer it.
Script = Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]


class ApiProxy:
    """The door, in a thread of its own. `script` is None where everything passes.

    `hits` are the requests that a script was asked about, as method and path.
    """

    def __init__(self, plane: ControlPlane) -> None:
        config = yaml.load(plane.kubeconfig.read_text(), Loader=yaml.CSafeLoader)
        cluster = config["clusters"][0]["cluster"]
        authority = b64decode(cluster["certificate-authority-data"]).decode()
        self._server = cluster["server"]
        self._tls = ssl.create_default_context(cadata=authority)
        self.script: Script | None = None
        self.hits: list[tuple[str, str]] = []
        #: What the server answered, by status.
        self.answers = Counter[int]()
        #: The last list of each kind, by the request for it: what a server that lags would answer.
        self.lists: dict[tuple[str, str], bytes] = {}
        self.port = 0
        self._streams: set[asyncio.BaseTransport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def kubeconfig(self, direct: Path) -> Path:
        """A kubeconfig that leads through the door, from one that does not."""
        config = yaml.load(direct.read_text(), Loader=yaml.CSafeLoader)
        for entry in config["clusters"]:
            entry["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        path = direct.with_name("proxied.kubeconfig")
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    def cut_watches(self) -> int:
        """Cut every watch in the midst; how many there were."""

        async def abort() -> int:
            return self._abort_streams()

        cut: int = self._run(abort())
        return cut

    # -- serving ------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        async def forward() -> web.StreamResponse:
            return await self._forward(request)

        if self.script is None:
            return await forward()
        self.hits.append((request.method, request.path))
        return await self.script(request, forward)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _REQUEST if name in request.headers}
        sent = await request.read() if request.can_read_body else None
        try:
            async with self._session.request(
                request.method, self._server + request.raw_path, headers=headers, data=sent
            ) as answer:
                self.answers[answer.status] += 1
                kept = {name: answer.headers[name] for name in _ANSWER if name in answer.headers}
                if is_watch(request) and answer.status == 200:
                    return await self._stream(request, answer, kept)
                body = await answer.read()
        except aiohttp.ClientError:
            return cut(request)
        if is_list(request) and answer.status == 200:
            self.lists[identity_of(request)] = body
        return web.Response(status=answer.status, headers=kept, body=body)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        transport = request.transport
        assert transport is not None
        self._streams.add(transport)
        try:
            async for piece in answer.content.iter_any():
                await response.write(piece)
        except (aiohttp.ClientError, ConnectionError):
            return cut(request)
        finally:
            self._streams.discard(transport)
        return response

    # -- living -------------------------------------------------------------------------------

    def _abort_streams(self) -> int:
        for transport in (found := list(self._streams)):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        return len(found)

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=60),
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
            read_bufsize=2**21,
        )
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        self._abort_streams()
        await self._runner.cleanup()
        await self._session.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


# -- what requests are ----------------------------------------------------------------------------


def is_watch(request: web.Request) -> bool:
    return request.query.get("watch", "").lower() in {"1", "true"}


def is_list(request: web.Request) -> bool:
    """A GET of one of our kinds, all of it."""
    ours = request.path.startswith("/apis/postroom.dev/") and request.path.endswith("s")
    return request.method == "GET" and ours and not is_watch(request)


def is_write(request: web.Request) -> bool:
    return request.method != "GET"


def identity_of(request: web.Request) -> tuple[str, str]:
    """By what two requests for a list are alike."""
    return request.path_qs, request.headers.get("Accept", "")


# -- what may become of them ----------------------------------------------------------------------


def cut(request: web.Request) -> web.StreamResponse:
    """Say nothing, and end the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def answering(
    status: int,
    retry_after: str | None = None,
    of: Callable[[web.Request], bool] = lambda request: True,
) -> Script:
    """The server refuses what `of` says, as a server of Kubernetes does."""
    pause = {} if retry_after is None else {"Retry-After": retry_after}

    async def script(request: web.Request, forward: Forward) -> web.StreamResponse:
        if not of(request):
            return await forward()
        said = {"kind": "Status", "apiVersion": "v1", "code": status, "message": "scripted"}
        return web.json_response(said, status=status, headers=pause)

    return script


def conflicting(times: int) -> Script:
    """The first writes of each status meet somebody else's."""
    refuse, met = answering(409), Counter[str]()

    async def script(request: web.Request, forward: Forward) -> web.StreamResponse:
        met[request.path] += 1
        if not request.path.endswith("/status") or met[request.path] > times:
            return await forward()
        return await refuse(request, forward)

    return script


def slow(seconds: float) -> Script:
    """Every answer takes its time."""

    async def script(request: web.Request, forward: Forward) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await forward()

    return script


def losing_answers(of: Callable[[web.Request], bool] = is_write) -> Script:
    """What `of` says is carried out, and nobody hears of it."""

    async def script(request: web.Request, forward: Forward) -> web.StreamResponse:
        answer = await forward()
        return cut(request) if of(request) else answer

    return script


def expired() -> Script:
    """Each watch is told that what it asks for is compacted away (410 Gone, as an event)."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired"}
    status |= {"code": 410, "message": "too old resource version: 1 (2)"}  # type: ignore[dict-item]

    async def script(request: web.Request, forward: Forward) -> web.StreamResponse:
        if not is_watch(request) or request.query.get("resourceVersion") is None:
            return await forward()
        return web.Response(
            body=json.dumps({"type": "ERROR", "object": status}).encode() + b"\n",
            content_type="application/json",
        )

    return script


def stale(lists: dict[tuple[str, str], bytes]) -> Script:
    """Lists are those of some time ago, and a watch finds what it goes on from gone."""
    gone = expired()

    async def script(request: web.Request, forward: Forward) -> web.StreamResponse:
        if is_watch(request):
            return await gone(request, forward)
        if is_list(request) and identity_of(request) in lists:
            return web.Response(body=lists[identity_of(request)], content_type="application/json")
        return await forward()

    return script
