# SPDX-License-Identifier: Apache-2.0
"""A message on its way, step by step: announced, sent once, looked for, found or given up."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest

from postroom.api.account_messages import (
    MessageOutcome,
    MessageResult,
    MessageStep,
    SentMessage,
)
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, parse
from postroom.api.times import timestamp
from postroom.mail.round_trip.compose import Purpose
from postroom.reconcile.account.dependencies import find_dependencies
from postroom.reconcile.account.messages import flight
from postroom.reconcile.account.messages.correspondents import Correspondents, Obstacle, Receiver
from postroom.reconcile.account.messages.flight import Progress
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in.protocol_check import ProtocolCheck
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.account.messages.test_spending import sender
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, WELL
from unit.reconcile.message_worlds import BUSY, LOST, REFUSED, MessageWorld

TO = "support@example.com"
RECEIVER = Receiver(TO, sender())
BOTH = Correspondents(sender(), RECEIVER)
BLIND = Correspondents(sender(), None)
TEST = Purpose.SEND_TEST


class Desk:
    """One account whose messages are taken step by step, as status would be stored between them."""

    def __init__(self, **account: object) -> None:
        self.world, self.memory = MessageWorld(**account), Memory()
        policy = self.world.message_policy
        assert policy is not None
        policy.budgets.open(NOW - timedelta(hours=1))

    async def view(self) -> AccountView:
        resource = cast("EmailAccount", parse(ACCOUNT.kind, self.world.objects[ACCOUNT]))
        found = await find_dependencies(resource, self.world)
        check = ProtocolCheck(sender(), report=WELL)
        return AccountView(resource, found, check, check, self.world, self.memory)

    async def begun(self, parties: Correspondents = BOTH) -> Progress:
        return await flight.begin(TO, parties, await self.view())

    async def on(self, before: Progress, parties: Correspondents = BOTH) -> Progress:
        assert before.in_flight is not None
        return await flight.advance(before.in_flight, TEST, parties, await self.view())


async def test_it_is_announced_sent_found_and_removed() -> None:
    desk = Desk()
    announced = await desk.begun()
    assert (announced.announced, announced.sent, desk.world.office.sent) == (True, False, [])
    sent = await desk.on(announced)
    assert (sent.announced, sent.sent, sent.moved) == (False, True, True)
    assert len(desk.world.office.sent) == 1
    found = await desk.on(sent)
    assert found.result is not None
    assert found.result.outcome is MessageOutcome.DELIVERED
    assert len(desk.world.office.removed) == 1


async def test_what_was_announced_by_a_process_that_ended_is_never_sent_again() -> None:
    desk = Desk()
    announced = await desk.begun()
    desk.memory = Memory()
    policy = desk.world.message_policy
    assert policy is not None
    after = await desk.on(announced)
    assert desk.world.office.sent == []
    assert after.in_flight is not None
    assert (after.in_flight.step, after.in_flight.certain) == (MessageStep.SENT, False)


async def test_what_was_announced_and_never_stored_holds_up_nothing() -> None:
    desk = Desk()
    refused = await desk.begun()
    assert refused.announced
    assert flight.not_before(await desk.view()) == timedelta()
    again = await desk.begun()
    assert again.announced
    assert (await desk.on(again)).sent
    assert flight.not_before(await desk.view()) > timedelta(minutes=4)
    # Should the first have been stored all the same: one that nobody will send.
    late = await desk.on(refused)
    assert not late.sent and len(desk.world.office.sent) == 1


async def test_a_second_look_at_the_announcement_sends_nothing_more() -> None:
    desk = Desk()
    announced = await desk.begun()
    await desk.on(announced)
    again = await desk.on(announced)
    assert len(desk.world.office.sent) == 1
    assert again.in_flight is not None


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(REFUSED, MessageOutcome.FAILED), (BUSY, MessageOutcome.DEFERRED)],
)
async def test_a_server_that_does_not_take_it_ends_it(
    answer: object, outcome: MessageOutcome
) -> None:
    desk = Desk()
    desk.world.office.answer = answer  # type: ignore[assignment]
    ended = await desk.on(await desk.begun())
    assert ended.result is not None
    assert (ended.result.outcome, ended.sent, ended.in_flight) == (outcome, False, None)


@pytest.mark.parametrize(
    ("lost", "outcome"), [(False, MessageOutcome.ACCEPTED), (True, MessageOutcome.UNKNOWN)]
)
async def test_without_a_mailbox_the_servers_word_is_all_there_is(
    lost: bool, outcome: MessageOutcome
) -> None:
    desk = Desk()
    if lost:
        desk.world.office.answer = LOST
    ended = await desk.on(await desk.begun(BLIND), BLIND)
    assert ended.result is not None
    assert (ended.result.outcome, ended.sent) == (outcome, True)


async def test_what_does_not_arrive_is_looked_for_more_and_more_rarely_and_given_up() -> None:
    desk = Desk()
    desk.world.office.delivers_to = None
    step, waits = await desk.on(await desk.begun()), []
    for _ in range(40):
        if step.in_flight is None:
            break
        assert step.look_again is not None
        waits.append(step.look_again.total_seconds())
        desk.world.time += step.look_again
        step = await desk.on(step)
    assert step.result is not None
    assert step.result.outcome is MessageOutcome.NOT_DELIVERED
    assert waits == sorted(waits)
    assert (waits[0], waits[-1], sum(waits)) == (1.0, 60.0, pytest.approx(600, abs=60))


async def test_an_obstacle_is_why_nothing_is_begun() -> None:
    obstacle = Obstacle(Reason.AUTHENTICATION_REJECTED, "Nobody signs in.")
    hindered = await Desk().begun(Correspondents(obstacle, RECEIVER))
    assert hindered.result is not None
    assert hindered.result.reason == "AuthenticationRejected"
    view = await Desk().view()
    none = await flight.scheduled(None, TEST, Correspondents(obstacle, RECEIVER), timedelta(), view)
    assert none == Progress()


async def test_on_a_schedule_it_waits_for_its_time() -> None:
    view = await Desk().view()
    wait = timedelta(hours=1)
    assert (await flight.scheduled(None, TEST, BOTH, wait, view)).look_again == wait
    begun = await flight.scheduled(None, TEST, BOTH, timedelta(), view)
    assert begun.announced


async def test_one_under_way_holds_up_the_next() -> None:
    desk = Desk()
    assert flight.not_before(await desk.view()) == timedelta()
    announced = await desk.begun()
    assert announced.in_flight is not None
    told = announced.in_flight.model_dump(mode="json", by_alias=True, exclude_none=True)
    desk.world.objects[ACCOUNT]["status"] = {"lastTest": {"nonce": "n", "inFlight": told}}
    assert flight.not_before(await desk.view()) == timedelta(seconds=30)


async def test_what_went_out_is_noted_newest_first() -> None:
    desk = Desk()
    view = await desk.view()
    result = MessageResult(
        outcome=MessageOutcome.ACCEPTED,
        time=timestamp(NOW),
        recipient=TO,
        reason="Succeeded",
        message="Taken over.",
    )
    assert flight.noted(Progress(result=result), view) == {}
    noted = flight.noted(Progress(result=result, sent=True), view)
    assert noted["last_message_time"] == timestamp(desk.world.now())
    (recent,) = cast("list[SentMessage]", noted["recent_messages"])
    assert recent.recipient == TO
