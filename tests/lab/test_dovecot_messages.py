# SPDX-License-Identifier: Apache-2.0
"""Messages of our own from the reconcilers through a real Dovecot: submitted, delivered by LMTP,
found by UID, judged, and removed with nothing else harmed.

Covers: a test message; spam; another sender; a round trip and identities; forwarding to another
account's mailbox, as it was sent and rewritten; a look back.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.dovecot_server import Dovecot, dovecot
from lab.dovecot_server_files import ALICE, BOB, PASSWORDS
from lab.dovecot_server_world import DovecotWorld, account, verdict, world_at
from lab.mail_probing import nothing_leaks  # noqa: F401 - a fixture
from postroom.api.conditions import ConditionType
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.reconcile.world import MessagePolicy

pytestmark = pytest.mark.real_mail_server

SECRETS = {
    "alice": {"username": ALICE, "password": PASSWORDS[ALICE]},
    "bob": {"username": BOB, "password": PASSWORDS[BOB]},
}
FOREIGN = b"From: friend@example.net\r\nSubject: keep me\r\n\r\nPlease.\r\n"


@pytest.fixture
async def server() -> AsyncIterator[Dovecot]:
    async with dovecot() as running:
        yield running


def world_for(server: Dovecot, directory: Path, **alice: Any) -> DovecotWorld:
    accounts = {
        ALICE: {"credentialsRef": {"name": "alice"}, **alice},
        BOB: {"credentialsRef": {"name": "bob"}},
    }
    probes = server.probes()
    world = world_at(server, directory, accounts, SECRETS, probes, messages=MessagePolicy())
    world.time = datetime.now(UTC)
    return world


async def looks(world: DovecotWorld, times: int, seconds: float = 1) -> EmailAccountStatus:
    """Let time pass in steps, and return Alice's status."""
    for _ in range(times):
        await world.look(timedelta(seconds=seconds))
    status = dict(world.statuses())[account(ALICE)]
    assert isinstance(status, EmailAccountStatus)
    return status


async def after_a_test(world: DovecotWorld) -> EmailAccountStatus:
    """Ask for a test message once all works, and see it through."""
    await looks(world, 2)
    world.raw(account(ALICE))["metadata"]["annotations"] = {"postroom.dev/send-test": "1"}
    return await looks(world, 4)


def outcome(status: EmailAccountStatus) -> tuple[str, str]:
    assert status.last_test is not None and status.last_test.result is not None
    return status.last_test.result.outcome.value, status.last_test.result.reason


async def test_a_message_goes_round_and_leaves_nothing(server: Dovecot, tmp_path: Path) -> None:
    server.deliver(ALICE, FOREIGN)
    world = world_for(server, tmp_path, displayName="Alice")
    status = await after_a_test(world)
    assert outcome(status) == ("Delivered", "Delivered")
    result = status.last_test.result if status.last_test else None
    assert result is not None
    assert (result.mailbox, len(result.hops) > 0) == ("INBOX", True)
    assert result.latency_seconds is not None and result.latency_seconds < 60
    assert b"X-Postroom-Probe: v1" in server.exchange.taken[0]
    status = await looks(world, 1, 400)
    assert status.mailbox is not None and status.mailbox.messages == 1


async def test_spam_is_found_and_removed(server: Dovecot, tmp_path: Path) -> None:
    server.exchange.deliver_to = lambda address: address.replace("@", "+Junk@")
    status = await after_a_test(world_for(server, tmp_path))
    assert outcome(status) == ("DeliveredToSpam", "DeliveredToSpam")


async def test_another_sender_is_seen(server: Dovecot, tmp_path: Path) -> None:
    server.exchange.rewrite = lambda message: re.sub(
        rb"(?m)^From:.*\r$", b"From: other@example.com\r", message
    )
    status = await after_a_test(world_for(server, tmp_path))
    assert outcome(status) == ("Delivered", "SenderRewritten")


async def test_a_round_trip_verifies_identities(server: Dovecot, tmp_path: Path) -> None:
    identities = [{"address": "sales@example.com"}, {"address": "boss@example.com"}]
    server.exchange.refused = {"boss@example.com": "553 5.7.1 Sender address rejected: not owned"}
    world = world_for(server, tmp_path, roundTrip={"enabled": True}, identities=identities)
    await looks(world, 6)
    await looks(world, 1, 301)
    await looks(world, 5)
    await looks(world, 1, 301)
    status = await looks(world, 5)
    states = {identity.address: identity.state.value for identity in status.identities}
    assert states == {
        ALICE: "Verified",
        "sales@example.com": "Verified",
        "boss@example.com": "Rejected",
    }
    healthy = verdict(world, account(ALICE), ConditionType.ROUND_TRIP_HEALTHY)
    assert healthy[:2] == ("True", "Delivered")


async def forwarded(server: Dovecot, directory: Path) -> tuple[str, str, str]:
    """The verdict on mail to Alice that goes to Bob."""
    server.exchange.deliver_to = lambda address: BOB
    world = world_for(server, directory, forwarding={"technicalAddress": BOB})
    await looks(world, 7)
    return verdict(world, account(ALICE), ConditionType.FORWARDING_VERIFIED)


async def test_a_redirect_is_verified(server: Dovecot, tmp_path: Path) -> None:
    assert (await forwarded(server, tmp_path))[:2] == ("True", "Redirected")


async def test_mail_reaches_the_sub_address_of_the_receiver(
    server: Dovecot, tmp_path: Path
) -> None:
    seen: list[str] = []

    def to_technical(address: str) -> str:
        state = dict(world.statuses())[account(ALICE)]
        assert isinstance(state, EmailAccountStatus) and state.forwarding is not None
        seen.append(str(state.forwarding.technical_address))
        return seen[-1]

    server.exchange.deliver_to = to_technical
    name = account(BOB).name
    world = world_for(server, tmp_path, forwarding={"receiverRef": {"name": name}})
    await looks(world, 7)
    found = verdict(world, account(ALICE), ConditionType.FORWARDING_VERIFIED)
    assert found[:2] == ("True", "Redirected")
    local, _, domain = BOB.partition("@")
    assert set(seen) == {seen[0]}
    assert re.fullmatch(rf"{local}\+[a-z2-7]{{16}}@{domain}", seen[0])
    received = dict(world.statuses())[account(BOB)]
    assert isinstance(received, EmailAccountStatus)
    assert [each.technical_address for each in received.forwarded_from] == [seen[0]]


async def test_a_forward_is_told_from_a_redirect(server: Dovecot, tmp_path: Path) -> None:
    server.exchange.rewrite = lambda message: re.sub(
        rb"(?m)^Subject: ",
        b"Subject: FW: ",
        re.sub(rb"(?m)^From:.*\r$", b"From: a@x.com\r", message),
    )
    assert (await forwarded(server, tmp_path))[:2] == ("False", "HeadersRewritten")


async def test_a_look_back_counts_by_day(server: Dovecot, tmp_path: Path) -> None:
    for _ in range(3):
        server.deliver(ALICE, FOREIGN)
    world = world_for(server, tmp_path)
    await looks(world, 2)
    world.raw(account(ALICE))["metadata"]["annotations"] = {"postroom.dev/backfill": "1"}
    status = await looks(world, 1)
    done = status.last_backfill
    assert done is not None
    assert (done.messages, len(done.days), done.complete) == (3, 1, True)
