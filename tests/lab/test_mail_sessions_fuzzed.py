# SPDX-License-Identifier: Apache-2.0
"""Conversations that nobody foresaw: whatever a server does, a session ends in time, in a report.

Hypothesis draws every turn of the server; sessions, parsers, TLS and sockets are real. Held: no
exception but those that are meant; the deadlines; no secret in the clear, in a log or in a report;
nothing said over TLS after something was injected before it; no success that was not said;
nothing believed of what was told in the clear; bounded octets; no task and no socket left.
`make fuzz` does many times as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.mail_machine import (
    CLEAR_ONLY,
    CLEAR_ONLY_IMAP,
    PASSWORD_LOGIN,
    TOKEN_LOGIN,
    Drawing,
    Machine,
    drawings,
    fuzzed,
    needles,
)
from lab.mail_machine_talks import MESSAGES, ImapMachine, SmtpMachine, SmtpTalk, connector
from lab.mail_probing import HOST
from lab.mail_scene import Shown, played
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.mail.connect.dial import Deadlines
from postroom.mail.imap import auth as imap_auth
from postroom.mail.imap import probe as imap
from postroom.mail.imap.reading import MailboxReader, MessageGone
from postroom.mail.imap.scan import scan
from postroom.mail.operations import (
    Acceptance,
    AskSenders,
    OutgoingMessage,
    ScanMailbox,
    SendMessage,
)
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.smtp import auth as smtp
from postroom.mail.smtp.envelope import ask_senders
from postroom.mail.smtp.sending import send

TRICKS = (
    *(
        "half",
        "hang or stall",
        "before",
        "after",
        "later",
        "instead",
        "twice",
        "other result",
        "NUL",
    ),
    *("noise", "long line", "many lines", "endless", "bare ends", "slow", "echo", "goodbye"),
    *("line less", "shuffled", "other literal", "brace", "other case"),
)
#: Tricks that change nothing, played in every turn; and messages that look like a server's word.
HARMLESS: dict[type[Machine], tuple[bytes | str, ...]] = {
    SmtpMachine: ("after", "bare ends", "brace", "other case"),
    ImapMachine: ("brace", "other case", *MESSAGES),
}
MESSAGE = OutgoingMessage("alice@example.com", "bob@example.com", b"Subject: x\r\n\r\n.\r\n")
#: Octets that a client may have read at most: the bound of a conversation, and what sockets hold.
MOST = 24 * 1024 * 1024


def endpoint(mode: TLSMode) -> Endpoint:
    return Endpoint(HOST, 587, mode, HOST, None, "mail")


Errand = Callable[[Machine, TLSMode, Login], Coroutine[Any, Any, ProbeReport | None]]


async def check_smtp(machine: Machine, mode: TLSMode, login: Login) -> ProbeReport:
    return await smtp.check(endpoint(mode), login, connector(machine))


async def ask(machine: Machine, mode: TLSMode, login: Login) -> ProbeReport:
    errand = AskSenders(["alice@example.com", "sales@example.com"], "bob@example.com")
    done = await ask_senders(endpoint(mode), login, errand, connector(machine))
    assert set(done.answers) == set(errand.senders)
    return done.session


async def hand_over(machine: Machine, mode: TLSMode, login: Login) -> ProbeReport:
    done = await send(endpoint(mode), login, SendMessage(MESSAGE), connector(machine))
    if done.answer.acceptance is Acceptance.ACCEPTED:
        assert machine.took_message
    assert "@" not in done.answer.message
    return done.session


async def check_imap(machine: Machine, mode: TLSMode, login: Login) -> ProbeReport:
    return await imap.check(endpoint(mode), login, "INBOX", connector(machine))


async def look_through(machine: Machine, mode: TLSMode, login: Login) -> ProbeReport:
    return (await scan(endpoint(mode), login, ScanMailbox("INBOX", ()), connector(machine))).session


async def read(machine: Machine, mode: TLSMode, login: Login) -> ProbeReport | None:
    """The lasting session of inbound delivery: open, list, read, wait."""
    state = imap_auth.state_of(endpoint(mode), login, connector(machine))
    try:
        async with state.reported(), imap_auth.signed_in(state) as session:
            reader = MailboxReader(session)
            await reader.introduce()
            _, uid_next = await reader.open("INBOX")
            for waiting in (await reader.following(6, uid_next)).messages:
                await reader.header(waiting.uid)
                octets = b"".join([piece async for piece in reader.pieces(waiting.uid, 20)])
                assert len(octets) <= 2 * 1024 * 1024
            await reader.news(60)
    except MessageGone:
        return None
    return state.report()


ERRANDS: dict[str, tuple[type[Machine], Errand, float]] = {
    "check SMTP": (SmtpMachine, check_smtp, 0),
    "ask": (SmtpMachine, ask, 120),
    "send": (SmtpMachine, hand_over, 180),
    "check IMAP": (ImapMachine, check_imap, 0),
    "scan": (ImapMachine, look_through, 120),
    "read": (ImapMachine, read, 900),
}


async def life(machine: Machine, errand: Errand, mode: TLSMode, login: Login) -> Any:
    now = asyncio.get_running_loop().time
    begun = now()
    try:
        report = await errand(machine, mode, login)
        took = now() - begun
    finally:
        left = await machine.end()
    return report, took, left


@pytest.mark.parametrize("name", ERRANDS)
@fuzzed
@given(
    st.sampled_from([TLSMode.START_TLS, TLSMode.IMPLICIT]),
    st.sampled_from([PASSWORD_LOGIN, TOKEN_LOGIN]),
    st.sets(st.sampled_from(TRICKS), min_size=1).map(sorted),
    drawings,
)
def test_whatever_a_server_does(
    name: str, mode: TLSMode, login: Login, tricks: list[str], drawing: Drawing
) -> None:
    kind, errand, more = ERRANDS[name]
    machine = kind(drawing, mode is TLSMode.IMPLICIT, tricks)
    (report, took, left), shown = played(life(machine, errand, mode, login))
    assert left == []
    assert took <= Deadlines().total + more + 1
    assert machine.written <= MOST
    judge(machine, report, shown, login)


def judge(machine: Machine, report: ProbeReport | None, shown: Shown, login: Login) -> None:
    """What holds of every conversation."""
    secrets = needles()
    assert not any(secret in machine.in_the_clear for secret in secrets)
    for talk in machine.talks:
        if talk.injected:
            assert not talk.over_tls, "it went on after something was injected"
    assert shown.complaints == []
    logged = "\n".join(shown.lines).encode("utf-8", "replace")
    assert not any(secret in logged for secret in secrets)
    if report is None:
        return
    told = f"{report!r} {report.message} {report.server_text}".encode("utf-8", "replace")
    assert not any(secret in told for secret in secrets)
    if report.authenticated:
        assert machine.accepted_login
    if report.stage is ProbeStage.DONE:
        assert report.authenticated
    if report.authenticated is not None:
        assert report.tls is not None
        assert report.server is not None
    # In the stage TLS it may be a certificate that was not trusted.
    stood = report.tls is not None and report.stage is not ProbeStage.TLS
    if stood and report.server is not None:
        believed = report.server.capabilities
        assert not {CLEAR_ONLY, CLEAR_ONLY_IMAP}.intersection(believed)


@pytest.mark.parametrize("lines", [b"535-5.7.8 no\r\n235 2.7.0 in\r\n", b"235-in\r\n250 in\r\n"])
def test_a_reply_that_says_yes_and_no_is_none(lines: bytes) -> None:
    """RFC 5321 section 4.2.1: all lines of a reply have one code."""

    class Undecided(SmtpTalk):
        async def say(self, reply: bytes) -> None:
            await self.utter(lines if self.judges_login else reply)

    class Server(SmtpMachine):
        def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> SmtpTalk:
            return Undecided(self, reader, writer)

    machine = Server(lambda things: things[0], True, ())
    made, _ = played(life(machine, check_smtp, TLSMode.IMPLICIT, PASSWORD_LOGIN))
    report, _, left = made
    assert left == []
    assert (report.authenticated, report.conclusive) == (None, False)


@pytest.mark.parametrize("mode", [TLSMode.START_TLS, TLSMode.IMPLICIT])
@pytest.mark.parametrize("name", ERRANDS)
def test_a_server_that_behaves_is_found_well(name: str, mode: TLSMode) -> None:
    """So that the above proves something: without a trick each session comes to its end."""
    kind, errand, _ = ERRANDS[name]
    machine = kind(lambda things: things[0], mode is TLSMode.IMPLICIT, ())
    (report, _, left), shown = played(life(machine, errand, mode, PASSWORD_LOGIN))
    assert left == []
    assert (report.stage, report.authenticated) == (ProbeStage.DONE, True)
    judge(machine, report, shown, PASSWORD_LOGIN)
    assert machine.accepted_login
    assert machine.took_message is (name == "send")


@pytest.mark.parametrize(
    ("name", "trick"), [(name, one) for name in ERRANDS for one in HARMLESS[ERRANDS[name][0]]]
)
def test_what_changes_nothing_changes_no_verdict(name: str, trick: bytes | str) -> None:
    """Were it taken for something, a server that behaves would not be found well."""
    kind, errand, _ = ERRANDS[name]

    def choose(things: Sequence[Any]) -> Any:
        return trick if trick in things else things[0]

    machine = kind(choose, True, [one for one in (trick,) if isinstance(one, str)])
    (report, _, left), shown = played(life(machine, errand, TLSMode.IMPLICIT, PASSWORD_LOGIN))
    assert left == []
    assert (report.stage, report.authenticated) == (ProbeStage.DONE, True)
    judge(machine, report, shown, PASSWORD_LOGIN)
