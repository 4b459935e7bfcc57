# SPDX-License-Identifier: Apache-2.0
"""Requests to the API server, over connections that are kept.

The credentials and the TLS of the Kubernetes client library are used, not its requests: it cleans
and copies each header and body, which took as long as a third of all else that a write needs here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from postroom.controller import json_lists, page_sizes, watching
from postroom.controller.kubeconfig import Connection

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_WATCHES = 32


class TooLarge(Exception):
    """A page is more than is read."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the API server answered, whatever that was."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    warnings: tuple[str, ...]


class ApiTransport:
    """The way to one API server, with our identity there. Close it in the end."""

    def __init__(self, found: Connection, user_agent: str) -> None:
        # Any: the library says it is typed, but half of what we call is not.
        self._configuration: Any = found.configuration
        self._api: Any = found.api
        #: Of each request: what asks, and as whom.
        self._headers = (("User-Agent", user_agent), *found.asks_as)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        await self._api.close()

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self._configuration.host)

    @property
    def _server_name(self) -> str | None:
        """Whose certificate the API server shows (`tls-server-name`); None: that of its URL."""
        return self._configuration.tls_server_name or None

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        last: Callable[[], None],
        *,
        bounded: bool = False,
    ) -> Response:
        """Send one request; `last` is called when nothing is left to do but that.

        Raises what aiohttp does, `OSError`, and the library's `ConfigException`; `TooLarge` where
        the answer is to be `bounded` and is not.
        """
        question = f"?{urlencode(query, quote_via=quote)}" if query else ""
        target = f"{self.server}{path}{question}"
        try:
            url = URL(target, encoded=True)
            _ = url.raw_host  # only now it is looked at
        except ValueError:
            raise aiohttp.InvalidUrlClientError(target) from None
        said = {**headers, **await self._credentials()}
        last()
        async with self._own_session().request(
            method,
            url,
            data=None if body is None else json_lists.encoded(body),
            headers=said,
            timeout=_TIMEOUT,
            server_hostname=self._server_name,
        ) as response:
            pieces = response.content.iter_chunked(page_sizes.PIECE)
            data = await (page_sizes.read_page(pieces) if bounded else response.read())
            if data is None:
                response.close()
                raise TooLarge
        warnings = tuple(response.headers.getall("Warning", ()))
        return Response(response.status, response.headers, data, warnings)

    def watch_session(
        self, takers: Mapping[str, watching.Taker], *, several: bool
    ) -> aiohttp.ClientSession:
        """Return a session with our credentials, as `watching.session`."""
        connector, proxy = self._connector(_WATCHES), self._configuration.proxy
        headers, authorize = self._headers, self._authorize
        return watching.session(connector, proxy, headers, authorize, takers, several=several)

    def _connector(self, limit: int) -> aiohttp.TCPConnector:
        """So many connections at most."""
        return aiohttp.TCPConnector(limit=limit, ssl=self._api.rest_client.ssl_context)

    def _own_session(self) -> aiohttp.ClientSession:
        """The session of requests that are no watches, made in the event loop of the first."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(self._configuration.connection_pool_maxsize),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=self._configuration.proxy,
                read_bufsize=2**21,
            )
        return self._session

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Add the current credentials to a request, and whose certificate is to be shown."""
        request.headers.update(await self._credentials())
        request.server_hostname = self._server_name
        return await handler(request)

    async def _credentials(self) -> dict[str, str]:
        """The headers that say who asks, as they are now: service account tokens are rotated."""
        settings = (await self._configuration.auth_settings()).values()
        return {
            setting["key"]: setting["value"]
            for setting in settings
            if setting.get("in") == "header" and setting.get("value")
        }
