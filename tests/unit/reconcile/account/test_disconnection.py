# SPDX-License-Identifier: Apache-2.0
"""An account that is disconnected: it stops, says what stops with it, and whoever relied on it says
so, too.

Covers: nothing is dialled; the last verdict and the Suspended condition; a spec that was never
evaluated; who relied on it, in status and in an Event; identities; the fallback sender and the
receiver of others; a test message that is asked for or announced meanwhile; the way back.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from kstatus import argo_health, compute, lint
from postroom.api.account_messages import MessageInFlight, MessageStep
from postroom.api.conditions import ConditionStatus, ConditionType, find
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.reconcile import engine
from postroom.reconcile.status.outcome import Memory, NoticeType, Outcome
from unit.reconcile.account.test_relations import (
    ADDRESS,
    FALLBACK,
    RELAY_ADDRESS,
    Mail,
    message,
    ready,
    sender,
)
from unit.reconcile.mail_worlds import ACCOUNT, AT_ONCE, NAMESPACE

PEER = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "peer")
OFF = {"connection": "Disconnected"}
BILLING = {"address": "billing@send.example.com", "displayName": "Billing"}


def suspended(status: EmailAccountStatus) -> tuple[str, str] | None:
    found = find(status.conditions, ConditionType.SUSPENDED)
    return (found.status.value, found.reason) if found else None


async def run(mail: Mail, key: Key = ACCOUNT) -> Outcome:
    """One run, with everything that comes of it."""
    memory = mail._memories.setdefault(key, Memory())
    return await engine.reconcile(key.kind, mail.objects[key], mail, memory, AT_ONCE)


async def test_nothing_is_dialled_and_the_last_verdict_stands() -> None:
    mail = Mail()
    assert ready(await mail.account()) == ("True", "Succeeded")
    mail.add(ACCOUNT, **mail.spec, **OFF)
    dialled = len(mail.probes.dialled)
    for _ in range(3):
        status = await mail.account()
        assert len(mail.probes.dialled) == dialled
        assert ready(status) == ("True", "Succeeded")
        assert suspended(status) == ("True", "Disconnected")
        assert sender(status) == (None, "Disconnected")
        stored = mail.objects[ACCOUNT]
        assert lint(stored) == []
        assert (compute(stored), argo_health(stored)) == ("Current", "Suspended")
    mail.add(ACCOUNT, **mail.spec)
    back = await mail.account()
    assert (ready(back)[0], sender(back)[0], suspended(back)) == ("True", ADDRESS, None)
    assert back.disconnection is None
    assert back.findings == []


async def test_a_spec_that_was_never_evaluated_is_not_called_ready() -> None:
    mail = Mail()
    mail.add(ACCOUNT, **mail.spec, **OFF)
    status = await mail.account()
    assert ready(status) == ("Unknown", "Suspended")
    assert message(status) == "Disconnected before this spec was evaluated."
    assert status.observed_generation == mail.objects[ACCOUNT]["metadata"]["generation"]
    mail.add(ACCOUNT, **mail.spec, **OFF, displayName="Support")
    await mail.account()
    stored = mail.objects[ACCOUNT]
    assert lint(stored) == []
    assert (compute(stored), argo_health(stored)) == ("InProgress", "Suspended")


@pytest.mark.parametrize("also", [{"suspend": True}, {}])
async def test_disconnected_and_suspended_is_disconnected(also: dict[str, Any]) -> None:
    mail = Mail()
    await mail.account()
    mail.add(ACCOUNT, **mail.spec, **OFF, **also)
    assert suspended(await mail.account()) == ("True", "Disconnected")
    mail.add(ACCOUNT, **mail.spec, suspend=True)
    status = await mail.account()
    assert suspended(status) == ("True", "SuspendedBySpec")
    assert sender(status) == (None, "Suspended")


async def test_a_disconnected_account_is_not_disconnected_again() -> None:
    mail = Mail()
    await mail.account()
    mail.add(ACCOUNT, **mail.spec, **OFF)
    first = await mail.account()
    assert await mail.account() == first


async def test_who_relied_on_it_is_listed() -> None:
    mail = Mail(identities=[BILLING, {"address": "old@send.example.com", "enabled": False}])
    mail.add(PEER, address="peer@example.net", roundTrip={"receiverRef": {"name": "support"}})
    falling = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "news")
    mail.add(falling, address="news@example.org", fallbackSender=ADDRESS)
    sending = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "desk")
    on = {"receiverRef": {"name": "support"}}
    mail.add(sending, address="desk@example.org", forwarding=on)
    stranger = Key(Kind.EMAIL_ACCOUNT, "elsewhere", "secret")
    mail.add(stranger, address="x@example.org", roundTrip={"receiverRef": {"name": "support"}})
    await mail.account()
    mail.add(ACCOUNT, **mail.spec, **OFF)
    outcome = await run(mail)
    status = cast("EmailAccountStatus", outcome.status)
    assert status.disconnection is not None
    assert [(each.name, each.use.value) for each in status.disconnection.relied_on_by] == [
        ("desk", "Forwarding"),
        ("news", "FallbackSender"),
        ("peer", "Receiver"),
    ]
    assert status.disconnection.stopped_identities == [ADDRESS, BILLING["address"]]
    (finding,) = status.findings
    assert (finding.code, finding.severity.value) == ("DISCONNECTED", "Warning")
    assert "EmailAccount news (spec.fallbackSender)" in finding.message
    assert "secret" not in status.model_dump_json()
    assert [(each.type, each.reason) for each in outcome.notices] == [
        (NoticeType.WARNING, "Disconnected")
    ]
    assert outcome.references == {
        "EmailAccount/receiver=support",
        "EmailAccount/forwarding=support",
        f"EmailAccount/fallback={ADDRESS}",
    }
    await mail.look(ACCOUNT)
    assert (await run(mail)).notices == ()  # told once
    del mail.objects[PEER], mail.objects[falling], mail.objects[sending]
    alone = await mail.account()
    assert alone.disconnection is not None
    assert alone.disconnection.relied_on_by == []
    assert alone.findings[0].severity.value == "Info"


async def test_however_many_relied_on_it_the_status_is_bounded() -> None:
    mail = Mail()
    for number in range(70):
        key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, f"{'n' * 240}-{number:02}")
        mail.add(key, address=f"n{number}@example.net", fallbackSender=ADDRESS)
    mail.add(ACCOUNT, **mail.spec, **OFF)
    status = await mail.account()
    assert status.disconnection is not None
    assert len(status.disconnection.relied_on_by) == 32
    assert len(status.findings[0].message) <= 1024
    EmailAccountStatus.model_validate(mail.objects[ACCOUNT]["status"], by_alias=True)


async def test_no_identity_is_left_to_send_as() -> None:
    mail = Mail(identities=[BILLING])
    before = await mail.account()
    assert before.identities[0].state.value == "Verified"
    mail.add(ACCOUNT, **mail.spec, **OFF)
    status = await mail.account()
    assert {entry.state.value for entry in status.identities} == {"Disabled"}
    assert {entry.reason for entry in status.identities} == {"Disconnected"}
    mail.add(ACCOUNT, **mail.spec)
    assert (await mail.account()).identities[0].state.value == "Verified"


async def test_a_fallback_whose_account_is_disconnected_stands_in_for_nobody() -> None:
    mail = Mail(fallbackSender=RELAY_ADDRESS)
    mail.domain(status="False")
    mail.domain(FALLBACK, "relay.example.net")
    mail.add(PEER, address=RELAY_ADDRESS)
    assert sender(await mail.account()) == (RELAY_ADDRESS, "FallbackUsed")
    mail.add(PEER, address=RELAY_ADDRESS, **OFF)
    status = await mail.account()
    assert ready(status) == ("False", "FallbackSenderDisconnected")
    assert sender(status) == (None, "FallbackSenderDisconnected")
    assert "EmailAccount peer" in message(status)
    mail.domain()
    well = await mail.account()
    assert (ready(well)[0], sender(well)[0]) == ("True", ADDRESS)
    assert [finding.code for finding in well.findings] == ["FALLBACK_SENDER_DISCONNECTED"]
    assert f"EmailAccount/address={RELAY_ADDRESS}" in (await run(mail)).references


async def test_a_test_message_that_is_asked_for_meanwhile_is_refused_and_not_sent_later() -> None:
    mail = Mail()
    await mail.account()
    mail.add(ACCOUNT, **mail.spec, **OFF)
    mail.objects[ACCOUNT]["metadata"]["annotations"] = {"postroom.dev/send-test": "one"}
    status = await mail.account()
    assert status.last_test is not None and status.last_test.result is not None
    assert (status.last_test.nonce, status.last_test.result.reason) == ("one", "Disconnected")
    assert await mail.account() == status
    mail.add(ACCOUNT, **mail.spec)
    mail.objects[ACCOUNT]["metadata"]["annotations"] = {"postroom.dev/send-test": "one"}
    after = await mail.account()
    assert after.last_test == status.last_test


async def test_nor_is_one_sent_later_that_is_asked_for_while_another_was_under_way() -> None:
    mail = Mail()
    await mail.account()
    under_way = {"step": "Sent", "token": "t" * 20, "time": "2026-11-21T12:00:00Z"}
    flight = {**under_way, "sender": ADDRESS, "recipient": ADDRESS}
    mail.objects[ACCOUNT]["status"]["lastTest"] = {"nonce": "one", "inFlight": flight}
    mail.add(ACCOUNT, **mail.spec, **OFF)
    for nonce in ("one", "two"):
        mail.objects[ACCOUNT]["metadata"]["annotations"] = {"postroom.dev/send-test": nonce}
        status = await mail.account()
        assert status.last_test is not None and status.last_test.nonce == nonce
        # The one that is under way is looked for once the account is back.
        assert (status.last_test.in_flight is not None) is (nonce == "one")
    assert status.last_test.result is not None
    assert status.last_test.result.reason == "Disconnected"


async def test_what_was_announced_is_not_sent_any_more() -> None:
    mail = Mail()
    await mail.account()
    memory = mail._memories[ACCOUNT]
    memory.sends["announced"] = MessageInFlight(
        step=MessageStep.SENDING,
        token="announced",
        time="2026-11-30T00:00:00Z",
        sender="a@example.com",
        recipient="b@example.com",
    )
    mail.add(ACCOUNT, **mail.spec, **OFF)
    await mail.account()
    assert memory.sends == {}


async def test_a_status_of_before_is_kept_as_far_as_nothing_is_said_of_it() -> None:
    mail = Mail()
    before = await mail.account()
    mail.add(ACCOUNT, **mail.spec, **OFF)
    status = await mail.account()
    assert status.connected_at == before.connected_at
    assert status.mailbox == before.mailbox
    known = find(status.conditions, ConditionType.SMTP_AUTHENTICATED)
    assert known is not None and known.status is ConditionStatus.TRUE
