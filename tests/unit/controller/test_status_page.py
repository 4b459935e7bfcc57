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
from postroom.controller import status_page
from postroom.controller.cache import Cache
from postroom.controller.scraping import ScrapePermission
from postroom.controller.status_page import StatusPage, TooManyAsked, add_status_page
from postroom.report import listing
from postroom.report.query import Query
from unit.report.samples import broken, stored


class Reviews:
    """An API server that knows whose a token is, and which paths they may get."""

    may: ClassVar = {"admin": {"/ui", "/ui/a", "/ui/b"}, "tenant": {"/ui/a"}}

    async def review_token(self, token: Masked) -> Mapping[str, Any] | None:
        return {"username": token.reveal()} if token.reveal() in self.may else None

    async def may_get(self, user: Mapping[str, Any], path: str) -> bool:
        return path in self.may[user["username"]]


class CountingCache(Cache):
    """A cache that knows how often its objects were read."""

    reads = 0

    def objects(self) -> Iterator[tuple[Key, Any]]:
        self.reads += 1
        return super().objects()


class Bench:
    """A page of three objects in two namespaces."""

    def __init__(self, *shown: str, auth: bool = False, filled: bool = True) -> None:
        self.cache = CountingCache()
        for raw in (
            broken("walnut", namespace="a"),
            stored(name="aspen", namespace="a"),
            stored(name="birch", namespace="b"),
        ):
            self.cache.put(Kind.SENDING_DOMAIN, raw)
        self.page = StatusPage(self.cache, shown, lambda: filled)
        self.app = web.Application()
        permission = ScrapePermission(Reviews(), "/ui") if auth else None
        add_status_page(self.app, self.page, permission)

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
        ("/ui/?q=a%20b&state=Yours", "../ui?q=a%20b&state=Yours"),
        ("/ui/a/?q=%0d%0aX-Evil:1", "../a?q=%0D%0AX-Evil:1"),
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
    assert bench.cache.reads == 0
    assert (await Bench().get("/ui/"))[0] == (await Bench().get("/ui/a/"))[0] == 200


async def test_a_query_is_answered_with_what_fits_and_links_that_keep_it() -> None:
    status, text, _ = await Bench().get("/ui?state=NotReady&kind=sendingdomains&q=Walnut")
    assert (status, "walnut.example" in text, "aspen.example" in text) == (200, True, False)
    assert 'href="ui/a?q=Walnut&amp;state=NotReady&amp;kind=SendingDomain"' in text
    _, text, _ = await Bench().get("/ui/a?state=Yours")
    assert ("walnut.example" in text, "aspen.example" in text) == (True, False)
    assert 'href="../ui?state=Yours"' in text
    _, text, _ = await Bench().get("/ui?namespace=b")
    assert ("walnut.example" in text, "birch.example" in text) == (False, True)


async def test_a_query_cannot_lead_out_of_the_namespace_that_a_page_is_of() -> None:
    _, text, _ = await Bench().get("/ui/a?namespace=b")
    assert "walnut.example" in text and "birch" not in text
    _, text, _ = await Bench("b").get("/ui?namespace=a&q=walnut")
    assert "walnut.example" not in text
    assert (await Bench(auth=True).get("/ui?namespace=a", "tenant"))[0] == 403


@pytest.mark.parametrize("query", ["state=<b>", "kind=Secret", "page=0", "q=a&q=b", "page=%ff"])
async def test_a_query_that_cannot_be_meant_is_refused_and_not_repeated(query: str) -> None:
    bench = Bench()
    status, text, headers = await bench.get(f"/ui?{query}")
    assert (status, headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert "<" not in text
    # It costs nothing, and tells whom nothing is granted nothing.
    assert bench.cache.reads == 0
    assert (await Bench(auth=True).get(f"/ui?{query}"))[0] == 401


@pytest.mark.parametrize(
    "query", ["q=%ed%a0%80", "q=%00%1b", "q=%ff", "namespace=%e2%80%ae", "x=1"]
)
async def test_whatever_is_asked_for_there_is_a_page(query: str) -> None:
    status, text, _ = await Bench().get(f"/ui?{query}")
    assert status == 200
    assert "</html>" in text
    assert not {"\x00", "\x1b", "\u202e"} & set(text)


async def test_what_has_not_changed_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read, make = list[str](), listing.listed

    def noted(kind: Kind, namespace: str, name: str, raw: Mapping[str, Any]) -> Any:
        read.append(name)
        return make(kind, namespace, name, raw)

    monkeypatch.setattr(listing, "listed", noted)
    bench = Bench()
    await bench.page.html("", Query())
    assert sorted(read) == ["aspen", "birch", "walnut"]
    bench.cache.put(Kind.SENDING_DOMAIN, broken("birch", namespace="b"), force=True)
    bench.cache.drop(Key(Kind.SENDING_DOMAIN, "a", "aspen"))
    assert "birch.example" in await bench.page.html("", Query(state="Yours"))
    assert read[3:] == ["birch"]
    assert "aspen.example" not in await bench.page.html("", Query(q="example"))
    assert "birch.example" not in await bench.page.html("a", Query())
    assert read[4:] == []
    await bench.page.close()


async def test_looking_through_many_objects_leaves_everything_else_its_turn() -> None:
    bench = Bench()
    for number in range(100):
        bench.cache.put(Kind.SENDING_DOMAIN, stored(name=f"d{number}"))
    turns, asked = 0, asyncio.create_task(bench.page.html("", Query()))
    while not asked.done():
        turns += 1
        await asyncio.sleep(0)
    # Eight at a time.
    assert turns > 100 // 8
    await bench.page.close()


async def test_what_changes_while_objects_are_looked_through_is_shown_as_it_is_then() -> None:
    bench = Bench()
    for number in range(40):
        bench.cache.put(Kind.SENDING_DOMAIN, stored(name=f"d{number}"))
    asked = asyncio.create_task(bench.page.html("", Query(state="Yours")))
    for turn in range(4):
        await asyncio.sleep(0)
        # One that was looked at by now, one that was not, one that is new, one that is gone.
        for name in (f"d{turn}", f"d{39 - turn}", f"new{turn}"):
            bench.cache.put(Kind.SENDING_DOMAIN, broken(name), force=True)
        bench.cache.drop(Key(Kind.SENDING_DOMAIN, "mail", f"d{20 + turn}"))
    assert not asked.done()
    text = await asked
    for turn in range(4):
        for name in (f"d{turn}", f"d{39 - turn}", f"new{turn}"):
            assert f'id="sendingdomain/mail/{name}"' in text
    assert "13 of 43 need you" in text
    await bench.page.close()


async def test_no_reader_keeps_others_from_their_page() -> None:
    """As far as readers can be told apart; and more than can be made soon are refused."""
    bench = Bench()
    pages = [
        asyncio.create_task(bench.page.html("", Query(q=f"{number}"), "greedy"))
        for number in range(17)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ends = asyncio.gather(*pages, return_exceptions=True)
    assert "walnut.example" in await bench.page.html("", Query(), "modest")
    assert [isinstance(each, TooManyAsked) for each in await ends] == [False] * 16 + [True]
    # What somebody waits for already costs nothing more.
    assert "walnut.example" in await bench.page.html("", Query(), "greedy")
    await bench.page.close()


async def test_who_asks_for_too_much_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_page, "_OF_A_READER", 0)
    status, text, _ = await Bench().get("/ui")
    assert (status, "ask again" in text) == (429, True)


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
    pages = await asyncio.gather(*(bench.page.html("", Query()) for _ in range(50)))
    assert len(set(pages)) == 1
    alone = Bench()
    await alone.page.html("", Query())
    assert bench.cache.reads == alone.cache.reads
    await alone.page.close()
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
    text = await bench.page.html("a", Query())
    assert "alder.example" in text
    assert canary not in text
