# SPDX-License-Identifier: Apache-2.0
"""Events: their form, their rates, and that a failure to post one harms nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.client import ApiError
from postroom.controller.events import EventPoster, _Backlog
from postroom.metrics import Metrics
from postroom.reconcile.status.outcome import Notice, NoticeType
from unit.controller.samples import SERVER

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NOTICE = Notice(NoticeType.WARNING, "AuthenticationRejected", "The server rejected the login.")


class Desk:
    """Takes Events in, or fails."""

    def __init__(self, failures: int = 0, says: str = "") -> None:
        self.says = says
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.failures = failures
        self.metrics = Metrics()
        self.poster = EventPoster(
            self.post, "pod-1", self.metrics, lambda: NOW, TokenBucket(1e6, 1e6)
        )

    async def post(self, namespace: str, event: Mapping[str, Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise ApiError("POST events", 403, self.says)
        self.events.append((namespace, event))

    async def settle(self, turns: int = 50) -> None:
        """Let the poster work off its backlog."""
        task = asyncio.ensure_future(self.poster.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def count(self, result: str) -> float:
        return (
            self.metrics.registry.get_sample_value("postroom_events_total", {"result": result}) or 0
        )


async def test_a_notice_becomes_an_event_about_its_object() -> None:
    desk = Desk()
    desk.poster.announce(SERVER, "uid-1", [NOTICE])
    await desk.settle()
    namespace, event = desk.events[0]
    assert namespace == event["metadata"]["namespace"] == "mail"
    assert event["involvedObject"]["uid"] == "uid-1"
    assert (event["type"], event["reason"]) == ("Warning", "AuthenticationRejected")
    assert event["lastTimestamp"] == "2026-06-01T12:00:00Z"


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ('cannot create resource "events" in API group ""', 1),
        ("unable to create new content in namespace mail because it is being terminated", 0),
    ],
)
async def test_a_right_that_is_missing_is_logged_once(
    says: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(failures=3, says=says)
    desk.poster.announce(SERVER, "uid-1", [NOTICE] * 4)
    await desk.settle()
    assert (desk.count("failed"), len(desk.events)) == (3, 1)
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == told


async def test_every_event_has_a_name_of_its_own() -> None:
    desk = Desk()
    desk.poster.announce(SERVER, "uid-1", [NOTICE, NOTICE])
    await desk.settle()
    assert len({event["metadata"]["name"] for _, event in desk.events}) == 2


async def test_the_longest_object_name_still_gives_a_valid_event_name() -> None:
    desk = Desk()
    desk.poster.announce(SERVER._replace(name="n" * 253), "uid-1", [NOTICE])
    await desk.settle()
    assert len(desk.events[0][1]["metadata"]["name"]) == 253


@given(st.text(max_size=3000))
def test_a_note_never_exceeds_what_the_api_takes(text: str) -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.poster.announce(SERVER, "uid-1", [Notice(NoticeType.NORMAL, "Ready", text)])
        await desk.settle()
        assert len(desk.events[0][1]["message"].encode()) <= 1024

    asyncio.run(scenario())


async def test_a_flapping_object_is_silenced_and_others_are_not() -> None:
    desk = Desk()
    for _ in range(30):
        desk.poster.announce(SERVER, "flapping", [NOTICE])
    desk.poster.announce(SERVER, "calm", [NOTICE])
    await desk.settle()
    assert [event["involvedObject"]["uid"] for _, event in desk.events] == ["flapping"] * 10 + [
        "calm"
    ]
    assert desk.count("suppressed") == 20


async def test_a_full_backlog_drops_and_does_not_wait() -> None:
    desk = Desk()
    for number in range(1500):
        desk.poster.announce(SERVER, f"uid-{number}", [NOTICE])
    assert desk.count("dropped") == 500


async def test_an_event_that_cannot_be_posted_is_dropped() -> None:
    desk = Desk(failures=1)
    desk.poster.announce(SERVER, "uid-1", [NOTICE, NOTICE])
    await desk.settle()
    assert len(desk.events) == 1
    assert (desk.count("failed"), desk.count("posted")) == (1, 1)


def of(namespace: str) -> Key:
    return SERVER._replace(namespace=namespace)


def flood(desk: Desk, namespace: str, number: int) -> None:
    for count in range(number):
        desk.poster.announce(of(namespace), f"{namespace}-{count}", [NOTICE])


async def test_a_flood_neither_drops_nor_delays_another_namespace() -> None:
    desk = Desk()
    flood(desk, "loud", 5000)
    for count in range(20):
        desk.poster.announce(of("calm"), f"calm-{count}", [NOTICE])
    flood(desk, "loud", 5000)
    await desk.settle(200)
    order = [namespace for namespace, _ in desk.events]
    assert order.count("calm") == 20
    last = max(place for place, namespace in enumerate(order) if namespace == "calm")
    assert last <= 41
    # It still waits, or was dropped of the loud one alone.
    uids = [event["involvedObject"]["uid"] for name, event in desk.events if name == "calm"]
    assert uids == [f"calm-{count}" for count in range(20)]


async def test_a_full_backlog_is_shared_evenly() -> None:
    desk = Desk()
    for namespace in ("a", "b", "c", "d"):
        flood(desk, namespace, 2000)
    waiting = {name: len(items) for name, items in desk.poster._backlog._waiting.items()}
    assert waiting == {"a": 250, "b": 250, "c": 250, "d": 250}
    assert desk.count("dropped") == 7000


async def test_posts_of_one_namespace_that_hang_keep_no_other() -> None:
    """As behind a slow admission webhook of that namespace."""
    desk, hanging = Desk(), asyncio.Event()
    posted: list[str] = []

    async def post(namespace: str, event: Mapping[str, Any]) -> None:
        if namespace == "stuck":
            await hanging.wait()
        posted.append(namespace)

    desk.poster = EventPoster(post, "pod-1", desk.metrics, lambda: NOW, TokenBucket(1e6, 1e6))
    flood(desk, "stuck", 100)
    flood(desk, "calm", 10)
    await desk.settle()
    assert posted == ["calm"] * 10
    hanging.set()


async def test_scarce_tokens_are_given_in_turns() -> None:
    desk = Desk()
    bucket = TokenBucket(1000.0, 1.0)
    desk.poster = EventPoster(desk.post, "pod-1", desk.metrics, lambda: NOW, bucket)
    flood(desk, "loud", 900)
    flood(desk, "calm", 5)
    task = asyncio.ensure_future(desk.poster.run())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [namespace for namespace, _ in desk.events[:12]].count("calm") == 5


@given(
    st.integers(1, 10), st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=200)
)
def test_no_namespace_loses_while_another_has_more_waiting(
    limit: int, steps: list[tuple[str, bool]]
) -> None:
    """Against a plain model: what is dropped is always the newest of one that has most."""
    backlog = _Backlog(limit)
    model: dict[str, list[int]] = {one: [] for one in "abcd"}
    for number, (namespace, taking) in enumerate(steps):
        if taking:
            item = backlog.take()
            assert (item is None) is not any(model.values())
            if item is not None:
                assert item[1]["n"] == model[item[0].namespace].pop(0)
                backlog.done(item[0].namespace)
            continue
        full = sum(map(len, model.values())) == limit
        model[namespace].append(number)
        assert backlog.put((of(namespace), {"n": number})) is not full
        waits = {one: [item[1]["n"] for item in backlog._waiting.get(one, ())] for one in model}
        if full:
            most = max(map(len, model.values()))
            (loser,) = [one for one in model if waits[one] != model[one]]
            assert len(model[loser]) == most
            model[loser].pop()
        assert waits == model
