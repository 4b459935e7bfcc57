# SPDX-License-Identifier: Apache-2.0
"""HTTPS to addresses that the dial guard has judged: no other is ever connected to."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

#: Octets of all that a server says: the longest body that is read, and more than is received at
#: once, so that a body that is too long is seen to be that before.
OCTETS_LIMIT = 2 * 1024 * 1024


def pinned_session(
    addresses: Sequence[str], context: ssl.SSLContext, connect_limit: float
) -> aiohttp.ClientSession:
    """Return a session that connects to these addresses, whatever host a URL names.

    It takes no cookies, no proxy from the environment, and keeps no connection; compressed bodies
    stay as they are. `connect_limit` is in seconds; the whole request is the caller's to bound. A
    server that says more than `OCTETS_LIMIT` is not listened to any longer.
    """
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(addresses), use_dns_cache=False, ssl=context, force_close=True
    )
    connector._factory = cast("Any", partial(_Bounded, asyncio.get_running_loop()))
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_limit),
        trust_env=False,
    )


class _Bounded(ResponseHandler):
    """Hears no more of a connection than `OCTETS_LIMIT`, and sees where a body may be cut.

    aiohttp bounds lines and heads, but takes interim answers (RFC 9110 section 15.2) and chunks
    without end: each costs CPU, for as long as the request may last. A body that ends with the
    connection is whole only where TLS says that it ended (RFC 9112 section 9.8): anyone in between
    can end a connection, and much of a policy is a policy, too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._left = OCTETS_LIMIT
        self._said_its_end = False

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            super().data_received(data)
        elif self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> None:
        """See `asyncio.Protocol`, to which an end with the closure alert of TLS is as any other."""
        secured = self.transport.get_extra_info("ssl_object") if self.transport else None
        if secured is not None:
            with suppress(ssl.SSLError):  # more is awaited
                self._said_its_end = not secured.read(1)
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        body = self._payload
        if body is not None and not body.is_eof() and not self._said_its_end:
            body.set_exception(aiohttp.ClientPayloadError("the body may have been cut"))
        super().connection_lost(exc)


class _Pinned(AbstractResolver):
    """Answers with addresses that were judged, whatever the name."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `aiohttp.abc.AbstractResolver`."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""
