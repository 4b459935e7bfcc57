# SPDX-License-Identifier: Apache-2.0
"""The report as pages of the operator itself: read-only, from the cache, never with actions.

What an object is found by is kept until the object is another one, and looked for in pieces, with
a pause after each in which everything else goes on. A page is made in a thread, one at a time and
so many a second, and serves whoever asks for the same within the next seconds: no number of readers
keeps the operator from its work, or makes it ask anybody.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from aiohttp import web

from postroom.api.names import Key, Kind
from postroom.concurrency.flights import Flights
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.scraping import Permission, ScrapePermission

if TYPE_CHECKING:
    from postroom.report.query import Query
    from postroom.report.shape import Listed

PAGE_PATH = "/ui"
#: Seconds for which a page serves others, too, and how many pages do.
_LINGER, _LINGERING = 10.0, 16
#: Pages that are made in a second, in the long run and at once: each takes some hundredths.
_RATE, _BURST = 5.0, 20.0
#: Pages that are waited for at a time, and those for which a reader does.
_WAITED_FOR, _OF_A_READER = 64, 16
#: Objects between two pauses: half a millisecond.
_SLICE = 8
#: Namespaces of which there are links; of more the form has the choice.
_MOST_PLACES = 24
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CROWDED = "more pages are asked for than can be made at once: ask again in some seconds"
_UNKNOWN = "this operator has not listed the objects yet, or stands by for another one"

#: An object of the cache; never changed, only replaced.
Stored = tuple[Key, Mapping[str, Any]]


class TooManyAsked(Exception):
    """More pages are waited for than can be made soon."""


class Source(Protocol):
    """The part of `postroom.controller.cache.Cache` that is needed here."""

    observers: list[Callable[[Key], None]]

    def get(self, key: Key) -> Mapping[str, Any] | None: ...

    def objects(self) -> Iterator[Stored]: ...


class StatusPage:
    """Makes pages of all objects that are shown, or of those of one namespace.

    `shown` are the only namespaces of which there is a page; empty: all. `is_filled` tells
    whether the cache has all objects that there are.
    """

    def __init__(
        self, cache: Source, shown: Collection[str], is_filled: Callable[[], bool]
    ) -> None:
        self._cache, self._shown, self.is_filled = cache, frozenset(shown), is_filled
        self._pages: Flights[tuple[str, Query], str] = Flights(_LINGER, most=_LINGERING)
        self._one_at_a_time = asyncio.Lock()
        self._pace = TokenBucket(_RATE, _BURST)
        #: For how many pages that are made for them readers wait.
        self._waiting: Counter[str] = Counter()
        #: Of what did not change since a page was made; never the object itself, which would stay
        #: after it is another one.
        self._listed: dict[Key, Listed] = {}
        cache.observers.append(self._changed)

    def _changed(self, key: Key) -> None:
        self._listed.pop(key, None)

    def has(self, namespace: str) -> bool:
        """Whether a namespace is shown, and has objects."""
        if self._shown and namespace not in self._shown:
            return False
        return any(key.namespace == namespace for key, _ in self._cache.objects())

    async def html(self, namespace: str, query: "Query", reader: str = "") -> str:
        """The page that a query asks for of a namespace, or of all; readers wait in turns.

        Raises `TooManyAsked`.
        """
        asked, waiting = (namespace, query), self._waiting
        page = partial(self._pages.join, asked, lambda: self._make(namespace, query, reader))
        if asked in self._pages:
            return await page()
        if waiting.total() >= _WAITED_FOR or waiting[reader] >= _OF_A_READER:
            raise TooManyAsked
        waiting[reader] += 1
        try:
            return await page()
        finally:
            self._waiting -= Counter([reader])

    async def close(self) -> None:
        """Have nobody wait for a page any more."""
        await self._pages.close()

    def _visible(self) -> list[Stored]:
        shown = self._shown
        return [each for each in self._cache.objects() if not shown or each[0].namespace in shown]

    async def _make(self, namespace: str, query: "Query", reader: str) -> str:
        await self._pace.take(reader)
        async with self._one_at_a_time:
            await self._look_through()
            found = self._visible()
            everything = [self._listed[key] for key, _ in found if namespace in ("", key.namespace)]
            return await asyncio.to_thread(_written, everything, dict(found), namespace, query)

    async def _look_through(self) -> None:
        """Note what all objects are found by; it is made of those alone that changed.

        At its end nothing is missing, until something else has its turn.
        """
        # Most processes show no page, and need not remember how one is made.
        from postroom.report import listing

        while True:
            missing = [key for key, _ in self._visible() if key not in self._listed]
            for number, key in enumerate(missing, 1):
                if (raw := self._cache.get(key)) is not None:
                    self._listed[key] = listing.listed(*key, raw)
                if number % _SLICE == 0:
                    await asyncio.sleep(0)
            if len(missing) < _SLICE:
                return


def _written(
    everything: "Sequence[Listed]",
    raws: Mapping[Key, Mapping[str, Any]],
    namespace: str,
    query: "Query",
) -> str:
    from postroom.report import listing, page

    if namespace:
        query = query._replace(namespace="")
    # Relative, as there may be a proxy before it. Who may see one namespace need not know others.
    asked = query._replace(namespace="", page=1, object="").link.removesuffix("?")
    here, below = ("../ui", "") if namespace else ("ui", "ui/")
    places = [page.PagePlace("All namespaces", here + asked, here=not namespace)]
    names = sorted({each.namespace for each in everything})
    for name in names if len(names) <= _MOST_PLACES else ():
        link = f"{below}{quote(name, safe='')}{asked}"
        places.append(page.PagePlace(name, link, here=name == namespace))

    def get(place: tuple[str, str, str]) -> Mapping[str, Any] | None:
        kind, *where = place
        return raws.get(Key(Kind(kind), *where))

    return listing.html(
        everything, query, get, datetime.now(UTC), places if len(places) > 1 else ()
    )


def add_status_page(
    app: web.Application, status_page: StatusPage, permission: ScrapePermission | None = None
) -> None:
    """Serve /ui and /ui/NAMESPACE; with a `permission`, only to whom that path is granted."""
    from postroom.report import page, query

    policy = {"Content-Security-Policy": page.policy(header=True, form=True)}

    async def answer(request: web.Request) -> web.Response:
        namespace = request.match_info.get("namespace", "")
        if permission is not None:
            below = f"/{namespace}" if namespace else ""
            granted = await permission.of(
                request.headers.get("Authorization"), below, address=request.remote
            )
            if granted is not Permission.GRANTED:
                return _refused(granted.value, granted.refusal("of this page"))
        if not status_page.is_filled():
            return _refused(503, _UNKNOWN)
        if namespace and not status_page.has(namespace):
            return _refused(404, "no object of this namespace is shown here")
        try:
            asked = query.query_of(request.query.items())
        except query.QueryUnusable as error:
            return _refused(400, str(error))
        try:
            text = await status_page.html(namespace, asked, request.remote or "")
        except TooManyAsked:
            return _refused(429, _CROWDED)
        return web.Response(
            text=text,
            content_type="text/html",
            charset="utf-8",
            headers={**_HEADERS, **policy},
        )

    async def without_slash(request: web.Request) -> web.Response:
        # Relative as all links are; it tells nothing of what is there.
        place = request.match_info.get("namespace") or PAGE_PATH.strip("/")
        asked = request.rel_url.raw_query_string
        link = f"../{quote(place, safe='')}{'?' if asked else ''}{asked}"
        raise web.HTTPPermanentRedirect(link, headers=_HEADERS)

    for path in (PAGE_PATH, f"{PAGE_PATH}/{{namespace}}"):
        app.add_routes([web.get(path, answer), web.get(f"{path}/", without_slash)])


def _refused(status: int, sentence: str) -> web.Response:
    headers = {**_HEADERS, "WWW-Authenticate": "Bearer"} if status == 401 else _HEADERS
    return web.Response(status=status, text=sentence, headers=headers)
