# SPDX-License-Identifier: Apache-2.0
"""One status and its two writers, operator and `postroom deliver`: in any order, with watches that
are late, answers that are lost, and processes that end in the middle."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.conditions import Condition, ConditionStatus, ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.inbound.progress import InboundStatus
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import status_of
from postroom.controller.shared_status import without_delivery
from postroom.controller.writer import Evaluated, Writer
from postroom.delivery import status
from postroom.metrics import Metrics
from unit.controller.inbound.statuses import DELIVERING, account
from unit.controller.samples import ACCOUNT

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WORKER = "postroom-system/postroom-deliver"


class Server:
    """One object. A write may be carried out and its answer be lost, or be lost itself."""

    def __init__(self) -> None:
        self.raw: dict[str, Any] = account(DELIVERING)
        self.version = 1
        self.faults: deque[str] = deque()
        self.watches: list[deque[dict[str, Any]]] = []

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.raw

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        answered = self._put(version, status)
        assert part(answered) == part(self.before), "delivery's part is as it was"
        return {"metadata": answered["metadata"]}

    async def replace_status_as(
        self, manager: str, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        answered = self._put(version, status)
        assert operators(answered) == operators(self.before), "the operator's part is as it was"
        return answered

    def _put(self, version: str, status: Mapping[str, Any]) -> dict[str, Any]:
        fault = self.faults.popleft() if self.faults else ""
        if fault == "lost":
            raise ApiError("PUT", 0)
        if version != self.raw["metadata"]["resourceVersion"]:
            raise ApiError("PUT", 409)
        self.before = self.raw
        self.version += 1
        metadata = {**self.raw["metadata"], "resourceVersion": str(self.version)}
        self.raw = {**self.raw, "metadata": metadata, "status": dict(status)}
        assert uid_in(self.raw) >= uid_in(self.before), "nothing is handed over twice"
        for watch in self.watches:
            watch.append(self.raw)
        if fault == "answer lost":
            raise ApiError("PUT", 0)
        return self.raw


def part(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return status.part_of(status_of(raw))


def operators(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return without_delivery(status_of(raw))


def uid_in(raw: Mapping[str, Any]) -> int:
    found: int = status_of(raw)["inbound"]["cursors"][0]["uid"]
    return found


class Side:
    """A process: what it knows of the object, and the news that its watch is about to bring."""

    def __init__(self, server: Server) -> None:
        self.server, self.news = server, deque[dict[str, Any]]()
        self.intake = Intake(Cache(), KeyedQueue(), now=lambda: NOW)
        self.intake.seen(ACCOUNT.kind, server.raw)
        self.intake.release()
        server.watches.append(self.news)
        self.bucket = TokenBucket(1e6, 1e6)

    def hear(self) -> None:
        if self.news:
            self.intake.seen(ACCOUNT.kind, self.news.popleft())

    def end(self) -> None:
        self.server.watches = [each for each in self.server.watches if each is not self.news]


class Operator(Side):
    wanted: int | None = None

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.writer = Writer(server, self.intake, self.bucket, Metrics(), lambda: NOW)  # type: ignore[arg-type]

    async def write(self, number: int) -> None:
        ready = Condition(
            type=ConditionType.READY,
            status=ConditionStatus.TRUE,
            reason="Succeeded",
            message=f"Look {number}.",
            observed_generation=1,
            last_transition_time="2026-11-29T10:00:00Z",
        )
        found = EmailAccountStatus(observed_generation=1, conditions=(ready,))
        evaluated = Evaluated(ACCOUNT, "uid-1", 1, timedelta(hours=1))
        await self.writer.write(evaluated, found)


class Worker(Side):
    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.told = InboundStatus(
            server,
            self.intake,
            self.bucket,
            lambda: NOW,
            lambda: 0.0,
            WORKER,
        )
        # As a process does that begins.
        self.progress = status.read(status_of(server.raw))

    async def write(self, number: int) -> None:
        cursor = self.progress.cursors["INBOX"]
        moved = {"INBOX": cursor.past(cursor.uid + 1, NOW)}
        self.progress = replace(self.progress, cursors=moved, delivered_at=NOW)
        self.told.tell(ACCOUNT, "uid-1", "Service tickets", self.progress, 1)
        await self.told.flush()


_STEPS = st.sampled_from(
    (
        *("look", "mail", "operator hears", "worker hears", "operator begins", "worker begins"),
        *("lost", "answer lost"),
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_STEPS, min_size=4, max_size=40))
def test_neither_loses_what_the_other_wrote(steps: list[str]) -> None:
    async def play() -> None:
        server = Server()
        operator, worker = Operator(server), Worker(server)
        for number, step in enumerate([*steps, "look", "mail"]):
            match step:
                case "look":
                    await operator.write(number)
                case "mail":
                    await worker.write(number)
                case "operator hears":
                    operator.hear()
                case "worker hears":
                    worker.hear()
                case "operator begins":
                    operator.end()
                    operator = Operator(server)
                case "worker begins":
                    worker.end()
                    worker = Worker(server)
                case _:
                    server.faults.append(step)
        server.faults.clear()
        await operator.write(999)
        await worker.write(999)
        told = {each["type"]: each["message"] for each in status_of(server.raw)["conditions"]}
        assert told.keys() == {"Ready", "InboundDelivering"}
        assert told["Ready"] == "Look 999."
        assert uid_in(server.raw) == worker.progress.cursors["INBOX"].uid

    run(play())
