# SPDX-License-Identifier: Apache-2.0
"""The session of the watch: metadata of Secrets only, lists that are lists, nothing once closed;
what is taken in goes no further, and whoever watches still learns how far that led."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from postroom.controller import page_sizes
from postroom.controller.watching import Refusals, Taker
from unit.controller.test_client import cluster_at


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/api/v1/secrets", "as=PartialObjectMetadataList"),
        ("/api/v1/secrets?watch=true", "as=PartialObjectMetadata;"),
        ("/api/v1/namespaces/mail/configmaps", "as=PartialObjectMetadataList"),
    ],
)
async def test_the_watch_session_never_asks_for_the_content_of_secrets(
    path: str, accept: str, tmp_path: Path
) -> None:
    seen: list[web.BaseRequest] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.json_response({})

    async with cluster_at(handler, tmp_path) as cluster, cluster.watch_session() as session:
        await session.get(f"{cluster.server}{path}")
    assert accept in seen[0].headers["Accept"]
    assert seen[0].headers["Authorization"].lower() == "bearer a-token"


async def test_an_empty_list_of_metadata_is_a_list(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": None})

    async with cluster_at(handler, tmp_path) as cluster, cluster.watch_session() as session:
        answer = await session.get(f"{cluster.server}/api/v1/secrets")
        assert await answer.json() == {"items": []}


async def test_a_session_that_was_closed_says_so_as_its_user_expects(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async with cluster_at(handler, tmp_path) as cluster:
        session = cluster.watch_session()
        await session.close()
        with pytest.raises(RuntimeError, match="Session is closed"):
            await session.get(f"{cluster.server}/version")


Object = dict[str, Any]
ALL, OURS = "/apis/a/v1/things", "/apis/a/v1/namespaces/mail/things"


def thing(name: str, version: int) -> Object:
    return {"metadata": {"name": name, "resourceVersion": str(version)}, "spec": {"big": "x" * 99}}


def event(change: str, name: str, version: int) -> Object:
    return {"type": change, "object": thing(name, version)}


@asynccontextmanager
async def taking(
    body: str, directory: Path, status: int = 200
) -> AsyncIterator[tuple[aiohttp.ClientSession, str, list[tuple[str, bool]]]]:
    """A session that takes in things, at a server that answers everything with this."""
    taken: list[tuple[str, bool]] = []

    def take(raw: Any, gone: bool) -> None:
        if raw["metadata"]["name"] == "poison":
            raise KeyError("poison")
        taken.append((raw["metadata"]["name"], gone))

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type="application/json")

    async with (
        cluster_at(handler, directory) as cluster,
        cluster.watch_session({ALL: Taker(take)}) as session,
    ):
        yield session, cluster.server, taken


async def watched(session: aiohttp.ClientSession, url: str) -> list[Object]:
    answer = await session.get(url)
    pieces = [piece async for piece in answer.content.iter_chunked(2**20)]
    return [json.loads(line) for line in b"".join(pieces).splitlines() if line]


@pytest.mark.parametrize("path", [ALL, OURS])
async def test_what_a_list_has_is_taken_in_and_not_shown(path: str, tmp_path: Path) -> None:
    items = [thing(f"t{number}", number) for number in range(20)]
    listed = {"kind": "List", "metadata": {"resourceVersion": "40"}, "items": items}
    async with taking(json.dumps(listed), tmp_path) as (session, server, taken):
        shown = await (await session.get(f"{server}{path}")).json()
        assert shown == {**listed, "items": []}
        assert taken == [(item["metadata"]["name"], False) for item in items]
        others = await (await session.get(f"{server}/apis/a/v1/others")).json()
        assert others == listed and len(taken) == 20


async def test_of_lists_that_come_together_one_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """Each of them as large as a namespace can make it."""
    body = json.dumps({"items": [thing(f"t{number}", number) for number in range(40)]})
    async with taking(body, tmp_path) as (session, server, taken):
        answers = [await session.get(f"{server}{path}") for path in (ALL, OURS)]
        await asyncio.gather(*(answer.json() for answer in answers))
        assert [name for name, _ in taken] == [f"t{number}" for number in range(40)] * 2
        assert [len(await answer.read()) for answer in answers] == [0, 0]


@asynccontextmanager
async def paging(
    size: int, directory: Path, refused: int = 0
) -> AsyncIterator[tuple[aiohttp.ClientSession, str, list[str], list[str]]]:
    """A session at a server with sixty things of this size, and what it was asked for and told."""
    things = [{**thing(f"t{number:02}", number), "spec": "x" * size} for number in range(60)]
    limits, taken = list[str](), list[str]()

    async def handler(request: web.Request) -> web.StreamResponse:
        limit, begin = request.query["limit"], int(request.query.get("continue", "0"))
        limits.append(limit)
        if refused and limit != "500":
            return web.json_response({"kind": "Status", "code": refused}, status=refused)
        end = begin + int(limit)
        metadata = {"continue": str(end)} if end < len(things) else {}
        return web.json_response({"metadata": metadata, "items": things[begin:end]})

    def take(raw: Any, _: bool) -> None:
        taken.append(raw["metadata"]["name"])

    async with (
        cluster_at(handler, directory) as cluster,
        cluster.watch_session({ALL: Taker(take)}) as session,
    ):
        yield session, cluster.server, limits, taken


async def listed(session: aiohttp.ClientSession, url: str) -> None:
    """Ask for page after page, as kopf does."""
    token = ""
    while token is not None:
        query = {"limit": "500"} | ({"continue": token} if token else {})
        async with session.get(url, params=query) as answer:
            token = (await answer.json())["metadata"].get("continue")


TRIED = ["500", "125", "31", "7", "1"]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_sizes, "PAGE_LIMIT", 10_000)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("size", "asked"),
    [
        (20, TRIED[:1]),
        (800, [*TRIED[:4], *["5"] * 11]),
        (2000, [*TRIED[:5], *["2"] * 30]),
        # Each of them is more than is read of several.
        (20_000, [*TRIED[:5], *["1"] * 59]),
    ],
)
async def test_a_page_that_is_too_large_is_asked_for_with_fewer_objects_down_to_one(
    size: int, asked: list[str], tmp_path: Path
) -> None:
    async with paging(size, tmp_path) as (session, server, limits, taken):
        await listed(session, f"{server}{ALL}")
        assert (limits, taken) == (asked, [f"t{number:02}" for number in range(60)])


@pytest.mark.usefixtures("small_pages")
async def test_the_next_list_begins_with_the_size_that_was_read(tmp_path: Path) -> None:
    async with paging(20_000, tmp_path) as (session, server, limits, taken):
        for _ in range(2):
            await listed(session, f"{server}{ALL}")
        assert limits == [*TRIED, *["1"] * 119]
        assert len(taken) == 120
    # What is large in one collection is not in another.
    async with paging(20_000, tmp_path) as (session, server, limits, _):
        await listed(session, f"{server}{ALL}")
        await listed(session, f"{server}{OURS}")
        assert limits.count("500") == 2


async def test_a_smaller_page_that_is_refused_is_a_connection_that_failed(tmp_path: Path) -> None:
    async with paging(2**20, tmp_path, refused=410) as (session, server, _, taken):
        with pytest.raises(aiohttp.ClientConnectionError, match="410 for a smaller page"):
            await listed(session, f"{server}{ALL}")
        assert taken == []


async def test_what_nobody_takes_in_comes_in_small_pages(tmp_path: Path) -> None:
    async with paging(10, tmp_path) as (session, server, limits, _):
        answer = await session.get(f"{server}/api/v1/secrets", params={"limit": "500"})
        assert (limits, len((await answer.json())["items"])) == (["50"], 50)


async def test_events_are_taken_in_and_bookmarks_shown_in_their_place(tmp_path: Path) -> None:
    expired = {"type": "ERROR", "object": {"code": 410}}
    mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    events = [event("ADDED", "a", 5), event("MODIFIED", "a", 7), mark]
    events += [event("DELETED", "a", 11), expired]
    body = "".join(json.dumps(each) + "\n" for each in events) + "no JSON"
    async with taking(body, tmp_path) as (session, server, taken):
        answer = await session.get(f"{server}{OURS}?watch=true")
        text = b"".join([piece async for piece in answer.content.iter_chunked(2**20)]).decode()
    assert taken == [("a", False), ("a", False), ("a", True)]
    *lines, cut = text.split("\n")
    assert cut == "no JSON"
    shown = [json.loads(line) for line in lines]
    versions = [each["object"]["metadata"]["resourceVersion"] for each in shown[:3]]
    assert versions == ["7", "9", "11"]
    assert [each["type"] for each in shown] == ["BOOKMARK"] * 3 + ["ERROR"]


async def test_an_event_that_cannot_be_taken_in_keeps_none_of_those_after_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = [event("ADDED", "poison", 1), {"type": "ADDED", "object": 5}]
    events += [event("ADDED", f"t{number}", number) for number in range(2, 30)]
    body = "".join(json.dumps(each) + "\n" for each in events)
    with caplog.at_level(logging.ERROR):
        async with taking(body, tmp_path) as (session, server, taken):
            shown = await watched(session, f"{server}{ALL}?watch=true")
    assert [name for name, _ in taken] == [f"t{number}" for number in range(2, 30)]
    # Of those that came together the last one tells how far it is: fewer lines than events.
    assert shown[-1]["object"]["metadata"]["resourceVersion"] == "29"
    assert len(shown) == 4
    assert len(caplog.records) == 1


async def test_of_a_refusal_nothing_is_taken_in(tmp_path: Path) -> None:
    body = json.dumps({"kind": "Status", "code": 403, "items": [thing("a", 1)]})
    async with taking(body, tmp_path, status=403) as (session, server, taken):
        assert await (await session.get(f"{server}{ALL}")).json() == json.loads(body)
        assert await watched(session, f"{server}{ALL}?watch=true") == [json.loads(body)]
    assert taken == []


@pytest.mark.parametrize("query", ["", "?watch=true"])
async def test_of_several_namespaces_one_that_refuses_us_is_no_way_for_now(
    query: str, tmp_path: Path
) -> None:
    """For which kopf tries again; of a refusal it ends, and with it the watches of all others."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": 403}, status=403)

    async with (
        cluster_at(handler, tmp_path) as cluster,
        cluster.watch_session(several=True) as session,
    ):
        with pytest.raises(aiohttp.ClientConnectionError, match=f"{OURS} may not be read"):
            await session.get(f"{cluster.server}{OURS}{query}")
        assert (await session.get(f"{cluster.server}{ALL}{query}")).status == 403


@pytest.mark.parametrize("query", ["", "?watch=true"])
@pytest.mark.parametrize("where", ["", "/namespaces/mail"])
async def test_without_the_right_to_watch_secrets_everything_else_goes_on(
    where: str, query: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is said once tells what to grant; kopf says at each try that it is refused."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": 403}, status=403)

    async with cluster_at(handler, tmp_path) as cluster, cluster.watch_session() as session:
        for _ in range(2):
            for plural in ("secrets", "configmaps"):
                path = f"/api/v1{where}/{plural}"
                with pytest.raises(aiohttp.ClientConnectionError, match=f"{path} may not be read"):
                    await session.get(f"{cluster.server}{path}{query}")
        assert (await session.get(f"{cluster.server}{ALL}{query}")).status == 403
    assert len(caplog.messages) == 2
    assert all("list and watch" in message for message in caplog.messages)


@pytest.mark.parametrize("query", ["", "?watch=true"])
async def test_without_the_right_to_watch_definitions_everything_else_goes_on(
    query: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a refusal kopf would give that watch up, and not notice that it was granted."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": 403}, status=403)

    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    async with cluster_at(handler, tmp_path) as cluster, cluster.watch_session() as session:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectionError, match=f"{path} may not be read"):
                await session.get(f"{cluster.server}{path}{query}")
    (message,) = caplog.messages
    assert "list and watch on customresourcedefinitions of apiextensions.k8s.io" in message


async def test_how_a_watch_is_answered_is_told_to_whoever_takes_in_what_it_brings(
    tmp_path: Path,
) -> None:
    told: list[tuple[str, int]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        status = int(request.query.get("timeoutSeconds", 403))
        return web.json_response({"kind": "Status"}, status=status)

    taker = Taker(lambda raw, gone: None, answered=lambda *answer: told.append(answer))
    async with (
        cluster_at(handler, tmp_path) as cluster,
        cluster.watch_session({ALL: taker}) as session,
    ):
        await session.get(f"{cluster.server}{ALL}")
        assert told == []
        for status in (403, 500, 200):
            await session.get(f"{cluster.server}{ALL}?watch=true&timeoutSeconds={status}")
    assert told == [(ALL, 403), (ALL, 500), (ALL, 200)]


@pytest.mark.parametrize(
    ("paths", "where"),
    [((ALL, "/apis/a/v1/others"), "in all namespaces"), ((OURS,), "in namespace mail")],
)
def test_a_refused_watch_is_said_until_it_is_granted(
    paths: Sequence[str], where: str, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = Refusals()
    assert refusals.obstacle is None
    for path in paths * 2:
        refusals.answered(path, 403)
        refusals.answered(path, 500)
    plurals = ", ".join(sorted(path.rpartition("/")[2] for path in paths))
    assert str(refusals.obstacle).startswith(f"the right to watch {plurals} {where}: grant")
    assert len(caplog.messages) == len(paths)
    for path in paths:
        refusals.answered(path, 200)
    assert refusals.obstacle is None


async def test_a_list_is_taken_in_entry_by_entry(tmp_path: Path) -> None:
    """So that no more than one is decoded at a time: of a torn one the first are there."""
    body = json.dumps({"items": [thing(f"t{number}", number) for number in range(20)]})
    async with taking(body[:-10], tmp_path) as (session, server, taken):
        answer = await session.get(f"{server}{ALL}")
        with pytest.raises(json.JSONDecodeError):
            await answer.json()
        assert taken == [(f"t{number}", False) for number in range(19)]
