# SPDX-License-Identifier: Apache-2.0
"""What a server says before it is asked answers nothing: the reply that follows a command counts.

Each row: what comes with a reply and behind it, in one go, and what the command then gets. Were the
former taken for the answer, a password that is refused would be good, and a message sent that no
server took.
"""

from __future__ import annotations

import socket

import pytest

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import ECHO, LOGIN, context, outcome, smtp
from lab.smtp_errands import ME, MESSAGE, YES, ask, commands, replies, send, server
from postroom.api.mailserver import TLSMode
from postroom.mail.connect import dial
from postroom.mail.operations import OutgoingMessage

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


@pytest.mark.parametrize("mode", [TLSMode.IMPLICIT, TLSMode.START_TLS])
@pytest.mark.parametrize(
    "greeting", [b"220-x\r\n554 canary\r\n", b"554-canary\r\n220 x\r\n", b"220-x\r\n2205 y\r\n"]
)
async def test_a_greeting_of_both_is_neither(greeting: bytes, mode: TLSMode) -> None:
    rest = smtp_until_auth(b"AUTH PLAIN", after=("read", IN))[1:]
    implicit = mode is TLSMode.IMPLICIT
    async with Hostile(greeting, *rest, "read", context=context(), implicit=implicit) as running:
        report = await smtp(running, mode, LOGIN)
    assert outcome(report) == ("Greeting", "ProbeInconclusive")
    assert (report.conclusive, report.authenticated) == (False, None)
    assert f"greets with {BOTH}" in report.message
    assert ECHO not in repr(report)
    assert not b"".join(running.received)


BOTH = "lines that do not have one code"


@pytest.mark.parametrize("both", [b"250-x\r\n550 canary\r\n", b"550-canary\r\n250 x\r\n"])
async def test_extensions_of_both_are_neither(both: bytes) -> None:
    """Nor is HELO tried, as after a no."""
    steps = (b"220 x\r\n", "read", both, "read")
    async with Hostile(*steps, context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Capabilities", "ProbeInconclusive")
    assert (report.conclusive, report.authenticated) == (False, None)
    assert f"answers EHLO with {BOTH}" in report.message
    assert ECHO not in repr(report)
    assert b"HELO" not in b"".join(running.received).split()


@pytest.mark.parametrize("both", [b"454-canary\r\n220 x\r\n", b"220-x\r\n454 canary\r\n"])
async def test_tls_does_not_begin_with_an_answer_of_both(both: bytes) -> None:
    steps = (b"220 x\r\n", "read", b"250-hostile\r\n250 STARTTLS\r\n", "read", both, "read")
    async with Hostile(*steps, context=context()) as running:
        report = await smtp(running, TLSMode.START_TLS, LOGIN)
    assert outcome(report) == ("TLS", "ProbeInconclusive")
    assert not report.conclusive
    assert f"answers it with {BOTH}" in report.message
    assert b"".join(running.received).count(b"\x16\x03") == 0


@pytest.mark.parametrize("both", [b"535-canary\r\n235 x\r\n", b"235-x\r\n535 canary\r\n"])
async def test_a_login_of_both_is_neither(both: bytes) -> None:
    steps = (b"220 x\r\n", "read", EHLO, "read", both, "read")
    async with Hostile(*steps, context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Auth", "ProbeInconclusive")
    assert (report.conclusive, report.authenticated) == (False, None)
    assert f"answers AUTH with {BOTH}" in report.message


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("both", [b"550-canary\r\n250 x\r\n", b"250-x\r\n550 canary\r\n"])
async def test_a_transaction_of_both_is_neither(both: bytes, at: int) -> None:
    async with server(*replies(*[YES] * at, both), "read") as running:
        report = await send(running, MESSAGE)
    assert report.answer.acceptance.value == "Unknown"
    assert f"answers {('MAIL', 'RCPT', 'DATA')[at]} with {BOTH}" in report.answer.message


@pytest.mark.parametrize("both", [b"550-canary\r\n250 x\r\n", b"250-x\r\n550 canary\r\n"])
async def test_a_message_of_both_may_have_been_taken(both: bytes) -> None:
    async with server(*replies(YES, YES, GO_ON), "content", both, "read") as running:
        report = await send(running, MESSAGE)
    assert (report.answer.acceptance.value, report.answer.reason.value) == (
        *("Unknown", "MessageUnconfirmed"),
    )


async def test_a_longer_number_greets_nobody() -> None:
    async with Hostile(b"2205 x\r\n", "read", context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Greeting", "UnexpectedGreeting")
    assert (report.conclusive, b"".join(running.received)) == (True, b"")


async def test_a_greeting_in_pieces_is_one() -> None:
    pieces = (b"22", b"0-x\r", b"\n220", b"-y\r\n220 ", b"z\r\n")
    rest = smtp_until_auth(b"AUTH PLAIN", after=("read", IN))[1:]
    async with Hostile(*pieces, *rest, "read", context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Done", "ProbeSucceeded")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the way to a server take little before the server reads."""
    opened = dial._open

    async def open_narrow(address: str, port: int) -> socket.socket:
        made = await opened(address, port)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return made

    monkeypatch.setattr(dial, "_open", open_narrow)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("early", "acceptance", "reason"),
    [(TAKEN, "Unknown", "MessageUnconfirmed"), (b"552 5.3.4 canary\r\n", "Refused", None)],
)
async def test_a_message_is_not_taken_before_it_has_left(
    early: bytes, acceptance: str, reason: str | None
) -> None:
    """A no before all of it was read is one all the same."""
    steps = (*replies(YES, YES, GO_ON), "read", early, "stall")
    text = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 400_000
    async with server(*steps) as running:
        running.narrow()
        report = await send(running, OutgoingMessage(ME, ME, text))
    assert report.answer.acceptance.value == acceptance
    assert reason in (None, report.answer.reason.value)


async def test_much_that_comes_behind_a_reply_does_not_make_it_too_long() -> None:
    early = b"x" * 40_000
    steps = (b"220 x\r\n", "read", EHLO + early, "read", IN)
    async with Hostile(*steps, "read", context=context(), implicit=True) as running:
        report = await smtp(running, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Done", "ProbeSucceeded")
