# SPDX-License-Identifier: Apache-2.0
"""The whole operator, kopf included, against a fake API server: what it reads, writes and survives.

The real API server has its turn in tests/cluster; here are the faults that it seldom shows.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSFacts
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.concurrency.shards import Shard, shard_of
from postroom.controller import lifecycle
from postroom.controller.run import run
from postroom.lab.operator_process import free_port
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile.world import Outbound
from postroom.settings import Settings, load
from unit.controller.fakeapi import FakeAPI, serving, write_kubeconfig
from unit.reconcile import mail_worlds

SPEC = {"host": "smtp.example.com", "interval": "5m", "default": True}


class Probes(mail_worlds.Probes):
    """Every mail server answers."""

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        return ProbeReport(
            ProbeStage.DONE,
            Reason.PROBE_SUCCEEDED,
            "It answers.",
            conclusive=True,
            server=ServerFacts(),
            tls=TLSFacts(version="TLSv1.3"),
        )


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with serving() as api:
        yield api


@pytest.fixture
def settings(api: FakeAPI, tmp_path: Path) -> Settings:
    """Settings for the fake API server, in one namespace."""
    kubeconfig = write_kubeconfig(api.url, tmp_path)
    flags = {"kubeconfig": kubeconfig, "namespaces": "mail", "health_address": "off"}
    return load({**flags, "ownership_key": "a-key"}, {})


def start(settings: Settings) -> asyncio.Task[int]:
    nobody = cast("Any", None)
    return asyncio.ensure_future(run(settings, lambda *_: Outbound(nobody, Probes(), nobody)))


@asynccontextmanager
async def operating(settings: Settings) -> AsyncIterator[asyncio.Task[int]]:
    """Run the operator and stop it by a signal."""
    task = start(settings)
    yield task
    if not task.done():
        os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(task, 60) == 0


async def until(condition: Callable[[], object], within: float = 60) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


def is_ready(api: FakeAPI, kind: Kind, name: str) -> bool:
    conditions = api.status(kind, name)["conditions"]
    generation = api.objects[(kind.plural, "mail", name)]["metadata"]["generation"]
    found = [condition for condition in conditions if condition["type"] == "Ready"]
    return bool(found[0]["status"] == "True" and found[0]["observedGeneration"] == generation)


def all_ready(api: FakeAPI) -> bool:
    kinds = {kind.plural: kind for kind in Kind}
    return all(is_ready(api, kinds[plural], name) for plural, _, name in api.objects)


async def test_each_object_is_written_once_and_nothing_else(
    api: FakeAPI, settings: Settings
) -> None:
    for number in range(20):
        api.apply(Kind.MAIL_SERVER, f"server{number}", SPEC)
    async with operating(settings):
        await until(lambda: all_ready(api))
        await asyncio.sleep(0.3)
    assert len(api.writes()) == 20
    assert all(write.startswith("PUT ") and write.endswith("/status") for write in api.writes())


async def test_a_restart_writes_nothing(api: FakeAPI, settings: Settings) -> None:
    for number in range(5):
        api.apply(Kind.MAIL_SERVER, f"server{number}", SPEC)
    async with operating(settings):
        await until(lambda: all_ready(api))
    written = len(api.writes())
    async with operating(settings):
        await asyncio.sleep(0.7)
    assert len(api.writes()) == written


async def test_changes_requests_and_foreign_edits_are_answered(
    api: FakeAPI, settings: Settings
) -> None:
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    async with operating(settings):
        await until(lambda: all_ready(api))
        api.apply(Kind.MAIL_SERVER, "smtp", {**SPEC, "host": "other.example.com"})
        await until(lambda: is_ready(api, Kind.MAIL_SERVER, "smtp"))
        api.annotate(Kind.MAIL_SERVER, "smtp", "postroom.dev/requested-at", "now")
        await until(
            lambda: api.status(Kind.MAIL_SERVER, "smtp").get("lastHandledReconcileAt") == "now"
        )
        api.set_status(Kind.MAIL_SERVER, "smtp", {"conditions": [{"type": "Ready", "status": "X"}]})
        with_status = api.objects
        await until(lambda: with_status[("mailservers", "mail", "smtp")]["status"].get("server"))
    assert len(api.writes()) == 4


async def test_any_order_of_application_converges(api: FakeAPI, settings: Settings) -> None:
    account = {"address": "support@example.com"}
    async with operating(settings):
        await until(lambda: ("GET", "/api") in api.requests)
        api.apply(Kind.EMAIL_ACCOUNT, "support", account)
        await asyncio.sleep(0.3)
        api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
        await until(lambda: all_ready(api))


async def test_a_lost_watch_misses_nothing(api: FakeAPI, settings: Settings) -> None:
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    async with operating(settings):
        await until(lambda: all_ready(api))
        api.lose_watches()
        api.apply(Kind.MAIL_SERVER, "late", SPEC)
        await until(lambda: is_ready(api, Kind.MAIL_SERVER, "late"))


async def test_a_failed_watch_ends_the_process(
    api: FakeAPI, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    task = start(settings)
    await until(lambda: all_ready(api))
    api.break_watch(Kind.EMAIL_ACCOUNT)
    assert await asyncio.wait_for(task, 10) == 1
    assert "the watch was given up: kopf could not go on (" in caplog.text
    assert "FeedEnded" not in caplog.text


async def test_a_rejected_login_is_tried_again(api: FakeAPI, settings: Settings) -> None:
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    async with operating(settings):
        await until(lambda: all_ready(api))
        api.lose_watches()
        api.rejected_logins = 1
        await until(lambda: not api.rejected_logins)
        api.apply(Kind.MAIL_SERVER, "late", SPEC)
        await until(lambda: is_ready(api, Kind.MAIL_SERVER, "late"))


@pytest.mark.parametrize("fault", [409, 429, 500])
async def test_refused_writes_are_made_good(api: FakeAPI, settings: Settings, fault: int) -> None:
    api.faults.append(fault)
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    async with operating(settings):
        await until(lambda: all_ready(api))


async def test_a_poisoned_object_affects_no_other(api: FakeAPI, settings: Settings) -> None:
    api.apply(Kind.MAIL_SERVER, "absurd", {"host": ["not", "a", "host"], "port": -1})
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    async with operating(settings):
        await until(lambda: is_ready(api, Kind.MAIL_SERVER, "smtp"))
        await until(lambda: api.status(Kind.MAIL_SERVER, "absurd")["observedGeneration"] == 1)
    reasons = [one["reason"] for one in api.status(Kind.MAIL_SERVER, "absurd")["conditions"]]
    assert set(reasons) == {"InvalidSpec"}


async def test_clusterwide_the_crds_may_come_later(
    api: FakeAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.controller.sweep.Backoff.delay", lambda *_: 0.1)
    api.served = False
    async with operating(settings.model_copy(update={"namespaces": ()})):
        await until(lambda: any(path.endswith("definitions") for _, path in api.requests))
        await asyncio.sleep(0.2)
        api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
        api.serve_crds()
        await until(lambda: is_ready(api, Kind.MAIL_SERVER, "smtp"))


async def test_in_namespaces_missing_crds_end_the_start(
    api: FakeAPI, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    api.served = False
    assert await asyncio.wait_for(start(settings), 10) == 1
    assert "install the CRDs: kubectl apply --server-side -k crds" in caplog.text


async def test_an_api_server_that_is_away_ends_the_start(
    settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    nowhere = write_kubeconfig("http://127.0.0.1:9", tmp_path)
    one = settings.model_copy(update={"kubeconfig": nowhere})
    assert await asyncio.wait_for(start(one), 10) == 1
    assert "the API server cannot be asked" in caplog.text


async def test_a_kubeconfig_that_is_absent_is_one_sentence(
    settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    one = settings.model_copy(update={"kubeconfig": tmp_path / "absent"})
    assert await asyncio.wait_for(start(one), 10) == 1
    assert "there is no kubeconfig" in caplog.text
    assert "give --kubeconfig" in caplog.text


async def test_a_labelled_secret_is_watched_without_its_content(
    api: FakeAPI, settings: Settings
) -> None:
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    async with operating(settings.model_copy(update={"watch_secrets": True})):
        await until(lambda: all_ready(api))
        await until(lambda: any(path.endswith("/secrets") for _, path in api.requests))
    lists = [accept for path, accept in api.accepted if path.endswith(("/secrets", "/configmaps"))]
    assert lists and all("as=PartialObjectMetadata" in accept for accept in lists)


async def test_a_shard_knows_all_and_works_on_its_own(
    api: FakeAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle.Lifecycle, "_election", lambda life: None)
    api.apply(Kind.MAIL_SERVER, "smtp", SPEC)
    owner = shard_of("mail", 3)
    for index in ((owner + 1) % 3, owner):
        place = ("127.0.0.1", free_port())
        part = "own" if index == owner else "others"
        known = re.compile(rf'postroom_shard_objects{{part="{part}",scope="[^"]+"}} 1\.0')
        chosen = {"shard": Shard(index, 3), "health_address": place}
        async with operating(settings.model_copy(update=chosen)):
            metrics, url = "", f"http://{place[0]}:{place[1]}/metrics"
            while not known.search(metrics):
                metrics = await asyncio.to_thread(told_at, url)
            if index == owner:
                await until(lambda: all_ready(api))
            tells = 'postroom_condition{kind="MailServer"' in await asyncio.to_thread(told_at, url)
        assert (len(api.writes()), tells) == (index == owner, index == owner)


def told_at(url: str) -> str:
    """What is served there; nothing as long as nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
            return str(answer.read().decode())
    except OSError:
        return ""
