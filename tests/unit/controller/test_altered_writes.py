# SPDX-License-Identifier: Apache-2.0
"""Admission that changes statuses as they are written is never written against in a circle, however
few echoes of our writes are read, and whichever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.conditions import Condition, ConditionStatus, ConditionType
from postroom.api.mailserver import MailServerStatus
from postroom.api.names import Key
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import conditions_of, metadata_of
from postroom.controller.writer import Evaluated, Writer
from postroom.metrics import Metrics
from unit.controller.samples import SERVER, Object, stored

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
_written = count()


def flipped(status: Object) -> Object:
    conditions = [{**each, "status": "False"} for each in status.get("conditions", [])]
    return {**status, "conditions": conditions}


#: What admission makes of a status.
ALTERATIONS: dict[str, Callable[[Object], Object]] = {
    "as it is": lambda status: status,
    "a field more": lambda status: {**status, "url": "https://changed.example"},
    "another verdict": flipped,
    "no conditions": lambda status: {**status, "conditions": []},
    "another one each time": lambda status: {**status, "url": f"https://{next(_written)}.example"},
}


class Cluster:
    """An API server with one object, the watch of it, and an operator that wants one status."""

    def __init__(self, alter: Callable[[Object], Object]) -> None:
        self.alter = alter
        self.raw: Object = stored(SERVER, version=10)
        #: What the watch is about to bring.
        self.events: deque[Object] = deque()
        self.writes = 0
        self.intake = Intake(Cache(), KeyedQueue(), now=lambda: NOW)
        self.intake.seen(SERVER.kind, self.raw)
        self.intake.release()
        bucket = TokenBucket(1e6, 1e6)
        self.writer = Writer(self, self.intake, bucket, Metrics(), lambda: NOW)

    def changed(self, **changes: Any) -> None:
        """Anybody writes."""
        metadata = {**self.raw["metadata"], **changes.pop("metadata", {})}
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        self.raw = {**self.raw, **changes, "metadata": metadata}
        self.events.append(self.raw)

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.raw

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if version != self.raw["metadata"]["resourceVersion"]:
            raise ApiError("PUT it", 409, "no")
        self.writes += 1
        self.changed(status=self.alter(dict(status)))
        return {"metadata": self.raw["metadata"]}

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        raise AssertionError("no event is due")

    def bring(self, *, echoes: bool) -> None:
        """The watch brings an event, which is not decoded where its version is known."""
        raw = self.events.popleft()
        cached = metadata_of(self.intake.cache.get(SERVER) or {})
        known = cached.get("resourceVersion") == raw["metadata"]["resourceVersion"]
        if echoes or not known:
            self.intake.seen(SERVER.kind, raw)

    async def work(self) -> None:
        """Evaluate as long as there is cause to: a verdict that others changed begins anew."""
        queue = self.intake.queue
        for _ in range(20):
            if not queue.waiting:
                return
            key = await queue.take()
            raw = self.intake.cache.get(key) or {}
            generation = int(metadata_of(raw)["generation"])
            stands = next(iter(conditions_of(raw)), {})
            kept = stands.get("status") == "True" and str(stands["lastTransitionTime"])
            condition = Condition(
                type=ConditionType.READY,
                status=ConditionStatus.TRUE,
                observed_generation=generation,
                last_transition_time=kept or f"2026-01-01T00:00:{next(_written) % 60:02}Z",
                reason="Succeeded",
                message="",
            )
            wanted = MailServerStatus(observed_generation=generation, conditions=(condition,))
            evaluated = Evaluated(key, "uid-1", generation, timedelta(minutes=15))
            await self.writer.write(evaluated, wanted)
            queue.done(key)
        raise AssertionError("without end")


ACTIONS = st.sampled_from(["read", "pass over", "read", "pass over", "touch", "edit", "routine"])


@pytest.mark.parametrize("alteration", ALTERATIONS)
@settings(max_examples=60)
@given(actions=st.lists(ACTIONS, max_size=40))
@example(actions=["touch", "pass over", "pass over"] * 10)
@example(actions=["touch", "read", "read"] * 10)
def test_nothing_is_written_but_for_what_others_do(alteration: str, actions: list[str]) -> None:
    async def perform() -> None:
        cluster = Cluster(ALTERATIONS[alteration])
        await cluster.work()
        causes = 1
        for action in actions:
            match action:
                case "touch":
                    # `postroom deliver`, say, or whoever annotates it.
                    cluster.changed(status=cluster.alter(cluster.raw["status"]))
                    causes += 1
                case "edit":
                    generation = cluster.raw["metadata"]["generation"] + 1
                    cluster.changed(metadata={"generation": generation})
                    causes += 1
                case "routine":
                    cluster.intake.queue.add(SERVER)
                    causes += 1
                case _ if cluster.events:
                    cluster.bring(echoes=action == "read")
            await cluster.work()
            assert cluster.writes <= causes
        while cluster.events:
            cluster.bring(echoes=len(cluster.events) % 2 == 0)
            await cluster.work()
        assert cluster.writes <= causes

    run(perform())
