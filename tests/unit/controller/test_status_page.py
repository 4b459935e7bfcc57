# SPDX-License-Identifier: Apache-2.0
"""The operator's own page: who may see what of it, and that readers cost it next to nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.controller.cache import Cache
from postroom.controller.scraping import ScrapePermission
from postroom.controller.status_page import StatusPage, add_status_page
from unit.report.samples import broken, stored


class Reviews:
    """An API server that knows whose a token is, and which paths they may get."""

    may: ClassVar = {"admin": {"/ui", "/ui/a", "/ui/b"}, "tenant": {"/ui/a"}}

    async def review_token(self, token: Masked) -> Mapping[str, Any] | None:
        return {"username": token.reveal()} if token.reveal() in self.may else None

    async def may_get(self, user: Mapping[str, Any], path: str) -> bool:
        return path in self.may[user["username"]]


class Bench:
    """A page of three objects in two namespaces, and how often they were read."""

    def __init__(self, *shown: str, auth: bool = False, filled: bool = True) -> None:
        self.cache, self.reads = Cache(), 0
        for raw in (
            broken("walnut", namespace="a"),
            stored(name="aspen", namespace="a"),
            stored(name="birch", namespace="b"),
        ):
            self.cache.put(Kind.SENDING_DOMAIN, raw)
        self.page = StatusPage(self.objects, shown, lambda: filled)
        self.app = web.Application()
        permission = ScrapePermission(Reviews(), "/ui") if auth else None
        add_status_page(self.app, self.page, permission)

    def objects(self) -> Iterator[tuple[Key, Any]]:
        self.reads += 1
        return self.cache.objects()

    async def get(self, path: str, token: str = "") -> tuple[int, str, Mapping[str, str]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with TestClient(TestServer(self.app)) as client:
            answer = await client.get(URL(path, encoded=True), headers=headers)
            return answer.status, await answer.text(), answer.headers


async def test_all_objects_are_shown_with_headers_that_let_nothing_else_happen() -> None:
    status, text, headers = await Bench().get("/ui")
    assert status == 200
    assert all(f'id="sendingdomain/{name}"' in text for name in ("a/walnut", "a/aspen", "b/birch"))
    assert "1 of 3 needs you" in text
    assert 'href="ui/a"' in text
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["%ff", "%0a", "%00", "..", "%2e%2e%2fmetrics", "a%2fb", "%ed%a0%80"]
)
@pytest.mark.parametrize("token", ["admin", "tenant", ""])
async def test_what_is_no_name_of_a_namespace_shows_nothing(path: str, token: str) -> None:
    status, text, _ = await Bench(auth=True).get(f"/ui/{path}", token)
    assert status in (401, 403, 404)
    assert "walnut" not in text and "birch" not in text


async def test_the_page_of_a_namespace_tells_of_no_other() -> None:
    bench = Bench()
    status, text, _ = await bench.get("/ui/b")
    assert (status, "birch.example" in text) == (200, True)
    assert "walnut" not in text
    assert 'href="ui/' not in text
    assert (await bench.get("/ui/c"))[0] == 404
    assert (await bench.get("/ui/%3Cscript%3E"))[0] == 404


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/ui/", "../ui"),
        ("/ui/a/", "../a"),
        ("/ui/..%2f..%2fevil/", "../..%2F..%2Fevil"),
        ("/ui/%0d%0aX-Evil:1/", "../%0D%0AX-Evil:1"),
    ],
)
async def test_a_slash_at_the_end_leads_to_the_page_behind_any_proxy(
    path: str, leads_to: str
) -> None:
    bench = Bench(auth=True)
    async with TestClient(TestServer(bench.app)) as client:
        answer = await client.get(URL(path, encoded=True), allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (308, leads_to)
        assert "X-Evil" not in answer.headers
    assert bench.reads == 0
    assert (await Bench().get("/ui/"))[0] == (await Bench().get("/ui/a/"))[0] == 200


async def test_only_the_namespaces_that_are_shown_have_a_page() -> None:
    bench = Bench("b")
    assert "walnut" not in (await bench.get("/ui"))[1]
    assert (await bench.get("/ui/b"))[0] == 200
    assert (await bench.get("/ui/a"))[0] == 404


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [
        ("", "/ui", 401),
        ("guessed", "/ui", 401),
        ("admin", "/ui", 200),
        ("admin", "/ui/b", 200),
        ("tenant", "/ui/a", 200),
        ("tenant", "/ui", 403),
        ("tenant", "/ui/b", 403),
        # Whether there is such a namespace is told to nobody who may not see it.
        ("tenant", "/ui/c", 403),
    ],
)
async def test_with_authorization_each_path_is_granted_by_itself(
    token: str, path: str, status: int
) -> None:
    bench = Bench(auth=True)
    # What was granted before, at another path, does not count here.
    await bench.get("/ui/a", token)
    told, text, headers = await bench.get(path, token)
    assert told == status
    assert ("example" in text) == (status == 200)
    assert ("WWW-Authenticate" in headers) == (status == 401)


async def test_who_does_not_know_the_objects_says_so() -> None:
    status, text, _ = await Bench(filled=False).get("/ui")
    assert status == 503
    assert "stands by" in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_there_is_nothing_to_do_at_it(method: str) -> None:
    async with TestClient(TestServer(Bench().app)) as client:
        assert (await client.request(method, "/ui")).status == 405


async def test_many_readers_are_served_one_page() -> None:
    bench = Bench()
    pages = await asyncio.gather(*(bench.page.html() for _ in range(50)))
    assert len(set(pages)) == 1
    assert bench.reads == 1
    await bench.page.close()


async def test_nothing_of_the_cache_but_status_is_shown() -> None:
    bench = Bench()
    canary = "canary-in-a-spec"
    raw = stored(
        name="alder", namespace="a", spec={"domain": "alder.example", "parameters": {"k": canary}}
    )
    raw["metadata"]["annotations"] = {"postroom.dev/send-test": canary}
    raw["status"]["resolvedRefs"] = [{"kind": "Secret", "name": "s", "resourceVersion": canary}]
    bench.cache.put(Kind.SENDING_DOMAIN, raw)
    assert canary in json.dumps(dict(bench.cache.get(Key(Kind.SENDING_DOMAIN, "a", "alder")) or {}))
    text = await bench.page.html("a")
    assert "alder.example" in text
    assert canary not in text
