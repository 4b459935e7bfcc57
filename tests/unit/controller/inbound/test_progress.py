# SPDX-License-Identifier: Apache-2.0
"""How often progress is written, and that none of it is lost on the way."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.cache import Cache
from postroom.controller.inbound.progress import InboundStatus
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import status_of
from postroom.delivery import status
from postroom.delivery.contract import Progress
from unit.controller.inbound.statuses import DELIVERING, StatusServer, account, condition_of
from unit.controller.samples import ACCOUNT

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WORKER = "postroom-system/postroom-deliver"
APPLICATION = "Service tickets"


class World:
    """A worker whose clock is turned by hand."""

    def __init__(self, of: dict[str, Any] = DELIVERING) -> None:
        self.seconds = 1000.0
        self.intake = Intake(Cache(), KeyedQueue())
        self.server = StatusServer(self.intake)
        bucket = TokenBucket(1000, 1000)
        self.told = InboundStatus(
            self.server, self.intake, bucket, lambda: NOW, lambda: self.seconds, WORKER
        )
        self.server.put(account(of))
        self.progress, self.generation = status.read(of), 1

    def tell(self, **changed: Any) -> None:
        self.progress = replace(self.progress, **changed)
        self.told.tell(ACCOUNT, "uid-1", APPLICATION, self.progress, self.generation)

    def patch(self) -> None:
        """Somebody writes another spec."""
        self.generation += 1
        raw = self.server.objects[ACCOUNT]
        self.server.change(metadata={**raw["metadata"], "generation": self.generation})

    def deliver(self, uid: int) -> None:
        cursor = self.progress.cursors["INBOX"].past(uid, NOW)
        self.tell(cursors={"INBOX": cursor}, delivered_at=NOW, **GOOD)

    async def let_write(self) -> None:
        """Have written what is due."""
        running = asyncio.create_task(self.told.run())
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def seconds_later(self, seconds: float) -> None:
        self.seconds += seconds
        await self.let_write()

    @property
    def writes(self) -> int:
        return len(self.server.put_onto)

    @property
    def uid(self) -> int:
        found: int = status_of(self.server.objects[ACCOUNT])["inbound"]["cursors"][0]["uid"]
        return found

    @property
    def reason(self) -> str:
        found = condition_of(self.intake)
        assert found is not None
        return str(found["reason"])


GOOD: dict[str, Any] = {"reason": None, "message": "", "sure": True}
AWAY = {"reason": Reason.CONSUMER_UNAVAILABLE, "message": "m", "sure": True}


async def test_a_busy_account_is_written_once_a_minute() -> None:
    world = World()
    for second in range(600):
        world.deliver(6 + second)
        await world.seconds_later(1)
    assert world.writes == 10 and world.uid > 540
    await world.told.flush()
    assert world.uid == 605


async def test_nothing_is_written_at_rest_whoever_asks() -> None:
    world = World()
    for _ in range(100):
        world.tell()
        await world.seconds_later(300)
    await world.told.flush()
    assert world.writes == 0


async def test_a_verdict_that_changes_goes_ahead_and_is_made_up_for() -> None:
    world = World()
    world.deliver(6)
    await world.let_write()
    world.tell(**AWAY)
    await world.let_write()
    assert (world.writes, world.reason) == (2, "ConsumerUnavailable")
    # One that flaps is written no more often than others, in the long run.
    for second in range(600):
        world.tell(**(AWAY if second % 2 else GOOD), waiting=second)
        await world.seconds_later(1)
    assert world.writes <= 10 + 3
    world.tell(**GOOD)
    await world.told.flush()
    assert world.reason == "Delivering"


@pytest.mark.parametrize("is_good", [True, False])
async def test_the_first_verdict_of_a_spec_waits_for_nothing(is_good: bool) -> None:
    world = World()
    for second in range(600):
        world.tell(**(AWAY if second % 2 else GOOD), waiting=second)
        await world.seconds_later(1)
    for _ in range(8):
        world.patch()
        world.tell(**(GOOD if is_good else AWAY))
        await world.let_write()
        found = condition_of(world.intake)
        assert found is not None
        assert (found["observedGeneration"], found["status"]) == (world.generation, str(is_good))
    # However many there were, cursors are written within minutes again.
    world.deliver(99)
    await world.seconds_later(180)
    assert world.uid == 99


async def test_what_is_about_to_be_known_holds_up_no_verdict_that_follows() -> None:
    world = World()
    world.patch()
    world.tell(reason=Reason.PROGRESSING, message="m", sure=False)
    await world.let_write()
    assert world.writes == 0
    await world.seconds_later(5)
    assert (world.writes, world.reason) == (1, "Progressing")
    world.tell(**AWAY)
    await world.let_write()
    assert (world.writes, world.reason) == (2, "ConsumerUnavailable")


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 90)), max_size=60
    )
)
def test_whatever_happens_the_bound_holds_and_the_last_word_is_kept(
    told: list[tuple[bool, bool, bool, int]],
) -> None:
    async def happen() -> None:
        world = World()
        begun = world.seconds
        for uid, (is_patched, is_good, fails, pause) in enumerate(told, 6):
            world.server.faults = [503] if fails else []
            if is_patched:
                world.patch()
            if is_good:
                world.deliver(uid)
            else:
                world.tell(**AWAY)
            await world.seconds_later(pause)
            assert world.writes <= 3 + world.generation - 1 + (world.seconds - begun) / 60
        world.server.faults = []
        await world.told.flush()
        assert world.uid == world.progress.cursors["INBOX"].uid
        assert (world.reason == "Delivering") == (world.progress.reason is None)

    asyncio.run(happen())


@pytest.mark.parametrize(
    ("code", "seconds"), [(0, 10), (429, 10), (500, 10), (413, 300), (422, 300)]
)
async def test_a_write_that_fails_is_repeated_with_what_is_newest(code: int, seconds: int) -> None:
    world = World()
    world.server.faults = [code]
    world.deliver(6)
    await world.let_write()
    assert world.writes == 0
    world.deliver(7)
    await world.seconds_later(seconds - 1)
    await world.seconds_later(2)
    assert (world.writes, world.uid) == (1, 7)


@pytest.mark.parametrize(("goes", "result"), [(False, "invalid"), (True, "gone")])
async def test_nothing_was_refused_to_what_went_before_the_answer(goes: bool, result: str) -> None:
    world, told = World(), list[str]()
    world.told.wrote = lambda key, result: told.append(result.value)
    put = world.server.replace_status_as

    async def refused(*given: Any) -> Mapping[str, Any]:
        world.server.faults = [422]
        if goes:
            world.intake.gone(ACCOUNT)
        return await put(*given)

    world.server.replace_status_as = refused  # type: ignore[method-assign]
    world.deliver(6)
    await world.let_write()
    assert told == [result]


async def test_an_object_that_was_made_anew_gets_nothing_of_the_old_one() -> None:
    world = World()
    world.deliver(99)
    # The watch is late: we still believe in the old one, and the API server does not.
    world.server.put(account({}, uid="uid-2", version=7), seen=False)
    await world.let_write()
    assert world.writes == 0
    world.intake.seen(Kind.EMAIL_ACCOUNT, world.server.objects[ACCOUNT])
    await world.seconds_later(300)
    await world.told.flush()
    assert world.writes == 0 and world.told.pending(ACCOUNT, "uid-2") is None


async def test_one_that_is_gone_is_forgotten() -> None:
    world = World()
    world.deliver(99)
    world.server.objects.clear()
    await world.let_write()
    world.intake.gone(ACCOUNT)
    await world.seconds_later(300)
    await world.told.flush()
    assert world.writes == 0


async def test_one_that_is_deleted_while_it_is_written_is_not_there_again() -> None:
    world = World()
    world.deliver(6)
    put = world.server.replace_status_as

    async def late(*args: Any) -> Mapping[str, Any]:
        answer = await put(*args)
        world.intake.gone(ACCOUNT)  # the watch is faster than the answer
        world.told.forget(ACCOUNT)
        return answer

    world.server.replace_status_as = late  # type: ignore[method-assign]
    await world.let_write()
    assert (world.writes, ACCOUNT in world.intake.cache) == (1, False)
    # Nor does the next one of that name make up for what was written of it.
    world.server.replace_status_as = put  # type: ignore[method-assign]
    world.server.put(account(DELIVERING, uid="uid-2"))
    later = world.progress.cursors["INBOX"].past(7, NOW)
    world.told.tell(
        ACCOUNT, "uid-2", APPLICATION, replace(world.progress, cursors={"INBOX": later})
    )
    await world.let_write()
    assert (world.writes, world.uid) == (2, 7)


async def test_what_is_no_longer_said_is_taken_away() -> None:
    world = World()
    world.told.tell(ACCOUNT, "uid-1", "", None)
    await world.let_write()
    assert world.writes == 1 and condition_of(world.intake) is None
    world.told.tell(ACCOUNT, "uid-1", "", None)
    await world.seconds_later(300)
    assert world.writes == 1


async def test_what_the_operator_writes_meanwhile_reaches_whoever_works_by_it() -> None:
    world = World()
    world.intake.release()
    await world.let_write()
    while world.intake.queue.waiting:
        world.intake.queue.done(await world.intake.queue.take())
    ready = {"type": "IMAPAuthenticated", "status": "True", "reason": "ProbeSucceeded"}
    raw = world.server.objects[ACCOUNT]
    conditions = [ready, *raw["status"]["conditions"]]
    # We learn of it by our own write, which is refused.
    world.server.change(seen=False, status={**raw["status"], "conditions": conditions})
    world.deliver(6)
    await world.let_write()
    assert world.writes == 1 and world.intake.queue.waiting == 1


async def test_a_write_that_is_cancelled_is_not_lost() -> None:
    world = World()
    asked = asyncio.Event()

    async def hang(*_: Any) -> Any:
        asked.set()
        await asyncio.Event().wait()

    put, world.server.replace_status_as = world.server.replace_status_as, hang  # type: ignore[method-assign]
    world.deliver(6)
    running = asyncio.create_task(world.told.run())
    await asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    world.server.replace_status_as = put  # type: ignore[method-assign]
    await world.told.flush()
    assert world.uid == 6


async def test_one_namespace_keeps_no_other_waiting() -> None:
    world = World()
    other = Key(Kind.EMAIL_ACCOUNT, "other", "support")
    raw = account(DELIVERING)
    raw["metadata"]["namespace"] = "other"
    world.server.put(raw, other)
    put = world.server.replace_status_as

    async def hang(manager: str, key: Key, *asked: Any) -> Any:
        if key == ACCOUNT:
            await asyncio.Event().wait()
        return await put(manager, key, *asked)

    world.server.replace_status_as = hang  # type: ignore[method-assign]
    world.deliver(6)
    world.told.tell(other, "uid-1", APPLICATION, Progress(world.progress.cursors, waiting=3), 1)
    await world.let_write()
    assert world.writes == 1
    world.told.tell(other, "uid-1", APPLICATION, Progress(world.progress.cursors, waiting=4), 1)
    await world.seconds_later(61)
    assert world.writes == 2


@pytest.mark.parametrize("code", [404, 409])
async def test_what_others_change_meanwhile_is_looked_at_anew(code: int) -> None:
    world = World()
    world.server.faults = [code, code]
    world.server.change(seen=False, spec={**world.server.objects[ACCOUNT]["spec"], "purpose": "x"})
    world.deliver(6)
    await world.let_write()
    assert (world.writes, world.uid) == (1, 6)
    # One that loses every race is not tried for ever.
    world.server.faults = [code] * 9
    world.deliver(7)
    await world.seconds_later(61)
    assert world.writes == 1 and len(world.server.faults) == 5


async def test_a_verdict_is_of_the_spec_that_it_was_found_by() -> None:
    world = World()
    world.tell(**AWAY)
    raw = world.server.objects[ACCOUNT]
    world.server.change(metadata={**raw["metadata"], "generation": 2})
    await world.let_write()
    found = condition_of(world.intake)
    assert found is not None
    assert (found["reason"], found["observedGeneration"]) == ("ConsumerUnavailable", 1)


async def test_where_a_mailbox_begins_is_written_when_asked_and_only_then_stored() -> None:
    world = World({})
    world.progress = status.read(DELIVERING)
    world.tell()
    world.server.faults = [503]
    assert not await world.told.stored(ACCOUNT, "uid-1", "INBOX")
    assert world.writes == 0
    assert await world.told.stored(ACCOUNT, "uid-1", "INBOX")
    assert await world.told.stored(ACCOUNT, "uid-1", "INBOX")
    assert not await world.told.stored(ACCOUNT, "uid-2", "INBOX")
    assert not await world.told.stored(ACCOUNT, "uid-1", "Other")
    assert (world.writes, world.uid) == (1, 5)
