# SPDX-License-Identifier: Apache-2.0
"""Whether an account may send as an address, asked with MAIL, RCPT and RSET.

Covers: refusals at MAIL and, like Postfix, at RCPT; what is said of the recipient, the account or
the server and must not be held against the sender; 421, silence, closing and broken replies in
between; a refused RSET; addresses that no envelope can carry; that DATA is never sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    ECHO,
    LOGIN,
    PASSWORD,
    SOON,
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
)
from lab.smtp_errands import ME, OTHER, YES, ask, commands, dialler, envelope, replies, server
from loopback import own_address
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.lab.lab import SUBMISSIONS_PORT
from postroom.lab.mailboxes import Accounts
from postroom.lab.smtp import LabSmtp
from postroom.mail.connect.dial import Deadlines
from postroom.mail.operations import Acceptance, Answer, EnvelopeReport
from postroom.mail.report import Login

HOST_ADDRESS = own_address(42)
TAKEN = replies(YES, YES, YES)


def summary(answer: Answer) -> tuple[str, str]:
    return answer.acceptance.value, answer.reason.value


async def first_answer(*steps: Step) -> Answer:
    async with server(*steps) as running:
        report = await ask(running)
    assert outcome(report.session) == ("Done", "ProbeSucceeded")
    assert b"DATA" not in commands(running)
    assert ECHO not in repr(report)
    return report.answers[ME]


AT_MAIL: dict[str, tuple[bytes, str, str]] = {
    "not permitted": (b"553 5.7.1 canary", "Refused", "SenderNotAuthorized"),
    "without enhanced code": (b"550 canary", "Refused", "SenderNotAuthorized"),
    "bad syntax of the sender": (b"553 5.1.7 canary", "Refused", "SenderNotAuthorized"),
    "domain unknown": (b"550 5.1.8 canary", "Refused", "SenderNotAuthorized"),
    "later": (b"451 4.3.0 canary", "Deferred", "TemporaryFailure"),
    "command unknown": (b"502 canary", "Unknown", "ProbeInconclusive"),
    "sign-in forgotten": (b"530 5.7.0 canary", "Unknown", "SendingDenied"),
    "credentials after all": (b"535 5.7.8 canary", "Unknown", "SendingDenied"),
    "limit of the account": (b"550 5.4.5 canary", "Unknown", "SendLimitExceeded"),
}
AT_RCPT: dict[str, tuple[bytes, str, str]] = {
    "not owned": (
        b"553 5.7.1 <canary>: Sender address rejected: not owned by user x",
        "Refused",
        "SenderNotAuthorized",
    ),
    "sender rejected": (b"554 5.7.1 Sender address rejected", "Refused", "SenderNotAuthorized"),
    "Exim": (b"550 Sender verify failed", "Refused", "SenderNotAuthorized"),
    "no such recipient": (b"550 5.1.1 canary", "Unknown", "RecipientRejected"),
    "who knows": (b"550 5.7.1 canary", "Unknown", "MessageRejected"),
    "without enhanced code": (b"550 canary", "Unknown", "MessageRejected"),
    "over quota": (b"452 4.2.2 canary", "Unknown", "TemporaryFailure"),
    "full": (b"552 5.2.2 canary", "Unknown", "TemporaryFailure"),
    "storage": (b"552 canary", "Unknown", "TemporaryFailure"),
    "greylisted": (b"450 4.7.1 Greylisted", "Deferred", "TemporaryFailure"),
}


@pytest.mark.parametrize("name", AT_MAIL)
async def test_answers_to_mail(name: str) -> None:
    text, acceptance, reason = AT_MAIL[name]
    answer = await first_answer(*replies(text + b"\r\n", YES))
    assert summary(answer) == (acceptance, reason)
    assert answer.code == int(text[:3])
    assert " answers MAIL with " in answer.message


@pytest.mark.parametrize("name", AT_RCPT)
async def test_answers_to_rcpt(name: str) -> None:
    text, acceptance, reason = AT_RCPT[name]
    answer = await first_answer(*replies(YES, text + b"\r\n", YES))
    assert summary(answer) == (acceptance, reason)
    assert " answers RCPT with " in answer.message


async def test_a_sender_that_is_accepted() -> None:
    async with server(*TAKEN, "read") as running:
        report = await ask(running)
    assert summary(report.answers[ME]) == ("Accepted", "ProbeSucceeded")
    assert running.received[2:] == [
        b"MAIL FROM:<user@example.com>\r\n",
        b"RCPT TO:<user@example.com>\r\n",
        b"RSET\r\n",
        b"QUIT\r\n",
    ]


async def test_senders_are_asked_about_one_after_the_other() -> None:
    refused = replies(YES, b"553 5.7.1 no\r\n", YES)
    async with server(*refused, *TAKEN) as running:
        report = await ask(running, OTHER, ME, OTHER)
    assert {one: answer.acceptance.value for one, answer in report.answers.items()} == {
        OTHER: "Refused",
        ME: "Accepted",
    }
    assert commands(running)[:6] == [b"MAIL", b"RCPT", b"RSET"] * 2


BROKEN: dict[str, tuple[tuple[Step, ...], str]] = {
    "closed": (("read", "close"), "ProbeInconclusive"),
    "reset": (("read", "reset"), "ProbeInconclusive"),
    "silence": (("read", "stall"), "ConnectionTimeout"),
    "garbage": (("read", b"canary\r\n", "stall"), "ProbeInconclusive"),
    "endless": (("read", "endless"), "ProbeInconclusive"),
    "asks on": (("read", b"354 canary\r\n", "stall"), "ProbeInconclusive"),
    "left before": ((b"421 4.3.2 canary\r\n", "close"), "ServiceUnavailable"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("before", [(), replies(YES)], ids=["MAIL", "RCPT"])
async def test_a_conversation_that_breaks_leaves_all_unknown(
    name: str, before: tuple[Step, ...]
) -> None:
    steps, reason = BROKEN[name]
    async with server(*before, *steps) as running:
        report = await ask(running, ME, OTHER)
    assert outcome(report.session) == ("Done", "ProbeSucceeded")
    assert ECHO not in repr(report)
    for sender in (ME, OTHER):
        answer = report.answers[sender]
        expected = "Deferred" if answer.code == 421 and sender == ME else "Unknown"
        assert summary(answer) == (expected, reason)


@pytest.mark.parametrize("before", [(), replies(YES)], ids=["MAIL", "RCPT"])
async def test_421_ends_it_and_keeps_its_meaning(before: tuple[Step, ...]) -> None:
    async with server(*before, "read", b"421 4.7.0 canary\r\n", "stall") as running:
        report = await ask(running, ME, OTHER)
    assert summary(report.answers[ME]) == ("Deferred", "ServiceUnavailable")
    assert summary(report.answers[OTHER]) == ("Unknown", "ServiceUnavailable")
    assert report.answers[OTHER].code == 421
    assert commands(running)[-1] in (b"MAIL", b"RCPT")


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((b"502 5.5.1 canary\r\n", "stall"), "ProbeInconclusive"),
        ((b"421 canary\r\n", "stall"), "ServiceUnavailable"),
        (("close",), "ProbeInconclusive"),
        (("stall",), "ConnectionTimeout"),
    ],
)
async def test_a_refused_rset_ends_it(steps: tuple[Step, ...], reason: str) -> None:
    async with server(*replies(YES, YES), "read", *steps) as running:
        report = await ask(running, ME, OTHER)
    assert summary(report.answers[ME]) == ("Accepted", "ProbeSucceeded")
    assert summary(report.answers[OTHER]) == ("Unknown", reason)
    assert commands(running).count(b"MAIL") == 1


@pytest.mark.parametrize(
    "address", ["", "a", "a@b> SIZE=1", "a@b>\r\nDATA", "ä@example.com", '"a b"@c', "a@b@c "]
)
async def test_addresses_that_no_envelope_can_carry_are_not_sent(address: str) -> None:
    async with server(*TAKEN) as running:
        report = await ask(running, address, ME)
        as_recipient = await ask(running, ME, recipient=address)
    assert summary(report.answers[address]) == ("Unknown", "InvalidSpec")
    assert summary(report.answers[ME]) == ("Accepted", "ProbeSucceeded")
    assert summary(as_recipient.answers[ME]) == ("Unknown", "InvalidSpec")
    assert commands(running).count(b"MAIL") == 1


async def test_who_cannot_sign_in_learns_nothing_of_senders() -> None:
    steps = smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 canary\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as running:
        report = await ask(running, ME, OTHER)
    assert outcome(report.session) == ("Auth", "AuthenticationRejected")
    assert report.session.authenticated is False
    assert {summary(answer) for answer in report.answers.values()} == {
        ("Unknown", "AuthenticationRejected")
    }


async def test_nothing_is_asked_in_the_clear() -> None:
    async with Hostile(b"220 x\r\n") as running:
        where = endpoint(running.port)
        report = await envelope(where, Login(ME, Masked(PASSWORD)), [ME], ME, dialler(running.port))
    assert outcome(report.session) == ("Auth", "EncryptionRequired")
    assert running.connections == 0


async def test_all_senders_together_have_a_deadline() -> None:
    """It begins after signing in, and what was answered before it stands."""
    hurried = replace(SOON, command=5, total=0.7)
    async with server(*TAKEN, "read", "stall") as running:
        where, dialling = endpoint(running.port, TLSMode.IMPLICIT), dialler(running.port)
        dialling.deadlines = hurried
        report = await envelope(where, LOGIN, [ME, OTHER], ME, dialling)
    assert outcome(report.session) == ("Done", "ProbeSucceeded")
    assert summary(report.answers[ME]) == ("Accepted", "ProbeSucceeded")
    assert summary(report.answers[OTHER]) == ("Unknown", "ConnectionTimeout")


async def test_signing_in_has_the_deadline_of_a_check() -> None:
    hurried = replace(SOON, greeting=60, total=0.5)
    async with Hostile("stall", context=context(), implicit=True) as running:
        where, dialling = endpoint(running.port, TLSMode.IMPLICIT), dialler(running.port)
        dialling.deadlines = hurried
        async with asyncio.timeout(20):
            report = await envelope(where, LOGIN, [ME], ME, dialling)
    assert outcome(report.session) == ("Greeting", "ConnectionTimeout")
    assert summary(report.answers[ME]) == ("Unknown", "ConnectionTimeout")


async def test_a_cancelled_errand_leaves_nothing() -> None:
    async with server(*replies(YES), "read", "stall") as running:
        asking = asyncio.create_task(ask(running))
        await asyncio.sleep(0.15)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


ALICE, BOB = "alice@example.com", "bob@example.com"


@pytest.fixture
async def lab() -> AsyncIterator[Accounts]:
    """aiosmtpd, where Alice may send as herself and as info, and Bob as no one."""
    accounts = Accounts({ALICE: PASSWORD, BOB: PASSWORD})
    senders = {ALICE: {ALICE, "info@example.com"}}
    running = LabSmtp(
        accounts, context(), HOST_ADDRESS, SUBMISSIONS_PORT, implicit=True, senders=senders
    )
    await running.start()
    yield accounts
    await running.stop()


async def ask_lab(login: str, senders: list[str], recipient: str) -> EnvelopeReport:
    where = endpoint(SUBMISSIONS_PORT, TLSMode.IMPLICIT)
    dialling = dialler(SUBMISSIONS_PORT, HOST_ADDRESS, Deadlines())
    return await envelope(where, Login(login, Masked(PASSWORD)), senders, recipient, dialling)


async def test_a_server_with_owners_of_senders(lab: Accounts) -> None:
    report = await ask_lab(ALICE, [ALICE, BOB, "info@example.com"], ALICE)
    assert [answer.acceptance for answer in report.answers.values()] == [
        Acceptance.ACCEPTED,
        Acceptance.REFUSED,
        Acceptance.ACCEPTED,
    ]
    assert report.answers[BOB].code == 553
    assert "Grant Send As" in report.answers[BOB].message
    before = Accounts({ALICE: PASSWORD})
    for accounts in (lab, before):
        account = accounts.authenticate(ALICE, PASSWORD)
        assert account is not None
        assert len(account.mailboxes["INBOX"].messages) == 3


async def test_an_unknown_recipient_is_not_held_against_the_sender(lab: Accounts) -> None:
    report = await ask_lab(ALICE, [ALICE, BOB], "nobody@example.com")
    assert report.answers[ALICE].acceptance is Acceptance.UNKNOWN
    assert report.answers[BOB].acceptance is Acceptance.REFUSED


async def test_signs_in_at_the_lab_first(lab: Accounts) -> None:
    report = await ask_lab("carol@example.com", [ALICE], ALICE)
    assert outcome(report.session) == ("Auth", "AuthenticationRejected")
