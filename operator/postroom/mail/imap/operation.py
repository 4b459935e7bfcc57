# SPDX-License-Identifier: Apache-2.0
"""What is done over IMAP after signing in, besides the check: commands, each with a deadline.

What fails there ends the session, and its report says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler, Failure
from postroom.mail.imap.auth import IDENTITY, ImapSignIn
from postroom.mail.imap.protocol import LINE_LIMIT, Answer, GuardedProtocol
from postroom.mail.imap.session import text_of
from postroom.mail.imap.text import modified_utf7, quoted
from postroom.mail.report import Endpoint, Login

_EXISTS = re.compile(rb"(\d{1,10}) EXISTS", re.IGNORECASE)
_CODE = re.compile(rb"OK \[(UIDVALIDITY|UIDNEXT) (\d{1,10})\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a server tells when it opens a mailbox (RFC 9051 section 6.3.2); None: it does not."""

    messages: int
    uid_validity: int | None
    uid_next: int | None


class ImapErrand(ImapSignIn):
    """Signs in and does something more, for as long again as a check may take."""

    def __init__(
        self, endpoint: Endpoint, login: Login, dialler: Dialler, trust: tls.TrustStore
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._errand_seconds = self._deadlines.total

    async def _converse(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        await super()._converse(protocol, offered)
        if "ID" in offered:
            # NetEase opens no mailbox for clients that do not say their name (RFC 2971).
            async with self._at(ProbeStage.MAILBOX, self._deadlines.command, protocol):
                await protocol.run("ID", IDENTITY)

    async def _ask(
        self, protocol: GuardedProtocol, name: str, *arguments: str, line_limit: int = LINE_LIMIT
    ) -> Answer:
        """Send a command and return its answer, whatever it is; raises `Failure` without one."""
        async with self._at(ProbeStage.MAILBOX, self._deadlines.command, protocol):
            return await protocol.run(name, *arguments, line_limit=line_limit)

    async def _ask_all(
        self, protocol: GuardedProtocol, commands: Sequence[Sequence[str]]
    ) -> list[Answer]:
        """Send commands at once and return their answers; raises `Failure` without them."""
        async with self._at(ProbeStage.MAILBOX, self._deadlines.command, protocol):
            return await protocol.run_all(*commands)

    async def _examine(self, protocol: GuardedProtocol, mailbox: str) -> Opened:
        """Open a mailbox read-only; raises `Failure` where it does not open."""
        name = written(mailbox)
        async with self._at(ProbeStage.MAILBOX, self._deadlines.command, protocol):
            examined = await protocol.run("EXAMINE", name)
            (result, lines), _ = await self._examined(protocol, name, examined)
        if result != "OK":
            raise self._not_opened(result, text_of(lines))
        return opened(lines[:-1])

    async def _told(self, protocol: GuardedProtocol, name: str, *arguments: str) -> list[bytes]:
        """Return the untagged lines of an answer; raises `Failure` where it is not OK."""
        result, lines = await self._ask(protocol, name, *arguments)
        return self._unless_refused(name, result, lines)

    def _unless_refused(self, name: str, result: str, lines: list[bytes]) -> list[bytes]:
        if result == "OK":
            return lines[:-1]
        answer = "NO" if result == "NO" else "BAD"
        message = (
            f"{self._place} opens the mailbox, but answers {name} with {answer}: read its log."
        )
        raise self._passing(Reason.PROBE_INCONCLUSIVE, message)

    def _no_positions(self) -> Failure:
        """Without these numbers nobody can tell which messages are new (RFC 9051 section 2.3.1)."""
        message = (
            f"{self._place} does not number the messages of the mailbox for good (UIDVALIDITY, "
            "UIDNEXT), so that new ones cannot be told: use another server."
        )
        return self._failure(Reason.CAPABILITY_MISSING, message)


def written(mailbox: str) -> str:
    """Write a mailbox's name as an argument."""
    return quoted(modified_utf7(mailbox))


def opened(lines: Sequence[bytes]) -> Opened:
    """Read the untagged lines that answer SELECT or EXAMINE."""
    exists = [int(found[1]) for found in map(_EXISTS.match, lines) if found]
    codes = {
        found[1].upper(): int(found[2]) for found in map(_CODE.match, lines) if found is not None
    }
    return Opened(
        messages=exists[-1] if exists else 0,
        uid_validity=codes.get(b"UIDVALIDITY") or None,
        uid_next=codes.get(b"UIDNEXT") or None,
    )
