# SPDX-License-Identifier: Apache-2.0
"""Events: their form, their rates, and that a failure to post one harms nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postroom.controller.client import ApiError
from postroom.controller.events import EventPoster
from postroom.controller.limits import TokenBucket
from postroom.metrics import Metrics
from postroom.reconcile.outcome import Notice, NoticeType
from unit.controller.samples import SERVER

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NOTICE = Notice(NoticeType.WARNING, "AuthenticationRejected", "The server rejected the login.")


class Desk:
    """Takes Events in, or fails."""

    def __init__(self, failures: int = 0) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.failures = failures
        self.metrics = Metrics()
        self.poster = EventPoster(
            self.post, "pod-1", self.metrics, lambda: NOW, TokenBucket(1e6, 1e6)
        )

    async def post(self, namespace: str, event: Mapping[str, Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise ApiError("POST events", 403)
        self.events.append((namespace, event))

    async def settle(self) -> None:
        """Let the poster work off its backlog."""
        task = asyncio.ensure_future(self.poster.run())
        for _ in range(50):
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
