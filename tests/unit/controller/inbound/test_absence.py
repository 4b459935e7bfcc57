# SPDX-License-Identifier: Apache-2.0
"""No verdict stands when nobody is at work, and none is taken from whoever is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from postroom.api.names import Key
from postroom.api.reasons import Reason
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.inbound.absence import Absence
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import status_of
from postroom.delivery import status
from postroom.delivery.contract import Progress
from unit.controller.inbound.statuses import (
    CURSOR,
    DELIVERING,
    StatusServer,
    account,
    condition_of,
)
from unit.controller.samples import ACCOUNT

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WORKER = "postroom-deliver"


class Leases(StatusServer):
    """An API server with Leases, of which one may be renewed."""

    renewed: int = 0
    there: bool = True
    forbidden: bool = False
    #: Accounts and Leases over which something breaks that is no answer of the API server's.
    breaking: frozenset[str] = frozenset()

    async def replace_status_as(
        self, manager: str, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if key.name in self.breaking:
            raise RuntimeError(key.name)
        return await super().replace_status_as(manager, key, version, status)

    async def lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        if name in self.breaking:
            raise RuntimeError(name)
        assert (namespace, name) == ("postroom-system", WORKER)
        if self.forbidden:
            raise ApiError("GET lease", 403, "forbidden")
        held = {"holderIdentity": "one", "renewTime": f"2026-11-29T12:00:{self.renewed:02}.0Z"}
        return {"spec": held} if self.there else None


class World:
    """An operator that looks each twenty seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.intake = Intake(Cache(), KeyedQueue())
        self.server = Leases(self.intake)
        bucket = TokenBucket(1000, 1000)
        self.absence = Absence(self.server, self.intake, bucket, lambda: NOW, lambda: self.seconds)

    async def pass_by(self, looks: int, *, renewing: bool = False) -> None:
        for _ in range(looks):
            await self.absence.look()
            self.seconds += 20
            self.server.renewed += renewing

    @property
    def condition(self) -> dict[str, Any] | None:
        return condition_of(self.intake)

    @property
    def verdict(self) -> str:
        found = self.condition or {}
        return f"{found.get('status')} {found.get('reason')}"

    @property
    def message(self) -> str:
        return str((self.condition or {}).get("message"))

    def written_by_worker(self, progress: Progress) -> dict[str, Any]:
        """What a process with a Lease makes of the condition that stands."""
        lease = f"postroom-system/{WORKER}"
        part = status.written(progress, "Service tickets", 1, self.condition, NOW, lease)
        found: dict[str, Any] = part["conditions"][0]
        return found


async def test_a_verdict_falls_when_the_lease_stands_still_and_all_else_stays() -> None:
    world = World()
    world.server.put(account(DELIVERING))
    before = status_of(world.intake.cache.get(ACCOUNT) or {})
    await world.pass_by(10, renewing=True)
    assert world.server.put_onto == []
    await world.pass_by(3)
    assert world.server.put_onto == []
    await world.pass_by(5)
    assert world.verdict == "Unknown WorkerAbsent" and WORKER in world.message
    assert status_of(world.intake.cache.get(ACCOUNT) or {})["inbound"] == before["inbound"]
    # Once, onto the very version that was seen.
    assert world.server.put_onto == ["1"]


@pytest.mark.parametrize("looks", [1, 3])
async def test_whoever_is_merely_late_is_left_alone(looks: int) -> None:
    world = World()
    world.server.put(account(DELIVERING))
    for _ in range(5):
        await world.pass_by(looks)
        world.server.renewed += 1
    assert world.server.put_onto == []


async def test_a_lease_that_is_gone_is_not_renewed() -> None:
    world = World()
    world.server.there = False
    world.server.put(account(DELIVERING))
    await world.pass_by(10)
    assert len(world.server.put_onto) == 1
    assert world.message.startswith("`postroom deliver` is not at work")


LEASELESS = [{}, {"worker": "postroom-deliver"}]


@pytest.mark.parametrize("names", LEASELESS)
async def test_who_names_no_lease_is_not_known_to_work(names: dict[str, str]) -> None:
    world = World()
    world.server.put(account({**DELIVERING, "inbound": {"cursors": [CURSOR], **names}}))
    await world.pass_by(10, renewing=True)
    assert (world.verdict, len(world.server.put_onto)) == ("Unknown WorkerUnknown", 1)
    # The process itself says the very same.
    before = world.condition
    assert status.written(Progress(), "a", 1, before, NOW)["conditions"] == [before]
    assert status.written(Progress(), "a", 1, None, NOW)["conditions"][0]["status"] == "Unknown"


async def test_a_lease_that_cannot_be_read_is_not_known_to_be_held_until_it_can() -> None:
    world = World()
    world.server.put(account(DELIVERING))
    world.server.forbidden = True
    await world.pass_by(3)
    assert world.server.put_onto == []
    await world.pass_by(7)
    assert (world.verdict, len(world.server.put_onto)) == ("Unknown WorkerUnknown", 1)
    # Whoever is at work leaves it so, and says what is wrong all the same.
    assert world.written_by_worker(Progress()) == world.condition
    away = Progress(reason=Reason.CONSUMER_UNAVAILABLE, message="m")
    assert world.written_by_worker(away)["reason"] == "ConsumerUnavailable"
    world.server.forbidden = False
    await world.pass_by(5, renewing=True)
    assert (world.verdict, len(world.server.put_onto)) == ("Unknown WorkerAbsent", 2)
    assert world.written_by_worker(Progress())["status"] == "True"


async def test_what_is_told_is_what_is_so_now_and_no_text_that_stands_is_read() -> None:
    world = World()
    world.server.put(account(DELIVERING))
    world.server.forbidden = True
    await world.pass_by(5)
    assert world.verdict == "Unknown WorkerUnknown"
    # It can be read, and is not renewed: first that nothing was said yet, then that nobody is.
    world.server.forbidden = False
    await world.pass_by(2)
    assert world.verdict == "Unknown WorkerAbsent" and "can be read" in world.message
    await world.pass_by(4)
    assert world.verdict == "Unknown WorkerAbsent" and "is not renewed" in world.message
    world.server.forbidden = True
    await world.pass_by(6)
    assert world.verdict == "Unknown WorkerUnknown"
    assert len(world.server.put_onto) == 4


@pytest.mark.parametrize("worker", [None, "postroom-system/postroom-deliver"])
async def test_what_an_earlier_operator_said_of_what_it_could_not_know_is_said_anew(
    worker: str | None,
) -> None:
    """It said `WorkerAbsent` of that, too."""
    earlier = {**DELIVERING["conditions"][0], "status": "Unknown", "reason": "WorkerAbsent"}
    earlier["message"] = "Whether `postroom deliver` is at work cannot be known: m."
    world = World()
    world.server.forbidden = True
    progress = {"cursors": [CURSOR], **({"worker": worker} if worker else {})}
    world.server.put(account({"conditions": [earlier], "inbound": progress}))
    await world.pass_by(1 if worker is None else 5)
    assert (world.verdict, len(world.server.put_onto)) == ("Unknown WorkerUnknown", 1)


async def test_what_is_wrong_stands_where_nobody_can_know_who_is_at_work() -> None:
    world = World()
    world.server.forbidden = True
    wrong = {**DELIVERING["conditions"][0], "status": "False", "reason": "ConsumerRejects"}
    world.server.put(account({**DELIVERING, "conditions": [wrong]}))
    await world.pass_by(10)
    assert world.server.put_onto == []


async def test_an_account_that_nobody_looks_at_says_so_in_two_minutes() -> None:
    world = World()
    world.server.put(account({}))
    await world.pass_by(6)
    assert world.condition is None
    await world.pass_by(5)
    assert (world.verdict, len(world.server.put_onto)) == ("Unknown WorkerAbsent", 1)
    await world.pass_by(5)
    assert (world.verdict, len(world.server.put_onto)) == ("Unknown WorkerAbsent", 1)


async def test_whoever_comes_back_meanwhile_wins() -> None:
    world = World()
    world.server.put(account(DELIVERING))
    await world.pass_by(3)
    # Written behind our back: what was seen is not what stands.
    world.server.change(seen=False)
    await world.pass_by(3)
    assert world.condition is not None and world.condition["reason"] == "Delivering"


async def test_accounts_that_hand_nothing_over_are_none_of_ours() -> None:
    world = World()
    raw = account(DELIVERING)
    del raw["spec"]["inbound"]
    world.server.put(raw)
    await world.pass_by(10)
    assert world.server.put_onto == []


async def test_a_shard_speaks_for_its_own_accounts_alone() -> None:
    """Two that both did would each count the other's write as news."""
    world = World()
    world.intake.queue.admits = lambda key: False
    world.server.put(account(DELIVERING))
    await world.pass_by(10)
    assert world.server.put_onto == []
    world.intake.queue.admits = lambda key: True
    await world.pass_by(10)
    assert len(world.server.put_onto) == 1


def _named(name: str, of: Mapping[str, Any]) -> tuple[Key, dict[str, Any]]:
    key, raw = ACCOUNT._replace(name=name), account(of, uid=f"uid-{name}")
    raw["metadata"]["name"] = name
    return key, raw


async def test_an_account_over_which_something_breaks_is_the_only_one_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, erred = World(), list[str]()
    world.absence.erred = lambda: erred.append("")
    keys = []
    for name in ("a", "broken", "z"):
        key, raw = _named(name, {})
        world.server.put(raw, key)
        keys.append(key)
    world.server.breaking = frozenset({"broken"})
    await world.pass_by(7)
    told = [status.condition_in(status_of(world.intake.cache.get(key) or {})) for key in keys]
    assert [each is not None for each in told] == [True, False, True]
    assert len(erred) == 1 and "RuntimeError: broken" in caplog.text
    # It is no two minutes more once nothing breaks.
    world.server.breaking = frozenset()
    await world.pass_by(1)
    assert status.condition_in(status_of(world.intake.cache.get(keys[1]) or {})) is not None


async def test_a_lease_over_which_something_breaks_tells_nothing_and_holds_no_other_up() -> None:
    world, erred = World(), list[str]()
    world.absence.erred = lambda: erred.append("")
    broken = {**DELIVERING["inbound"], "worker": "elsewhere/broken"}
    key, raw = _named("beside", {**DELIVERING, "inbound": broken})
    world.server.put(raw, key)
    world.server.put(account(DELIVERING))
    world.server.breaking = frozenset({"broken"})
    await world.pass_by(5)
    assert world.verdict == "Unknown WorkerAbsent"
    beside = status.condition_in(status_of(world.intake.cache.get(key) or {})) or {}
    assert (beside["reason"], len(erred)) == ("Delivering", 5)
