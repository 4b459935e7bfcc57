# SPDX-License-Identifier: Apache-2.0
"""TLS connections of asyncio with buffers of our size: what is smaller, and what passes through."""

from __future__ import annotations

import asyncio
import os
import ssl
from asyncio import sslproto

import pytest
import trustme

from postroom.concurrency import tls_buffers

_MUCH = 40 * tls_buffers.OCTETS + 1


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave asyncio as it was found."""
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)


async def test_a_connection_holds_little_and_lets_through_whatever_its_size() -> None:
    tls_buffers.shrink()
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(_MUCH))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname="localhost"
        )
        held = writer.transport._ssl_protocol  # type: ignore[attr-defined]
        sent = os.urandom(_MUCH)
        writer.write(sent)
        assert await reader.read(-1) == sent
        assert len(held._ssl_buffer) == tls_buffers.OCTETS
        writer.close()


def test_more_than_a_record_fits_in() -> None:
    """16 KiB of content, and at most 256 octets around it (RFC 8446 section 5.2)."""
    assert 2**14 + 256 <= tls_buffers.OCTETS < sslproto.SSLProtocol.max_size
