# SPDX-License-Identifier: Apache-2.0
"""The operator and `postroom deliver` write one status, whole, at the same time: neither loses what
the other wrote, whoever's watch is late and whatever answers are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, place
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key
from postroom.api.profile import AIBehavior, InboundAISettings
from postroom.api.profile import InboundStatus as Inbound
from postroom.api.reasons import Reason
from postroom.concurrency.backoff import Backoff
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
OPERATOR, DELIVER = "operator", "deliver"
#: What an answer may be in the place of the API server's own: lost after the write, or none at all.
LOST, BUSY = "lost", "busy"


@dataclass
class Server:
    """One account, at an API server that hands out and takes requests in turns."""

    raw: dict[str, Any]
    #: By who sent them: what happens to the next requests, and how many turns each waits.
    faults: dict[str, list[str]] = field(default_factory=lambda: {OPERATOR: [], DELIVER: []})
    turns: list[int] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=lambda: {OPERATOR: 0, DELIVER: 0})
    refused: dict[str, int] = field(default_factory=lambda: {OPERATOR: 0, DELIVER: 0})
    #: Writes that were not as the other's part stood.
    lost: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    #: By whose they are: what the watch has not shown yet.
    unseen: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {OPERATOR: [], DELIVER: []}
    )

    async def turn(self) -> None:
        for _ in range(self.turns.pop() if self.turns else 0):
            await asyncio.sleep(0)

    async def put(self, who: str, version: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
        fault = self.faults[who].pop(0) if self.faults[who] else None
        await self.turn()
        if fault == BUSY:
            raise ApiError("PUT", 503, "busy")
        if version != self.raw["metadata"]["resourceVersion"]:
            self.refused[who] += 1
            raise ApiError("PUT", 409, "conflict")
        stood = status_of(self.raw)
        of_the_other = without_delivery if who == DELIVER else status.part_of
        if of_the_other(told) != of_the_other(stood):
            self.lost.append((who, told))
        self.accepted[who] += 1
        metadata = {**self.raw["metadata"], "resourceVersion": str(int(version) + 1)}
        self.raw = {**self.raw, "metadata": metadata, "status": dict(told)}
        for shown in self.unseen.values():
            shown.append(self.raw)
        answer = self.raw
        await self.turn()
        if fault == LOST:
            raise ApiError("PUT", 0, "lost")
        return answer


@dataclass
class Client:
    """A process' way to the server."""

    server: Server
    who: str

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        await self.server.turn()
        return self.server.raw

    async def replace_status(
        self, key: Key, version: str, told: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return {"metadata": (await self.server.put(self.who, version, told))["metadata"]}

    async def replace_status_as(
        self, manager: str, key: Key, version: str, told: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return await self.server.put(self.who, version, told)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        raise AssertionError("no event is due")


class World:
    """Both processes, each with what it has seen."""

    def __init__(self) -> None:
        self.server = Server(account(DELIVERING))
        self.intakes = {who: Intake(Cache(), KeyedQueue()) for who in (OPERATOR, DELIVER)}
        for intake in self.intakes.values():
            intake.seen(ACCOUNT.kind, self.server.raw)
        self.seconds = 1000.0
        bucket = TokenBucket(1e6, 1e6)
        self.writer = Writer(
            Client(self.server, OPERATOR),
            self.intakes[OPERATOR],
            bucket,
            Metrics(),
            lambda: NOW,
            Backoff(floor=0, base=0, draw=lambda: 1),
        )
        self.told = InboundStatus(
            Client(self.server, DELIVER),
            self.intakes[DELIVER],
            bucket,
            lambda: NOW,
            lambda: self.seconds,
            "postroom-system/postroom-deliver",
        )
        self.progress = status.read(DELIVERING)
        self.verdict = 0

    async def judge(self, number: int) -> None:
        """The operator finds something, and writes it."""
        self.verdict = number
        message = f"verdict {number}"
        ready = Verdict(
            type=ConditionType.READY,
            status=ConditionStatus.TRUE,
            reason=Reason.SUCCEEDED,
            message=message,
        )
        behavior = list(AIBehavior)[number % len(AIBehavior)]
        found = EmailAccountStatus(
            observed_generation=1,
            conditions=place([ready], (), 1, "2026-11-29T12:00:00Z"),
            inbound=Inbound(ai=InboundAISettings(enabled=True, behavior=behavior)),
        )
        await self.writer.write(Evaluated(ACCOUNT, "uid-1", 1, timedelta(minutes=5)), found)

    async def deliver(self, number: int) -> None:
        """Mail is handed over, and that is due."""
        cursor = self.progress.cursors["INBOX"].past(number, NOW)
        self.progress = replace(self.progress, cursors={"INBOX": cursor}, delivered_at=NOW)
        self.told.tell(ACCOUNT, "uid-1", "Service tickets", self.progress, 1)
        await self.told.flush()

    async def watch(self, who: str) -> None:
        """The watch of one of them shows what it has not shown yet."""
        shown = self.server.unseen[who]
        while shown:
            self.intakes[who].seen(ACCOUNT.kind, shown.pop(0))
            await asyncio.sleep(0)


STEPS = st.lists(
    st.lists(
        st.sampled_from(["judge", "deliver", f"watch {OPERATOR}", f"watch {DELIVER}"]),
        min_size=1,
        max_size=4,
    ),
    max_size=12,
)
FAULTS = st.lists(st.sampled_from([LOST, BUSY, ""]), max_size=8)


@given(STEPS, FAULTS, FAULTS, st.lists(st.integers(0, 6), max_size=60))
def test_neither_loses_what_the_other_wrote(
    steps: list[list[str]], operators: list[str], delivers: list[str], turns: list[int]
) -> None:
    async def happen() -> None:
        world = World()
        world.server.faults = {OPERATOR: list(operators), DELIVER: list(delivers)}
        world.server.turns = list(turns)
        numbers = iter(range(6, 100))

        def begun(step: str) -> Awaitable[None]:
            verb, _, who = step.partition(" ")
            does: dict[str, Callable[[], Awaitable[None]]] = {
                "judge": lambda: world.judge(next(numbers)),
                "deliver": lambda: world.deliver(next(numbers)),
                "watch": lambda: world.watch(who),
            }
            return does[verb]()

        for together in steps:
            await asyncio.gather(*map(begun, together))
        # What was refused is written once there is nothing in the way.
        world.server.faults = {OPERATOR: [], DELIVER: []}
        await world.told.flush()
        await world.judge(world.verdict)
        await world.told.flush()
        assert world.server.lost == []
        stands = status_of(world.server.raw)
        ready = next(each for each in stands["conditions"] if each["type"] == "Ready")
        assert ready["message"] == f"verdict {world.verdict}"
        assert stands["inbound"]["ai"]["enabled"] is True
        assert stands["inbound"]["cursors"][0]["uid"] == world.progress.cursors["INBOX"].uid
        # Each write has another one refused once at most: both look anew then.
        both = sum(world.server.accepted.values())
        for who, refused in world.server.refused.items():
            at_a_time = max((together.count("judge") for together in steps), default=1)
            assert refused <= both * max(at_a_time if who == OPERATOR else 1, 1), who

    asyncio.run(happen())
