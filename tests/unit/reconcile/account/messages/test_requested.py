# SPDX-License-Identifier: Apache-2.0
"""The test message that an annotation asks for: at most one, through crashes and old views, only to
whom it may go, and what status says until it is found."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import pytest

from postroom.api.account_messages import LastTest, MessageOutcome, MessageStep
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.reasons import Reason
from postroom.mail.round_trip.compose import compose
from postroom.reconcile.world import MessagePolicy
from unit.reconcile.assessments import Stored
from unit.reconcile.mail_worlds import ACCOUNT
from unit.reconcile.mail_worlds import REFUSED as REJECTED
from unit.reconcile.message_worlds import (
    BUSY,
    JUNK,
    LOST,
    REFUSED,
    MessageWorld,
    from_another,
)


def last(status: EmailAccountStatus) -> LastTest:
    assert status.last_test is not None
    return status.last_test


def outcome(status: EmailAccountStatus) -> tuple[MessageOutcome, str]:
    result = last(status).result
    assert result is not None
    return result.outcome, result.reason


def waiting(status: EmailAccountStatus) -> list[str]:
    return [finding.subject for finding in status.findings if finding.code == "MESSAGE_WAITS"]


async def asked(world: MessageWorld, **annotations: str) -> EmailAccountStatus:
    """Ask for a test, and let it be announced."""
    await world.ready()
    world.ask(send_test="one", **annotations)
    return await world.run()


async def test_it_is_announced_before_it_is_sent() -> None:
    world = MessageWorld()
    status = await asked(world)
    flight = last(status).in_flight
    assert flight is not None and flight.step is MessageStep.SENDING
    assert world.office.sent == []


async def test_it_is_sent_found_and_removed() -> None:
    world = MessageWorld()
    await asked(world)
    status = await world.run()
    assert last(status).in_flight is not None
    assert status.last_message_time is not None
    status = await world.run()
    assert outcome(status) == (MessageOutcome.DELIVERED, "Delivered")
    assert last(status).in_flight is None
    assert len(world.office.sent) == len(world.office.removed) == 1


async def test_the_same_value_sends_nothing_more() -> None:
    world = MessageWorld()
    await asked(world)
    await world.run(times=30, seconds=60)
    assert len(world.office.sent) == 1


async def test_the_same_value_sends_nothing_more_after_a_newer_version_was_at_work() -> None:
    """Who goes back to an earlier one finds fields and conditions that it does not know."""
    world = MessageWorld()
    await asked(world)
    await world.run(times=4)
    stored = world.objects[ACCOUNT]["status"]
    future = {**stored["conditions"][0], "type": "Future"}
    test = {**stored["lastTest"], "future": True}
    changed = {"conditions": [*stored["conditions"], future], "lastTest": test, "future": 1}
    world.objects[ACCOUNT]["status"] = Stored({**stored, **changed})
    world.restart()
    status = await world.run(times=30, seconds=60)
    assert len(world.office.sent) == 1
    assert outcome(status) == (MessageOutcome.DELIVERED, "Delivered")


async def test_another_value_sends_another_one() -> None:
    world = MessageWorld()
    await asked(world)
    await world.run(times=4)
    world.ask(send_test="two")
    status = await world.run(seconds=400, times=4)
    assert (last(status).nonce, len(world.office.sent)) == ("two", 2)


async def test_one_in_five_minutes() -> None:
    world = MessageWorld()
    await asked(world)
    await world.run(times=4)
    assert waiting(status := await world.run()) == []
    assert [message.recipient for message in status.recent_messages] == ["support@example.com"]
    world.ask(send_test="two")
    status = await world.run(times=4)
    assert (last(status).nonce, len(world.office.sent)) == ("one", 1)
    assert waiting(status) == ["sendTest"], "who asked is told that it is only not yet its turn"
    await world.run(seconds=301)
    status = await world.run(times=3)
    assert last(status).nonce == "two"
    assert waiting(status) == []
    assert len(world.office.sent) == len(status.recent_messages) == 2


async def test_a_refused_test_leaves_what_was_sent_before() -> None:
    world = MessageWorld()
    await asked(world)
    await world.run(times=4)
    world.ask(send_test="two", send_test_to="victim@elsewhere.example")
    status = await world.run()
    assert outcome(status) == (MessageOutcome.FAILED, "RecipientNotAllowed")
    assert [message.recipient for message in status.recent_messages] == ["support@example.com"]


async def test_after_a_crash_before_sending_it_is_not_sent() -> None:
    world = MessageWorld(imap=None, credentialsRef={"name": "login"})
    await asked(world)
    world.restart()
    status = await world.run()
    assert outcome(status) == (MessageOutcome.UNKNOWN, "MessageUnconfirmed")
    await world.run(seconds=700, times=3)
    assert world.office.sent == []


async def test_after_a_crash_while_sending_it_is_looked_for() -> None:
    world = MessageWorld()
    stored = (await asked(world)).model_dump(mode="json", by_alias=True, exclude_none=True)
    await world.run()
    # The process died before the next status was stored.
    world.objects[ACCOUNT]["status"] = stored
    world.restart()
    status = await world.run(times=2)
    assert outcome(status) == (MessageOutcome.DELIVERED, "Delivered")
    assert len(world.office.sent) == 1


async def test_an_old_view_of_status_sends_nothing() -> None:
    world = MessageWorld()
    stored = (await asked(world)).model_dump(mode="json", by_alias=True, exclude_none=True)
    await world.run()
    world.objects[ACCOUNT]["status"] = stored
    await world.run(times=3)
    assert len(world.office.sent) == 1


async def test_a_lost_answer_is_unknown_unless_the_message_arrives() -> None:
    world = MessageWorld()
    world.office.answer, world.office.delivers_to = LOST, None
    await asked(world)
    status = await world.run(times=3)
    assert last(status).in_flight is not None
    status = await world.run(seconds=700)
    assert outcome(status) == (MessageOutcome.UNKNOWN, "MessageUnconfirmed")
    assert len(world.office.sent) == 1


async def test_a_message_that_does_not_arrive_is_given_up() -> None:
    world = MessageWorld()
    world.office.delivers_to = None
    await asked(world)
    await world.run(times=3)
    status = await world.run(seconds=700)
    assert outcome(status) == (MessageOutcome.NOT_DELIVERED, "NotDelivered")


async def test_a_refused_message_is_no_success() -> None:
    world = MessageWorld()
    world.office.answer = REFUSED
    await asked(world)
    status = await world.run()
    assert outcome(status) == (MessageOutcome.FAILED, Reason.SENDER_NOT_AUTHORIZED.value)


async def test_spam_is_told() -> None:
    world = MessageWorld()
    world.office.delivers_to = JUNK
    await asked(world)
    status = await world.run(times=2)
    assert outcome(status)[0] is MessageOutcome.DELIVERED_TO_SPAM


async def test_another_sender_is_told() -> None:
    world = MessageWorld()
    world.office.rewrite = from_another
    await asked(world)
    status = await world.run(times=2)
    assert outcome(status) == (MessageOutcome.DELIVERED, "SenderRewritten")


@pytest.mark.parametrize("recipient", ["boss@elsewhere.example", "not an address"])
async def test_strangers_get_nothing(recipient: str) -> None:
    world = MessageWorld()
    status = await asked(world, send_test_to=recipient)
    assert outcome(status) == (MessageOutcome.FAILED, "RecipientNotAllowed")
    await world.run(times=3)
    assert world.office.sent == []


@pytest.mark.parametrize("allowed", ["ops@elsewhere.example", "@elsewhere.example"])
async def test_the_operator_may_allow_more(allowed: str) -> None:
    world = MessageWorld()
    world.message_policy = MessagePolicy((allowed,))
    await asked(world, send_test_to="ops@elsewhere.example")
    status = await world.run()
    assert outcome(status) == (MessageOutcome.ACCEPTED, "MessageAccepted")
    assert [one.recipient for one in world.office.sent] == ["ops@elsewhere.example"]


@pytest.mark.parametrize(
    "recipient",
    [
        "a@b.example>\r\nRCPT TO:<c@elsewhere.example",
        "a b@elsewhere.example",
        "=?utf-8?q?a?=@elsewhere.example",
        "a@b.example,c@elsewhere.example",
        "@elsewhere.example",
        "a\x85b@elsewhere.example",
    ],
)
async def test_what_is_no_address_gets_nothing_though_its_domain_may(recipient: str) -> None:
    world = MessageWorld()
    world.message_policy = MessagePolicy(("@elsewhere.example",))
    status = await asked(world, send_test_to=recipient)
    assert outcome(status) == (MessageOutcome.FAILED, "RecipientNotAllowed")
    await world.run(times=3)
    assert world.office.sent == []


async def test_a_message_that_would_say_something_else_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = MessageWorld(displayName="Support")
    await asked(world)
    broken = ("Support\r\nBcc: e@evil.example",)
    monkeypatch.setattr(sys.modules[compose.__module__], "phrase", lambda name: broken)
    status = await world.run()
    assert outcome(status) == (MessageOutcome.FAILED, "InvalidSpec")
    await world.run(times=3)
    assert world.office.sent == []


@pytest.mark.parametrize(
    "field", [{"recipient": "stranger@elsewhere.example"}, {"sender": "boss@example.com"},
              {"replyTo": "stranger@elsewhere.example"}, {"positions": []}]
)  # fmt: skip
async def test_whatever_is_made_of_an_announcement_what_was_asked_for_is_sent(
    field: dict[str, object],
) -> None:
    """Whoever may write a status may not say to whom, and from whom."""
    world = MessageWorld()
    announced = last(await asked(world)).in_flight
    assert announced is not None
    status = world.objects[ACCOUNT]["status"]
    test = {**status["lastTest"], "inFlight": {**status["lastTest"]["inFlight"], **field}}
    world.objects[ACCOUNT]["status"] = Stored({**status, "lastTest": test})
    found = last(await world.run()).in_flight
    assert found is not None
    (sent,) = world.office.sent
    assert (sent.sender, sent.recipient) == (announced.sender, announced.recipient)
    assert (found.recipient, found.reply_to) == (announced.recipient, announced.reply_to)
    assert outcome(await world.run()) == (MessageOutcome.DELIVERED, "Delivered")


async def test_identities_may_be_written_to() -> None:
    world = MessageWorld(identities=[{"address": "billing@example.com"}])
    await asked(world, send_test_to="billing@example.com")
    await world.run()
    assert [one.recipient for one in world.office.sent] == ["billing@example.com"]


async def test_an_account_without_credentials_sends_as_its_server() -> None:
    world = MessageWorld(credentialsRef=None, imap=None)
    await asked(world)
    status = await world.run()
    assert outcome(status)[0] is MessageOutcome.ACCEPTED


async def test_where_signing_in_fails_nothing_is_sent() -> None:
    world = MessageWorld()
    await world.ready()
    world.add_secret("login", version="2", username="support@example.com", password="wrong")
    world.office.refuses = {"wrong": REJECTED}
    world.ask(send_test="one")
    status = await world.run(seconds=60)
    assert outcome(status) == (MessageOutcome.FAILED, "AuthenticationRejected")
    assert world.office.sent == []


async def test_without_a_policy_nothing_is_said() -> None:
    world = MessageWorld()
    world.message_policy = None
    await world.ready()
    world.ask(send_test="one")
    status = await world.run(times=3)
    assert status.last_test is None
    assert world.office.sent == []


async def test_the_message_is_not_forgotten_by_other_looks() -> None:
    world = MessageWorld()
    world.office.delivers_to = None
    await asked(world)
    await world.run(times=2)
    status = await world.run(seconds=timedelta(minutes=5).total_seconds())
    assert last(status).in_flight is not None


async def test_a_run_that_is_cancelled_while_sending_sends_nothing_more() -> None:
    world = MessageWorld()
    await asked(world)
    world.office.hangs = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await world.run()
    world.office.hangs = False
    status = await world.run(times=3)
    assert outcome(status) == (MessageOutcome.DELIVERED, "Delivered")
    assert len(world.office.sent) == 1


async def test_a_server_that_is_busy_now_is_no_failure() -> None:
    world = MessageWorld()
    world.office.answer = BUSY
    await asked(world)
    status = await world.run()
    assert outcome(status) == (MessageOutcome.DEFERRED, "TemporaryFailure")


async def test_two_messages_do_not_go_out_together() -> None:
    world = MessageWorld(roundTrip={"enabled": True})
    await asked(world)
    status = await world.run(times=5)
    assert len(world.office.sent) == 1
    assert status.round_trip is not None and status.round_trip.in_flight is None
    await world.run(seconds=301)
    await world.run(times=4)
    assert len(world.office.sent) == 2
