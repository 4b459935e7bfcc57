# SPDX-License-Identifier: Apache-2.0
"""The technical address that is derived of the receiving account.

Covers: stable over restarts, re-creation and a rotated key; another one for each namespace, sender
and receiver; providers with and without sub-addresses; addresses that are too long; what the
receiver shows; a receiver that is deleted, disconnected, itself, or none, in random histories; and
that mail arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.account_messages import ForwardingVerdict
from postroom.api.conditions import ConditionType
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.api.resource import EmailAccount, InvalidSpec, parse, parse_spec
from postroom.mail.presets import preset, providers
from postroom.mail.round_trip.forwarding import names_recipient
from postroom.mail.round_trip.header import read_header
from postroom.reconcile.account.messages.correspondents import Obstacle
from postroom.reconcile.account.messages.technical import derived_for, sub_addresses_of
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, message, verdict
from unit.reconcile.message_worlds import MessageWorld

VERIFIED, RESOLVED = ConditionType.FORWARDING_VERIFIED, ConditionType.REFERENCES_RESOLVED
READER = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "reader")
OLD, NEW = b"an old key", b"a new key"


def account(address: str, namespace: str = "mail", known: str = "", **spec: Any) -> EmailAccount:
    """An account whose status tells a technical address, or none."""
    status = {"forwarding": {"verdict": "Pending", "technicalAddress": known}} if known else {}
    metadata = {"name": address.partition("@")[0], "namespace": namespace, "uid": f"uid {address}"}
    raw = {"metadata": metadata, "spec": {"address": address, **spec}, "status": status}
    return cast("EmailAccount", parse(Kind.EMAIL_ACCOUNT, raw))


def derived(sender: EmailAccount, receiver: EmailAccount, *keys: bytes) -> str:
    found = derived_for(sender, receiver, keys)
    assert isinstance(found, str)
    return found


SENDER, TICKETS = account("support@example.com"), account("tickets@mx.example.net")


def test_it_is_a_sub_address_that_only_the_key_gives_away() -> None:
    address = derived(SENDER, TICKETS, NEW)
    assert address.startswith("tickets+")
    assert address.endswith("@mx.example.net")
    assert len(address.partition("@")[0]) == len("tickets+") + 16
    others = [
        derived(SENDER, TICKETS, OLD),
        derived(account("support@example.com", "other"), TICKETS, NEW),
        derived(account("sales@example.com"), TICKETS, NEW),
        derived(SENDER, account("tickets@mx.example.org"), NEW),
        derived(SENDER, TICKETS),
    ]
    assert len({address, *others}) == 6


def test_it_outlives_the_object_and_the_rotation_of_the_key() -> None:
    before = derived(SENDER, TICKETS, OLD)
    assert derived(account("Support@example.com"), TICKETS, OLD) == before
    known = account("support@example.com", known=before)
    assert derived(known, TICKETS, NEW, OLD) == before
    assert derived(known, TICKETS, NEW) != before
    assert derived(SENDER, TICKETS, NEW, OLD) != before


def test_a_key_that_comes_later_takes_no_address_away() -> None:
    before = derived(SENDER, TICKETS)
    assert derived(account("support@example.com", known=before), TICKETS, NEW) == before


def test_what_a_status_says_counts_only_where_it_was_derived() -> None:
    forged = account("support@example.com", known="tickets+mine@mx.example.net")
    assert derived(forged, TICKETS, NEW) == derived(SENDER, TICKETS, NEW)


LOCALS = st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{1,20}){0,2}", fullmatch=True)
KEYS = st.lists(st.binary(min_size=1, max_size=8), max_size=3, unique=True)


@given(LOCALS, LOCALS, KEYS, KEYS)
def test_whatever_the_keys_a_known_address_stays_and_fits(
    local: str, reader: str, keys: list[bytes], more: list[bytes]
) -> None:
    sender, receiver = account(f"{local}@example.com"), account(f"{reader}@mx.example.net")
    first = derived_for(sender, receiver, tuple(keys))
    if isinstance(first, Obstacle):
        assert len(reader) + 17 > 64
        return
    EmailAccountSpec(address=first)
    assert len(first.partition("@")[0]) <= 64
    known = account(f"{local}@example.com", known=first)
    assert derived_for(known, receiver, (*more, *keys)) == first


@pytest.mark.parametrize(
    ("provider", "separator"),
    [("Gmail", "+"), ("Microsoft365", "+"), ("Fastmail", "+"), ("Yahoo", None), ("GMX", None)],
)
def test_what_a_provider_takes(provider: str, separator: str | None) -> None:
    receiver = account("tickets@example.net", provider=provider, serverRef={"name": "smtp"})
    found = derived_for(SENDER, receiver, (NEW,))
    if separator is None:
        assert isinstance(found, Obstacle)
        assert "spec.forwarding.technicalAddress" in found.message
    else:
        assert cast("str", found).startswith(f"tickets{separator}")


def test_a_server_is_known_by_its_host() -> None:
    imap = {"host": "imap.mail.yahoo.com", "credentialsRef": {"name": "x"}}
    known = sub_addresses_of(account("tickets@example.net", imap=imap))
    assert known is not None
    assert known.separator is None
    assert sub_addresses_of(TICKETS) is None


def test_every_preset_that_tells_of_sub_addresses_has_a_source() -> None:
    told = [found for name in providers() if (found := preset(name).sub_addresses) is not None]
    assert len(told) >= 8
    assert all(found.source.startswith("https://") for found in told)


@pytest.mark.parametrize(
    ("forwarding", "problem"),
    [
        ({}, "technicalAddress must be set"),
        ({"technicalAddress": "a@b.example", "receiverRef": {"name": "x"}}, "may not be set"),
    ],
)
def test_one_of_both_is_given(forwarding: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidSpec, match=problem):
        parse_spec(Kind.EMAIL_ACCOUNT, {"address": "support@example.com", "forwarding": forwarding})


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("Delivered-To: Tickets+k@mx.example.net", True),
        ("X-Original-To: tickets+k@mx.example.net", True),
        ("Received: from a by b for <tickets+k@mx.example.net>; Sun, 1 Nov", True),
        ("Delivered-To: tickets@mx.example.net", False),
        ("Received: from a by b for <tickets+k@mx.example.network>; Sun", False),
        ("Subject: tickets+k@mx.example.net", False),
    ],
)
def test_a_header_tells_for_whom_it_came(field: str, named: bool) -> None:
    header = read_header(f"To: support@example.com\r\n{field}\r\n".encode())
    assert names_recipient(header, "tickets+k@mx.example.net") is named


def world_with_reader(**spec: Any) -> MessageWorld:
    """An account whose mail is sent on to the mailbox of "reader"."""
    world = MessageWorld(forwarding={"receiverRef": {"name": "reader"}}, imap=None)
    reference = {"name": "login"}
    own = {"address": "tickets@mx.example.net", "imap": {"host": "imap.example.net"}, **spec}
    world.add(READER, serverRef={"name": "smtp"}, credentialsRef=reference, **own)
    return world


async def arrived(world: MessageWorld) -> EmailAccountStatus:
    await world.ready()
    await world.look(READER)
    return await world.run(times=4)


async def test_mail_arrives_and_both_say_where() -> None:
    world = world_with_reader()
    status = await arrived(world)
    assert verdict(status, VERIFIED) == ("True", "Redirected")
    assert status.forwarding is not None
    address = status.forwarding.technical_address
    received = await world.look(READER)
    assert isinstance(received, EmailAccountStatus)
    assert [
        (source.name, source.address, source.technical_address)
        for source in received.forwarded_from
    ] == [(ACCOUNT.name, "support@example.com", address)]
    world.restart()
    assert (await world.run()).forwarding == status.forwarding


@pytest.mark.parametrize(
    ("adds", "told"), [("", ["SUB_ADDRESS_NOT_TOLD"]), ("Delivered-To: {}\r\n", [])]
)
async def test_applications_must_be_able_to_tell(adds: str, told: list[str]) -> None:
    world = world_with_reader()
    status = await world.ready()
    assert status.forwarding is not None
    line = adds.format(status.forwarding.technical_address)
    world.office.rewrite = lambda header: line + header
    status = await arrived(world)
    codes = [each.code for each in status.findings]
    assert [code for code in codes if code.startswith("SUB_ADDRESS")] == told


async def test_the_steps_name_the_address_and_what_it_depends_on() -> None:
    world = world_with_reader()
    status = await world.ready()
    assert status.forwarding is not None
    steps = status.forwarding.steps
    assert any(str(status.forwarding.technical_address) in step for step in steps)
    assert "instead of receiverRef" in steps[-1]


def deleted(world: MessageWorld) -> None:
    del world.objects[READER]


def disconnected(world: MessageWorld) -> None:
    world.add(READER, **{**world.objects[READER]["spec"], "connection": "Disconnected"})


@pytest.mark.parametrize(
    ("happens", "reason"),
    [(deleted, "EmailAccountNotFound"), (disconnected, "ReceiverDisconnected")],
)
async def test_a_receiver_that_goes_is_missed_and_comes_back(
    happens: Callable[[MessageWorld], None], reason: str
) -> None:
    world = world_with_reader()
    before = await arrived(world)
    kept = dict(world.objects[READER])
    happens(world)
    status = await world.run()
    assert verdict(status, VERIFIED) == ("False", reason)
    assert "reader" in message(status, VERIFIED)
    assert status.forwarding is not None
    assert status.forwarding.verdict is ForwardingVerdict.PENDING
    expected = "EmailAccountNotFound" if happens is deleted else "Resolved"
    assert verdict(status, RESOLVED)[1] == expected
    world.objects[READER] = kept
    status = await world.run()
    assert before.forwarding is not None
    assert status.forwarding is not None
    assert status.forwarding.technical_address == before.forwarding.technical_address


@pytest.mark.parametrize(
    "forwarding",
    [
        {"receiverRef": {"name": ACCOUNT.name}},
        {"technicalAddress": "support@example.com"},
        {"technicalAddress": "Support@example.com"},
    ],
)
async def test_nobody_sends_on_to_himself(forwarding: dict[str, Any]) -> None:
    world = MessageWorld(forwarding=forwarding)
    await world.ready()
    status = await world.run(times=4)
    assert verdict(status, VERIFIED) == ("False", "ReceiverNotReady")
    assert status.forwarded_from == []
    assert world.office.sent == []


async def test_without_sub_addresses_it_says_what_to_do_instead() -> None:
    world = world_with_reader(imap={"host": "imap.mail.yahoo.com"})
    status = await arrived(world)
    assert verdict(status, VERIFIED) == ("False", "SubAddressUnsupported")
    found = next(each for each in status.findings if each.code == "SUB_ADDRESS_UNSUPPORTED")
    assert found.fix is not None
    assert world.office.sent == []


HAPPENINGS = st.sampled_from(
    ["delete", "create", "disconnect", "connect", "suspend", "restart", "wait"]
)


@settings(max_examples=15, deadline=None)
@given(st.lists(HAPPENINGS, max_size=8))
def test_whatever_becomes_of_the_receiver_the_address_stays_and_nothing_is_said_to_work(
    happenings: list[str],
) -> None:
    asyncio.run(_lives(happenings))


async def _lives(happenings: list[str]) -> None:
    world = world_with_reader()
    before = (await arrived(world)).forwarding
    made = {**world.objects[READER], "status": None}
    for happening in happenings:
        match happening:
            case "delete":
                world.objects.pop(READER, None)
            case "create":
                world.objects.setdefault(READER, dict(made))
            case "restart":
                world.restart()
            case "connect" | "disconnect" | "suspend" if READER in world.objects:
                connection = "Disconnected" if happening == "disconnect" else "Connected"
                change = {"connection": connection, "suspend": happening == "suspend"}
                world.add(READER, **{**world.objects[READER]["spec"], **change})
        if READER in world.objects:
            await world.look(READER)
        after = (await world.run(seconds=700)).forwarding
        assert before is not None
        assert after is not None
        assert after.technical_address == before.technical_address
        reader = world.objects.get(READER)
        if reader is None or reader["spec"].get("connection") == "Disconnected":
            assert after.verdict is ForwardingVerdict.PENDING
            assert after.in_flight is None
