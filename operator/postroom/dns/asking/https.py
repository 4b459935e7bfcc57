# SPDX-License-Identifier: Apache-2.0
"""DNS over HTTPS (RFC 8484): queries as POST requests, over verified TLS, bounded in every way."""

import asyncio
import ssl
from typing import NamedTuple

import aiohttp

from postroom.concurrency import threads
from postroom.concurrency.kept_connections import KeepingConnector
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.public_trust import public_context
from postroom.concurrency.shortage import shortage_in

MEDIA_TYPE = "application/dns-message"
_MESSAGE_LIMIT = 65535
#: Seconds after which connections that nobody uses are closed.
_IDLE = 10.0
_CONNECTIONS = 8


class HttpsServer(NamedTuple):
    """A resolver that is asked over HTTPS, by its URL."""

    url: str

    def __str__(self) -> str:
        return self.url


class HttpsClient:
    """Asks resolvers over HTTPS. `context` replaces the system's trust, for tests.

    Connections are kept between questions by a task of their own, which ends when they are idle,
    or with the event loop: nobody else has to close them.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._session: aiohttp.ClientSession | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._used = 0.0

    async def ask(self, server: HttpsServer, query: bytes, limit: float) -> bytes:
        """Return the reply to a query.

        Raises `TimeoutError` where nothing comes in time, `OSError` where the server cannot be
        reached, is not trusted, or answers with anything but a DNS message.
        """
        # With id 0, equal queries are equal requests (RFC 8484 section 4.1).
        body = bytes(2) + query[2:]
        try:
            async with PeerDeadline(limit):
                try:
                    reply = await self._post(server.url, body)
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    reply = await self._post(server.url, body)  # it had closed a kept connection
        except aiohttp.ClientError as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
            raise ConnectionError(type(error).__name__) from None
        return query[:2] + reply[2:]

    async def close(self) -> None:
        """Close all connections."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._session is not None:
            await self._session.close()  # the keeper may have ended before it began

    async def _post(self, url: str, body: bytes) -> bytes:
        if self._context is None:
            self._context = await threads.to_its_end(_public_trust)
        loop = asyncio.get_running_loop()
        self._used = loop.time()
        if self._session is None or self._keeper is None or self._keeper.done():
            self._session = aiohttp.ClientSession(
                connector=KeepingConnector(
                    limit=_CONNECTIONS, keepalive_timeout=_IDLE, ssl=self._context
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
            self._keeper = loop.create_task(self._keep(self._session))
        headers = {"content-type": MEDIA_TYPE, "accept": MEDIA_TYPE}
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            if response.status != 200 or response.content_type != MEDIA_TYPE:
                raise ConnectionError("the resolver did not answer with a DNS message")
            message = bytearray()
            async for chunk in response.content.iter_chunked(_MESSAGE_LIMIT):
                message += chunk
                if len(message) > _MESSAGE_LIMIT:
                    raise ConnectionError("the resolver answers without end")
            return bytes(message)

    async def _keep(self, session: aiohttp.ClientSession) -> None:
        """Keep connections open until nobody has used them for a while."""
        clock = asyncio.get_running_loop().time
        async with session:
            left = _IDLE
            while left > 0:
                await asyncio.sleep(left)
                left = self._used + _IDLE - clock()
            self._session = None  # before it closes: who asks from now on opens another one


def _public_trust() -> ssl.SSLContext:
    context = public_context()
    context.set_alpn_protocols(("http/1.1",))
    return context
