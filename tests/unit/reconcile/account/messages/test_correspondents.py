# SPDX-License-Identifier: Apache-2.0
"""Who sends a message of ours and whose mailbox is read: only what works, and else why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from postroom.api.names import Key, Kind
from postroom.api.resource import EmailAccount, parse
from postroom.mail.operations import Acceptance, Answer
from postroom.mail.report import Login
from postroom.reconcile.account.dependencies import find_dependencies
from postroom.reconcile.account.messages import correspondents
from postroom.reconcile.account.messages.correspondents import Obstacle, Receiver
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.signing_in.protocol_check import ProtocolCheck
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import World
from unit.reconcile.account.messages.test_spending import sender
from unit.reconcile.account.test_relations import ADDRESS, Mail
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, REFUSED, WELL

ATTEMPT = sender()
WORKS = ProtocolCheck(ATTEMPT, report=WELL)
FAILS = ProtocolCheck(ATTEMPT, report=REFUSED)
READER = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "reader")


async def view(mail: Mail, smtp: ProtocolCheck = WORKS, imap: ProtocolCheck = WORKS) -> AccountView:
    resource = cast("EmailAccount", parse(ACCOUNT.kind, mail.objects[ACCOUNT]))
    world = cast("World", mail)
    found = await find_dependencies(resource, world)
    return AccountView(resource, found, smtp, imap, world, Memory())


def reason(found: object) -> tuple[str, bool] | None:
    """Why not, and whether that passes; None where nothing stands in the way."""
    if found is None or not isinstance(found, Obstacle):
        return None
    return found.reason.value, found.passing


async def test_an_account_that_signs_in_sends_as_itself() -> None:
    assert await correspondents.sender_of(await view(Mail())) is ATTEMPT


@pytest.mark.parametrize(("conclusive", "passing"), [(True, False), (False, True)])
async def test_one_that_is_refused_does_not_send(conclusive: bool, passing: bool) -> None:
    smtp = replace(FAILS, report=replace(REFUSED, conclusive=conclusive))
    found = await correspondents.sender_of(await view(Mail(), smtp))
    assert reason(found) == ("AuthenticationRejected", passing)
    receiver = correspondents.own_receiver(await view(Mail(), imap=smtp))
    assert reason(receiver) == ("AuthenticationRejected", passing)


async def test_without_an_attempt_the_conditions_say_why() -> None:
    nothing = ProtocolCheck()
    assert reason(await correspondents.sender_of(await view(Mail(serverRef=None), nothing))) == (
        "NotAttempted",
        False,
    )
    assert reason(correspondents.own_receiver(await view(Mail(), imap=nothing))) == (
        "NotAttempted",
        False,
    )


async def test_the_own_mailbox_is_that_of_imap() -> None:
    found = correspondents.own_receiver(await view(Mail()))
    assert found == Receiver(ADDRESS, ATTEMPT)
    assert correspondents.own_receiver(await view(Mail(imap=None))) is None


def reads(mail: Mail, conditions: bool = True, **spec: Any) -> None:
    """Another account, whose status says whether its mailbox can be read."""
    mail.add(READER, **{**mail.spec, "address": "reader@example.net", **spec})
    generation = mail.objects[READER]["metadata"]["generation"]
    signed_in = {
        "type": "IMAPAuthenticated",
        "status": "True" if conditions else "False",
        "reason": "Succeeded",
        "message": "x",
        "lastTransitionTime": "2026-11-01T00:00:00Z",
        "observedGeneration": generation,
    }
    mail.objects[READER]["status"] = {
        "observedGeneration": generation,
        "conditions": [signed_in],
    }


async def test_the_mailbox_of_another_account_is_read_as_that_one() -> None:
    mail = Mail()
    reads(mail)
    by_name = await correspondents.receiver_named("reader", await view(mail))
    by_address = await correspondents.receiver_at("reader@example.net", await view(mail))
    for found in (by_name, by_address):
        assert isinstance(found, Receiver)
        assert found.address == "reader@example.net"
        assert found.attempt.endpoint.host == "imap.example.com"


@pytest.mark.parametrize(
    ("conditions", "spec", "expected"),
    [
        (False, {}, ("ReceiverNotReady", True)),
        (True, {"suspend": True}, ("ReceiverNotReady", True)),
        (True, {"imap": None}, ("ReceiverNotReady", False)),
        (True, {"connection": "Disconnected"}, ("ReceiverDisconnected", False)),
    ],
)
async def test_a_mailbox_that_does_not_work_is_not_tried(
    conditions: bool, spec: dict[str, Any], expected: tuple[str, bool]
) -> None:
    mail = Mail()
    reads(mail, conditions, **spec)
    assert reason(await correspondents.receiver_named("reader", await view(mail))) == expected
    assert mail.probes.dialled == []


async def test_a_receiver_is_the_account_itself_where_none_other_has_the_address() -> None:
    own = Receiver(ADDRESS, ATTEMPT)
    assert await correspondents.receiver_named(ACCOUNT.name, await view(Mail())) == own
    assert await correspondents.receiver_at("public@example.net", await view(Mail())) == own
    alone = await correspondents.receiver_at("public@example.net", await view(Mail(imap=None)))
    assert reason(alone) == ("ReceiverNotReady", False)
    gone = await correspondents.receiver_named("gone", await view(Mail()))
    assert reason(gone) == ("ReceiverNotReady", False)


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        (None, None),
        ("True", None),
        ("False", ("SendingDomainNotReady", True)),
        ("Unknown", ("SendingDomainNotReady", True)),
    ],
)
async def test_nothing_leaves_from_an_address_whose_domain_is_not_verified(
    ready: str | None, expected: tuple[str, bool] | None
) -> None:
    mail = Mail()
    if ready is not None:
        mail.domain(status=ready)
    found = await correspondents.unverified_domain(ADDRESS, await view(mail))
    assert reason(found) == expected


async def test_a_domain_that_must_be_declared_holds_messages_back() -> None:
    mail = Mail(domainPolicy="Required")
    found = await correspondents.unverified_domain(ADDRESS, await view(mail))
    assert reason(found) == ("SendingDomainNotFound", True)


@pytest.mark.parametrize("address", [ADDRESS, "sales@x.send.example.com"])
async def test_a_domain_that_cannot_be_understood_holds_messages_back_and_is_named(
    address: str,
) -> None:
    mail = Mail(domainPolicy="Required", identities=[{"address": "sales@x.send.example.com"}])
    there = Key(Kind.SENDING_DOMAIN, NAMESPACE, "there")
    mail.add(there, domain=address.partition("@")[2], dkim="none")
    found = await correspondents.unverified_domain(address, await view(mail))
    assert reason(found) == ("ReferenceInvalid", True)
    assert "The spec of SendingDomain there is invalid" in str(found)


async def test_a_receiver_that_cannot_be_understood_is_not_called_missing() -> None:
    mail = Mail()
    mail.add(READER, address="nobody")
    found = await correspondents.receiver_named("reader", await view(mail))
    assert reason(found) == ("ReferenceInvalid", False)
    assert "The spec of EmailAccount reader is invalid" in str(found)


async def test_what_to_sign_in_with_is_the_password_or_a_token() -> None:
    mail = Mail()
    world = cast("World", mail)
    login = await correspondents.login_for(ATTEMPT, world)
    assert isinstance(login, Login)
    assert (login.username, login.token) == ("relay-user", False)
    nobody: Attempt = sender(signs_in=False)
    answer = await correspondents.login_for(nobody, world)
    assert isinstance(answer, Answer)
    assert answer.acceptance is Acceptance.UNKNOWN


def test_a_receiver_brings_the_account_back_by_name_and_by_address() -> None:
    assert correspondents.references_to_receiver("reader", "A@example.net") == {
        "EmailAccount/reader",
        "EmailAccount/address=a@example.net",
    }
    assert correspondents.references_to_receiver() == frozenset()
