# SPDX-License-Identifier: Apache-2.0
"""A test message that arrives, or comes back, after its result was told: for a day that is looked
for once an hour, it holds nothing else up, and it is never sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.api.account_messages import LastTest, MessageOutcome
from postroom.api.emailaccount_status import EmailAccountStatus
from unit.reconcile.message_worlds import INBOX, LOST, MessageWorld

HOUR = 3600.0


def last(status: EmailAccountStatus) -> LastTest:
    assert status.last_test is not None
    return status.last_test


def outcome(status: EmailAccountStatus) -> MessageOutcome:
    result = last(status).result
    assert result is not None
    return result.outcome


async def given_up(world: MessageWorld) -> EmailAccountStatus:
    """Have a test message taken over that does not arrive within ten minutes."""
    world.office.delivers_to = None
    await world.ready()
    world.ask(send_test="one")
    await world.run(times=3)
    return await world.run(seconds=700)


async def deliver(world: MessageWorld, subject: str | None = None) -> None:
    """Have the message arrive now; with a subject, a report on it by the server."""
    message = world.office.sent[0]
    world.office.delivers_to = INBOX
    await world.office.take(message)
    world.office.sent.pop()
    if subject is not None:
        arrived = world.office.arrived.pop()
        header = arrived.header.decode()
        (ours,) = [line for line in header.splitlines() if line.startswith("Message-ID:")]
        report = (
            f"From: MAILER-DAEMON@example.com\r\nSubject: {subject}\r\n"
            f"In-Reply-To:{ours.partition(':')[2]}\r\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n"
        )
        world.office.arrived.append(replace(arrived, header=report.encode()))


@pytest.mark.parametrize("lost", [False, True])
async def test_what_arrives_late_corrects_the_result(lost: bool) -> None:
    world = MessageWorld()
    world.office.answer = LOST if lost else world.office.answer
    status = await given_up(world)
    assert outcome(status) is (MessageOutcome.UNKNOWN if lost else MessageOutcome.NOT_DELIVERED)
    assert last(status).overdue is not None
    await deliver(world)
    status = await world.run(seconds=HOUR)
    assert (outcome(status), last(status).overdue) == (MessageOutcome.DELIVERED, None)
    assert (len(world.office.sent), len(world.office.removed)) == (1, 1)


async def test_what_comes_back_late_is_told() -> None:
    world = MessageWorld()
    await given_up(world)
    await deliver(world, "Undelivered Mail Returned to Sender")
    status = await world.run(seconds=HOUR)
    result = last(status).result
    assert result is not None and "came back" in result.message
    assert (outcome(status), last(status).overdue) == (MessageOutcome.NOT_DELIVERED, None)


async def test_a_server_that_still_tries_has_not_given_up() -> None:
    world = MessageWorld()
    await given_up(world)
    await deliver(world, "Delayed Mail (still being retried)")
    status = await world.run(seconds=HOUR)
    assert last(status).overdue is not None
    await deliver(world)
    assert outcome(await world.run(seconds=HOUR)) is MessageOutcome.DELIVERED


async def test_it_is_looked_for_once_an_hour_for_a_day() -> None:
    world = MessageWorld()
    await given_up(world)
    scans = world.office.scans
    await world.run(seconds=300, times=12 * 23)
    assert 22 <= world.office.scans - scans <= 24
    status = await world.run(seconds=HOUR, times=2)
    assert (outcome(status), last(status).overdue) == (MessageOutcome.NOT_DELIVERED, None)
    scans = world.office.scans
    await world.run(seconds=HOUR, times=10)
    assert world.office.scans == scans


async def test_a_restart_forgets_nothing_of_it_and_sends_nothing() -> None:
    world = MessageWorld()
    await given_up(world)
    world.restart()
    await deliver(world)
    assert outcome(await world.run(seconds=60)) is MessageOutcome.DELIVERED
    assert len(world.office.sent) == 1


async def test_the_next_one_need_not_wait_for_it() -> None:
    world = MessageWorld()
    await given_up(world)
    world.office.delivers_to = INBOX
    world.ask(send_test="two")
    await world.run(seconds=301)
    status = await world.run(times=3)
    assert (last(status).nonce, last(status).overdue) == ("two", None)
    assert outcome(status) is MessageOutcome.DELIVERED
    assert len(world.office.sent) == 2


async def test_one_that_arrived_leaves_nothing_behind() -> None:
    world = MessageWorld()
    await world.ready()
    world.ask(send_test="one")
    status = await world.run(times=4)
    assert (outcome(status), last(status).overdue) == (MessageOutcome.DELIVERED, None)
