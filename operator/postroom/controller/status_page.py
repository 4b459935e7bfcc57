# SPDX-License-Identifier: Apache-2.0
"""The report as a page of the operator itself: read-only, from the cache, never with actions.

A page is made in a thread, one at a time, and serves whoever asks within the next seconds: no
number of readers keeps the operator from its work, or makes it ask anybody.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web

from postroom.api.names import Key
from postroom.concurrency.flights import Flights
from postroom.controller.scraping import Permission, ScrapePermission

PAGE_PATH = "/ui"
#: Seconds for which a page serves others, too.
_LINGER = 10.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_UNKNOWN = "this operator has not listed the objects yet, or stands by for another one"

#: An object of the cache; never changed, only replaced.
Stored = tuple[Key, Mapping[str, Any]]


class StatusPage:
    """Makes the page of all objects that are shown, or of those of one namespace.

    `shown` are the only namespaces of which there is a page; empty: all. `is_filled` tells
    whether `objects` are all that there are.
    """

    def __init__(
        self,
        objects: Callable[[], Iterable[Stored]],
        shown: Collection[str],
        is_filled: Callable[[], bool],
    ) -> None:
        self._objects, self._shown, self.is_filled = objects, frozenset(shown), is_filled
        self._pages: Flights[str, str] = Flights(_LINGER)
        self._one_at_a_time = asyncio.Lock()

    def namespaces(self) -> set[str]:
        """The namespaces that are shown and have objects."""
        return {key.namespace for key, _ in self._visible()}

    async def html(self, namespace: str = "") -> str:
        """The page of a namespace, or of all."""
        return await self._pages.join(namespace, lambda: self._make(namespace))

    async def close(self) -> None:
        """Have nobody wait for a page any more."""
        await self._pages.close()

    def _visible(self) -> list[Stored]:
        shown = self._shown
        return [each for each in self._objects() if not shown or each[0].namespace in shown]

    async def _make(self, namespace: str) -> str:
        async with self._one_at_a_time:
            found = [each for each in self._visible() if namespace in ("", each[0].namespace)]
            return await asyncio.to_thread(_written, found, namespace)


def _written(found: Iterable[Stored], namespace: str) -> str:
    # Most processes show no page, and need not remember how one is made.
    from postroom.report import page, reading, shape

    objects = ({**raw, "kind": key.kind.value} for key, raw in found)
    made = reading.report_of(objects, shape.ReportSource.OPERATOR, datetime.now(UTC))
    # Relative, as there may be a proxy before it. Who may see one namespace need not know others.
    here = "../ui" if namespace else "ui"
    places = [page.PagePlace("All namespaces", here, here=not namespace)]
    for name in made.namespaces:
        link = quote(name, safe="") if namespace else f"ui/{quote(name, safe='')}"
        places.append(page.PagePlace(name, link, here=name == namespace))
    return page.render(made, places)


def add_status_page(
    app: web.Application, status_page: StatusPage, permission: ScrapePermission | None = None
) -> None:
    """Serve /ui and /ui/NAMESPACE; with a `permission`, only to whom that path is granted."""
    from postroom.report import page

    policy = {"Content-Security-Policy": page.policy(header=True)}

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
        if namespace and namespace not in status_page.namespaces():
            return _refused(404, "no object of this namespace is shown here")
        return web.Response(
            text=await status_page.html(namespace),
            content_type="text/html",
            charset="utf-8",
            headers={**_HEADERS, **policy},
        )

    async def without_slash(request: web.Request) -> web.Response:
        # Relative as all links are; it tells nothing of what is there.
        place = request.match_info.get("namespace") or PAGE_PATH.strip("/")
        raise web.HTTPPermanentRedirect(f"../{quote(place, safe='')}", headers=_HEADERS)

    for path in (PAGE_PATH, f"{PAGE_PATH}/{{namespace}}"):
        app.add_routes([web.get(path, answer), web.get(f"{path}/", without_slash)])


def _refused(status: int, sentence: str) -> web.Response:
    headers = {**_HEADERS, "WWW-Authenticate": "Bearer"} if status == 401 else _HEADERS
    return web.Response(status=status, text=sentence, headers=headers)
