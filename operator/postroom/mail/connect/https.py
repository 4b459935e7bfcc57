# SPDX-License-Identifier: Apache-2.0
"""HTTPS to addresses that the dial guard has judged: no other is ever connected to."""

import socket
import ssl
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult


def pinned_session(
    addresses: Sequence[str], context: ssl.SSLContext, connect_limit: float
) -> aiohttp.ClientSession:
    """Return a session that connects to these addresses, whatever host a URL names.

    It takes no cookies, no proxy from the environment, and keeps no connection; compressed bodies
    stay as they are. `connect_limit` is in seconds; the whole request is the caller's to bound.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Pinned(addresses), use_dns_cache=False, ssl=context, force_close=True
        ),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_limit),
        trust_env=False,
    )


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
