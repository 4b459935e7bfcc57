# SPDX-License-Identifier: Apache-2.0
"""The IMAP check: TLS, greeting, capabilities, one login, and a look at the mailbox.

EXAMINE and never SELECT, so that nothing in the mailbox changes (RFC 9051 section 6.3.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler, Failure
from postroom.mail.imap.auth import IDENTITY, ImapSignIn
from postroom.mail.imap.fetching import fetched
from postroom.mail.imap.listing import list_command, listed, personal_namespace, special_uses
from postroom.mail.imap.protocol import Answer, ConnectionEnded, GuardedProtocol
from postroom.mail.imap.quota import append_limit_in, offers_quota, quotas
from postroom.mail.imap.session import text_of
from postroom.mail.imap.text import mailbox_of, modified_utf7, quoted
from postroom.mail.report import Endpoint, Login, Mailbox

#: Seconds for what is good to know, once it is known that all works.
_PATIENCE = 5.0


class ImapProbe(ImapSignIn):
    """One check of one mailbox; `run` once. Without a login it ends after the capabilities."""

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login | None,
        mailbox: str,
        dialler: Dialler,
        trust: tls.TrustStore,
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._mailbox_name = mailbox

    async def _converse(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        await super()._converse(protocol, offered)
        if self._login is not None:
            self._mailbox = await self._look(protocol, offered)
            self._mailbox = await self._look_around(protocol, offered, self._mailbox)

    async def _look(self, protocol: GuardedProtocol, offered: AbstractSet[str]) -> Mailbox:
        """Count, and open read-only: authentication alone does not prove that it can be read."""
        name = quoted(modified_utf7(self._mailbox_name))
        questions = [("STATUS", name, counts_asked(offered)), ("EXAMINE", name)]
        if "ID" in offered:
            # RFC 2971; NetEase opens no mailbox for clients that do not say their name.
            questions.insert(0, ("ID", IDENTITY))
        async with self._at(ProbeStage.MAILBOX, self._deadlines.command, protocol):
            answers = await protocol.run_all(*questions)
            answers[-1], selected = await self._examined(protocol, name, answers[-1])
        (counted, _), (examined, opened) = answers[-2:]
        if examined != "OK":
            raise await self._closed(protocol, offered, examined, text_of(opened))
        said = _said(answers)
        found = mailbox_of(self._mailbox_name, said if counted == "OK" else [], said)
        found = replace(found, selected=selected)
        limit = found.append_limit
        return found if limit is not None else replace(found, append_limit=append_limit_in(offered))

    async def _closed(
        self, protocol: GuardedProtocol, offered: AbstractSet[str], result: str, text: str
    ) -> Failure:
        """Say why a mailbox does not open; a name may lack what all names begin with."""
        failure = self._not_opened(result, text)
        if failure.reason is not Reason.MAILBOX_NOT_FOUND or "NAMESPACE" not in offered:
            return failure
        own = personal_namespace(await self._extra(protocol, [("NAMESPACE",)]))
        if own is None or not own.prefix or self._mailbox_name.upper() == "INBOX":
            return failure
        if self._mailbox_name.startswith(own.prefix):
            return failure
        return self._not_opened(
            result, text, f' The names of this account\'s mailboxes begin with "{own.prefix[:40]}".'
        )

    async def _look_around(
        self, protocol: GuardedProtocol, offered: AbstractSet[str], mailbox: Mailbox
    ) -> Mailbox:
        """Add what else the server tells of the mailbox and those around it."""
        questions: list[tuple[str, ...]] = []
        if mailbox.messages:
            questions.append(("UID FETCH", "*", "(UID INTERNALDATE)"))
        if "NAMESPACE" in offered:
            questions.append(("NAMESPACE",))
        if "SPECIAL-USE" in offered:
            questions.append(list_command(offered))
        if offers_quota(offered):
            name = quoted(modified_utf7(self._mailbox_name))
            questions.append(("GETQUOTAROOT", name))
        said = await self._extra(protocol, questions)
        newest = [one.received_at for one in fetched(said) if one.received_at is not None]
        octets, messages = quotas(said)
        own = personal_namespace(said)
        return replace(
            mailbox,
            newest_at=newest[-1] if newest else None,
            octets=octets,
            message_quota=messages,
            special=special_uses(listed(said)),
            prefix=own.prefix if own is not None else None,
            delimiter=own.delimiter if own is not None else None,
        )

    async def _extra(
        self, protocol: GuardedProtocol, questions: Sequence[Sequence[str]]
    ) -> list[bytes]:
        """Ask what the verdict does not hang on; return the untagged lines, or none."""
        if not questions:
            return []
        try:
            async with asyncio.timeout(min(_PATIENCE, self._deadlines.command)):
                return _said(await protocol.run_all(*questions))
        except (TimeoutError, ConnectionEnded):
            return []


def counts_asked(offered: AbstractSet[str]) -> str:
    """What to ask STATUS for: what every server knows, and what this one offers."""
    items = ["MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY"]
    if offered & {"STATUS=SIZE", "IMAP4REV2"}:  # RFC 8438
        items.append("SIZE")
    if "APPENDLIMIT" in offered:  # RFC 7889
        items.append("APPENDLIMIT")
    return f"({' '.join(items)})"


def _said(answers: Sequence[Answer]) -> list[bytes]:
    """All untagged lines; the last of each answer is the result, which is free text."""
    return [line for _, lines in answers for line in lines[:-1]]
