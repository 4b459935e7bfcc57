# SPDX-License-Identifier: Apache-2.0
"""The round trip on a schedule: when it is sent, what the condition says, whom it goes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from postroom.api.account_messages import MessageOutcome
from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.mail.operations import OutgoingMessage, SendReport
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, message, verdict
from unit.reconcile.message_worlds import (
    BUSY,
    JUNK,
    REFUSED,
    TAKEN,
    MessageWorld,
    PostOffice,
    from_another,
    without,
)

ENABLED = {"enabled": True, "interval": "6h"}
HEALTHY = ConditionType.ROUND_TRIP_HEALTHY
HOURS = timedelta(hours=1).total_seconds()


async def through(world: MessageWorld) -> object:
    """Bring a world to the end of its first message."""
    await world.ready()
    return await world.run(times=4)


async def test_it_is_off_by_default() -> None:
    world = MessageWorld()
    status = await world.ready()
    status = await world.run(seconds=7 * HOURS, times=3)
    assert verdict(status, HEALTHY) is None
    assert world.office.sent == []


async def test_a_message_that_arrives_is_healthy() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    await through(world)
    status = await world.run()
    assert verdict(status, HEALTHY) == ("True", "Delivered")
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert len(world.office.sent) == len(world.office.removed) == 1


async def test_until_the_first_is_over_nothing_is_claimed() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    status = await world.ready()
    assert verdict(status, HEALTHY) == ("Unknown", "AwaitingMessage")


async def test_the_interval_is_kept() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    await through(world)
    await world.run(seconds=5 * HOURS)
    assert len(world.office.sent) == 1
    await world.run(seconds=2 * HOURS)
    await world.run(times=3)
    assert len(world.office.sent) == 2


async def test_a_restart_sends_nothing_before_its_time() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    await through(world)
    world.restart()
    await world.run(seconds=60, times=5)
    assert len(world.office.sent) == 1


async def test_a_message_that_does_not_arrive_is_a_failure() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    world.office.delivers_to = None
    await through(world)
    status = await world.run(seconds=700)
    assert verdict(status, HEALTHY) == ("False", "NotDelivered")
    assert verdict(status, ConditionType.READY) == ("False", "NotDelivered")


async def test_a_refused_message_is_a_failure() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    world.office.answer = REFUSED
    await world.ready()
    status = await world.run()
    assert verdict(status, HEALTHY) == ("False", "SenderNotAuthorized")


async def test_spam_is_a_warning() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    world.office.delivers_to = JUNK
    await through(world)
    status = await world.run()
    assert verdict(status, HEALTHY) == ("True", "DeliveredToSpam")
    assert "DELIVERED_TO_SPAM" in [finding.code for finding in status.findings]


async def test_without_a_mailbox_it_says_what_to_set() -> None:
    world = MessageWorld(roundTrip=ENABLED, imap=None)
    status = await world.ready()
    assert verdict(status, HEALTHY) == ("Unknown", "NotAttempted")
    assert "spec.roundTrip.receiverRef" in message(status, HEALTHY)
    assert world.office.sent == []


async def test_another_account_may_receive() -> None:
    world = MessageWorld(roundTrip={**ENABLED, "receiverRef": {"name": "peer"}}, imap=None)
    peer = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "peer")
    world.add(
        peer,
        address="peer@example.com",
        serverRef={"name": "smtp"},
        credentialsRef={"name": "login"},
        imap={"host": "imap.example.com"},
    )
    await world.ready()
    status = await world.run()
    assert verdict(status, HEALTHY) == ("Unknown", "NotAttempted")
    await world.look(peer)
    status = await world.run(times=4)
    assert [one.recipient for one in world.office.sent] == ["peer@example.com"]
    assert status.round_trip is not None and status.round_trip.result is not None
    assert status.round_trip.result.outcome is MessageOutcome.DELIVERED


async def test_a_receiver_that_is_disconnected_is_not_read_and_is_said() -> None:
    world = MessageWorld(roundTrip={**ENABLED, "receiverRef": {"name": "peer"}}, imap=None)
    peer = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "peer")
    spec = {
        "address": "peer@example.com",
        "serverRef": {"name": "smtp"},
        "credentialsRef": {"name": "login"},
        "imap": {"host": "imap.example.com"},
    }
    world.add(peer, **spec)
    await world.ready()
    await world.look(peer)
    status = await world.run(times=4)
    assert verdict(status, HEALTHY) == ("True", "Delivered")
    world.add(peer, **spec, connection="Disconnected")
    await world.look(peer)
    sent = len(world.office.sent)
    status = await world.run(seconds=7 * 3600, times=4)
    assert verdict(status, HEALTHY) == ("False", "ReceiverDisconnected")
    assert "EmailAccount peer" in message(status, HEALTHY)
    assert len(world.office.sent) == sent


async def test_nothing_is_sent_as_an_identity_that_is_turned_off() -> None:
    off = {"address": "billing@example.com", "enabled": False}
    world = MessageWorld(roundTrip=ENABLED, identities=[off])
    await through(world)
    for _ in range(3):
        await world.run(seconds=7 * 3600, times=5)
    senders = {sent.sender for sent in world.office.sent}
    assert len(senders) == 1
    assert "billing@example.com" not in senders


async def test_nothing_is_sent_as_an_identity_whose_domain_must_be_verified_and_is_not() -> None:
    other = {"address": "billing@other.example"}
    world = MessageWorld(roundTrip=ENABLED, identities=[other], domainPolicy="Required")
    own = Key(Kind.SENDING_DOMAIN, ACCOUNT.namespace, "own")
    world.add(own, domain="example.com")
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Succeeded",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-06-01T00:00:00Z",
    }
    world.objects[own]["status"] = {"observedGeneration": 1, "conditions": [condition]}
    await through(world)
    for _ in range(4):
        status = await world.run(seconds=7 * 3600, times=5)
    assert {sent.sender for sent in world.office.sent} == {"support@example.com"}
    assert len(world.office.sent) > 1, "the other's turn does not hold up the account's own"
    assert verdict(status, HEALTHY) == ("True", "Delivered")
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")


async def as_identity(world: MessageWorld, address: str) -> tuple[str, str | None]:
    """What status says of an identity after each sender had its turn."""
    await through(world)
    await world.run(seconds=301)
    status = await world.run(times=5)
    found = next(identity for identity in status.identities if identity.address == address)
    return found.state.value, found.method.value if found.method else None


async def test_identities_send_in_turn_and_are_verified_by_arrival() -> None:
    world = MessageWorld(roundTrip=ENABLED, identities=[{"address": "billing@example.com"}])
    assert await as_identity(world, "billing@example.com") == ("Verified", "RoundTrip")
    senders = [one.sender for one in world.office.sent]
    assert senders == ["support@example.com", "billing@example.com"]


async def test_an_identity_that_is_rewritten_is_rejected() -> None:
    world = MessageWorld(roundTrip=ENABLED, identities=[{"address": "billing@example.com"}])
    await through(world)
    world.office.rewrite = from_another
    assert await as_identity(world, "billing@example.com") == ("Rejected", "RoundTrip")
    status = await world.run()
    assert verdict(status, HEALTHY) == ("True", "Delivered")
    assert verdict(status, ConditionType.READY) == ("False", "IdentityRejected")


async def test_a_sender_that_is_gone_from_the_spec_is_forgotten() -> None:
    world = MessageWorld(roundTrip=ENABLED, identities=[{"address": "billing@example.com"}])
    await as_identity(world, "billing@example.com")
    world.add(ACCOUNT, **{**world.objects[ACCOUNT]["spec"], "identities": []})
    await world.run(seconds=7 * HOURS)
    status = await world.run(times=5)
    assert status.round_trip is not None and status.round_trip.senders == []


async def test_a_busy_server_keeps_the_verdict_and_is_tried_again_soon() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    await through(world)
    world.office.answer = BUSY
    await world.run(seconds=7 * HOURS)
    status = await world.run(times=2)
    assert verdict(status, HEALTHY) == ("True", "Delivered")
    assert status.round_trip is not None and status.round_trip.result is not None
    assert status.round_trip.result.outcome is MessageOutcome.DEFERRED
    assert len(world.office.sent) == 2
    await world.run(seconds=16 * 60)
    await world.run(times=2)
    assert len(world.office.sent) == 3


async def test_who_asks_after_a_failure_gets_another_message() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    world.office.answer = REFUSED
    await through(world)
    world.office.answer = TAKEN
    world.ask(requested_at="now")
    await world.run(seconds=301)
    status = await world.run(times=4)
    assert verdict(status, HEALTHY) == ("True", "Delivered")


async def test_the_reply_to_of_the_spec_must_arrive() -> None:
    world = MessageWorld(roundTrip={"enabled": True}, replyTo="help@example.com")
    world.office.rewrite = without("Reply-To")
    await world.ready()
    status = await world.run(times=4)
    assert "Reply-To: help@example.com" in world.office.sent[0].octets.decode()
    told = [finding for finding in status.findings if finding.subject == "roundTrip"]
    assert [finding.code for finding in told] == ["REPLY_TO_DROPPED"]
    assert told[0].fix is not None and "leave the field alone" in told[0].fix.instruction
    assert status.launch is not None
    states = {entry.item.value: entry.state.value for entry in status.launch.items}
    assert (states["ReplyAddress"], states["SendProven"]) == ("Open", "Done")


async def test_a_message_is_held_against_the_reply_to_that_it_was_sent_with() -> None:
    world = MessageWorld(roundTrip={"enabled": True}, replyTo="help@example.com")
    await world.ready()
    await world.run(times=2)
    assert len(world.office.sent) == 1
    world.add(ACCOUNT, **{**world.objects[ACCOUNT]["spec"], "replyTo": "other@example.com"})
    status = await world.run(times=2)
    assert status.round_trip is not None and status.round_trip.result is not None
    assert status.round_trip.result.warnings == []
    assert status.round_trip.result.reply_to == "help@example.com"


@dataclass
class Answering(PostOffice):
    """Something answers what certain senders write, at once; the messages themselves come later."""

    to: tuple[str, ...] = ()
    #: Whether the message is held up until the next look after the answer.
    late: bool = False

    async def take(self, message: OutgoingMessage) -> SendReport:
        taken = await super().take(message)
        if message.sender in self.to:
            own = self.arrived.pop()
            told = own.header.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]
            header = b"Auto-Submitted: auto-replied\r\nIn-Reply-To: " + told
            self.arrived.append(replace(own, uid=own.uid + 1000, header=header))
            if not self.late:
                self.arrived.append(own)
            self.held = own
        return taken


def answering(world: MessageWorld, *senders: str, late: bool = False) -> Answering:
    world.office = world.probes = office = Answering(to=senders, late=late)
    return office


def loops(status: EmailAccountStatus) -> list[str]:
    return [finding.code for finding in status.findings if finding.code == "MAIL_LOOP"]


BILLING = "billing@example.com"


async def test_what_answers_an_identity_ends_the_schedule_until_somebody_asks() -> None:
    world = MessageWorld(roundTrip=ENABLED, identities=[{"address": BILLING}])
    office = answering(world, BILLING)
    await through(world)
    await world.run(seconds=301)
    status = await world.run(times=5)
    assert [one.sender for one in office.sent] == ["support@example.com", BILLING]
    assert loops(status) == ["MAIL_LOOP"]
    for _ in range(5):
        status = await world.run(seconds=7 * HOURS, times=3)
    assert len(office.sent) == 2 and loops(status) == ["MAIL_LOOP"]
    office.to = ()
    world.ask(requested_at="mended")
    status = await world.run(times=5)
    assert [one.sender for one in office.sent][2:] == [BILLING], "of that one it is asked"
    assert loops(status) == []
    for _ in range(4):
        await world.run(seconds=7 * HOURS, times=5)
    assert len({one.sender for one in office.sent[3:]}) == 2


async def test_an_answer_that_comes_before_its_message_is_not_forgotten() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    office = answering(world, "support@example.com", late=True)
    await through(world)
    assert len(office.sent) == 1
    office.arrived = [office.held]
    status = await world.run(seconds=60, times=2)
    assert verdict(status, HEALTHY) == ("True", "Delivered")
    assert loops(status) == ["MAIL_LOOP"]
    await world.run(seconds=7 * HOURS, times=3)
    assert len(office.sent) == 1


async def test_once_what_answered_is_switched_off_whoever_asks_has_messages_again() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    office = answering(world, "support@example.com")
    status = await through(world)
    await world.run(seconds=301)
    office.to = ()
    world.ask(requested_at="mended")
    status = await world.run(times=5)
    assert len(office.sent) == 2 and loops(status) == []
    await world.run(seconds=7 * HOURS)
    await world.run(times=4)
    assert len(office.sent) == 3


async def test_who_asks_too_early_has_messages_on_the_schedule_again() -> None:
    world = MessageWorld(roundTrip=ENABLED)
    office = answering(world, "support@example.com")
    await through(world)
    office.to = ()
    world.ask(requested_at="mended")
    await world.run(times=5)
    assert len(office.sent) == 1, "one in five minutes"
    await world.run(seconds=7 * HOURS)
    await world.run(times=4)
    assert len(office.sent) == 2
