# SPDX-License-Identifier: Apache-2.0
"""The client: pages, errors as values, rotated tokens, and metadata only where secrets would be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from postroom.api.masked import Masked
from postroom.api.names import Kind
from postroom.controller import json_lists, page_sizes
from postroom.controller.client import (
    USER_AGENT,
    ApiError,
    Cluster,
    Listed,
    connect,
)
from postroom.controller.reviews import Reviews
from unit.controller.fakeapi import write_kubeconfig
from unit.controller.samples import SERVER, stored

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def cluster_at(handler: Handler, directory: Path) -> AsyncIterator[Cluster]:
    """A client of a server with one handler for everything."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    cluster = await connect(write_kubeconfig(url, directory), connections=4)
    try:
        yield cluster
    finally:
        await cluster.close()
        await runner.cleanup()


def answering(status: int, body: object, **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return handler


async def refused(status: int, body: object, directory: Path, **headers: str) -> ApiError:
    """Write a status at a server that refuses it."""
    async with cluster_at(answering(status, body, **headers), directory) as cluster:
        with pytest.raises(ApiError) as caught:
            await cluster.replace_status(SERVER, "5", {})
    return caught.value


async def test_requests_say_who_asks(tmp_path: Path) -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.json_response(stored(SERVER))

    async with cluster_at(handler, tmp_path) as cluster:
        await cluster.get(SERVER)
    assert seen[0].path == "/apis/postroom.dev/v1alpha1/namespaces/mail/mailservers/smtp"
    assert seen[0].headers["User-Agent"] == USER_AGENT
    assert seen[0].headers["Authorization"].lower() == "bearer a-token"


async def test_a_status_goes_out_alone_and_metadata_come_back(tmp_path: Path) -> None:
    seen: list[tuple[str, str, object]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        assert "as=PartialObjectMetadata;" in request.headers["Accept"]
        seen.append((request.method, request.path, await request.json()))
        return web.json_response({"metadata": {"resourceVersion": "6"}})

    async with cluster_at(handler, tmp_path) as cluster:
        answer = await cluster.replace_status(SERVER, "5", {"accounts": 1})
    assert answer == {"metadata": {"resourceVersion": "6"}}
    body = {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "MailServer",
        "metadata": {"name": "smtp", "namespace": "mail", "resourceVersion": "5"},
        "status": {"accounts": 1},
    }
    path = "/apis/postroom.dev/v1alpha1/namespaces/mail/mailservers/smtp/status"
    assert seen == [("PUT", path, body)]


async def test_a_status_of_another_manager_is_answered_by_what_stands_then(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert (request.method, request.query_string) == ("PUT", "fieldManager=postroom-deliver")
        assert "PartialObjectMetadata" not in request.headers["Accept"]
        sent = await request.json()
        assert sent["metadata"]["resourceVersion"] == "5"
        return web.json_response(stored(SERVER, version=6, status={**sent["status"], "more": 1}))

    async with cluster_at(handler, tmp_path) as cluster:
        answer = await cluster.replace_status_as("postroom-deliver", SERVER, "5", {"accounts": 1})
    assert answer["status"] == {"accounts": 1, "more": 1}


@pytest.mark.parametrize("dropped", [True, False])
async def test_a_status_that_is_not_kept_as_it_was_sent_is_read_again(
    dropped: bool, tmp_path: Path
) -> None:
    warnings = ['299 - "something else"', *(['299 - "unknown field \\"status.new\\""'] * dropped)]

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(stored(SERVER, version=6))
        answer = web.json_response({"metadata": {"resourceVersion": "6"}})
        for warning in warnings:
            answer.headers.add("Warning", warning)
        return answer

    async with cluster_at(handler, tmp_path) as cluster:
        answer = await cluster.replace_status(SERVER, "5", {"new": 1})
    assert ("status" in answer) == dropped


async def test_what_is_no_list_is_no_empty_one(tmp_path: Path) -> None:
    """Else what it does not show would be gone."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text='{"items": [{"metadata": ', content_type="application/json")

    async with cluster_at(handler, tmp_path) as cluster:
        with pytest.raises(ApiError, match="no list"):
            await cluster.list_metadata(Kind.MAIL_SERVER, None)


async def test_lists_are_followed_to_their_last_page(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert "PartialObjectMetadataList" in request.headers["Accept"]
        first = "continue" not in request.query
        metadata = {"name": "a" if first else "b", "namespace": "mail", "uid": "u"}
        item = {"metadata": {**metadata, "resourceVersion": "5"}}
        return web.json_response(
            {"items": [item], "metadata": {"continue": "more" if first else ""}}
        )

    async with cluster_at(handler, tmp_path) as cluster:
        listed = await cluster.list_metadata(Kind.MAIL_SERVER, None)
    assert {key.name: one for key, one in listed.items()} == {
        "a": Listed("u", "5"),
        "b": Listed("u", "5"),
    }


async def test_what_is_not_found_is_none(tmp_path: Path) -> None:
    async with cluster_at(answering(404, {}), tmp_path) as cluster:
        assert await cluster.get(SERVER) is None
        assert await cluster.secret("mail", "login") is None


async def test_a_refusal_carries_status_sentence_and_pause(tmp_path: Path) -> None:
    body = {"kind": "Status", "message": "too\nmany   requests"}
    headers = {"Retry-After": "7"}
    error = await refused(429, body, tmp_path, **headers)
    assert (error.status, error.message, error.retry_after) == (429, "too many requests", 7.0)
    assert error.transient


@pytest.mark.parametrize(
    ("details", "ends"),
    [
        ({"causes": [{"reason": "NamespaceTerminating", "message": "it ends"}]}, True),
        ({"causes": [{"reason": "FieldValueInvalid"}, {"reason": 5}, 5, None]}, False),
        ({"causes": {"reason": "NamespaceTerminating"}}, False),
        ({}, False),
        ([], False),
        ("NamespaceTerminating", False),
    ],
)
async def test_the_end_of_a_namespace_is_told_by_its_cause(
    details: object, ends: bool, tmp_path: Path
) -> None:
    body = {"message": "because it is being terminated", "details": details}
    assert (await refused(403, body, tmp_path)).of_ending_namespace is ends


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_refusals_that_last_are_not_transient(status: int, tmp_path: Path) -> None:
    error = await refused(status, {}, tmp_path)
    assert (error.status, error.transient) == (status, False)


async def test_an_object_that_is_too_large_is_refused_for_good(tmp_path: Path) -> None:
    error = await refused(500, {"message": "etcdserver: request is too large"}, tmp_path)
    assert (error.status, error.transient) == (413, False)


@pytest.mark.parametrize("body", ["text", [], None, {"message": 5}, {"message": "x" * 10_000}])
async def test_absurd_answers_are_bounded(body: object, tmp_path: Path) -> None:
    error = await refused(500, body, tmp_path)
    assert len(str(error)) < 500


async def test_a_server_that_is_away_is_an_error_without_details(tmp_path: Path) -> None:
    cluster = await connect(write_kubeconfig("http://127.0.0.1:9", tmp_path), connections=4)
    with pytest.raises(ApiError) as caught:
        await cluster.get(SERVER)
    await cluster.close()
    assert (caught.value.status, caught.value.transient) == (0, True)
    assert str(tmp_path) not in str(caught.value)


async def test_who_no_longer_leads_writes_nothing_but_its_lease(tmp_path: Path) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path}")
        return web.json_response({"metadata": {}})

    async with cluster_at(handler, tmp_path) as cluster:
        cluster.may_write = lambda: False
        for write in (
            cluster.replace_status(SERVER, "5", {}),
            cluster.create_event("mail", {}),
            cluster.create_secret("mail", {}),
            cluster.patch_secret("mail", "x", {}),
        ):
            with pytest.raises(ApiError, match="no longer leads"):
                await write
        assert asked == []
        await cluster.get(SERVER)
        await cluster.replace_lease("mail", "postroom", {})
        await Reviews(cluster).review_token(Masked("token"))
        cluster.may_write = lambda: True
        await cluster.replace_status(SERVER, "5", {})
    assert [one.partition(" ")[0] for one in asked] == ["GET", "PUT", "POST", "PUT"]


@pytest.mark.parametrize(("octets", "tried"), [(10, []), (600, [50]), (2500, [50, 12])])
async def test_a_page_of_large_objects_is_asked_for_anew_with_fewer(
    octets: int, tried: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sizes, "PAGE_LIMIT", 10_000)
    asked: list[tuple[int, int]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        begin, size = int(request.query.get("continue", "0")), int(request.query["limit"])
        asked.append((begin, size))
        end = min(begin + size, 60)
        items = [
            {"metadata": {"namespace": "mail", "name": f"s-{each}", "labels": {"a": "x" * octets}}}
            for each in range(begin, end)
        ]
        more = str(end) if end < 60 else ""
        return web.json_response({"items": items, "metadata": {"continue": more}})

    async with cluster_at(handler, tmp_path) as cluster:
        found = await cluster.list_metadata(Kind.MAIL_SERVER, None)
    assert sorted(key.name for key in found) == sorted(f"s-{each}" for each in range(60))
    size = [50, 12, 3][len(tried)]
    assert asked == [(0, each) for each in tried] + [(at, size) for at in range(0, 60, size)]


async def test_one_object_is_read_however_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sizes, "PAGE_LIMIT", 100)

    async def handler(request: web.Request) -> web.StreamResponse:
        item = {"metadata": {"namespace": "mail", "name": "smtp", "labels": {"a": "x" * 600}}}
        return web.json_response({"items": [item], "metadata": {}})

    async with cluster_at(handler, tmp_path) as cluster:
        assert await cluster.list_metadata(Kind.MAIL_SERVER, None)


async def test_leases_come_from_all_pages_whoever_has_filled_the_first(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["labelSelector"] == "postroom.dev/scope=postroom"
        assert 0 < int(request.query["limit"]) <= json_lists.PAGE
        number = int(request.query.get("continue", "0"))
        items = [{"metadata": {"namespace": f"n-{number}", "name": "postroom"}}]
        more = str(number + 1) if number < 3 else ""
        return web.json_response({"items": items, "metadata": {"continue": more}})

    async with cluster_at(handler, tmp_path) as cluster:
        found = [each async for each in cluster.leases("postroom.dev/scope=postroom")]
    assert [each["metadata"]["namespace"] for each in found] == ["n-0", "n-1", "n-2", "n-3"]


async def test_whole_objects_come_from_all_pages_with_what_their_list_leaves_out(
    tmp_path: Path,
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.path == "/apis/postroom.dev/v1alpha1/namespaces/mail/mailservers"
        first = "continue" not in request.query
        item = {"metadata": {"name": "a" if first else "b"}, "spec": {"host": "h"}}
        return web.json_response(
            {"items": [item], "metadata": {"continue": "more" if first else ""}}
        )

    async with cluster_at(handler, tmp_path) as cluster:
        found = await cluster.list_whole(Kind.MAIL_SERVER, "mail")
    assert [(raw["kind"], raw["metadata"]["name"], raw["spec"]["host"]) for raw in found] == [
        ("MailServer", "a", "h"),
        ("MailServer", "b", "h"),
    ]
    assert {raw["apiVersion"] for raw in found} == {"postroom.dev/v1alpha1"}


async def test_annotations_are_set_and_taken_away(tmp_path: Path) -> None:
    seen: list[tuple[str, str, object]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, request.content_type, await request.json()))
        return web.json_response(stored(SERVER))

    async with cluster_at(handler, tmp_path) as cluster:
        await cluster.annotate(SERVER, {"a": "1", "b": None})
    path = "/apis/postroom.dev/v1alpha1/namespaces/mail/mailservers/smtp"
    body = {"metadata": {"annotations": {"a": "1", "b": None}}}
    assert seen == [(path, "application/merge-patch+json", body)]


async def test_a_proxy_of_the_environment_is_used_by_requests_and_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def proxy(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Host"])
        return web.json_response({})

    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    runner = web.ServerRunner(web.Server(proxy), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        for unproxied in ("", "api.invalid"):
            monkeypatch.setenv("no_proxy", unproxied)
            cluster = await connect(
                write_kubeconfig("http://api.invalid:6443", tmp_path), connections=4
            )
            try:
                if unproxied:
                    with pytest.raises(ApiError):
                        await cluster.get(SERVER)
                else:
                    await cluster.get(SERVER)
                    async with cluster.watch_session() as session:
                        await (await session.get("http://api.invalid:6443/version")).read()
            finally:
                await cluster.close()
    finally:
        await runner.cleanup()
    assert seen == ["api.invalid:6443"] * 2
