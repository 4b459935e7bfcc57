# SPDX-License-Identifier: Apache-2.0
"""Signing in over IMAP at servers that misbehave in every way.

Covers: refusals with the stage, the reason and whether they are a verdict; LOGINDISABLED; and how
names and passwords are written: in one line or two, quoted or as literals.
"""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from lab.hostile import Step, answer, imap_until_login
from lab.imap_lab import OPENED, probed
from lab.mail_probing import (
    ECHO,
    PASSWORD,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from postroom.api.masked import Masked
from postroom.mail.report import Login

LOGINS: dict[str, tuple[Step, str, bool, bool | None]] = {
    "no": (answer(b"NO canary"), "AuthenticationRejected", True, False),
    "rejected": (answer(b"NO [AUTHENTICATIONFAILED] x"), "AuthenticationRejected", True, False),
    "another language": (
        answer("NO Konto gesperrt für immer, canary".encode("latin-1")),
        *("AccountDisabled", True, False),
    ),
    # Why, in a warning before the answer.
    "warned": (
        answer(b"NO LOGIN failed", b"OK canary", b"NO [ALERT] Account is locked, canary"),
        *("AccountLocked", True, False),
    ),
    "warned of nothing": (
        answer(b"NO LOGIN failed", b"NO [ALERT] Login failed", b"BAD canary"),
        *("AuthenticationRejected", True, False),
    ),
    "warned of trouble": (
        answer(b"NO canary", b"NO [ALERT] Authentication server is unavailable"),
        *("TemporaryFailure", False, None),
    ),
    # An alert that is no trouble, told with the answer: what stays tells why, what passes does not.
    "alerted": (
        answer(b"NO LOGIN failed", b"OK [ALERT] Your account is disabled, canary"),
        *("AccountDisabled", True, False),
    ),
    "alerted of what is to come": (
        answer(b"NO LOGIN failed", b"OK [ALERT] Maintenance on Saturday, canary"),
        *("AuthenticationRejected", True, False),
    ),
    "expired": (answer(b"NO [EXPIRED] canary"), "AccountDisabled", True, False),
    "wants tls": (answer(b"NO [PRIVACYREQUIRED] canary"), "EncryptionRequired", True, None),
    "unavailable": (answer(b"NO [UNAVAILABLE] canary"), "TemporaryFailure", False, None),
    "throttled": (answer(b"BAD Request is throttled."), "ServerThrottled", False, None),
    "bad": (answer(b"BAD canary"), "ProbeInconclusive", False, None),
    # The result says that it passes, the words that the password is wrong.
    "bad in words": (answer(b"BAD Invalid credentials"), "TemporaryFailure", False, False),
    "bye in words": (b"* BYE Wrong password\r\n", "TemporaryFailure", False, False),
    "referral": (answer(b"NO [REFERRAL imap://x/] Try x"), "AuthenticationRejected", True, False),
    "bye": (b"* BYE canary\r\n", "ProbeInconclusive", False, None),
    "bye for now": (b"* BYE [UNAVAILABLE] canary\r\n", "TemporaryFailure", False, None),
    "bye to many": (b"* BYE Too many connections, canary\r\n", "TemporaryFailure", False, None),
    "bye to the account": (b"* BYE [CONTACTADMIN] canary\r\n", "AccountDisabled", True, False),
    "closed": ("close", "ProbeInconclusive", False, None),
    "silence": ("stall", "ConnectionTimeout", False, None),
    "endless line": ("endless", "ProbeInconclusive", False, None),
    "wants more and more": (b"+ \r\n" * 100, "ConnectionTimeout", False, None),
}


@pytest.mark.parametrize("name", LOGINS)
async def test_logins_that_fail(name: str) -> None:
    reply, reason, conclusive, authenticated = LOGINS[name]
    report, _ = await probed(*imap_until_login(after=("read", reply, "stall")))
    assert verdict(report) == ("Auth", reason, conclusive)
    assert report.authenticated is authenticated
    assert ECHO not in repr(report)


BYE = b"* BYE Logging out\r\n"
ALERT = b"[ALERT] Sign in to webmail first, user@example.com"
SHOWN = "[ALERT] Sign in to webmail first, …"
CAPABLE: tuple[Step, ...] = ("read", answer(b"OK x", b"CAPABILITY IMAP4rev1"))
ALERTED = answer(b"OK x", b"CAPABILITY IMAP4rev1", b"OK " + ALERT)
SIGNED_IN: tuple[Step, ...] = ("read", answer(b"OK in", b"OK " + ALERT))
#: What comes when, the words that are shown, and the reason: never one for what was not refused.
ALERTS: dict[str, tuple[tuple[Step, ...], str, str]] = {
    "in the greeting": (
        (b"* OK " + ALERT + b"\r\n", *CAPABLE, "read", answer(b"NO No")),
        f"No {SHOWN}",
        "AuthenticationRejected",
    ),
    "after the greeting": (
        (b"* OK hi\r\n* OK " + ALERT + b"\r\n", *CAPABLE, "read", answer(b"NO No")),
        f"No {SHOWN}",
        "AuthenticationRejected",
    ),
    "with the capabilities": (
        (b"* OK hi\r\n", *CAPABLE[:1], ALERTED, "read", answer(b"NO No")),
        f"No {SHOWN}",
        "AuthenticationRejected",
    ),
    "twice": (
        imap_until_login(after=("read", answer(b"NO No", b"OK " + ALERT, b"NO " + ALERT))),
        f"No {SHOWN}",
        "AccountDisabled",
    ),
    "before it goes": (
        imap_until_login(after=("read", b"* OK " + ALERT + b"\r\n" + BYE)),
        f"Logging out {SHOWN}",
        "ProbeInconclusive",
    ),
    "before it hangs up": (
        imap_until_login(after=("read", b"* NO " + ALERT + b"\r\n", "close")),
        SHOWN,
        "ProbeInconclusive",
    ),
    "before it falls silent": (
        imap_until_login(after=("read", b"* OK " + ALERT + b"\r\n", "stall")),
        SHOWN,
        "ConnectionTimeout",
    ),
    "in its farewell": (
        imap_until_login(after=("read", b"* BYE " + ALERT + b"\r\n")),
        SHOWN,
        "TemporaryFailure",
    ),
    "at the mailbox": (
        imap_until_login(after=(*SIGNED_IN, "read", answer(b"OK x"), "read", answer(b"NO No"))),
        f"No {SHOWN}",
        "MailboxNotFound",
    ),
}


@pytest.mark.parametrize("name", ALERTS)
async def test_an_alert_is_shown_whenever_it_was_told(name: str) -> None:
    steps, shown, reason = ALERTS[name]
    report, _ = await probed(*steps, "stall")
    assert (report.server_text, report.reason.value) == (shown, reason)


@pytest.mark.parametrize(
    "steps",
    [
        (b"* NO " + ALERT + b"\r\n", "stall"),
        (b"* OK " + ALERT + b"\r\n", "read", answer(b"OK x", b"NO other"), "stall"),
    ],
)
async def test_nothing_is_shown_of_what_is_no_imap_server(steps: tuple[Step, ...]) -> None:
    report, _ = await probed(*steps)
    assert (report.reason.value, report.server_text) == ("UnexpectedGreeting", None)


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        (answer(b"OK in", b"OK " + ALERT), SHOWN),
        (answer(b"OK " + ALERT), SHOWN),
        (answer(b"OK in", b"NO Disk is nearly full"), None),
        (answer(b"OK in", b"OK [ALERT] you said " + PASSWORD.encode()), None),
    ],
)
async def test_an_alert_in_a_session_that_works_is_shown_and_changes_no_verdict(
    login: Step, shown: str | None
) -> None:
    """RFC 9051 section 7.1: it must be. What is no more than a warning need not."""
    report, _ = await probed(*imap_until_login(after=("read", login, *OPENED)))
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert report.server_text == shown


async def test_a_server_that_asks_for_time_gets_it() -> None:
    throttled = answer(b"BAD Request is throttled. Suggested Backoff Time: 90000 milliseconds")
    report, _ = await probed(*imap_until_login(after=("read", throttled, "stall")))
    assert report.retry_after == timedelta(seconds=90)
    assert report.cause == "ServerThrottled"


async def test_login_disabled_is_honoured() -> None:
    report, received = await probed(*imap_until_login(b"LOGINDISABLED", b"AUTH=XOAUTH2"))
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)
    assert "offers XOAUTH2 and" in report.message
    assert not any(b"LOGIN " in one or b"AUTHENTICATE" in one for one in received)


TOKEN = base64.b64encode(f"\0user@example.com\0{PASSWORD}".encode())


async def test_the_mechanism_plain_in_one_line() -> None:
    steps = imap_until_login(
        b"AUTH=PLAIN", b"SASL-IR", after=("read", answer(b"OK"), *OPENED, "read")
    )
    report, received = await probed(*steps)
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert received[1].split()[1:] == [b"AUTHENTICATE", b"PLAIN", TOKEN]


async def test_the_mechanism_plain_in_two_lines() -> None:
    steps = imap_until_login(b"AUTH=PLAIN", after=("read", b"+ \r\n", "read", "close"))
    _, received = await probed(*steps)
    assert received[1].split()[1:] == [b"AUTHENTICATE", b"PLAIN"]
    assert received[2] == TOKEN + b"\r\n"


async def test_login_in_quoted_strings() -> None:
    steps = imap_until_login(after=("read", answer(b"OK"), *OPENED))
    report, received = await probed(*steps, login=Login("user@example.com", Masked("a {1} %*~")))
    assert report.authenticated is True
    assert received[1].partition(b" ")[2] == b'LOGIN "user@example.com" "a {1} %*~"\r\n'


async def test_what_needs_an_escape_goes_in_a_literal() -> None:
    steps = imap_until_login(after=("read", b"+ go\r\n", "read", "stall"))
    _, received = await probed(*steps)
    assert received[1].partition(b" ")[2] == b'LOGIN "user@example.com" {20}\r\n'
    assert received[2] == PASSWORD.encode() + b"\r\n"


async def test_login_with_literals() -> None:
    login = Login("jürgen", Masked("pässwörd"))
    steps = imap_until_login(after=("read", b"+ go\r\n", "read", b"+ go\r\n", "read", "stall"))
    _, received = await probed(*steps, login=login)
    assert received[1].partition(b" ")[2] == b"LOGIN {7}\r\n"
    assert received[2:4] == ["jürgen {10}\r\n".encode(), "pässwörd\r\n".encode()]
