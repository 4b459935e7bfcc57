# SPDX-License-Identifier: Apache-2.0
"""What a report tells in a server's own words: of whom, what of it, and that it stays the same.

Covers: every stage at which a server refuses, over both protocols; servers that are none, that the
guard forbids, or that say nothing; servers that repeat what they were told, in words; that reports
do not print it, and no log has it; ids, times and hosts that are others each time.
"""

from __future__ import annotations

from itertools import count

import pytest

from lab.hostile import Hostile, Step, answer, imap_until_login, packed, smtp_until_auth
from lab.mail_probing import (
    HOST,
    TOKEN_LOGIN,
    context,
    endpoint,
    imap,
    nothing_leaks,  # noqa: F401 - a fixture
    probes,
    smtp,
)
from postroom.api.mailserver import SERVER_TEXT_LIMIT, TLSMode
from postroom.api.masked import Masked
from postroom.mail.report import Login, ProbeReport

#: Of words alone, as a person would choose it, so that nothing but the echo tells it.
PHRASE = "Hunter correct horse battery"
LOGIN = Login("alice@example.com", Masked(PHRASE))

SMTP: dict[str, tuple[TLSMode, tuple[Step, ...], str | None]] = {
    "greeting": (
        TLSMode.NONE,
        (b"554 5.7.1 Canary blocked by zen.example.org\r\n",),
        "5.7.1 Canary blocked by …",
    ),
    "421 greeting": (TLSMode.NONE, (b"421 try canary later\r\n",), "try canary later"),
    "EHLO": (
        TLSMode.NONE,
        (b"220 x\r\n", *("read", b"550 canary not at home\r\n") * 3),
        "canary not at home",
    ),
    "STARTTLS": (
        TLSMode.START_TLS,
        smtp_until_auth(b"STARTTLS", after=("read", b"454 4.7.0 canary is away\r\n", "stall")),
        "4.7.0 canary is away",
    ),
    "AUTH": (
        TLSMode.IMPLICIT,
        smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 canary: no\r\n")),
        "5.7.8 canary: no",
    ),
    "lines": (
        TLSMode.IMPLICIT,
        smtp_until_auth(
            b"AUTH PLAIN", after=("read", b"535-5.7.8 canary is\r\n535 5.7.8 unhappy\r\n")
        ),
        "5.7.8 canary is unhappy",
    ),
    "name": (
        TLSMode.IMPLICIT,
        smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 alice is no canary\r\n")),
        "… is no canary",
    ),
    "http": (TLSMode.NONE, (b"HTTP/1.1 400 canary\r\n\r\n",), None),
    "a number": (TLSMode.NONE, (b"100 canary\r\n", "stall"), None),
    "no verdict": (
        TLSMode.IMPLICIT,
        smtp_until_auth(b"AUTH PLAIN", after=("read", b"250 canary\r\n", "stall")),
        None,
    ),
    "reset": (TLSMode.IMPLICIT, smtp_until_auth(b"AUTH PLAIN", after=("read", "reset")), None),
    "success": (
        TLSMode.IMPLICIT,
        smtp_until_auth(b"AUTH PLAIN", after=("read", b"235 canary welcome\r\n")),
        None,
    ),
}


@pytest.mark.parametrize("name", SMTP)
async def test_smtp(name: str) -> None:
    mode, steps, expected = SMTP[name]
    implicit = mode is TLSMode.IMPLICIT
    async with Hostile(*steps, context=context(), implicit=implicit) as server:
        report = await smtp(server, mode, LOGIN if implicit else None)
    assert report.server_text == expected
    quiet(report)


IMAP: dict[str, tuple[tuple[Step, ...], str | None]] = {
    "BYE": ((b"* BYE canary is closed\r\n", "close"), "canary is closed"),
    "NO": (
        imap_until_login(
            after=("read", answer(b"NO [AUTHENTICATIONFAILED] No canary for alice@example.com."))
        ),
        "[AUTHENTICATIONFAILED] No canary for …",
    ),
    "BAD": (imap_until_login(after=("read", answer(b"BAD canary"))), "canary"),
    "UTF-8": (
        imap_until_login(
            after=("read", answer("NO 用户alice@example.com密码错误，请重试".encode()))
        ),
        "用户 … 密码错误, 请重试",
    ),
    "Latin-1": (
        imap_until_login(after=("read", answer("NO Ungültiges Kennwort".encode("latin-1")))),
        "Ungültiges Kennwort",
    ),
    "turned": (
        imap_until_login(after=("read", answer("NO nein \u202enein\u200b ja".encode()))),
        "nein … ja",
    ),
    "mailbox": (
        imap_until_login(
            after=(
                *("read", answer(b"OK in")),
                *("read", answer(b"OK"), "read", answer(b"NO canary is not there")),
            )
        ),
        "canary is not there",
    ),
    "garbage": ((b"canary says hello\r\n", "stall"), None),
    "silence": (imap_until_login(after=("read", "stall")), None),
}


@pytest.mark.parametrize("name", IMAP)
async def test_imap(name: str) -> None:
    steps, expected = IMAP[name]
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await imap(server, LOGIN)
    assert report.server_text == expected
    quiet(report)


def quiet(report: ProbeReport) -> None:
    """The words are in their field and nowhere else."""
    assert "canary" not in f"{report!r} {report} {report.message}".lower()


async def test_nothing_is_told_of_whom_the_guard_forbids() -> None:
    asking = probes(587, addresses=("10.0.0.1",))
    report = await asking.probe(endpoint(587), None)
    assert (report.stage.value, report.server_text) == ("Guard", None)


ECHOES = {
    "as it is": PHRASE,
    "in capitals": PHRASE.upper(),
    "backwards": PHRASE[::-1],
    "a part": "correct horse bat",
    "mixed": "horse and battery and correct",
    "rot13": "Uhagre pbeerpg ubefr onggrel",
}


@pytest.mark.parametrize("name", ECHOES)
@pytest.mark.parametrize("greets", [True, False])
async def test_an_echo_is_not_told(name: str, greets: bool) -> None:
    said = b"5.7.8 denied %s\r\n" % ECHOES[name].encode()
    tells = (b"554 " + said,) if greets else (b"220 x\r\n", "read", b"250 AUTH PLAIN\r\n")
    steps = (*tells, "read", b"535 " + said)
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, LOGIN)
        known = await imap_echo(said)
    assert report.stage.value == ("Greeting" if greets else "Auth")
    assert report.server_text is None
    assert known.server_text is None


async def imap_echo(said: bytes) -> ProbeReport:
    steps = imap_until_login(after=("read", answer(b"NO " + said.strip())))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        return await imap(server, LOGIN)


async def test_a_token_is_not_told() -> None:
    token = TOKEN_LOGIN.password.reveal()
    again = f"535 5.7.8 {token[:9]} {token[::-1]}\r\n".encode()
    challenge = b"334 " + packed({"status": "400"}) + b"\r\n"
    steps = smtp_until_auth(b"AUTH XOAUTH2", after=("read", challenge, "read", again))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, TOKEN_LOGIN)
    assert report.stage.value == "Auth"
    assert "hunter" not in (report.server_text or "")


async def test_a_host_that_cools_down_is_not_quoted() -> None:
    """It knows the password from before, and nobody would know that it repeats it."""
    refuse = smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
    async with (
        Hostile(*refuse, context=context(), implicit=True) as server,
        Hostile(b"554 correct horse\r\n", context=context(), implicit=True) as other,
    ):
        asking = probes(server.port, other_ports=(other.port,))
        for _ in range(3):
            first = await asking.probe(endpoint(server.port, TLSMode.IMPLICIT), LOGIN)
        last = await asking.probe(endpoint(other.port, TLSMode.IMPLICIT), LOGIN)
    assert first.server_text == "5.7.8 no"
    assert (last.stage.value, last.server_text) == ("Greeting", None)


async def test_a_repeated_refusal_reads_the_same() -> None:
    numbers = count(1)

    def refused(_: bytes) -> bytes:
        number = next(numbers)
        return (
            b"535-5.7.8 Not accepted at mx%d.example.net, wait %d minute%s\r\n"
            b"535 5.7.8 2026-11-28T17:%02d:00Z a%dsm%d.%d - gsmtp\r\n"
            % (number, number, b"s" * (number > 1), number, number**9, number**7, number)
        )

    texts = set()
    for _ in range(3):
        steps = smtp_until_auth(b"AUTH PLAIN", after=("read", refused))
        async with Hostile(*steps, context=context(), implicit=True) as server:
            texts.add((await smtp(server, TLSMode.IMPLICIT, LOGIN)).server_text)
    assert texts == {"5.7.8 Not accepted at … wait … gsmtp"}


async def test_it_is_short() -> None:
    steps = smtp_until_auth(
        b"AUTH PLAIN", after=("read", b"535-" + b"much " * 99 + b"\r\n535 more\r\n")
    )
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, LOGIN, HOST)
    assert report.server_text is not None
    assert SERVER_TEXT_LIMIT - 10 < len(report.server_text) <= SERVER_TEXT_LIMIT
