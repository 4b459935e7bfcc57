# SPDX-License-Identifier: Apache-2.0
"""What a server has sent before it is asked, and nobody has read yet, is no reply to a command."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from postroom.api.mailserver import TLSMode
from postroom.mail.report import Endpoint
from postroom.mail.smtp.client import Injected, SmtpClient

HOST = "mail.example.com"
AUTHORITY = trustme.CA()


class Server:
    """The other end of a connection. It blocks: what it says is in the kernel when it returns."""

    def __init__(self, connection: socket.socket, secure: bool) -> None:
        connection.settimeout(30)
        self._connection, self._secure = connection, secure

    def greet(self) -> None:
        if self._secure:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            AUTHORITY.issue_cert(HOST).configure_cert(made)
            self._connection = made.wrap_socket(self._connection, server_side=True)
        self.say(b"220 x\r\n")

    def say(self, octets: bytes) -> None:
        self._connection.sendall(octets)

    def answer(self, reply: bytes, end: bytes = b"\r\n") -> bytes:
        """Read until what was said ends, and reply."""
        heard = b""
        while not heard.endswith(end):
            more = self._connection.recv(4096)
            if not more:
                return heard
            heard += more
        self.say(reply)
        return heard

    def close(self) -> None:
        self._connection.close()


@asynccontextmanager
async def met(secure: bool = False) -> AsyncIterator[tuple[SmtpClient, Server]]:
    """A client that was greeted, and its server."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    context = None
    if secure:
        context = ssl.create_default_context()
        AUTHORITY.configure_trust(context)
    mode = TLSMode.IMPLICIT if secure else TLSMode.NONE
    client = SmtpClient(Endpoint(HOST, 465, mode, HOST, None, "n"), ours, context)
    server = Server(theirs, secure)
    greets = asyncio.to_thread(server.greet)
    await asyncio.gather(greets, client.connect())
    try:
        yield client, server
    finally:
        client.close()
        ours.close()
        server.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("early", [b"235 2.7.0 in\r\n", b"250-x\r\n", b"235 in\r\n" * 2_000])
async def test_a_command_is_not_answered_by_what_was_said_before_it(
    early: bytes, secure: bool
) -> None:
    async with met(secure) as (client, server):
        server.say(early)
        answers = asyncio.to_thread(server.answer, b"535 5.7.8 no\r\n")
        reply, asked = await asyncio.gather(client.execute_command(b"NOOP"), answers)
    assert (reply.code, asked) == (535, b"NOOP\r\n")


@pytest.mark.parametrize("secure", [False, True])
async def test_a_message_is_not_taken_by_what_was_said_before_it(secure: bool) -> None:
    async with met(secure) as (client, server):
        server.say(b"250 2.0.0 queued\r\n")

        async def hand_over() -> int:
            await client.hand_over(b"Subject: x\r\n\r\n.\r\n")
            return (await client.final_reply()).code

        answers = asyncio.to_thread(server.answer, b"554 5.7.1 no\r\n", b"\r\n.\r\n")
        code, _ = await asyncio.gather(hand_over(), answers)
    assert code == 554


async def test_tls_does_not_begin_by_what_was_said_before_starttls() -> None:
    """Nor is it found injected: it came before."""
    async with met() as (client, server):
        answers = asyncio.to_thread(server.answer, b"250-x\r\n250 STARTTLS\r\n")
        await asyncio.gather(client.ehlo(), answers)
        server.say(b"220 go on\r\n")
        answers = asyncio.to_thread(server.answer, b"454 4.7.0 no\r\n")
        secured, asked = await asyncio.gather(
            client.secure(ssl.create_default_context(), HOST), answers, return_exceptions=True
        )
    assert not isinstance(secured, Injected)
    assert (getattr(secured, "code", None), asked) == (454, b"STARTTLS\r\n")


async def test_the_farewell_of_a_server_that_has_left_is_heard() -> None:
    async with met() as (client, server):
        server.say(b"421 4.3.2 bye\r\n")
        server.close()
        reply = await client.execute_command(b"NOOP")
    assert reply.code == 421
