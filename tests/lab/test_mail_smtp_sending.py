# SPDX-License-Identifier: Apache-2.0
"""Handing a message over with MAIL, RCPT and DATA, and what is said of it afterwards.

Covers: yes, no and later at each command and after the final dot; servers that die, fall silent or
talk nonsense before and after the message was sent, where only the latter may have delivered it;
SIZE and 8BITMIME; octets, dots and line ends through a real server; addresses that do not fit;
that the password and the message are in no log.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    ECHO,
    HOST,
    PASSWORD,
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
)
from lab.smtp_errands import ME, OTHER, YES, commands, dialler, replies, send, server
from loopback import own_address
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.lab.lab import SUBMISSIONS_PORT
from postroom.lab.mailboxes import Accounts
from postroom.lab.smtp import LabSmtp
from postroom.mail.connect.dial import Deadlines
from postroom.mail.connect.tls import TrustStore
from postroom.mail.operations import Acceptance, Answer, OutgoingMessage, SendMessage, SendReport
from postroom.mail.report import Login
from postroom.mail.session.state import Connector
from postroom.mail.smtp import sending

LAB_ADDRESS = own_address(43)
GO_ON = b"354 go on\r\n"
#: Until the content of the message was read.
TAKEN = (*replies(YES, YES, GO_ON), "content")
MAY_HAVE_GONE = "It may have been delivered all the same"


def summary(answer: Answer) -> tuple[str, str]:
    return answer.acceptance.value, answer.reason.value


async def test_a_message_that_is_accepted() -> None:
    async with server(*TAKEN, b"250 2.0.0 canary queued\r\n", "read") as running:
        report = await send(running)
    assert outcome(report.session) == ("Done", "ProbeSucceeded")
    assert summary(report.answer) == ("Accepted", "ProbeSucceeded")
    assert (report.answer.code, report.answer.enhanced_code) == (250, "2.0.0")
    assert report.answer.message == f"{HOST}:{running.port} accepts the message."
    assert running.received[2:] == [
        b"MAIL FROM:<user@example.com>\r\n",
        b"RCPT TO:<user@example.com>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n\r\nhello\r\n.\r\n",
        b"QUIT\r\n",
    ]


REFUSED: dict[str, tuple[tuple[Step, ...], str, str, str]] = {
    "sender": (
        replies(b"553 5.7.1 canary\r\n"),
        "Refused",
        "SenderNotAuthorized",
        "Grant Send As",
    ),
    "sender at RCPT": (
        replies(YES, b"553 5.7.1 x: Sender address rejected: not owned by user y\r\n"),
        "Refused",
        "SenderNotAuthorized",
        "Grant Send As",
    ),
    "recipient": (
        replies(YES, b"550 5.1.1 canary\r\n"),
        "Refused",
        "RecipientRejected",
        "Correct the recipient",
    ),
    "full mailbox": (
        replies(YES, b"452 4.2.2 canary\r\n"),
        "Deferred",
        "TemporaryFailure",
        "Delete messages",
    ),
    "size": (
        replies(b"552 5.3.4 canary\r\n"),
        "Refused",
        "MessageTooLarge",
        "limit on the size",
    ),
    "DATA": (replies(YES, YES, b"451 4.3.0 canary\r\n"), "Deferred", "TemporaryFailure", "Wait"),
    "no DATA": (
        replies(YES, YES, b"554 5.5.1 canary\r\n"),
        "Refused",
        "MessageRejected",
        "own log",
    ),
    "Send As": (
        (*TAKEN, b"554 5.2.252 SendAsDenied; canary not allowed to send as canary\r\n"),
        "Refused",
        "SenderNotAuthorized",
        "Grant Send As",
    ),
    "limit": (
        (*TAKEN, b"550 5.4.5 Daily user sending limit exceeded. canary\r\n"),
        "Refused",
        "SendLimitExceeded",
        "Lower the limits",
    ),
    "spam": ((*TAKEN, b"554 5.7.1 canary\r\n"), "Refused", "MessageRejected", "own log"),
    "later": ((*TAKEN, b"451 4.7.1 canary\r\n"), "Deferred", "TemporaryFailure", "Wait"),
    "too big": (
        (*TAKEN, b"552 message size exceeds canary\r\n"),
        "Refused",
        "MessageTooLarge",
        "limit on the size",
    ),
    "421": ((*TAKEN, b"421 4.3.2 canary\r\n"), "Deferred", "ServiceUnavailable", "closing"),
    "421 before": (
        replies(YES, b"421 4.3.2 canary\r\n"),
        "Deferred",
        "ServiceUnavailable",
        "closing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_answers_that_are_no_yes(name: str) -> None:
    steps, acceptance, reason, hint = REFUSED[name]
    async with server(*steps) as running:
        report = await send(running)
    assert outcome(report.session) == ("Done", "ProbeSucceeded")
    assert summary(report.answer) == (acceptance, reason)
    assert hint in report.answer.message
    assert report.answer.code is not None
    assert ECHO not in repr(report)
    assert MAY_HAVE_GONE not in report.answer.message


BROKEN: dict[str, tuple[tuple[Step, ...], str]] = {
    "closed": (("close",), "ProbeInconclusive"),
    "reset": (("reset",), "ProbeInconclusive"),
    "silence": (("stall",), "ConnectionTimeout"),
    "garbage": ((b"canary\r\n", "stall"), "ProbeInconclusive"),
    "endless line": (("endless",), "ProbeInconclusive"),
    "endless lines": ((b"250-canary\r\n" * 9000, "stall"), "ProbeInconclusive"),
    "half a reply": ((b"250-canary\r\n", "stall"), "ConnectionTimeout"),
    "half a reply, closed": ((b"25", "close"), "ProbeInconclusive"),
    "no verdict": ((b"334 canary\r\n", "stall"), "ProbeInconclusive"),
    "a yes by one code alone": ((b"250 5.7.1 canary\r\n", "stall"), "ProbeInconclusive"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_after_the_final_dot_it_may_have_gone(name: str) -> None:
    async with server(*TAKEN, *BROKEN[name][0]) as running:
        report = await send(running)
    assert outcome(report.session) == ("Done", "ProbeSucceeded")
    assert summary(report.answer) == ("Unknown", "MessageUnconfirmed")
    assert MAY_HAVE_GONE in report.answer.message
    assert ECHO not in repr(report)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize(
    "before", [(), replies(YES), replies(YES, YES)], ids=["MAIL", "RCPT", "DATA"]
)
async def test_before_it_has_not_gone(name: str, before: tuple[Step, ...]) -> None:
    steps, reason = BROKEN[name]
    async with server(*before, "read", *steps) as running:
        report = await send(running)
    assert summary(report.answer) == ("Unknown", reason)
    assert MAY_HAVE_GONE not in report.answer.message
    assert not any(b"Subject" in one for one in running.received)


@pytest.mark.parametrize("step", ["close", "reset"])
async def test_a_server_that_dies_within_the_message_may_have_taken_it(step: str) -> None:
    """What was written into a dying connection cannot be told from what arrived."""
    async with server(*replies(YES, YES, GO_ON), "read", step) as running:
        report = await send(running)
    assert summary(report.answer) == ("Unknown", "MessageUnconfirmed")
    assert MAY_HAVE_GONE in report.answer.message


@pytest.mark.parametrize("step", ["close", "reset"])
async def test_one_that_dies_after_354_may_have_taken_what_was_sent_by_then(step: str) -> None:
    """Whether its end is seen before anything is sent is chance."""
    async with server(*replies(YES, YES, GO_ON), step) as running:
        report = await send(running)
    acceptance, reason = summary(report.answer)
    assert acceptance == "Unknown" and reason in ("MessageUnconfirmed", "ProbeInconclusive")
    assert (MAY_HAVE_GONE in report.answer.message) is (reason == "MessageUnconfirmed")


async def test_without_354_nothing_is_sent() -> None:
    async with server(*replies(YES, YES, YES), "read") as running:
        report = await send(running)
    assert summary(report.answer) == ("Unknown", "ProbeInconclusive")
    assert not any(b"Subject" in one for one in running.received)


async def test_size_is_announced_as_it_is() -> None:
    """RFC 1870 section 5: the doubled dots do not count."""
    message = OutgoingMessage(ME, OTHER, b".a\r\n.\r\n")
    async with server(*TAKEN, YES, offers=[b"SIZE 1000"]) as running:
        report = await send(running, message)
    assert report.answer.acceptance is Acceptance.ACCEPTED
    assert running.received[2] == b"MAIL FROM:<user@example.com> SIZE=7\r\n"
    assert running.received[5] == b"..a\r\n..\r\n.\r\n"


async def test_a_message_beyond_the_advertised_size_is_not_offered() -> None:
    async with server("read", offers=[b"SIZE 5"]) as running:
        report = await send(running)
    assert summary(report.answer) == ("Refused", "MessageTooLarge")
    assert "messages of 5 octets at most" in report.answer.message
    assert commands(running) == [b"QUIT"]


async def test_a_size_of_zero_is_no_limit() -> None:
    async with server(*TAKEN, YES, offers=[b"SIZE 0"]) as running:
        report = await send(running)
    assert report.answer.acceptance is Acceptance.ACCEPTED
    assert report.session.server is not None
    assert report.session.server.max_message_size is None


@pytest.mark.parametrize("offers", [(), (b"8BITMIME",)])
async def test_eight_bits_need_8bitmime(offers: tuple[bytes, ...]) -> None:
    message = OutgoingMessage(ME, ME, "Grüße\r\n".encode())
    async with server(*TAKEN, YES, offers=offers) as running:
        report = await send(running, message)
    if offers:
        assert report.answer.acceptance is Acceptance.ACCEPTED
        assert b" BODY=8BITMIME" in running.received[2]
    else:
        assert summary(report.answer) == ("Unknown", "CapabilityMissing")
        assert commands(running) == [b"QUIT"]


@pytest.mark.parametrize("address", ["", "a@b> SIZE=1", "a@b\r\nDATA", "ä@example.com"])
async def test_addresses_that_no_envelope_can_carry_are_not_sent(address: str) -> None:
    for message in (OutgoingMessage(address, ME, b""), OutgoingMessage(ME, address, b"")):
        async with server("read") as running:
            report = await send(running, message)
        assert summary(report.answer) == ("Unknown", "InvalidSpec")
        assert commands(running) == [b"QUIT"]


async def test_a_cancelled_errand_leaves_nothing() -> None:
    async with server(*TAKEN, "stall") as running:
        sending = asyncio.create_task(send(running))
        await asyncio.sleep(0.15)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_neither_password_nor_message_is_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    async with server(*TAKEN, "reset") as running:
        report = await send(running, OutgoingMessage(ME, ME, b"Subject: hunter2 body\r\n"))
    assert any(b"hunter2 body" in one for one in running.received)
    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(report)


@pytest.mark.parametrize("before", [(), replies(YES), TAKEN], ids=["MAIL", "RCPT", "content"])
@pytest.mark.parametrize("code", [b"421", b"553", b"xyz"])
async def test_a_server_that_repeats_the_password(
    code: bytes, before: tuple[Step, ...], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []

    def takes(line: bytes) -> bytes:
        heard.append(line.split()[-1])
        return b"235 ok\r\n"

    def repeats(line: bytes) -> bytes:
        plain = base64.b64decode(heard[0]).replace(b"\0", b" ")
        return code + b" 5.7.1 " + heard[0] + b" " + plain + b"\r\n"

    last: tuple[Step, ...] = (repeats,) if before is TAKEN else ("read", repeats)
    steps = smtp_until_auth(b"AUTH PLAIN", after=("read", takes, *before, *last))
    async with Hostile(*steps, context=context(), implicit=True) as running:
        report = await send(running)
    assert report.answer.acceptance is not Acceptance.ACCEPTED
    for form in (PASSWORD, "hunter2", heard[0].decode()):
        assert form not in caplog.text
        assert form not in repr(report)
        assert form not in report.answer.message


@asynccontextmanager
async def lab(size_limit: int = 100_000) -> AsyncIterator[Accounts]:
    accounts = Accounts({ME: PASSWORD})
    running = LabSmtp(
        accounts, context(), LAB_ADDRESS, SUBMISSIONS_PORT, implicit=True, size_limit=size_limit
    )
    await running.start()
    yield accounts
    await running.stop()


async def send_to_lab(octets: bytes, recipient: str = ME) -> SendReport:
    where = endpoint(SUBMISSIONS_PORT, TLSMode.IMPLICIT)
    dialling = dialler(SUBMISSIONS_PORT, LAB_ADDRESS, Deadlines())
    message = OutgoingMessage(ME, recipient, octets)
    login = Login(ME, Masked(PASSWORD))
    connector = Connector(dialling, TrustStore())
    return await sending.send(where, login, SendMessage(message), connector)


def arrived(accounts: Accounts) -> bytes:
    account = accounts.authenticate(ME, PASSWORD)
    assert account is not None
    return account.mailboxes["INBOX"].messages[-1].content


LINES = st.lists(
    st.binary(max_size=60).map(lambda line: line.replace(b"\r", b".").replace(b"\n", b".")),
    min_size=1,
    max_size=12,
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


@given(octets=LINES)
@example(octets=b".\r\n")
@example(octets=b"..\r\n.\r\n...\r\n")
@example(octets=b"\r\n.\r\nQUIT\r\n")
@example(octets=b"a\r\n\r\n.b\r\n")
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_what_is_sent_arrives_octet_by_octet(octets: bytes) -> None:
    async with lab() as accounts:
        report = await send_to_lab(octets)
        assert report.answer.acceptance is Acceptance.ACCEPTED
        assert arrived(accounts) == octets


async def test_no_end_of_a_message_is_smuggled_in() -> None:
    async with lab() as accounts:
        report = await send_to_lab(b"a\n.\nMAIL FROM:<x@y>\r.\rb\r\n.\r\nc")
        assert report.answer.acceptance is Acceptance.ACCEPTED
        assert arrived(accounts) == b"a\r\n.\r\nMAIL FROM:<x@y>\r\n.\r\nb\r\n.\r\nc\r\n"


async def test_a_real_server_refuses() -> None:
    async with lab(size_limit=50):
        small = await send_to_lab(b"x\r\n", "nobody@example.com")
        large = await send_to_lab(b"x" * 60)
    assert summary(small.answer) == ("Refused", "RecipientRejected")
    assert summary(large.answer) == ("Refused", "MessageTooLarge")
    assert "50 octets" in large.answer.message


@pytest.mark.parametrize(
    ("asked_before", "steps", "sent"),
    [
        (0, (), []),
        (1, (*replies(YES, YES, GO_ON), "read"), [b"MAIL", b"RCPT", b"DATA"]),
    ],
)
async def test_who_is_no_longer_to_send_ends_before_the_server_has_the_message(
    asked_before: int, steps: tuple[Step, ...], sent: list[bytes]
) -> None:
    """Asked before the first command, and again when the server waits for the content."""
    answers = iter([True] * asked_before + [False] * 9)
    message = OutgoingMessage(ME, ME, b"Subject: x\r\n\r\nhello\r\n", lambda: next(answers))
    async with server(*steps, "read") as running:
        report = await send(running, message)
    assert summary(report.answer) == ("Deferred", "NotAttempted")
    assert [command for command in commands(running) if command != b"QUIT"] == sent
    assert not any(b"\r\n.\r\n" in one or b"hello" in one for one in running.received)
