# SPDX-License-Identifier: Apache-2.0
"""No secret shows, whatever a mail server says, in whatever probes and errands do.

Covers: random passwords and tokens against servers that repeat them at every stage and in every
place, for checks, envelopes, sending, scans, removals and histories.
Searched: reports in every print, logs at DEBUG of all libraries, warnings and
exceptions. No task and no socket is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from itertools import count

import pytest

from lab.canary_secrets import Secrets
from lab.canary_servers import (
    IMAP,
    IMAP_ERRANDS,
    IMAP_TOKEN,
    SMTP,
    SMTP_ERRANDS,
    SMTP_TOKEN,
    Row,
    Steps,
    decoded,
)
from lab.canary_watch import Watch, watching
from lab.hostile import Hostile
from lab.mail_probing import context, endpoint, probes
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.operations import (
    AskSenders,
    CountDays,
    OutgoingMessage,
    Position,
    Removal,
    RemoveMessages,
    ScanMailbox,
    SendMessage,
)
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login

ME = "user@example.com"
MESSAGE = OutgoingMessage(ME, ME, b"Subject: x\r\n\r\nhello\r\n")
SINCE = (Position("INBOX", 5, 1),)
REMOVALS = (Removal("INBOX", 5, 8, "00"),)

Ask = Callable[[NetworkProbes, Endpoint, Login], Awaitable[object]]
SMTP_ASKED: dict[str, Ask] = {
    "check": lambda made, where, login: made.probe(where, login),
    "envelope": lambda made, where, login: made.perform(
        where, login, AskSenders((ME, "b@example.com"), ME)
    ),
    "send": lambda made, where, login: made.perform(where, login, SendMessage(MESSAGE)),
}
IMAP_ASKED: dict[str, Ask] = {
    "check": lambda made, where, login: made.probe(where, login, "INBOX"),
    "positions": lambda made, where, login: made.perform(where, login, ScanMailbox("INBOX", ())),
    "scan": lambda made, where, login: made.perform(where, login, ScanMailbox("INBOX", SINCE)),
    "remove": lambda made, where, login: made.perform(where, login, RemoveMessages(REMOVALS)),
    "history": lambda made, where, login: made.perform(
        where, login, CountDays("INBOX", date(2026, 4, 1))
    ),
}


class Hunt:
    """Asks servers with secrets of their own, each of another shape."""

    def __init__(self, watch: Watch, seed: int, *, token: bool = False) -> None:
        self._watch, self._made, self._token = watch, Secrets(seed), token
        self._numbers = count(seed)
        #: How many secrets reached a server.
        self.told = 0

    async def row(self, name: str, row: Row, asked: Mapping[str, Ask]) -> None:
        """Ask a server all that there is, one after the other."""
        number = next(self._numbers)
        secret = self._made.token() if self._token else self._made.password(number)
        self._watch.hide(name, secret)
        await self.steps(name, row(secret), secret, asked)

    async def steps(self, name: str, steps: Steps, secret: str, asked: Mapping[str, Ask]) -> None:
        login = Login(ME, Masked(secret), token=self._token)
        async with Hostile(*steps, context=context(), implicit=True) as server:
            where = endpoint(server.port, TLSMode.IMPLICIT)
            for what, ask in asked.items():
                self._watch.see(f"{name}, {what}", await ask(probes(server.port), where, login))
        self.told += holds(server.received, secret)
        self._watch.see("login", login)


def holds(received: list[bytes], secret: str) -> bool:
    """Whether a server was told a secret, raw or in base64."""
    words = [word for line in received for word in line.split()]
    text = b" ".join(received).replace(b"\\\\", b"\\").replace(b'\\"', b'"')
    return secret.encode() in b" ".join([text, *map(decoded, words)])


async def hunted(
    rows: Mapping[str, Row], asked: Mapping[str, Ask], seed: int, *, token: bool = False
) -> int:
    """Ask all servers at the same time; return how many were told their secret."""
    async with watching() as watch:
        hunt = Hunt(watch, seed, token=token)
        async with asyncio.TaskGroup() as group:
            for name, row in rows.items():
                group.create_task(hunt.row(name, row, asked))
    return hunt.told


@pytest.mark.parametrize("seed", range(2))
async def test_passwords_over_smtp(seed: int) -> None:
    assert await hunted(SMTP, SMTP_ASKED, seed) >= 10


async def test_tokens_over_smtp() -> None:
    assert await hunted(SMTP_TOKEN, SMTP_ASKED, 20, token=True) >= 5


@pytest.mark.parametrize("seed", range(2))
async def test_passwords_over_imap(seed: int) -> None:
    assert await hunted(IMAP, IMAP_ASKED, 30 + seed) >= 9


async def test_tokens_over_imap() -> None:
    assert await hunted(IMAP_TOKEN, IMAP_ASKED, 40, token=True) >= 5


@pytest.mark.parametrize("token", [False, True])
async def test_errands_over_smtp(token: bool) -> None:
    told = await hunted(SMTP_ERRANDS, SMTP_ASKED, 50, token=token)
    assert told == len(SMTP_ERRANDS)


@pytest.mark.parametrize("token", [False, True])
async def test_errands_over_imap(token: bool) -> None:
    told = await hunted(IMAP_ERRANDS, IMAP_ASKED, 60, token=token)
    assert told == len(IMAP_ERRANDS)
