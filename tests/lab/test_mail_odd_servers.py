# SPDX-License-Identifier: Apache-2.0
"""Servers that are odd and work all the same: where real clients sign in, so must we.

Each is played to Python's own clients first, which says what a real client makes of it.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import imaplib
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from lab.hostile import Answers, Hostile, Step, answer
from lab.imap_lab import OK
from lab.mail_probing import (
    AUTHORITY,
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    probes,
)
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.operations import CountDays, ScanMailbox
from postroom.mail.report import Login

PASSWORD = "hunter2-secret"
LOGIN = Login("user@example.com", Masked(PASSWORD))
DONE = ("Done", "ProbeSucceeded")
TAKEN = b"235 2.7.0 welcome\r\n"
ALL_OF_IT = base64.b64encode(f"\0{LOGIN.username}\0{PASSWORD}".encode())
#: The answer to ``<1@x>``.
_HASHED = hmac.new(PASSWORD.encode(), b"<1@x>", "md5").hexdigest()
DIGEST = base64.b64encode(f"{LOGIN.username} {_HASHED}".encode())
NAME, WORD = (base64.b64encode(one.encode()) for one in (LOGIN.username, PASSWORD))


def trusting() -> ssl.SSLContext:
    made = ssl.create_default_context()
    AUTHORITY.configure_trust(made)
    made.check_hostname = False
    return made


TRUSTING = trusting()


def told(expected: bytes, takes: bytes, refuses: bytes) -> Step:
    """Answer by whether the client's line ends with that."""

    def made(line: bytes) -> bytes:
        said = takes if line.strip().endswith(expected) else refuses
        return said.replace(b"TAG", line.split()[0])

    return made


PLAIN = ("read", told(b"AUTH PLAIN " + ALL_OF_IT, TAKEN, b"535 no\r\n"))


def asked(first: bytes, second: bytes) -> tuple[Step, ...]:
    """AUTH LOGIN with these questions, whatever came with the command."""
    return (
        *("read", b"334 " + first + b"\r\n"),
        *("read", told(NAME, b"334 " + second + b"\r\n", b"535 no\r\n")),
        *("read", told(WORD, TAKEN, b"535 no\r\n")),
    )


def asked_once(question: bytes) -> tuple[Step, ...]:
    """AUTH LOGIN with one question, since the name came with the command."""
    return (
        *("read", told(NAME, b"334 " + question + b"\r\n", b"535 no\r\n")),
        *("read", told(WORD, TAKEN, b"535 no\r\n")),
    )


def lines(*texts: bytes, code: bytes = b"250", end: bytes = b"\r\n") -> bytes:
    """A reply of several lines."""
    before = b"".join(code + b"-" + text + end for text in texts[:-1])
    return before + code + b" " + texts[-1] + end


def offering(*extensions: bytes) -> tuple[Step, ...]:
    return (b"220 odd\r\n", "read", lines(b"odd", *extensions))


BYE: tuple[Step, ...] = ("read", b"221 bye\r\n")
LONG = b"X-LONG " + b"x" * 400

#: smtplib wants AUTH in capitals, and takes each question for the password's.
BETTER_THAN_SMTPLIB = {
    "lowercase",
    "LOGIN asks for the name again",
    "LOGIN asks again in other words",
    "LOGIN asks again in the clear",
}
SMTP: dict[str, tuple[Step, ...]] = {
    "AUTH= with an equals sign": (*offering(b"AUTH=PLAIN LOGIN"), *PLAIN, *BYE),
    "both forms of AUTH": (*offering(b"AUTH LOGIN", b"AUTH=PLAIN"), *PLAIN, *BYE),
    "lowercase": (*offering(b"auth plain login", b"size 9"), *PLAIN, *BYE),
    "LOGIN": (*offering(b"AUTH LOGIN"), *asked_once(b"UGFzc3dvcmQ6"), *BYE),
    "LOGIN in other words": (*offering(b"AUTH LOGIN"), *asked_once(b"Y2FuYXJ5"), *BYE),
    "LOGIN without words": (*offering(b"AUTH LOGIN"), *asked_once(b""), *BYE),
    "LOGIN in the clear": (*offering(b"AUTH LOGIN"), *asked_once(b"Password:"), *BYE),
    "LOGIN asks for the name again": (
        *(*offering(b"AUTH LOGIN"), *asked(b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"), *BYE),
    ),
    "LOGIN asks again in other words": (
        *(*offering(b"AUTH LOGIN"), *asked(b"VXNlciBOYW1lAA==", b"UGFzc3dvcmQA"), *BYE),
    ),
    "LOGIN asks again in the clear": (
        *(*offering(b"AUTH LOGIN"), *asked(b"Login:", b"Password:"), *BYE),
    ),
    "PLAIN asks again": (
        *offering(b"AUTH PLAIN"),
        *("read", b"334 \r\n", "read", told(ALL_OF_IT, TAKEN, b"535 no\r\n")),
        *BYE,
    ),
    "PLAIN asks again without a space": (
        *offering(b"AUTH PLAIN"),
        *("read", b"334\r\n", "read", told(ALL_OF_IT, TAKEN, b"535 no\r\n")),
        *BYE,
    ),
    "a greeting of several lines": (
        lines(b"odd", b"no spam", b"please", code=b"220"),
        *offering(b"AUTH PLAIN")[1:],
        *PLAIN,
        *BYE,
    ),
    "a greeting in UTF-8": (
        "220 grüß gott\r\n".encode(),
        *offering(b"AUTH PLAIN")[1:],
        *PLAIN,
        *BYE,
    ),
    "a greeting without words": (b"220\r\n", *offering(b"AUTH PLAIN")[1:], *PLAIN, *BYE),
    "bare line feeds": (
        b"220 odd\n",
        *("read", lines(b"odd", b"AUTH PLAIN", end=b"\n")),
        *("read", b"235 ok\n"),
        *("read", b"221 bye\n"),
    ),
    "long lines": (*offering(LONG, b"AUTH PLAIN", LONG), *PLAIN, *BYE),
    "many extensions": (
        *offering(*[b"X-%d" % one for one in range(99)], b"AUTH PLAIN"),
        *PLAIN,
        *BYE,
    ),
    "no words in the last line": (
        *(b"220 odd\r\n", "read", b"250-odd\r\n250-AUTH PLAIN\r\n250\r\n"),
        *PLAIN,
        *BYE,
    ),
    "235 without words": (*offering(b"AUTH PLAIN"), "read", b"235\r\n", *BYE),
    "235 in lines": (*offering(b"AUTH PLAIN"), "read", b"235-hello\r\n235 there\r\n", *BYE),
    "closes at QUIT": (*offering(b"AUTH PLAIN"), *PLAIN, "read", "close"),
    "resets at QUIT": (*offering(b"AUTH PLAIN"), *PLAIN, "read", "reset"),
    "closes when signed in": (*offering(b"AUTH PLAIN"), *PLAIN, "close"),
    "CRAM-MD5 alone": (
        *offering(b"AUTH CRAM-MD5"),
        *("read", b"334 PDFAeD4=\r\n"),
        *(
            "read",
            told(
                DIGEST,
                TAKEN,
                b"535 no\r\n",
            ),
        ),
        *BYE,
    ),
    "in pieces": (*(b"22", b"0 o", b"dd\r\n"), *offering(b"AUTH PLAIN")[1:], *PLAIN, *BYE),
    "tabs": (*offering(b"AUTH\tPLAIN", b"AUTH PLAIN"), *PLAIN, *BYE),
    "spaces at the end": (*offering(b"AUTH PLAIN LOGIN  "), *PLAIN, *BYE),
    "a mechanism twice": (*offering(b"AUTH PLAIN PLAIN LOGIN"), *PLAIN, *BYE),
    "unknown mechanisms first": (*offering(b"AUTH GSSAPI NTLM X-ODD PLAIN"), *PLAIN, *BYE),
    "a mechanism that is cut": (*offering(b"AUTH PLAIN LOGIN X..."), *PLAIN, *BYE),
}


async def signed_in_by_smtplib(port: int) -> bool:
    def talk() -> bool:
        try:
            client = smtplib.SMTP_SSL("127.0.0.1", port, timeout=30, context=TRUSTING)
            try:
                client.login(LOGIN.username, PASSWORD)
            finally:
                client.close()
        except (smtplib.SMTPException, OSError, ValueError):
            return False
        return True

    return await asyncio.to_thread(talk)


@pytest.mark.parametrize("name", SMTP)
async def test_smtp(name: str) -> None:
    async with Hostile(*SMTP[name], context=context(), implicit=True) as server:
        theirs = await signed_in_by_smtplib(server.port)
        report = await probes(server.port).probe(endpoint(server.port, TLSMode.IMPLICIT), LOGIN)
    assert (outcome(report), report.authenticated) == (DONE, True)
    assert theirs is (name not in BETTER_THAN_SMTPLIB)


def login(line: bytes) -> bytes:
    tag, _, said = line.strip().partition(b" ")
    taken = said.replace(b'"', b"") == f"LOGIN {LOGIN.username} {PASSWORD}".encode()
    return tag + (b" OK in\r\n" if taken else b" NO no\r\n")


LOGGED_IN = ("read", login)
STATUS = answer(b"OK done", b"STATUS INBOX (MESSAGES 3 UNSEEN 1 UIDNEXT 9 UIDVALIDITY 5)")
EXAMINE = answer(b"OK [READ-ONLY]", b"3 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")
MAILBOX: dict[bytes, Sequence[Step]] = {
    b"STATUS": (STATUS,),
    b"EXAMINE": (EXAMINE,),
    b"FETCH": (OK,),
    b"SEARCH": (OK,),
    b"ID": (OK,),
    b"NAMESPACE": (OK,),
    b"LOGOUT": (OK,),
}
OPENS = Answers(MAILBOX, until=b"LOGOUT")
CAPABILITY = ("read", answer(b"OK done", b"CAPABILITY IMAP4rev1"))


def capable(*words: bytes) -> tuple[Step, ...]:
    return ("read", answer(b"OK done", b" ".join([b"CAPABILITY IMAP4rev1", *words])))


def cram(challenge: bytes) -> tuple[Step, ...]:
    digest = hmac.new(PASSWORD.encode(), base64.b64decode(challenge), "md5").hexdigest()
    expected = base64.b64encode(f"{LOGIN.username} {digest}".encode())
    tags: list[bytes] = []

    def ask(line: bytes) -> bytes:
        tags.append(line.split()[0])
        return b"+ " + challenge + b"\r\n"

    def judge(line: bytes) -> bytes:
        return tags[-1] + (b" OK in\r\n" if line.strip() == expected else b" NO no\r\n")

    return ("read", ask, "read", judge)


def asked_plain(prompt: bytes) -> tuple[Step, ...]:
    """AUTHENTICATE PLAIN without an initial response."""
    tags: list[bytes] = []

    def ask(line: bytes) -> bytes:
        tags.append(line.split()[0])
        assert line.split()[1:] == [b"AUTHENTICATE", b"PLAIN"]
        return prompt

    def judge(line: bytes) -> bytes:
        return tags[-1] + (b" OK in\r\n" if line.strip() == ALL_OF_IT else b" NO no\r\n")

    return ("read", ask, "read", judge)


HELLO = b"* OK odd\r\n"
#: imaplib reads neither lowercase nor bare line feeds, wants words after OK and base64 after ``+``,
#: knows neither initial responses, capabilities in a greeting nor IMAP4rev2, and must be told some.
BETTER_THAN_IMAPLIB = {
    "lowercase",
    "bare line feeds",
    "OK without words",
    "capabilities refused",
    "capabilities unknown",
    "PLAIN asked in words",
    "SASL-IR",
    "capabilities in the greeting",
    "the newer version alone",
}
IMAP: dict[str, tuple[Step, ...]] = {
    "usual": (HELLO, *CAPABILITY, *LOGGED_IN, OPENS),
    "CRAM-MD5 alone": (HELLO, *capable(b"AUTH=CRAM-MD5"), *cram(b"PDFAeD4="), OPENS),
    "CRAM-MD5 and no LOGIN": (
        *(HELLO, *capable(b"LOGINDISABLED", b"AUTH=CRAM-MD5"), *cram(b"PDFAeD4="), OPENS),
    ),
    "CRAM-MD5 beside LOGIN": (
        *(HELLO, *capable(b"AUTH=CRAM-MD5", b"AUTH=LOGIN"), *LOGGED_IN, OPENS),
    ),
    "lowercase": (
        b"* ok odd\r\n",
        "read",
        answer(b"ok", b"capability imap4rev1 x"),
        *LOGGED_IN,
        OPENS,
    ),
    "the older version alone": (
        *(HELLO, "read", answer(b"OK done", b"CAPABILITY IMAP4"), *LOGGED_IN, OPENS),
    ),
    "capabilities refused": (HELLO, "read", answer(b"NO log in first"), *LOGGED_IN, OPENS),
    "capabilities unknown": (HELLO, "read", answer(b"BAD unknown command"), *LOGGED_IN, OPENS),
    "capabilities in the greeting": (b"* OK [CAPABILITY IMAP4rev1] odd\r\n", *LOGGED_IN, OPENS),
    "capabilities after the login": (
        HELLO,
        *CAPABILITY,
        "read",
        answer(b"OK [CAPABILITY IMAP4rev1 NAMESPACE] in"),
        OPENS,
    ),
    "capabilities told at the login": (
        HELLO,
        *CAPABILITY,
        "read",
        answer(b"OK in", b"CAPABILITY IMAP4rev1 NAMESPACE"),
        OPENS,
    ),
    "noise before the greeting's answer": (
        HELLO,
        "read",
        answer(b"OK done", b"OK still here", b"CAPABILITY IMAP4rev1", b"OK and here"),
        *LOGGED_IN,
        OPENS,
    ),
    "noise at the login": (
        HELLO,
        *CAPABILITY,
        "read",
        answer(b"OK in", b"OK [ALERT] be nice", b"0 EXISTS", b"BYE-BYE is no word"),
        OPENS,
    ),
    "a greeting in UTF-8": ("* OK grüß gott\r\n".encode(), *CAPABILITY, *LOGGED_IN, OPENS),
    "a greeting without words": (b"* OK\r\n", *CAPABILITY, *LOGGED_IN, OPENS),
    "literal+": (HELLO, *capable(b"LITERAL+"), *LOGGED_IN, OPENS),
    "PLAIN without SASL-IR": (HELLO, *capable(b"AUTH=PLAIN"), *asked_plain(b"+ \r\n"), OPENS),
    "PLAIN asked without a space": (HELLO, *capable(b"AUTH=PLAIN"), *asked_plain(b"+\r\n"), OPENS),
    "PLAIN asked in words": (
        HELLO,
        *capable(b"AUTH=PLAIN"),
        *asked_plain(b"+ go ahead\r\n"),
        OPENS,
    ),
    "SASL-IR": (
        HELLO,
        *capable(b"AUTH=PLAIN", b"SASL-IR"),
        *("read", told(b"AUTHENTICATE PLAIN " + ALL_OF_IT, b"TAG OK in\r\n", b"TAG NO x\r\n")),
        OPENS,
    ),
    "a name is required": (
        HELLO,
        *capable(b"ID"),
        *("read", answer(b"OK in")),
        OPENS,
    ),
    "bare line feeds": (
        b"* OK odd\n",
        *("read", lambda line: b"* CAPABILITY IMAP4rev1\n" + line.split()[0] + b" OK\n"),
        *("read", lambda line: line.split()[0] + b" OK in\n"),
        OPENS,
    ),
    "long lines": (HELLO, *capable(*[b"X-LONG-%d" % one for one in range(900)]), *LOGGED_IN, OPENS),
    "an old version": (
        *(HELLO, "read", answer(b"OK done", b"CAPABILITY IMAP4 IMAP4rev1"), *LOGGED_IN, OPENS),
    ),
    "the newer version alone": (
        HELLO,
        "read",
        answer(b"OK done", b"CAPABILITY IMAP4rev2"),
        *LOGGED_IN,
        OPENS,
    ),
    "OK without words": (HELLO, *CAPABILITY, "read", answer(b"OK"), OPENS),
    "spaces at the end": (
        b"* OK odd  \r\n",
        *("read", answer(b"OK done", b"CAPABILITY IMAP4rev1  ")),
        *LOGGED_IN,
        OPENS,
    ),
    "closes at LOGOUT": (
        *(HELLO, *CAPABILITY, *LOGGED_IN),
        Answers({**MAILBOX, b"LOGOUT": ("close",)}, until=b"LOGOUT"),
    ),
    "in pieces": (*(b"* O", b"K od", b"d\r", b"\n"), *CAPABILITY, *LOGGED_IN, OPENS),
    "no STATUS": (
        *(HELLO, *CAPABILITY, *LOGGED_IN),
        Answers({**MAILBOX, b"STATUS": (answer(b"BAD unknown"),)}, until=b"LOGOUT"),
    ),
    "says BYE with LOGOUT alone": (HELLO, *CAPABILITY, *LOGGED_IN, OPENS),
}


async def signed_in_by_imaplib(port: int) -> bool:
    def talk() -> bool:
        try:
            client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=TRUSTING, timeout=30)
            try:
                if "AUTH=PLAIN" in client.capabilities:
                    client.authenticate("PLAIN", lambda _: base64.b64decode(ALL_OF_IT))
                elif client.capabilities[-1] == "AUTH=CRAM-MD5":
                    client.login_cram_md5(LOGIN.username, PASSWORD)
                else:
                    client.login(LOGIN.username, PASSWORD)
            finally:
                client.shutdown()
        except (imaplib.IMAP4.error, OSError, ValueError):
            return False
        return True

    return await asyncio.to_thread(talk)


@pytest.mark.parametrize("name", IMAP)
async def test_imap(name: str) -> None:
    async with Hostile(*IMAP[name], context=context(), implicit=True) as server:
        theirs = await signed_in_by_imaplib(server.port)
        where = endpoint(server.port, TLSMode.IMPLICIT)
        report = await probes(server.port).probe(where, LOGIN, "INBOX")
    assert (outcome(report), report.authenticated) == (DONE, True)
    assert theirs is (name not in BETTER_THAN_IMAPLIB)


async def test_who_wants_to_know_our_name_is_told_it_before_any_mailbox_is_opened() -> None:
    """As NetEase does, which answers EXAMINE with "Unsafe Login" otherwise; in errands as well."""
    named: list[bytes] = []

    def note(line: bytes) -> bytes:
        named.append(line)
        return line.split()[0] + b" OK hello\r\n"

    def open_to_named(line: bytes) -> bytes:
        tag = line.split()[0]
        lines = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 9] x\r\n" if named else b""
        return lines + tag + (b" OK x\r\n" if named else b" NO EXAMINE Unsafe Login.\r\n")

    steps = Answers(
        {**MAILBOX, b"LIST": (OK,), b"ID": (note,), b"EXAMINE": (open_to_named,)}, until=b"LOGOUT"
    )
    script = (HELLO, *capable(b"ID"), *LOGGED_IN, steps)
    async with Hostile(*script, context=context(), implicit=True) as server:
        where, asking = endpoint(server.port, TLSMode.IMPLICIT), probes(server.port)
        assert outcome(await asking.probe(where, LOGIN, "INBOX")) == DONE
        named.clear()
        days = await asking.perform(where, LOGIN, CountDays("INBOX", date(2026, 1, 1)))
        named.clear()
        found = await asking.perform(where, LOGIN, ScanMailbox("INBOX", ()))
        assert outcome(days.session) == outcome(found.session) == DONE


NO_EXAMINE = [
    b"BAD Error in IMAP command EXAMINE: Unknown command.",
    b"BAD command unknown",
    b"BAD Unrecognized command",
    b"BAD EXAMINE not supported",
    b"NO command not implemented",
]
SELECT = answer(b"OK [READ-WRITE] in", b"3 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")


def opening(refuses: bytes, select: Step = SELECT) -> tuple[Step, ...]:
    steps = {**MAILBOX, b"EXAMINE": (answer(refuses),), b"SELECT": (select,)}
    return (HELLO, *CAPABILITY, *LOGGED_IN, Answers(steps, until=b"LOGOUT"))


@pytest.mark.parametrize("refuses", NO_EXAMINE)
@pytest.mark.parametrize("allowed", [True, False])
async def test_a_server_without_examine(refuses: bytes, allowed: bool) -> None:
    """SELECT changes marks, so it is sent only where the spec allows it."""
    async with Hostile(*opening(refuses), context=context(), implicit=True) as server:
        where = replace(endpoint(server.port, TLSMode.IMPLICIT), may_select=allowed)
        report = await probes(server.port).probe(where, LOGIN, "INBOX")
        history = await probes(server.port).perform(
            where, LOGIN, CountDays("INBOX", date(2026, 1, 1))
        )
    selected = sum(b"SELECT" in one for one in server.received)
    if allowed:
        assert outcome(report) == outcome(history.session) == DONE
        assert report.mailbox is not None
        assert (report.mailbox.selected, report.mailbox.messages) == (True, 3)
        assert selected == 2
    else:
        assert outcome(report) == outcome(history.session) == ("Mailbox", "CapabilityMissing")
        assert "set imap.allowSelect to true" in report.message
        assert selected == 0


@pytest.mark.parametrize("refuses", [b"NO [NONEXISTENT] no such mailbox", b"NO denied", b"BAD no"])
async def test_other_refusals_of_examine_are_no_reason_to_select(refuses: bytes) -> None:
    async with Hostile(*opening(refuses), context=context(), implicit=True) as server:
        where = endpoint(server.port, TLSMode.IMPLICIT)
        report = await probes(server.port).probe(where, LOGIN, "INBOX")
    assert report.stage.value == "Mailbox"
    assert "allowSelect" not in report.message
    assert not any(b"SELECT" in one for one in server.received)


async def test_examine_comes_first_where_select_is_allowed() -> None:
    async with Hostile(*IMAP["usual"], context=context(), implicit=True) as server:
        where = replace(endpoint(server.port, TLSMode.IMPLICIT), may_select=True)
        report = await probes(server.port).probe(where, LOGIN, "INBOX")
    assert outcome(report) == DONE
    assert report.mailbox is not None
    assert report.mailbox.selected is False
    assert not any(b"SELECT" in one for one in server.received)


@pytest.mark.parametrize("code", [500, 501, 502, 504, 550])
async def test_helo_where_ehlo_is_refused(code: int) -> None:
    refused = b"%d what?\r\n" % code
    steps = (b"220 odd\r\n", "read", refused, "read", b"250 hello\r\n", *BYE)
    async with Hostile(*steps) as server:
        report = await probes(server.port).probe(endpoint(server.port), None)
    assert outcome(report) == DONE
    assert server.received[:2] == [b"EHLO postroom.invalid\r\n", b"HELO postroom.invalid\r\n"]


@pytest.mark.parametrize(
    ("mode", "after", "expected", "told"),
    [
        (TLSMode.IMPLICIT, b"250 hi\r\n", ("Auth", "CapabilityMissing"), "no EHLO, and so no AUTH"),
        (TLSMode.START_TLS, b"250 hi\r\n", ("Capabilities", "StartTLSNotOffered"), "knows no EHLO"),
        (TLSMode.IMPLICIT, b"550 no\r\n", ("Capabilities", "CapabilityMissing"), "EHLO with 502"),
    ],
)
async def test_what_helo_lacks(
    mode: TLSMode, after: bytes, expected: tuple[str, str], told: str
) -> None:
    steps = (b"220 odd\r\n", "read", b"502 what?\r\n", "read", after, "stall")
    implicit = mode is TLSMode.IMPLICIT
    async with Hostile(*steps, context=context(), implicit=implicit) as server:
        report = await probes(server.port).probe(endpoint(server.port, mode), LOGIN)
    assert outcome(report) == expected
    assert told in report.message
    assert not any(b"AUTH" in one for one in server.received)


@pytest.mark.parametrize("mode", [TLSMode.IMPLICIT, TLSMode.START_TLS])
async def test_a_refusal_of_our_name_is_no_old_server(mode: TLSMode) -> None:
    """What it offers to those whom it takes nobody knows: neither STARTTLS nor AUTH is missed."""
    steps = (b"220 odd\r\n", "read", b"550 5.7.1 bad HELO name\r\n", "read", b"250 hi\r\n", "stall")
    implicit = mode is TLSMode.IMPLICIT
    async with Hostile(*steps, context=context(), implicit=implicit) as server:
        report = await probes(server.port).probe(endpoint(server.port, mode), LOGIN)
    assert outcome(report) == ("Capabilities", "ServiceUnavailable")
    assert (report.code, report.conclusive) == (550, True)
    assert "answers EHLO with 550" in report.message
    assert not any(b"AUTH" in one for one in server.received)


async def test_a_busy_server_is_not_asked_for_helo() -> None:
    steps = (b"220 odd\r\n", "read", b"450 4.3.2 later\r\n", "stall")
    async with Hostile(*steps) as server:
        report = await probes(server.port).probe(endpoint(server.port), None)
    assert not report.conclusive
    assert len(server.received) == 1


@pytest.mark.parametrize("challenge", [b"a", b"=====", b"%%%"])
async def test_a_challenge_that_is_none_is_no_refusal(challenge: bytes) -> None:
    steps = (HELLO, *capable(b"AUTH=CRAM-MD5"), "read", b"+ " + challenge + b"\r\n", "read")
    refuse = (*steps, lambda _: b"")
    async with Hostile(*refuse, "close", context=context(), implicit=True) as server:
        where = endpoint(server.port, TLSMode.IMPLICIT)
        report = await probes(server.port).probe(where, LOGIN, "INBOX")
    assert (report.stage.value, report.conclusive, report.authenticated) == ("Auth", False, None)
    assert server.received[-1] == b"*\r\n"
