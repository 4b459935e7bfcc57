# SPDX-License-Identifier: Apache-2.0
"""Each known hazard of aioimaplib, by name, against a server that brings it about.

The hazards: a greeting after which nothing comes, refused tokens, BYE and what is no IMAP, many
lines at once, a line without end, LOGINDISABLED, what has to be quoted, secrets in logs, TLS
contexts built in the event loop, EXAMINE, quota roots, capabilities, and cancelled commands.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from ssl import SSLContext

import pytest

from lab.hostile import Hostile, Step, answer, imap_until_login, packed
from lab.imap_lab import OK, scripted
from lab.mail_probing import (
    LOGIN,
    PASSWORD,
    TOKEN,
    TOKEN_LOGIN,
    context,
    imap,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from postroom.api.masked import Masked
from postroom.mail.connect import tls
from postroom.mail.report import Login, ProbeReport

GREETING = b"* OK hostile\r\n"
DONE = ("Done", "ProbeSucceeded")


async def against(*steps: Step, login: Login | None = LOGIN) -> tuple[ProbeReport, list[bytes]]:
    async with Hostile(*steps, context=context(), implicit=True) as server:
        return await imap(server, login), server.received


async def test_a_greeting_and_then_silence_ends_in_time() -> None:
    report, _ = await against(GREETING, "stall")
    assert verdict(report) == ("Capabilities", "ConnectionTimeout", False)


async def test_a_refused_token_is_an_answer_and_no_timeout() -> None:
    received: list[bytes] = []

    def refusal(_: bytes) -> bytes:
        return received[1].split()[0] + b" NO [AUTHENTICATIONFAILED] x\r\n"

    error = b"+ " + packed({"status": "400"}) + b"\r\n"
    after = ("read", error, "read", refusal, "stall")
    steps = imap_until_login(b"AUTH=XOAUTH2", b"SASL-IR", after=after)
    async with Hostile(*steps, context=context(), implicit=True) as server:
        received = server.received
        report = await imap(server, TOKEN_LOGIN)
    assert outcome(report) == ("Auth", "AuthenticationRejected")
    assert report.authenticated is False


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((b"* BYE not you\r\n",), "ServiceUnavailable"),
        ((b"220 mail ESMTP\r\n", "stall"), "UnexpectedGreeting"),
        ((b"HTTP/1.1 400 Bad\r\n\r\n", "close"), "UnexpectedGreeting"),
        ((b"\x00\x01\x02\r\n", "stall"), "UnexpectedGreeting"),
        (("close",), "ProbeInconclusive"),
    ],
)
async def test_what_greets_otherwise_is_named(steps: tuple[Step, ...], reason: str) -> None:
    report, _ = await against(*steps)
    assert outcome(report) == ("Greeting", reason)


async def test_the_end_of_input_during_the_login_is_named() -> None:
    report, _ = await against(*imap_until_login(after=("read", "close")))
    assert verdict(report) == ("Auth", "ProbeInconclusive", False)


OPENED: dict[bytes, Step] = {
    b"STATUS": answer(b"OK", b"STATUS INBOX (MESSAGES 0 UNSEEN 0 UIDNEXT 1 UIDVALIDITY 5)"),
    b"EXAMINE": answer(b"OK", b"0 EXISTS"),
}


async def test_fifteen_hundred_mailboxes_in_one_chunk() -> None:
    lines = [b'LIST () "/" "folder %d"' % number for number in range(1500)]
    listing = answer(b"OK", *lines, b'LIST (\\Sent) "/" "Sent"')
    async with scripted({**OPENED, b"LIST": listing}, b"SPECIAL-USE") as server:
        report = await server.check()
    assert outcome(report) == DONE
    assert report.mailbox is not None
    assert report.mailbox.special == {"Sent": "Sent"}


async def test_a_line_without_end_is_bounded() -> None:
    report, _ = await against(*imap_until_login(after=("read", "endless")))
    assert verdict(report) == ("Auth", "ProbeInconclusive", False)


async def test_logindisabled_keeps_the_password_here() -> None:
    report, received = await against(*imap_until_login(b"LOGINDISABLED", after=("read",)))
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)
    assert PASSWORD.encode() not in b"".join(received)
    assert not any(b"LOGIN " in one for one in received)


async def test_a_user_with_a_space_and_a_password_with_an_umlaut() -> None:
    steps = imap_until_login(after=("read", b"+ go\r\n", "read", "stall"))
    _, received = await against(*steps, login=Login("a b", Masked("hunter2 ü")))
    assert received[1].partition(b" ")[2] == b'LOGIN "a b" {10}\r\n'
    assert received[2] == "hunter2 ü\r\n".encode()


@pytest.mark.parametrize("login", [LOGIN, TOKEN_LOGIN])
async def test_no_log_holds_a_secret(login: Login, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="aioimaplib")
    steps = imap_until_login(b"AUTH=XOAUTH2", b"AUTH=PLAIN", b"SASL-IR", after=("read", "close"))
    _, received = await against(*steps, login=login)
    sent = received[1].split()[-1].decode()
    assert len(sent) > len(TOKEN)
    assert sent not in caplog.text
    assert "hunter2" not in caplog.text


async def test_contexts_are_not_built_in_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    builders: list[int] = []
    build = tls.build_context

    def noted(ca_bundle: str | None) -> SSLContext:
        builders.append(threading.get_ident())
        return build(ca_bundle)

    monkeypatch.setattr(tls, "build_context", noted)
    await against(*imap_until_login(after=("read",)), login=None)
    assert len(builders) == 1
    assert builders != [threading.get_ident()]


async def test_after_examine_the_mailbox_is_open() -> None:
    examined = answer(b"OK [READ-ONLY]", b"1 EXISTS")
    newest = answer(b"OK", b'1 FETCH (UID 3 INTERNALDATE "01-May-2026 12:00:00 +0000")')
    async with scripted({b"STATUS": OK, b"EXAMINE": examined, b"FETCH": newest}) as server:
        report = await server.check()
        said = server.said
    assert report.mailbox is not None
    assert report.mailbox.newest_at is not None
    assert not any(one.startswith(b"SELECT") for one in said)


async def test_the_quota_of_the_mailbox_itself_is_asked_for() -> None:
    async with scripted({**OPENED, b"GETQUOTAROOT": OK}, b"QUOTA") as server:
        await server.check("Support & co")
        said = server.said
    assert said[-1] == b'GETQUOTAROOT "Support &- co"'


async def test_capabilities_are_words_and_are_read_anew_after_the_login() -> None:
    welcome = answer(b"OK [CAPABILITY IMAP4rev1 QUOTA] Logged in")
    opened = ("read", OK, "read", answer(b"OK", b"0 EXISTS"))
    asked = ("read", answer(b"OK", b"QUOTA x (STORAGE 1 2)"), "read")
    report, received = await against(*imap_until_login(after=("read", welcome, *opened, *asked)))
    assert outcome(report) == DONE
    assert report.mailbox is not None
    assert report.mailbox.octets is not None
    assert b"GETQUOTAROOT" in received[4]
    assert report.server is not None
    assert report.server.capabilities == ["IMAP4REV1"]


async def test_a_cancelled_command_drops_the_connection() -> None:
    asked = asyncio.Event()

    def noted(_: bytes) -> bytes:
        asked.set()
        return b""

    steps = imap_until_login(after=("read", OK, "read", noted))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        task = asyncio.create_task(imap(server))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        await asyncio.sleep(0.05)
        # It ended without a word of ours, and not with LOGOUT.
        assert b"LOGOUT" not in b"".join(server.received)
