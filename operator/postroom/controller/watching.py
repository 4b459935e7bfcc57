# SPDX-License-Identifier: Apache-2.0
"""The session that the watch feed gets: kopf sends its requests, and we decide what comes back.

Secrets and ConfigMaps come through it as metadata only, so that watching them brings no secret into
the process.
"""

from typing import Any

import aiohttp

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


def session(
    connector: aiohttp.BaseConnector,
    proxy: str | None,
    user_agent: str,
    authorize: aiohttp.ClientMiddlewareType,
) -> aiohttp.ClientSession:
    """Return a session whose requests `authorize` adds credentials to; the caller closes it."""

    async def check_open(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # kopf closes a session on 401, and knows what to do about this error; aiohttp would repeat
        # a request that was cut off, and fail an assertion.
        if made.closed:
            raise RuntimeError("Session is closed")
        return await handler(request)

    made = aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": user_agent},
        proxy=proxy,
        read_bufsize=2**21,
        middlewares=(authorize, _reduce, check_open),
        response_class=_WatchResponse,
    )
    return made


class _WatchResponse(aiohttp.ClientResponse):
    """An answer in which an empty list is a list.

    The API server writes ``"items": null`` for an empty list of metadata, which kopf takes for
    something to iterate over.
    """

    async def json(self, **options: Any) -> Any:
        """Return the decoded body."""
        answer = await super().json(**options)
        if isinstance(answer, dict) and "items" in answer and answer["items"] is None:
            answer["items"] = []
        return answer


async def _reduce(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Take metadata only where an answer would hold the content of Secrets or ConfigMaps."""
    if request.url.path.endswith(("/secrets", "/configmaps")):
        watching = request.url.query.get("watch") == "true"
        request.headers["Accept"] = _METADATA if watching else METADATA_LIST
    return await handler(request)
