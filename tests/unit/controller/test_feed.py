# SPDX-License-Identifier: Apache-2.0
"""The watch feed: what it tells the intake, when it ends, and that kopf writes nothing by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import kopf
import pytest
from kopf._cogs.clients.errors import APIError

from postroom.api.names import Key, Kind
from postroom.controller import feed
from postroom.controller.client import connected
from postroom.controller.feed import Feed, FeedEnded, kopf_settings
from postroom.controller.intake import Intake
from postroom.settings import Settings, load
from unit.controller.fakeapi import FakeAPI, serving, write_kubeconfig
from unit.controller.test_run import until

SERVER = Kind.MAIL_SERVER
SPEC = {"host": "smtp.example.com"}


class Told:
    """Notes what the feed tells."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []

    def seen(self, kind: Kind, raw: dict[str, Any]) -> None:
        self.lines.append(("seen", kind.value, raw["metadata"]["name"], raw["spec"]["host"]))

    def gone(self, key: Key, uid: str) -> None:
        self.lines.append(("gone", str(key), uid))

    async def until(self, *line: str) -> None:
        await until(lambda: line in self.lines)


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with serving() as api:
        yield api


def of_namespace(**more: object) -> Settings:
    return load({"namespaces": "mail", "ownership_key": "a-key", **more}, {})


@asynccontextmanager
async def feeding(
    api: FakeAPI, directory: Path
) -> AsyncIterator[tuple[Told, asyncio.Task[None], Callable[[], None]]]:
    told, stop, ready = Told(), asyncio.Event(), asyncio.Event()
    kubeconfig = write_kubeconfig(api.url, directory)
    async with connected(kubeconfig, None, "test") as cluster:
        ours = Feed(cluster, cast("Intake", told), of_namespace())
        running = asyncio.ensure_future(ours.run(stop, ready))
        await asyncio.wait_for(ready.wait(), 10)
        try:
            yield told, running, stop.set
        finally:
            stop.set()
            await asyncio.wait([running], timeout=10)
            assert running.done()


async def test_what_is_there_what_changes_and_what_goes_is_told(
    api: FakeAPI, tmp_path: Path
) -> None:
    before = api.apply(SERVER, "smtp", SPEC)
    async with feeding(api, tmp_path) as (told, running, stop):
        await told.until("seen", "MailServer", "smtp", "smtp.example.com")
        api.apply(SERVER, "smtp", {"host": "other.example.com"})
        await told.until("seen", "MailServer", "smtp", "other.example.com")
        api.apply(Kind.MAIL_SERVER, "elsewhere", SPEC, namespace="other")
        api.delete(SERVER, "smtp")
        await told.until("gone", "mailservers/mail/smtp", before["metadata"]["uid"])
        stop()
        await asyncio.wait_for(running, 10)
    assert not any("elsewhere" in line for line in told.lines)
    assert api.writes() == []


async def test_kopf_is_shown_none_of_our_objects(
    api: FakeAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each that it is shown it makes a task, and remembers it for ever."""
    shown: list[object] = []

    async def handler(event: object, **_: Any) -> None:
        shown.append(event)

    monkeypatch.setattr(feed, "_shown", handler)
    for number in range(20):
        api.apply(SERVER, f"s{number}", SPEC)
    async with feeding(api, tmp_path) as (told, _, _stop):
        await told.until("seen", "MailServer", "s19", "smtp.example.com")
        api.apply(SERVER, "s0", {"host": "other.example.com"})
        await told.until("seen", "MailServer", "s0", "other.example.com")
    assert len(told.lines) == 21
    assert shown == []


async def test_a_watch_that_fails_ends_the_feed(api: FakeAPI, tmp_path: Path) -> None:
    api.apply(SERVER, "smtp", SPEC)
    async with feeding(api, tmp_path) as (told, running, _):
        await told.until("seen", "MailServer", "smtp", "smtp.example.com")
        api.break_watch(SERVER)
        with pytest.raises(FeedEnded):
            await asyncio.wait_for(running, 10)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (APIError(status=503, headers={}), "the API server answers 503"),
        (aiohttp.ServerDisconnectedError(), "the API server gives no answer: the connection ended"),
        (ConnectionResetError("a path"), "the API server gives no answer: the connection ended"),
        (TypeError("of ours"), "kopf could not go on (TypeError: of ours)"),
    ],
)
def test_why_the_watch_was_given_up_is_said_in_words(error: Exception, says: str) -> None:
    assert feed._why(error) == says


def test_kopf_neither_posts_nor_peers_nor_keeps_anything_in_objects() -> None:
    ours = kopf_settings(of_namespace())
    assert ours.peering.standalone
    assert not ours.posting.enabled
    kept = ours.persistence.diffbase_storage
    assert (kept.build(body=kopf.Body({})), kept.fetch(body=kopf.Body({}))) == ({}, None)
    with pytest.raises(RuntimeError, match="never writes"):
        kept.store(body=kopf.Body({}), patch=kopf.Patch(), essence=kopf.BodyEssence({}))
    # Objects are large if somebody wants it, so that a list of many may be no longer than its page.
    assert ours.watching.chunk_size is not None and 0 < ours.watching.chunk_size <= 500
    assert ours.persistence.finalizer != kopf.OperatorSettings().persistence.finalizer


def test_refusals_are_waited_for_about_two_minutes() -> None:
    backoffs = list(kopf_settings(of_namespace()).networking.error_backoffs)
    assert 100 <= sum(backoffs) <= 150
    assert max(backoffs) == 15


@pytest.mark.parametrize(("namespaces", "scans"), [("mail", False), ("", True)])
def test_namespaces_and_definitions_are_watched_clusterwide_alone(
    namespaces: str, scans: bool
) -> None:
    """A Role of one namespace does not grant that."""
    ours = kopf_settings(load({"namespaces": namespaces, "ownership_key": "a-key"}, {}))
    assert ours.scanning.disabled is not scans
    selectors = ours.watching.label_selectors
    crds = ("apiextensions.k8s.io", "customresourcedefinitions")
    assert (selectors.get(crds) == "app.kubernetes.io/part-of=postroom") is scans
    for plural in ("secrets", "configmaps"):
        assert selectors["", "v1", plural] == "postroom.dev/watch=true"
