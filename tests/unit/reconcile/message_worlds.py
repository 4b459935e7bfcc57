# SPDX-License-Identifier: Apache-2.0
"""A world whose mail arrives: servers that take messages over, and a mailbox to find them in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.reasons import Reason
from postroom.mail.operations import (
    Acceptance,
    Answer,
    CountDays,
    HistoryReport,
    Operation,
    OperationReport,
    OutgoingMessage,
    Position,
    Removal,
    RemovalReport,
    RemoveMessages,
    ScanMailbox,
    ScannedMessage,
    ScanReport,
    SendMessage,
    SendReport,
)
from postroom.mail.report import Login
from postroom.reconcile.world import MessagePolicy
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import ACCOUNT, SERVER, WELL, MailWorld, Probes

TAKEN = Answer(Acceptance.ACCEPTED, Reason.PROBE_SUCCEEDED, "Taken over.", 250)
LOST = Answer(Acceptance.UNKNOWN, Reason.MESSAGE_UNCONFIRMED, "The answer was lost.")
REFUSED = Answer(Acceptance.REFUSED, Reason.SENDER_NOT_AUTHORIZED, "Not yours.", 550, "5.7.60")
BUSY = Answer(Acceptance.DEFERRED, Reason.TEMPORARY_FAILURE, "Later.", 451)
INBOX = Position("INBOX", 7, 10)
JUNK = Position("Junk", 8, 3, "\\Junk")

Rewrite = Callable[[str], str]


@dataclass
class PostOffice(Probes):
    """Takes messages over with `answer`, and delivers them to `delivers_to`, or nowhere."""

    answer: Answer = TAKEN
    delivers_to: Position | None = INBOX
    rewrite: Rewrite = str
    seconds: int = 3
    sent: list[OutgoingMessage] = field(default_factory=list)
    arrived: list[ScannedMessage] = field(default_factory=list)
    removed: list[Removal] = field(default_factory=list)
    scans: int = 0
    #: Whether the server takes messages over and says nothing.
    hangs: bool = False

    async def do(self, login: Login, operation: Operation[Any]) -> OperationReport:
        match operation:
            case SendMessage():
                return await self.take(operation.message)
            case ScanMailbox():
                self.scans += 1
                if not operation.since:
                    return ScanReport(WELL, (INBOX, JUNK))
                return ScanReport(WELL, tuple(operation.since), tuple(self.arrived))
            case RemoveMessages():
                self.removed.extend(operation.removals)
                gone = {(removal.mailbox, removal.uid) for removal in operation.removals}
                self.arrived = [
                    message
                    for message in self.arrived
                    if (message.mailbox, message.uid) not in gone
                ]
                return RemovalReport(WELL, tuple(operation.removals))
            case CountDays():
                counts = (0, 1, 3)
                days = {operation.since + timedelta(days=count): count for count in counts}
                return HistoryReport(WELL, days)
        return await super().do(login, operation)

    async def take(self, message: OutgoingMessage) -> SendReport:
        self.sent.append(message)
        if self.delivers_to is not None and self.answer.acceptance in (
            Acceptance.ACCEPTED,
            Acceptance.UNKNOWN,
        ):
            header = message.octets.decode().partition("\r\n\r\n")[0]
            place = self.delivers_to
            self.arrived.append(
                ScannedMessage(
                    place.mailbox,
                    place.special_use,
                    place.uid_validity,
                    place.uid_next + len(self.sent),
                    NOW,
                    self.rewrite(header).encode(),
                )
            )
        if self.hangs:
            await asyncio.sleep(60)
        return SendReport(WELL, self.answer)


class MessageWorld(MailWorld):
    """A working server and account, and messages on their way between them."""

    def __init__(self, **account: object) -> None:
        super().__init__()
        self.office = PostOffice()
        self.probes = self.office
        self.message_policy = MessagePolicy()
        self.add_secret("login", username="support@example.com", password="right")
        reference = {"name": "login"}
        self.add(SERVER, host="smtp.example.com", credentialsRef=reference)
        spec: dict[str, object] = {
            "address": "support@example.com",
            "serverRef": {"name": "smtp"},
            "credentialsRef": reference,
            "imap": {"host": "imap.example.com"},
        }
        self.add(ACCOUNT, **{**spec, **account})

    def ask(self, **annotations: str) -> None:
        """Annotate the account, as kubectl does."""
        kept = self.objects[ACCOUNT]["metadata"].setdefault("annotations", {})
        kept |= {
            f"postroom.dev/{name.replace('_', '-')}": value for name, value in annotations.items()
        }

    async def run(self, seconds: float = 1, times: int = 1) -> EmailAccountStatus:
        """Let the account be looked at again and again."""
        for _ in range(times):
            status = await self.look(ACCOUNT, timedelta(seconds=seconds))
        assert isinstance(status, EmailAccountStatus)
        return status

    async def ready(self) -> EmailAccountStatus:
        """Bring server and account to their first success."""
        await self.look(SERVER)
        return await self.run()


def without(name: str) -> Rewrite:
    """Drop a field of the header, as a forward does."""
    return lambda header: re.sub(rf"(?mi)^{name}:.*(\r?\n[ \t].*)*\r?\n", "", header + "\r\n")


def from_another(header: str) -> str:
    """Write another sender, as a server does that does not know it."""
    return re.sub(r"(?m)^From:.*$", "From: other@example.net\r", header)
