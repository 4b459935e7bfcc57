# SPDX-License-Identifier: Apache-2.0
"""What is sent to the API server arrives as it was meant, and nothing that is held back at last."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from postroom.controller.kubeconfig import ConnectionSettingsError, connection
from postroom.controller.transport import ApiTransport, Response
from unit.controller.fakeapi import write_kubeconfig

AGENT = "postroom/test"


class Server:
    """Answers everything alike, and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[web.Request, bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request, await request.read()))
        answer = web.Response(status=201, text="made", headers={"Warning": '299 - "first"'})
        answer.headers.add("Warning", '299 - "second"')
        answer.set_cookie("affinity", "one")
        return answer


@asynccontextmanager
async def transport_to(
    server: Server, directory: Path, tls: ssl.SSLContext | None = None, **cluster: str
) -> AsyncIterator[ApiTransport]:
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    transport = ApiTransport(await connection(write_kubeconfig(url, directory, **cluster)), AGENT)
    try:
        yield transport
    finally:
        await transport.close()
        await runner.cleanup()


async def sent(
    transport: ApiTransport,
    path: str = "/api",
    query: list[tuple[str, str]] | None = None,
    body: dict[str, Any] | None = None,
    last: Callable[[], None] = lambda: None,
) -> Response:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    return await transport.send("POST", path, query or [], body, headers, last)


async def test_names_and_questions_arrive_as_they_are(tmp_path: Path) -> None:
    server = Server()
    async with transport_to(server, tmp_path) as transport:
        await sent(transport, "/api/a%2Fb%25c", [("continue", "a b+c/d&e=é"), ("limit", "500")])
    request = server.seen[0][0]
    assert request.raw_path.startswith("/api/a%2Fb%25c?")
    assert dict(request.query) == {"continue": "a b+c/d&e=é", "limit": "500"}


async def test_a_body_is_json_in_utf_8_and_none_is_none(tmp_path: Path) -> None:
    server = Server()
    async with transport_to(server, tmp_path) as transport:
        await sent(transport, body={"text": "é"})
        await sent(transport)
    (first, told), (_, nothing) = server.seen
    assert (told, nothing) == ('{"text":"é"}'.encode(), b"")
    assert first.headers["Content-Type"] == "application/json"


async def test_who_asks_is_said_each_time_and_nothing_else_is_carried_on(tmp_path: Path) -> None:
    server = Server()
    async with transport_to(server, tmp_path) as transport:
        for _ in range(2):
            await sent(transport)
    for request, _ in server.seen:
        assert request.headers["User-Agent"] == AGENT
        assert request.headers["Authorization"] == "Bearer a-token"
        assert not request.cookies


async def test_an_answer_is_whatever_came(tmp_path: Path) -> None:
    async with transport_to(Server(), tmp_path) as transport:
        answer = await sent(transport)
    assert (answer.status, answer.data) == (201, b"made")
    assert answer.warnings == ('299 - "first"', '299 - "second"')


async def test_nothing_is_sent_that_is_held_back_at_last(tmp_path: Path) -> None:
    server = Server()

    def last() -> None:
        raise PermissionError("no longer")

    async with transport_to(server, tmp_path) as transport:
        with pytest.raises(PermissionError):
            await sent(transport, last=last)
    assert server.seen == []


@pytest.mark.parametrize("server", ["https://127.0.0.1:99999", "https://127.0.0.1:port", "host"])
async def test_a_server_that_is_no_url_is_told_before_it_is_asked(
    tmp_path: Path, server: str
) -> None:
    with pytest.raises(ConnectionSettingsError, match=r"server of cluster fake .*must be a URL"):
        await connection(write_kubeconfig(server, tmp_path))


@pytest.mark.parametrize("way", ["request", "watch"])
@pytest.mark.parametrize(("name", "proven"), [("api.example", True), ("other.example", False)])
async def test_the_certificate_is_that_of_the_name_which_the_kubeconfig_has(
    tmp_path: Path, way: str, name: str, *, proven: bool
) -> None:
    authority, tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.example").configure_cert(tls)
    said = {
        "tls-server-name": name,
        "certificate-authority-data": base64.b64encode(authority.cert_pem.bytes()).decode(),
    }
    server = Server()
    async with transport_to(server, tmp_path, tls, **said) as transport:

        async def ask() -> None:
            if way == "request":
                await sent(transport)
                return
            async with transport.watch_session({}, several=False) as session:
                await session.get(f"{transport.server}/apis")

        if proven:
            await ask()
        else:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await ask()
    assert len(server.seen) == int(proven)
