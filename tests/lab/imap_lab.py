# SPDX-License-Identifier: Apache-2.0
"""What the tests of IMAP errands share: the lab's server, scripts that sign in, and errands."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date

from lab.hostile import Answers, Hostile, Step, answer, imap_until_login
from lab.mail_probing import HOST, LOGIN, PASSWORD, SOON, context, endpoint, imap, probes
from loopback import own_address
from postroom.api.mailserver import TLSMode
from postroom.lab.imap import LabImap
from postroom.lab.lab import IMAPS_PORT
from postroom.lab.mailboxes import Account, Accounts
from postroom.mail.connect.dial import Deadlines, Dialler
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.imap.history import count_days
from postroom.mail.imap.reading import MailboxReader
from postroom.mail.imap.removal import remove
from postroom.mail.imap.scan import scan
from postroom.mail.operations import (
    CountDays,
    HistoryReport,
    Position,
    Removal,
    RemovalReport,
    RemoveMessages,
    ScanMailbox,
    ScanReport,
)
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.state import Connector

ADDRESS = own_address(41)
OK = answer(b"OK done")
#: STATUS and EXAMINE of a mailbox, after a sign-in.
OPENED: tuple[Step, ...] = (
    "read",
    answer(b"OK (0.1 secs)", b'STATUS "INBOX" (MESSAGES 7 UNSEEN 2 UIDNEXT 99 UIDVALIDITY 5)'),
    "read",
    answer(b"OK [READ-ONLY] done", b"7 EXISTS", b"OK [UIDVALIDITY 5] x"),
)


def message(number: int, *fields: str) -> bytes:
    """A message as it lies in a mailbox."""
    lines = (f"Subject: number {number}", "X-Other: left out", *fields, "", f"body {number}", "")
    return "\r\n".join(lines).encode()


async def probed(
    *steps: Step, login: Login | None = LOGIN, mailbox: str = "INBOX"
) -> tuple[ProbeReport, list[bytes]]:
    """What a check says of a server that plays these steps, and what was sent to it."""
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await imap(server, login, mailbox)
    return report, server.received


class Server:
    """A server somewhere on loopback, and what to ask it."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.where: Endpoint = endpoint(port, TLSMode.IMPLICIT, HOST)
        self.addresses = (address,)
        #: Ends all sessions.
        self.hang_up: Callable[[], None] = lambda: None

        async def resolve(host: str) -> tuple[str, ...] | None:
            return self.addresses

        policy = DialPolicy((ipaddress.ip_network("127.0.0.0/8"),), frozenset({port}))
        self.connector = Connector(Dialler(policy, resolve, SOON), TrustStore())

    def reading(
        self, deadlines: Deadlines | None = None
    ) -> AbstractAsyncContextManager[MailboxReader]:
        """A session that reads messages, from probes of its own."""
        made = probes(self.where.port, self.addresses, deadlines or Deadlines())
        return made.reading(self.where, LOGIN)

    async def check(self, mailbox: str = "INBOX") -> ProbeReport:
        made = probes(self.where.port, self.addresses)
        return await made.probe(self.where, LOGIN, mailbox)

    async def scan(self, *since: Position, mailbox: str = "INBOX") -> ScanReport:
        return await scan(self.where, LOGIN, ScanMailbox(mailbox, since), self.connector)

    async def remove(self, *removals: Removal) -> RemovalReport:
        return await remove(self.where, LOGIN, RemoveMessages(removals), self.connector)

    async def history(self, since: date, limit: int = 20_000) -> HistoryReport:
        counting = CountDays("INBOX", since)
        return await count_days(self.where, LOGIN, counting, self.connector, limit)


@asynccontextmanager
async def lab_server() -> AsyncIterator[tuple[Server, Account]]:
    """The lab's server with one account, whose INBOX holds three messages."""
    accounts = Accounts({LOGIN.username: PASSWORD})
    running = LabImap(accounts, context(), ADDRESS, IMAPS_PORT)
    await running.start()
    account = accounts.authenticate(LOGIN.username, PASSWORD)
    assert account is not None
    server = Server(IMAPS_PORT, ADDRESS)
    server.hang_up = running.hang_up
    try:
        yield server, account
    finally:
        await running.stop()


class Scripted(Server):
    """A server that plays answers; `said` are its commands without tags."""

    def __init__(self, running: Hostile) -> None:
        super().__init__(running.port)
        self._running = running

    @property
    def said(self) -> list[bytes]:
        """What it was asked after signing in, up to LOGOUT."""
        lines = b"".join(self._running.received[2:]).split(b"\r\n")
        return [line.partition(b" ")[2] for line in lines if line and b"LOGOUT" not in line]


@asynccontextmanager
async def scripted(
    answers: Mapping[bytes, Step | Sequence[Step]], *capabilities: bytes
) -> AsyncIterator[Scripted]:
    """Take any login, and answer each command by the first of these words that is in it."""
    steps = {
        word: tuple(one) if isinstance(one, list | tuple) else (one,)
        for word, one in {**answers, b"LOGOUT": OK}.items()
    }
    after = ("read", OK, Answers(steps, until=b"LOGOUT"))
    script = imap_until_login(*capabilities, after=after)
    async with Hostile(*script, context=context(), implicit=True) as running:
        yield Scripted(running)
