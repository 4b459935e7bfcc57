# SPDX-License-Identifier: Apache-2.0
"""Connections that are kept: used again, but not once something was said on them unasked."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from postroom.concurrency.kept_connections import KeepingConnector

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNASKED = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"


class Noting(KeepingConnector):
    def __init__(self) -> None:
        super().__init__()
        self.kept = list[bool]()
        #: Of the connection that was handed out last.
        self.heard = asyncio.Event()

    async def connect(self, *arguments: object, **options: object) -> aiohttp.connector.Connection:
        connection = await super().connect(*arguments, **options)
        protocol = connection.protocol
        assert protocol is not None
        hear = protocol.data_received

        def listen(data: bytes) -> None:
            hear(data)
            if data == UNASKED:
                self.heard.set()

        protocol.data_received = listen  # type: ignore[method-assign]
        return connection

    def handed_out(self, *, kept: bool) -> None:
        self.kept.append(kept)


@pytest.mark.parametrize("read", [True, False])
async def test_a_connection_is_kept_until_something_is_said_unasked(read: bool) -> None:
    """Also where it lies in the kernel, and would be read when the next request has been sent."""
    writers = list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)
            await writer.drain()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    connector = Noting()
    async with aiohttp.ClientSession(connector=connector) as session:

        async def status() -> int:
            async with session.get(url) as response:
                assert await response.read() == b"ok"
                return response.status

        assert [await status(), await status()] == [200, 200]
        writers[0].write(UNASKED)
        if read:
            await connector.heard.wait()
        assert await status() == 200
    assert (connector.kept, len(writers)) == ([False, True, False], 2)
    server.close()
    await server.wait_closed()
