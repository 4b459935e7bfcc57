# SPDX-License-Identifier: Apache-2.0
"""`postroom deliver` whole, kopf included, against a fake API server and a real application."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from postroom.api.names import Kind
from postroom.concurrency.shards import Shard
from postroom.controller import lifecycle, overlaps
from postroom.controller.inbound import process
from postroom.controller.lease import LeaderElection, LeaseLost
from postroom.deliver_settings import DeliverSettings, load
from postroom.lab.operator_process import free_port
from unit.controller.fakeapi import FakeAPI, serving, write_kubeconfig
from unit.controller.inbound.office import Mailbox, application, furnish, judged
from unit.controller.test_run import until

ACCOUNT = Kind.EMAIL_ACCOUNT
CANARY = "canary-7c1f"
MESSAGE = (
    f"From: {CANARY}-from@example.com\r\nTo: {CANARY}-to@example.com\r\n"
    f"Subject: {CANARY} subject\r\nMessage-ID: <{CANARY}@example.com>\r\n\r\n{CANARY} body\r\n"
).encode()


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with serving() as api:
        yield api


@pytest.fixture
def settings(api: FakeAPI, tmp_path: Path) -> DeliverSettings:
    """Settings for the fake API server, in one namespace."""
    kubeconfig = write_kubeconfig(api.url, tmp_path)
    given = {"kubeconfig": kubeconfig, "namespaces": "mail", "health_address": "off"}
    # The application is on loopback, where no Service is.
    return load({**given, "allow_cidrs": "127.0.0.0/8"}, {})


@asynccontextmanager
async def delivering(
    settings: DeliverSettings, mailbox: Mailbox, code: int = 0
) -> AsyncIterator[asyncio.Task[int]]:
    """Run the worker and stop it by a signal."""
    task = asyncio.ensure_future(process.serve(settings, mailbox.reach))
    yield task
    if not task.done():
        os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(task, 15) == code


async def asked_at(place: tuple[str, int], path: str) -> str:
    """What the worker's own server answers, asked from outside of its loop."""
    url = f"http://{place[0]}:{place[1]}{path}"

    def ask() -> str:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(ask)


def inbound(api: FakeAPI) -> dict[str, Any]:
    found: dict[str, Any] = api.status(ACCOUNT, "support").get("inbound", {})
    return found


def uid_of(api: FakeAPI) -> int:
    return int((inbound(api).get("cursors") or [{"uid": 0}])[0]["uid"])


async def test_what_arrives_is_handed_over_and_the_cursor_kept(
    api: FakeAPI, settings: DeliverSettings
) -> None:
    mailbox = Mailbox([MESSAGE])
    with application() as tickets:
        furnish(api, tickets.port)
        api.set_status(ACCOUNT, "support", judged())
        async with delivering(settings, mailbox):
            await until(lambda: len(tickets.taken) == 1)
            mailbox.arrive(b"Subject: second\r\n\r\n")
            await until(lambda: len(tickets.taken) == 2)
        assert tickets.taken[0][1] == MESSAGE
        assert uid_of(api) == 2
        # What another process begins with is what this one has written.
        async with delivering(settings, mailbox):
            mailbox.arrive(b"Subject: third\r\n\r\n")
            await until(lambda: len(tickets.taken) == 3)
        assert len(set(tickets.ids())) == 3
        assert all(
            write == "PUT /apis/postroom.dev/v1alpha1/namespaces/mail/emailaccounts/support/status"
            for write in api.writes()
        )


async def test_the_message_on_its_way_gets_its_answer_and_no_other_is_begun(
    api: FakeAPI, settings: DeliverSettings
) -> None:
    mailbox = Mailbox([MESSAGE, MESSAGE, MESSAGE])
    with application() as tickets:
        tickets.answering.clear()
        furnish(api, tickets.port)
        api.set_status(ACCOUNT, "support", judged())
        async with delivering(settings, mailbox) as task:
            await until(lambda: len(tickets.taken) == 1)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.2)
            assert not task.done()
            tickets.answering.set()
            await asyncio.wait_for(asyncio.shield(task), 60)
        assert (len(tickets.taken), uid_of(api)) == (1, 1)


async def test_told_to_stop_a_second_time_it_waits_for_nobody(
    api: FakeAPI, settings: DeliverSettings
) -> None:
    with application() as tickets:
        tickets.answering.clear()
        furnish(api, tickets.port)
        api.set_status(ACCOUNT, "support", judged())
        async with delivering(settings, Mailbox([MESSAGE])) as task:
            await until(lambda: len(tickets.taken) == 1)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(asyncio.shield(task), 5)
        assert uid_of(api) == 0


def of_shard(settings: DeliverSettings, shard: Shard) -> DeliverSettings:
    common = settings.common.model_copy(update={"shard": shard})
    return settings.model_copy(update={"common": common})


async def test_a_worker_serves_its_shard_only(
    api: FakeAPI, settings: DeliverSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle.Lifecycle, "_election", lambda life: None)
    shards = [Shard(index, 2) for index in range(2)]
    own = next(shard for shard in shards if shard.has("mail"))
    with application() as tickets:
        furnish(api, tickets.port)
        api.set_status(ACCOUNT, "support", judged())
        other = of_shard(settings, Shard(1 - own.index, 2))
        async with delivering(other, Mailbox([MESSAGE])):
            await until(lambda: any("emailaccounts" in path for _, path in api.requests))
            await asyncio.sleep(0.3)
        assert not tickets.taken and not api.writes()
        async with delivering(of_shard(settings, own), Mailbox([MESSAGE])):
            await until(lambda: tickets.taken)


async def test_nothing_of_a_message_is_in_logs_and_metrics(
    api: FakeAPI, settings: DeliverSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place = ("127.0.0.1", free_port())
    asked = {"health_address": place, "log_level": "debug"}
    common = settings.common.model_copy(update=asked)
    with application() as tickets:
        tickets.first = [503]
        furnish(api, tickets.port)
        api.set_status(ACCOUNT, "support", judged())
        worker = settings.model_copy(update={"common": common})
        async with delivering(worker, Mailbox([MESSAGE])):
            await until(lambda: tickets.taken)
            assert await asked_at(place, "/readyz") == "ok"
            await until(lambda: len(tickets.taken) > 1)
            metrics = ""
            while "postroom_deliver_delivered_total{" not in metrics:
                metrics = await asked_at(place, "/metrics")
    assert uid_of(api) == 1, "written at the end at the latest"
    assert 'postroom_deliver_delivered_total{namespace="mail"} 1.0' in metrics
    assert f'postroom_deliver_bytes_total{{namespace="mail"}} {float(len(MESSAGE))}' in metrics
    assert 'postroom_deliver_retries_total{meaning="Later",namespace="mail"} 1.0' in metrics
    assert 'postroom_deliver_waiting{name="support",namespace="mail"} 0.0' in metrics
    for text in (metrics, caplog.text, str(api.status(ACCOUNT, "support"))):
        assert CANARY not in text


class Turn(LeaderElection):
    """A lease that we have until it is taken away, which is noticed a little later."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None), "postroom", "me")
        self.noticed = asyncio.Event()

    def holds(self) -> bool:
        return self.leading

    async def acquire(self) -> None:
        self.leading = True

    async def hold(self) -> None:
        await self.noticed.wait()
        raise LeaseLost("lost lease")

    async def release(self) -> None:
        """It is another's."""


async def test_whoever_lost_its_lease_hands_over_and_writes_nothing_any_more(
    api: FakeAPI, settings: DeliverSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, mailbox = Turn(), Mailbox([MESSAGE])
    monkeypatch.setattr(lifecycle.Lifecycle, "_election", lambda life: turn)
    # The API server of this test has no Leases, by which workers of other scopes would be seen.
    monkeypatch.setattr(overlaps.Overlaps, "join", turn.acquire)
    with application() as tickets:
        furnish(api, tickets.port)
        api.set_status(ACCOUNT, "support", judged())
        async with delivering(settings, mailbox, lifecycle.EXIT_FAILED) as task:
            await until(lambda: len(tickets.taken) == 1)
            await until(lambda: uid_of(api) == 1)
            written, turn.leading = len(api.writes()), False
            mailbox.arrive(MESSAGE)
            await asyncio.sleep(0.3)  # time enough for a message
            turn.noticed.set()
            await asyncio.wait_for(asyncio.shield(task), 60)
        assert (len(tickets.taken), len(api.writes())) == (1, written)
