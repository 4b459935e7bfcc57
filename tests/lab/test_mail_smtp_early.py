# SPDX-License-Identifier: Apache-2.0
"""What a server says before it is asked answers nothing: the reply that follows a command counts.

Each row: what comes with a reply and behind it, in one go, and what the command then gets. Were the
former taken for the answer, a password that is refused would be good, and a message sent that no
server took.
"""

from __future__ import annotations

import pytest

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import ECHO, LOGIN, context, outcome, smtp
from lab.smtp_errands import MESSAGE, YES, ask, commands, replies, send, server
from postroom.api.mailserver import TLSMode

IN, NOT_IN, GO_ON = b"235 2.7.0 in\r\n", b"535 5.7.8 canary\r\n", b"354 go on\r\n"
NO, TAKEN = b"550 5.7.1 canary\r\n", b"250 2.0.0 queued\r\n"
EHLO = b"250-hostile\r\n250-AUTH PLAIN\r\n250 HELP\r\n"

LOGINS: dict[str, tuple[Step, ...]] = {
    "with the greeting": (b"220 x\r\n" + EHLO + IN, "read", EHLO, "read", NOT_IN),
    "with the extensions": (b"220 x\r\n", "read", EHLO + IN, "read", NOT_IN),
    "half of a line": (b"220 x\r\n", "read", EHLO + b"235", "read", NOT_IN),
    "lines without an end": (b"220 x\r\n", "read", EHLO + b"235-in\r\n", "read", NOT_IN),
    "more than one": (b"220 x\r\n", "read", EHLO + IN + IN + YES, "read", NOT_IN),
    "with the question": (
        *(b"220 x\r\n", "read", EHLO.replace(b"PLAIN", b"LOGIN"), "read"),
        *(b"334 VXNlcm5hbWU6\r\n" + IN, "read", b"334 UGFzc3dvcmQ6\r\n" + IN, "read", NOT_IN),
    ),
}


@pytest.mark.parametrize("name", LOGINS)
async def test_a_password_is_not_good_before_it_is_sent(name: str) -> None:
    async with Hostile(*LOGINS[name], "read", context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Auth", "AuthenticationRejected")
    assert (report.authenticated, report.code) == (False, 535)
    assert ECHO not in repr(report)


@pytest.mark.parametrize("early", [b"220 x\r\n" + EHLO, b"220 x\r\n220 go on\r\n"])
async def test_what_came_with_the_greeting_is_no_answer_to_starttls(early: bytes) -> None:
    """Nor is it told of the server, or found injected: it came before STARTTLS."""
    secure = smtp_until_auth(b"AUTH PLAIN", after=("read", IN))[1:]
    in_clear = smtp_until_auth(b"STARTTLS", after=("read", b"220 go\r\n", "tls", *secure))[1:]
    async with Hostile(early, *in_clear, "read", context=context()) as running:
        report = await smtp(running, TLSMode.START_TLS, LOGIN)
    assert outcome(report) == ("Done", "ProbeSucceeded")


async def test_what_came_with_the_extensions_is_no_answer_to_starttls() -> None:
    offers = b"250-hostile\r\n250 STARTTLS\r\n"
    steps = (b"220 x\r\n", "read", offers + b"220 go on\r\n", "read", b"454 4.7.0 canary\r\n")
    async with Hostile(*steps, "read") as running:
        report = await smtp(running, TLSMode.START_TLS, LOGIN)
    assert (report.stage.value, report.code) == ("TLS", 454)


MESSAGES: dict[str, tuple[tuple[Step, ...], list[bytes], str]] = {
    "MAIL": (replies(YES + YES, NO), [b"MAIL", b"RCPT"], "Refused"),
    "RCPT": (replies(YES, YES + GO_ON, NO), [b"MAIL", b"RCPT", b"DATA"], "Refused"),
    "DATA": (
        (*replies(YES, YES, GO_ON + TAKEN), "content", b"554 5.7.1 canary\r\n"),
        [b"MAIL", b"RCPT", b"DATA"],
        "Refused",
    ),
    "DATA, and no more": (
        (*replies(YES, YES, GO_ON + TAKEN), "content", "close"),
        [b"MAIL", b"RCPT", b"DATA"],
        "Unknown",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_message_is_not_taken_before_it_is_sent(name: str) -> None:
    steps, asked, acceptance = MESSAGES[name]
    async with server(*steps, "read") as running:
        report = await send(running, MESSAGE)
    assert report.answer.acceptance.value == acceptance
    assert commands(running)[: len(asked)] == asked
    assert ECHO not in repr(report)


async def test_a_sender_is_not_accepted_before_it_is_named() -> None:
    async with server(*replies(YES + YES, NO, YES), "read") as running:
        report = await ask(running)
    assert [one.acceptance.value for one in report.answers.values()] != ["Accepted"]


@pytest.mark.parametrize("yes", [b"2355 in\r\n", b"235in\r\n", b"235-a\r\n2350 in\r\n"])
async def test_a_longer_number_is_no_code(yes: bytes) -> None:
    """aiosmtplib reads three characters of a line, whatever follows."""
    steps = (b"220 x\r\n", "read", EHLO, "read", yes)
    async with Hostile(*steps, "read", context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert (report.authenticated, report.conclusive) == (None, False)


@pytest.mark.parametrize("code", [211, 214, 220, 221, 235])
async def test_what_answers_another_command_takes_no_message(code: int) -> None:
    """A server that is one reply late, or says goodbye, has not taken what it was sent."""
    other = b"%d 2.0.0 canary\r\n" % code
    steps = (*replies(YES, YES, GO_ON), "content", other)
    async with server(*steps, "read") as running:
        report = await send(running, MESSAGE)
    assert report.answer.acceptance.value == "Unknown"
    assert report.answer.reason.value == "MessageUnconfirmed"
    for at in range(2):
        before = [YES] * at
        async with server(*replies(*before, other), "read") as running:
            report = await send(running, MESSAGE)
        assert report.answer.acceptance.value == "Unknown"
        assert commands(running)[: at + 1] == [b"MAIL", b"RCPT"][: at + 1]
        assert b"DATA" not in commands(running)


async def test_much_that_comes_behind_a_reply_does_not_make_it_too_long() -> None:
    early = b"x" * 40_000
    steps = (b"220 x\r\n", "read", EHLO + early, "read", IN)
    async with Hostile(*steps, "read", context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Done", "ProbeSucceeded")
