# SPDX-License-Identifier: Apache-2.0
"""The forwarding check: redirected, rewritten or not arriving; the steps; how often it is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from postroom.api.account_messages import ForwardingVerdict
from postroom.api.conditions import ConditionType, find
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.mail.operations import OutgoingMessage, SendReport
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, message, verdict
from unit.reconcile.message_worlds import MessageWorld, PostOffice, from_another

VERIFIED = ConditionType.FORWARDING_VERIFIED
TECHNICAL = "in-1@mx.example.net"


def world_with(**forwarding: str) -> MessageWorld:
    return MessageWorld(forwarding={"technicalAddress": TECHNICAL, **forwarding})


async def tried(world: MessageWorld) -> EmailAccountStatus:
    await world.ready()
    return await world.run(times=4)


def state(status: EmailAccountStatus) -> tuple[ForwardingVerdict, int]:
    assert status.forwarding is not None
    return status.forwarding.verdict, len(status.forwarding.steps)


def names_both(status: EmailAccountStatus) -> bool:
    found = find(status.conditions, VERIFIED)
    return found is not None and all(
        address in found.message for address in ("support@example.com", TECHNICAL)
    )


async def test_a_redirect_works() -> None:
    world = world_with()
    status = await tried(world)
    assert verdict(status, VERIFIED) == ("True", "Redirected")
    assert state(status) == (ForwardingVerdict.REDIRECTED, 0)
    assert [one.recipient for one in world.office.sent] == ["support@example.com"]
    assert len(world.office.removed) == 1


async def test_while_it_is_not_known_the_steps_stand() -> None:
    world = world_with(source="Microsoft365")
    status = await world.ready()
    assert verdict(status, VERIFIED) == ("Unknown", "AwaitingMessage")
    assert state(status)[0] is ForwardingVerdict.PENDING
    assert status.forwarding is not None
    assert any(TECHNICAL in step for step in status.forwarding.steps)


async def test_a_forward_that_rewrites_is_no_redirect() -> None:
    world = world_with(source="GoogleWorkspace")
    world.office.rewrite = from_another
    status = await tried(world)
    assert verdict(status, VERIFIED) == ("False", "HeadersRewritten")
    assert state(status)[1] > 0
    assert names_both(status)
    assert verdict(status, ConditionType.READY) == ("False", "HeadersRewritten")


async def test_nothing_arrives() -> None:
    world = world_with()
    world.office.delivers_to = None
    await tried(world)
    status = await world.run(seconds=700)
    assert verdict(status, VERIFIED) == ("False", "NotForwarded")
    assert names_both(status)


async def test_it_is_tried_again_until_it_works() -> None:
    world = world_with()
    world.office.rewrite = from_another
    await tried(world)
    world.office.rewrite = lambda header: header
    status = await world.run(seconds=400)
    status = await world.run(times=4)
    assert state(status) == (ForwardingVerdict.REDIRECTED, 0)


async def test_failures_are_spaced() -> None:
    world = world_with()
    world.office.rewrite = from_another
    await world.ready()
    # A day: looks every minute for three hours, then as rare as those at accounts that fail.
    await world.run(seconds=60, times=180)
    await world.run(seconds=300, times=252)
    assert 5 <= len(world.office.sent) <= 10


async def test_once_it_works_it_is_tried_once_a_day() -> None:
    world = world_with()
    await tried(world)
    await world.run(seconds=3600, times=48)
    assert 2 <= len(world.office.sent) <= 3


class Echo(PostOffice):
    """Delivers each message twice, as servers do that send it round."""

    async def take(self, message: OutgoingMessage) -> SendReport:
        taken = await super().take(message)
        first = self.arrived[-1]
        self.arrived.append(replace(first, uid=first.uid + 1000))
        return taken


async def test_where_mail_goes_round_no_more_is_sent() -> None:
    world = world_with()
    world.office = world.probes = Echo()
    status = await tried(world)
    assert [finding.code for finding in status.findings] == ["MAIL_LOOP"]
    await world.run(seconds=3600, times=72)
    assert len(world.office.sent) == 1


async def test_where_mail_went_round_whoever_asks_too_early_has_one_on_the_schedule() -> None:
    world = world_with()
    world.office = world.probes = Echo()
    await tried(world)
    world.ask(requested_at="mended")
    await world.run(times=5)
    assert len(world.office.sent) == 1, "one in five minutes"
    await world.run(seconds=300, times=400)
    assert len(world.office.sent) == 2, "and no more, since it goes round"


async def test_where_mail_goes_round_whoever_asks_has_another_try() -> None:
    world = world_with()
    world.office = world.probes = Echo()
    await tried(world)
    world.office = world.probes = PostOffice()
    await world.run(seconds=3600)
    world.ask(requested_at="now")
    await world.run(times=4)
    assert len(world.office.sent) == 1


async def test_another_technical_address_is_another_question() -> None:
    world = world_with()
    await tried(world)
    spec = world.objects[ACCOUNT]["spec"]
    world.add(ACCOUNT, **{**spec, "forwarding": {"technicalAddress": "in-2@mx.example.net"}})
    status = await world.run()
    assert state(status)[0] is ForwardingVerdict.PENDING


@pytest.mark.parametrize("imap", [None, {"host": "imap.example.net"}])
async def test_the_account_of_the_technical_address_reads(imap: Mapping[str, str] | None) -> None:
    world = MessageWorld(forwarding={"technicalAddress": TECHNICAL}, imap=None)
    reader = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "reader")
    reference = {"name": "login"}
    world.add(reader, address=TECHNICAL, serverRef={"name": "smtp"}, credentialsRef=reference)
    if imap is not None:
        world.add(reader, **{**world.objects[reader]["spec"], "imap": imap})
    await world.ready()
    await world.look(reader)
    status = await world.run(times=4)
    expected = ("True", "Redirected") if imap else ("Unknown", "NotAttempted")
    assert verdict(status, VERIFIED) == expected


async def test_without_a_reader_it_says_what_to_create() -> None:
    world = MessageWorld(forwarding={"technicalAddress": TECHNICAL}, imap=None)
    status = await world.ready()
    assert "create an EmailAccount with that address" in message(status, VERIFIED)
