# SPDX-License-Identifier: Apache-2.0
"""IMAP probes against servers that misbehave in every way.

Covers: greetings, capabilities and mailboxes, each with the stage, the reason and whether it is a
verdict; the hazards of aioimaplib (silence, BYE, garbage, endless input, many lines); what is
offered after the login; and the counts of a mailbox.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from lab.hostile import Hostile, Step, answer, imap_until_login
from lab.imap_lab import OPENED, probed
from lab.mail_probing import (
    ECHO,
    context,
    imap,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from postroom.mail.report import Mailbox

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
    "signed in for nothing": (answer(b"NO [AUTHENTICATIONFAILED] canary"), "MailboxNotFound", True),
    "expired": (answer(b"NO [EXPIRED] canary"), "AccountDisabled", True),
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
async def test_what_is_not_offered_any_more_after_the_login(welcome: Step) -> None:
    """RFC 9051 section 6.2.2: the list that is told then stands for the one from before. A server
    that knows no SIZE refuses all of STATUS for it."""
    before = (b"STATUS=SIZE", b"NAMESPACE", b"QUOTA", b"IDLE")
    opened: tuple[Step, ...] = ("read", answer(b"OK"), *OPENED, "read")
    report, received = await probed(*imap_until_login(*before, after=("read", welcome, *opened)))
    assert outcome(report) == ("Done", "ProbeSucceeded")
    said = b"".join(received)
    assert b"UIDVALIDITY)" in said
    assert not any(word in said for word in (b"SIZE)", b"NAMESPACE", b"GETQUOTA"))


@pytest.mark.parametrize("name", ["Archive {5}", "{99}", "x {1000000}"])
async def test_a_name_that_a_refusal_repeats_announces_nothing(name: str) -> None:
    """What seemed to announce a literal was waited for, and the server taken for a silent one."""
    text = b"NO [NONEXISTENT] Unknown Mailbox: " + name.encode()
    steps = ("read", answer(b"OK"), "read", answer(text), "read", answer(text))
    report, _ = await probed(*imap_until_login(after=steps), mailbox=name)
    assert outcome(report) == ("Mailbox", "MailboxNotFound")


@pytest.mark.parametrize(
    "welcome",
    [
        answer(b"OK [CAPABILITY IMAP4rev1 ID] in"),
        answer(b"OK in", b"CAPABILITY IMAP4rev1 ID"),
        answer(b"OK in", b"OK [CAPABILITY IMAP4rev1 ID] more"),
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


async def test_silence_where_tls_is_expected_may_be_load() -> None:
    async with Hostile("stall") as server:
        report = await imap(server)
    assert outcome(report) == ("TLS", "ConnectionTimeout")
    assert "look at its load; where it has none, " in report.message
