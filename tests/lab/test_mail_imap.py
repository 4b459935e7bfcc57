# SPDX-License-Identifier: Apache-2.0
"""IMAP probes against servers that misbehave in every way.

Covers: greetings, capabilities, logins and mailboxes, each with the stage, the reason and whether
it is a verdict; the hazards of aioimaplib (silence, BYE, garbage, endless input, many lines,
LOGINDISABLED, quoting); how names and passwords are written; and the counts of a mailbox.
"""

from __future__ import annotations

import asyncio
import base64
import time
from datetime import timedelta

import pytest

from lab.hostile import Hostile, Step, answer, imap_until_login
from lab.mail_probing import (
    ECHO,
    LOGIN,
    PASSWORD,
    context,
    imap,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from postroom.api.masked import Masked
from postroom.mail.report import Login, Mailbox, ProbeReport


async def probed(
    *steps: Step, login: Login | None = LOGIN, mailbox: str = "INBOX"
) -> tuple[ProbeReport, list[bytes]]:
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await imap(server, login, mailbox)
    return report, server.received


GREETINGS: dict[str, tuple[tuple[Step, ...], str, bool]] = {
    "silence": (("stall",), "ConnectionTimeout", True),
    "bye": ((b"* BYE canary\r\n",), "ServiceUnavailable", True),
    "bye for now": ((b"* BYE [UNAVAILABLE] canary\r\n",), "ServiceUnavailable", False),
    "bye to many": ((b"* BYE Too many connections from canary\r\n",), "TemporaryFailure", False),
    "smtp": ((b"220 canary ESMTP\r\n", "stall"), "UnexpectedGreeting", True),
    "http": ((b"HTTP/1.1 400 canary\r\n\r\n", "close"), "UnexpectedGreeting", True),
    "binary": ((b"\x00\xff\xfe\r\n", "stall"), "UnexpectedGreeting", True),
    "nobody is asked": ((b"* PREAUTH canary\r\n", "stall"), "CapabilityMissing", True),
    "closed": (("close",), "ProbeInconclusive", False),
    "endless line": (("endless",), "UnexpectedGreeting", True),
    "a long line": ((b"* OK " + b"x" * 70_000 + b"\r\n", "stall"), "UnexpectedGreeting", True),
}


@pytest.mark.parametrize("name", GREETINGS)
async def test_greetings(name: str) -> None:
    steps, reason, conclusive = GREETINGS[name]
    report, received = await probed(*steps)
    assert verdict(report) == ("Greeting", reason, conclusive)
    assert ECHO not in repr(report)
    assert not any(b"LOGIN" in one for one in received)


CAPABILITIES: dict[str, tuple[tuple[Step, ...], str, bool]] = {
    "silence": (("stall",), "ConnectionTimeout", False),
    "bye": ((b"* BYE canary\r\n",), "ServiceUnavailable", False),
    "closed": (("close",), "ProbeInconclusive", False),
    "reset": (("reset",), "ProbeInconclusive", False),
    "not imap4rev1": ((answer(b"OK", b"CAPABILITY POP3"), "stall"), "UnexpectedGreeting", True),
    "answers to another": ((b"Z9999 OK canary\r\n", "stall"), "UnexpectedGreeting", True),
    "ten thousand lines": ((b"* LIST () NIL x\r\n" * 10_000, "stall"), "ConnectionTimeout", False),
    "too many lines": ((b"\r\n" * 200_000, "stall"), "UnexpectedGreeting", True),
    "too many bytes": ((b"* x\r\n" + b"y" * 999 + b"\r\n",) * 1100, "UnexpectedGreeting", True),
    "an endless literal": ((b"* LIST {99999999}\r\n", "endless"), "UnexpectedGreeting", True),
}


@pytest.mark.parametrize("name", CAPABILITIES)
async def test_answers_to_capability(name: str) -> None:
    after, reason, conclusive = CAPABILITIES[name]
    report, _ = await probed(b"* OK canary\r\n", "read", *after)
    assert verdict(report) == ("Capabilities", reason, conclusive)
    assert ECHO not in repr(report)


async def test_a_server_that_refuses_capability() -> None:
    """Only a login can show whether it works."""
    steps = (b"* OK canary\r\n", "read", answer(b"BAD canary"), "read", "stall")
    report, received = await probed(*steps)
    assert verdict(report) == ("Auth", "ConnectionTimeout", False)
    assert b"LOGIN" in received[1]
    assert ECHO not in repr(report)
    report, _ = await probed(*steps, login=None)
    assert verdict(report) == ("Capabilities", "UnexpectedGreeting", True)


async def test_many_lines_do_not_hold_up_others() -> None:
    async def longest_pause() -> float:
        # Of this thread's own time: how busy the machine is does not count.
        longest, before = 0.0, time.thread_time()
        while True:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                return longest
            longest, before = max(longest, time.thread_time() - before), time.thread_time()

    watch = asyncio.create_task(longest_pause())
    await probed(b"* OK x\r\n", "read", b"* x\r\n" * 19_000, "stall")
    watch.cancel()
    assert await watch < 0.5


async def test_a_cancelled_probe_ends_at_once() -> None:
    async with Hostile(b"* OK x\r\n", "stall", context=context(), implicit=True) as server:
        task = asyncio.create_task(imap(server))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 0.1)


async def test_facts_of_a_server() -> None:
    steps = (
        b"* OK Dovecot ready\r\n",
        *imap_until_login(b"AUTH=PLAIN", b"AUTH=LOGIN", b"idle", b"<b>", b"\xff")[1:],
    )
    report, received = await probed(*steps, "read", login=None)
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert report.server is not None
    assert report.server.implementation == "Dovecot"
    assert report.server.capabilities == ["AUTH=LOGIN", "AUTH=PLAIN", "IDLE", "IMAP4REV1"]
    assert report.server.auth_mechanisms == ["LOGIN", "PLAIN"]
    assert received[-1] == b"zz LOGOUT\r\n"


LOGINS: dict[str, tuple[Step, str, bool, bool | None]] = {
    "no": (answer(b"NO canary"), "AuthenticationRejected", True, False),
    "rejected": (answer(b"NO [AUTHENTICATIONFAILED] x"), "AuthenticationRejected", True, False),
    "expired": (answer(b"NO [EXPIRED] canary"), "AccountDisabled", True, False),
    "wants tls": (answer(b"NO [PRIVACYREQUIRED] canary"), "EncryptionRequired", True, None),
    "unavailable": (answer(b"NO [UNAVAILABLE] canary"), "TemporaryFailure", False, None),
    "throttled": (answer(b"BAD Request is throttled."), "ServerThrottled", False, None),
    "bad": (answer(b"BAD canary"), "ProbeInconclusive", False, None),
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


OPENED: tuple[Step, ...] = (
    "read",
    answer(b"OK (0.1 secs)", b'STATUS "INBOX" (MESSAGES 7 UNSEEN 2 UIDNEXT 99 UIDVALIDITY 5)'),
    "read",
    answer(b"OK [READ-ONLY] done", b"7 EXISTS", b"OK [UIDVALIDITY 5] x"),
)
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


async def test_the_counts_of_a_mailbox() -> None:
    steps = imap_until_login(after=("read", answer(b"OK"), *OPENED, "read"))
    report, received = await probed(*steps)
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert report.mailbox == Mailbox("INBOX", messages=7, unseen=2, uid_next=99, uid_validity=5)
    assert received[3].split()[1:] == [b"EXAMINE", b'"INBOX"']


async def test_a_mailbox_whose_name_comes_as_a_literal() -> None:
    status = b"STATUS {3}\r\na\\b (MESSAGES 4 UNSEEN 1 UIDNEXT 8 UIDVALIDITY 2)"
    opened: tuple[Step, ...] = ("read", answer(b"OK", status), "read", answer(b"OK"), "read")
    steps = imap_until_login(after=("read", answer(b"OK"), *opened))
    report, received = await probed(*steps, mailbox="a\\b")
    assert report.mailbox == Mailbox("a\\b", messages=4, unseen=1, uid_next=8, uid_validity=2)
    assert received[2].split()[2] == b'"a\\\\b"'


async def test_a_mailbox_that_may_only_be_opened() -> None:
    opened: tuple[Step, ...] = (
        *("read", answer(b"NO [NOPERM] canary")),
        *("read", answer(b"OK", b"3 EXISTS", b"OK [UIDNEXT 4] x", b"OK [UIDVALIDITY 1] x"), "read"),
    )
    report, _ = await probed(*imap_until_login(after=("read", answer(b"OK"), *opened)))
    assert report.mailbox == Mailbox("INBOX", messages=3, unseen=None, uid_next=4, uid_validity=1)


MAILBOXES: dict[str, tuple[Step, str, bool]] = {
    "missing": (answer(b"NO [NONEXISTENT] canary"), "MailboxNotFound", True),
    "forbidden": (answer(b"NO [NOPERM] canary"), "MailboxNotFound", True),
    "not connected": (
        answer(b"BAD User is authenticated but not connected."),
        "MailboxNotFound",
        True,
    ),
    "bad": (answer(b"BAD canary"), "ProbeInconclusive", False),
    "full": (answer(b"NO [OVERQUOTA] canary"), "TemporaryFailure", False),
    "in use": (answer(b"NO [INUSE] canary"), "TemporaryFailure", False),
    "throttled": (answer(b"BAD Request is throttled."), "ServerThrottled", False),
    "bye": (b"* BYE canary\r\n", "ProbeInconclusive", False),
    "bye for now": (b"* BYE [UNAVAILABLE] canary\r\n", "TemporaryFailure", False),
    "silence": ("stall", "ConnectionTimeout", False),
}


@pytest.mark.parametrize("name", MAILBOXES)
async def test_mailboxes_that_do_not_open(name: str) -> None:
    reply, reason, conclusive = MAILBOXES[name]
    after = ("read", answer(b"OK"), "read", answer(b"NO x"), "read", reply, "stall")
    report, _ = await probed(*imap_until_login(after=after))
    assert verdict(report) == ("Mailbox", reason, conclusive)
    assert report.authenticated is True
    assert ECHO not in repr(report)


async def test_the_client_says_its_name_before_it_opens_a_mailbox() -> None:
    unsafe = answer(b"NO EXAMINE Unsafe Login. canary")
    named = ("read", answer(b"OK", b'ID ("name" "canary")'))
    opened: tuple[Step, ...] = (*named, *OPENED, "read")
    steps = imap_until_login(b"ID", after=("read", answer(b"OK"), *opened))
    report, received = await probed(*steps)
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert received[2].split(b" ", 1)[1] == b'ID ("name" "postroom")\r\n'
    refusing = imap_until_login(after=("read", answer(b"OK"), "read", unsafe, "read", unsafe))
    report, received = await probed(*refusing)
    assert outcome(report) == ("Mailbox", "MailboxNotFound")
    assert not any(b" ID " in one for one in received)


@pytest.mark.parametrize(
    "welcome",
    [
        answer(b"OK [CAPABILITY IMAP4rev1 ID] in"),
        answer(b"OK in", b"CAPABILITY IMAP4rev1 ID"),
    ],
)
async def test_what_is_offered_after_the_login(welcome: Step) -> None:
    opened: tuple[Step, ...] = ("read", answer(b"BAD canary"), *OPENED, "read")
    report, received = await probed(*imap_until_login(after=("read", welcome, *opened)))
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert b" ID " in received[2]


async def test_plain_imap_where_tls_is_expected() -> None:
    async with Hostile(b"* OK IMAP4rev1\r\n", "stall") as server:
        report = await imap(server)
    assert outcome(report) == ("TLS", "HandshakeFailed")
    assert "993" in report.message
    assert "tls.mode" not in report.message


async def test_no_tls_where_tls_is_expected() -> None:
    async with Hostile("stall") as server:
        report = await imap(server)
    assert outcome(report) == ("TLS", "HandshakeFailed")
