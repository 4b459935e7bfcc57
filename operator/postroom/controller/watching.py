# SPDX-License-Identifier: Apache-2.0
"""The session that the watch feed gets: kopf sends its requests, and we decide what comes back.

Objects that somebody here takes in go no further: kopf is shown an empty list, and of events how
far its watch has come. For each object that it is shown it makes a task, a queue, three loggers and
a dozen views, and remembers it for ever: a sixth of all calls that convergence took.

Secrets and ConfigMaps come through it as metadata only, so that watching them brings no secret into
the process.
"""

import asyncio
import functools
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

import aiohttp

from postroom.controller import json_lists, news, page_sizes, rights

logger = logging.getLogger(__name__)

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

#: Takes in an object as it is, or was last where it is there no more.
Take = Callable[[Mapping[str, Any], bool], None]


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes in the objects of a collection, and knows of which that would change nothing."""

    take: Take
    knows: Callable[[news.Seen], bool] = lambda seen: False
    #: Told by path and status how requests to watch are answered.
    answered: Callable[[str, int], None] = lambda path, status: None


_OF_NAMESPACE = re.compile(r"/namespaces/[^/]+(?=/)")
#: A change of what is in them is noticed at the next look, too.
_SOURCES = ("/secrets", "/configmaps")
_SOURCE_REFUSED = (
    "grant this service account list and watch on secrets and configmaps, or take --watch-secrets "
    "away; changes are seen at the next look"
)
#: Collections without whose watch everything else can go on, with what is to be done.
_DISPENSABLE = {
    **dict.fromkeys(_SOURCES, _SOURCE_REFUSED),
    "/customresourcedefinitions": (
        "grant this service account list and watch on customresourcedefinitions of "
        "apiextensions.k8s.io; until then definitions that are installed or replaced go unnoticed"
    ),
}
_CHANGES = ("ADDED", "MODIFIED", "DELETED")
#: Objects between two pauses in which everything else goes on.
_AT_ONCE = 8


class Refusals:
    """The collections whose watch the API server refuses now, each told once: nothing of them is
    heard but by sweeps, and where there are no objects nothing else would tell."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def answered(self, path: str, status: int) -> None:
        """Note how the request to watch a collection was answered."""
        if status == HTTPStatus.FORBIDDEN and path not in self._paths:
            self._paths.add(path)
            logger.error("waiting for %s; changes are seen by sweeps alone", self.obstacle)
        elif status == HTTPStatus.OK:
            self._paths.discard(path)

    @property
    def obstacle(self) -> str | None:
        """The right that is missing; None where none is."""
        if not self._paths:
            return None
        plurals = sorted({path.rpartition("/")[2] for path in self._paths})
        found = map(_OF_NAMESPACE.search, self._paths)
        named = sorted({each[0].rpartition("/")[2] for each in found if each is not None})
        return rights.to_kinds("watch", plurals, named)


def session(
    connector: aiohttp.BaseConnector,
    proxy: str | None,
    headers: Iterable[tuple[str, str]],
    authorize: aiohttp.ClientMiddlewareType,
    takers: Mapping[str, Taker] = MappingProxyType({}),
    *,
    several: bool = False,
) -> aiohttp.ClientSession:
    """Return a session whose requests `authorize` adds credentials to; the caller closes it.

    `takers` take in what is in the collections of these paths, as those of all namespaces. It is
    `several` namespaces that are watched, one by one, or all or one at once.
    """

    async def check_open(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # kopf closes a session on 401, and knows what to do about this error; aiohttp would repeat
        # a request that was cut off, and fail an assertion.
        if made.closed:
            raise RuntimeError("Session is closed")
        return await handler(request)

    async def take_in(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        taker = takers.get(_OF_NAMESPACE.sub("", request.url.path))
        if "limit" in request.url.query:
            size = json_lists.PAGE if taker is None else sizes.of(request.url.path)
            request.url = request.url.update_query(limit=size)
        response = await handler(request)
        watches = request.url.query.get("watch") == "true"
        if taker is not None and watches:
            taker.answered(request.url.path, response.status)
        if taker is not None and response.status == 200 and isinstance(response, _WatchResponse):
            if watches:
                response.content = cast("aiohttp.StreamReader", _News(response.content, taker))
            else:
                response.take, response.at_a_time, response.sizes = taker.take, at_a_time, sizes
                response.objects = int(request.url.query.get("limit", page_sizes.PAGE))
                # One has to be read, however large it is.
                if response.objects > 1:
                    fewer = request.url.update_query(limit=page_sizes.fewer(response.objects))
                    response.fewer = functools.partial(made.get, fewer)
        return response

    at_a_time, sizes = asyncio.Lock(), page_sizes.PageSizes()
    made = aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        proxy=proxy,
        read_bufsize=2**21,
        middlewares=(
            *(_bearing_refusals(several=several), authorize, _reduce),
            *(take_in, check_open),
        ),
        response_class=_WatchResponse,
    )
    return made


class Refused(aiohttp.ClientConnectionError):
    """One of several namespaces, what objects refer to, or definitions may not be watched. To kopf
    that a collection may not be read is the end of everything, or of its watch, and that there is
    no way to it is no more than a reason to try again."""


def _bearing_refusals(*, several: bool) -> aiohttp.ClientMiddlewareType:
    """Have a watch without which the others can do wait until it may go on."""
    told: set[str] = set()

    async def bear(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        response, path = await handler(request), request.url.path
        to_do = _DISPENSABLE.get(path[path.rindex("/") :])
        alone = to_do or (several and _OF_NAMESPACE.search(path))
        if response.status != HTTPStatus.FORBIDDEN or request.method != "GET" or not alone:
            return response
        response.release()
        if to_do and path not in told:
            told.add(path)
            logger.warning("%s may not be watched: %s", path, to_do)
        raise Refused(f"{path} may not be read")

    return bear


class _WatchResponse(aiohttp.ClientResponse):
    """An answer in which an empty list is a list.

    The API server writes ``"items": null`` for an empty list of metadata, which kopf takes for
    something to iterate over.
    """

    #: Who takes in the items of a list; None: whoever asked for it.
    take: Take | None = None
    #: Held by whoever has a page in memory: the lists of all kinds come at the same time.
    at_a_time: asyncio.Lock
    #: Told how large a page was.
    sizes: page_sizes.PageSizes
    #: For how many objects it was asked.
    objects: int
    #: Asks for a page of fewer; None: there are none.
    fewer: Callable[[], AbstractAsyncContextManager[aiohttp.ClientResponse]] | None = None

    async def json(self, **options: Any) -> Any:
        """Return the decoded body."""
        if self.take is None:
            answer = await super().json(**options)
            if isinstance(answer, dict) and "items" in answer:
                answer["items"] = answer["items"] or []
            return answer
        fewer = self.fewer
        async with self.at_a_time:
            text = await (self._whole() if fewer is None else self._bounded())
            if text is not None or fewer is None:
                return await self._taken_in(text or "", self.take)
        self.sizes.too_large(self.url.path, self.objects)
        async with fewer() as smaller:
            if smaller.status != HTTPStatus.OK:
                # kopf looks at the status of its own request only; this one it tries again.
                raise aiohttp.ClientConnectionError(f"{smaller.status} for a smaller page")
            return await smaller.json()

    async def _whole(self) -> str:
        """Return the body, which is kept nowhere else."""
        body, self._body = await self.read(), b""
        return body.decode("utf-8", "replace")

    async def _bounded(self) -> str | None:
        """Return the body; None: it is too large, and was given up."""
        read = await page_sizes.read_page(self.content.iter_chunked(page_sizes.PIECE))
        if read is None:
            self.close()
            return None
        return read.decode("utf-8", "replace")

    async def _taken_in(self, text: str, take: Take) -> dict[str, Any]:
        """Take in the entries of a list, and return the list without them."""
        answer, number = dict[str, Any](), 0
        for name, value in json_lists.members(text):
            if name != json_lists.ENTRY:
                answer[name] = value
                continue
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            number += 1
            _taken(take, value, gone=False)
        self.sizes.read(self.url.path, len(text), number)
        return {**answer, "items": []}


class _News:
    """The body of a watch, of which only the news are others than they came: whoever reads it gets
    bookmarks in their place."""

    def __init__(self, content: aiohttp.StreamReader, taker: Taker) -> None:
        self._content, self._taker = content, taker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield the lines, in pieces."""
        rest = b""
        async for chunk in self._content.iter_chunked(size):
            *lines, rest = (rest + chunk).split(b"\n")
            for begin in range(0, len(lines), _AT_ONCE):
                yield b"".join(self._left(lines[begin : begin + _AT_ONCE]))
                await asyncio.sleep(0)
        if rest:
            yield rest

    def _left(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        """What of some lines is not taken in, and how far those led that were."""
        version = ""
        for line in lines:
            taken = self._taken(line)
            if taken is None:
                yield from _bookmark(version)
                version = ""
                yield line + b"\n"
            else:
                version = taken or version
        yield from _bookmark(version)

    def _taken(self, line: bytes) -> str | None:
        """The resource version of an event that is taken in; None: it is none."""
        seen = news.modified(line)
        if seen is not None and self._taker.knows(seen):
            return seen.version
        try:
            event = json_lists.decoded(line)
        except ValueError:
            return None
        if not isinstance(event, dict) or event.get("type") not in _CHANGES:
            return None
        raw = event.get("object")
        _taken(self._taker.take, raw, gone=event["type"] == "DELETED")
        metadata = raw.get("metadata") if isinstance(raw, dict) else None
        return str(metadata.get("resourceVersion") or "") if isinstance(metadata, dict) else ""


def _taken(take: Take | None, raw: object, *, gone: bool) -> None:
    """Have an object taken in; what goes wrong with one stays with it, as the sweep will see."""
    try:
        if take is not None and isinstance(raw, dict):
            take(raw, gone)
    except Exception:
        logger.exception("an object that the watch told of could not be taken in")


def _bookmark(version: str) -> Iterator[bytes]:
    if version:
        event = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
        yield json_lists.encoded(event) + b"\n"


async def _reduce(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Take metadata only where an answer would hold the content of Secrets or ConfigMaps."""
    if request.url.path.endswith(_SOURCES):
        watching = request.url.query.get("watch") == "true"
        request.headers["Accept"] = METADATA if watching else METADATA_LIST
    return await handler(request)
