# SPDX-License-Identifier: Apache-2.0
"""What a server says as it closes the connection is never lost, at whatever stage it says so.

Covers: 421 as a reply and unasked (RFC 5321 section 3.8) from the greeting to the end of a
message, in the clear, through STARTTLS and through implicit TLS; a server that leaves without a
word; that what came before TLS is forgotten.
"""

from __future__ import annotations

import pytest

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    ECHO,
    LOGIN,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
    smtp,
    verdict,
)
from lab.smtp_errands import YES, replies, send, server
from postroom.api.mailserver import TLSMode
from postroom.mail.report import Login, ProbeReport

BUSY = b"421-4.3.2 canary\r\n421 4.3.2 closing\r\n"


def verdict_and_codes(report: ProbeReport) -> tuple[str, str, bool, int | None, str | None]:
    return (*verdict(report), report.code, report.enhanced_code)


#: What precedes the farewell; where it is noticed; and whether it needs a login or STARTTLS.
UNASKED: dict[str, tuple[tuple[Step, ...], str, TLSMode, Login | None]] = {
    "greeting": ((), "Greeting", TLSMode.NONE, None),
    "after the greeting": ((b"220 x\r\n",), "Capabilities", TLSMode.NONE, None),
    "at EHLO": ((b"220 x\r\n", "read"), "Capabilities", TLSMode.NONE, None),
    "after EHLO": (smtp_until_auth(b"STARTTLS"), "TLS", TLSMode.START_TLS, None),
    "at STARTTLS": (smtp_until_auth(b"STARTTLS", after=("read",)), "TLS", TLSMode.START_TLS, None),
    "after STARTTLS": (
        smtp_until_auth(b"STARTTLS", after=("read", b"220 go\r\n", "tls")),
        "Capabilities",
        TLSMode.START_TLS,
        None,
    ),
    "before AUTH": (smtp_until_auth(b"AUTH PLAIN"), "Auth", TLSMode.IMPLICIT, LOGIN),
    "at AUTH": (smtp_until_auth(b"AUTH PLAIN", after=("read",)), "Auth", TLSMode.IMPLICIT, LOGIN),
    "within AUTH": (
        smtp_until_auth(b"AUTH LOGIN", after=("read", b"334 x\r\n")),
        "Auth",
        TLSMode.IMPLICIT,
        LOGIN,
    ),
}


@pytest.mark.parametrize("name", UNASKED)
@pytest.mark.parametrize("end", ["close", "stall"])
async def test_421_keeps_its_meaning_at_each_stage(name: str, end: str) -> None:
    before, stage, mode, login = UNASKED[name]
    implicit = mode is TLSMode.IMPLICIT
    async with Hostile(*before, BUSY, end, context=context(), implicit=implicit) as running:
        report = await smtp(running, mode, login)
    if end == "stall" and name.startswith(("after", "before", "within")):
        # Said between two commands by a server that stays: nothing waits for it.
        assert report.conclusive is False
    else:
        expected = (stage, "ServiceUnavailable", False, 421, "4.3.2")
        assert verdict_and_codes(report) == expected
    assert ECHO not in repr(report)


SENDING: dict[str, tuple[Step, ...]] = {
    "before MAIL": (),
    "before RCPT": replies(YES),
    "before DATA": replies(YES, YES),
    "at DATA": (*replies(YES, YES), "read"),
    "after the content": (*replies(YES, YES, b"354 go\r\n"), "content"),
}


@pytest.mark.parametrize("name", SENDING)
async def test_421_keeps_its_meaning_while_sending(name: str) -> None:
    async with server(*SENDING[name], BUSY, "close") as running:
        report = await send(running)
    answer = report.answer
    assert (answer.acceptance.value, answer.reason.value) == ("Deferred", "ServiceUnavailable")
    assert (answer.code, answer.enhanced_code) == (421, "4.3.2")
    assert ECHO not in repr(report)


@pytest.mark.parametrize("said", [b"", b"250 canary\r\n", b"421-canary\r\n"])
async def test_no_farewell_is_made_up(said: bytes) -> None:
    async with Hostile(b"220 x\r\n", "read", said, "close") as running:
        report = await smtp(running, TLSMode.START_TLS)
    assert report.code is None
    assert report.reason.value in ("ProbeInconclusive", "StartTLSNotOffered")


async def test_a_farewell_before_tls_is_no_word_of_the_server_behind_it() -> None:
    """Whoever is in between may have said it, so that it ends the probe and is not heeded."""
    steps = ("read", b"220 go\r\n" + BUSY, "tls", "read", "close")
    async with Hostile(*smtp_until_auth(b"STARTTLS", after=steps), context=context()) as running:
        report = await smtp(running, TLSMode.START_TLS)
    assert verdict(report) == ("TLS", "HandshakeFailed", True)
    assert "someone in between" in report.message
    assert report.code is None
