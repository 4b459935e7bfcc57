# SPDX-License-Identifier: Apache-2.0
"""A session that goes where it was told, whatever a URL names, and takes nothing along."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from postroom.mail.connect.https import pinned_session

BODY = gzip.compress(b"{}")


@pytest.fixture
async def seen() -> AsyncIterator[tuple[int, list[web.Request]]]:
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request)
        response = web.Response(body=BODY, headers={"Content-Encoding": "gzip"})
        response.set_cookie("who", "you")
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1], requests
    await runner.cleanup()


async def test_only_the_given_address_is_connected_to(
    seen: tuple[int, list[web.Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, requests = seen
    # Nothing listens there; a session that heeded it would fail.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with pinned_session(["127.0.0.1"], context, 5) as session:
        for _ in range(2):
            async with session.get(f"http://name.invalid:{port}/") as response:
                assert await response.read() == BODY
    assert [request.host for request in requests] == [f"name.invalid:{port}"] * 2
    assert all("Cookie" not in request.headers for request in requests)
    assert all(not request.keep_alive for request in requests)
