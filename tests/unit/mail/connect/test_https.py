# SPDX-License-Identifier: Apache-2.0
"""A session that goes where it was told, whatever a URL names, and takes nothing along."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from postroom.mail.connect.https import OCTETS_LIMIT, pinned_session

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


async def test_a_server_that_never_comes_to_its_answer_is_not_listened_to_for_long() -> None:
    """Interim answers without end would cost CPU for as long as the request may last."""
    written = 0

    async def storm(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        with contextlib.suppress(OSError):
            while not writer.transport.is_closing():
                said = b"HTTP/1.1 102 Processing\r\n\r\n" * 2000
                writer.write(said)
                await writer.drain()
                written += len(said)
                await asyncio.sleep(0)
        writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with await asyncio.start_server(storm, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with pinned_session(["127.0.0.1"], context, 5) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"http://name.invalid:{port}/")
    # What was heard, and what sockets and buffers hold besides.
    assert OCTETS_LIMIT <= written <= OCTETS_LIMIT + 16 * 1024 * 1024
