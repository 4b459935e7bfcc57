# SPDX-License-Identifier: Apache-2.0
"""Finds what arrived since some positions, by UID: SEARCH by header lags or fails at providers.

Nothing is changed: EXAMINE and BODY.PEEK mark nothing as read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from postroom.api.mailserver import ProbeStage
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler
from postroom.mail.imap.fetching import fetched, searched, uid_sets
from postroom.mail.imap.listing import (
    Listed,
    list_command,
    listed,
    mailbox_name,
    special_uses,
    where_mail_arrives,
)
from postroom.mail.imap.operation import ImapErrand, Opened, opened, written
from postroom.mail.imap.protocol import GuardedProtocol
from postroom.mail.imap.session import text_of
from postroom.mail.imap.values import number, pairs, responses
from postroom.mail.operations import Position, ScannedMessage, ScanReport
from postroom.mail.report import Endpoint, Login

#: Messages of one mailbox that are read, the oldest first: ours comes soon after its position.
MESSAGES_LIMIT = 500
#: Octets of one message's header fields.
HEADER_LIMIT = 16 * 1024
#: Octets of headers after which no more is read.
_TOTAL_LIMIT = 2 * 1024 * 1024
#: Messages of one command: their headers must fit into what the protocol keeps.
_BATCH = 50
#: UIDs of one SEARCH, whose answer is one line.
_SPAN = 20_000
_SPAN_LINE = 256 * 1024
_FIELDS = (
    "MESSAGE-ID SUBJECT FROM TO RECEIVED AUTHENTICATION-RESULTS X-POSTROOM-PROBE AUTO-SUBMITTED "
    "RESENT-FROM X-FORWARDED-TO RETURN-PATH DATE REFERENCES IN-REPLY-TO "
    "X-MS-EXCHANGE-AUTHENTICATION-RESULTS ARC-AUTHENTICATION-RESULTS"
)
_ITEMS = f"(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS ({_FIELDS})]<0.{HEADER_LIMIT}>)"


class ImapScan(ImapErrand):
    """Scans the mailboxes of some positions; `scan` once.

    Without any, notes the positions of a mailbox and of those where mail also arrives.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login,
        mailbox: str,
        since: Sequence[Position],
        dialler: Dialler,
        trust: tls.TrustStore,
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._mailbox_name = mailbox
        self._since = tuple(since)
        self._positions: list[Position] = []
        self._messages: list[ScannedMessage] = []
        self._octets_left = _TOTAL_LIMIT

    async def scan(self) -> ScanReport:
        """Return what arrived; nothing where the session did not come to its end."""
        session = await self.run()
        if session.stage is not ProbeStage.DONE:
            return ScanReport(session)
        return ScanReport(session, tuple(self._positions), tuple(self._messages))

    async def _errand(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        if not self._since:
            await self._note_positions(protocol, offered)
        for position in self._since:
            await self._scan(protocol, position)

    async def _note_positions(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        result, lines = await self._ask(protocol, *list_command(offered))
        mailboxes = listed(lines[:-1]) if result == "OK" else []
        own = special_use_of(self._mailbox_name, mailboxes)
        uses: dict[str, str | None] = {self._mailbox_name: own}
        for special, name in where_mail_arrives(mailboxes).items():
            if not same_mailbox(name, self._mailbox_name) and not self._repeated.within(name):
                uses.setdefault(name, f"\\{special}")
        asked = [("STATUS", written(name), "(UIDNEXT UIDVALIDITY)") for name in uses]
        answers = await self._ask_all(protocol, asked)
        found = positions_in([line for _, lines in answers for line in lines[:-1]])
        for name, use in uses.items():
            told = next((one for one in found if same_mailbox(one.mailbox, name)), None)
            if told is not None:
                self._positions.append(replace(told, mailbox=name, special_use=use))
            elif name == self._mailbox_name:
                self._positions.append(await self._position_when_opened(protocol, name, use))

    async def _position_when_opened(
        self, protocol: GuardedProtocol, name: str, use: str | None
    ) -> Position:
        seen = await self._examine(protocol, name)
        if seen.uid_validity is None or seen.uid_next is None:
            raise self._no_positions()
        return Position(name, seen.uid_validity, seen.uid_next, use)

    async def _scan(self, protocol: GuardedProtocol, position: Position) -> None:
        result, lines = await self._ask(protocol, "EXAMINE", written(position.mailbox))
        seen = opened(lines[:-1])
        if result != "OK" or seen.uid_validity is None:
            if same_mailbox(position.mailbox, self._mailbox_name):
                refused = result != "OK"
                raise self._not_opened(result, text_of(lines)) if refused else self._no_positions()
            # Gone, or closed to us: what matters is the mailbox that is read.
            self._positions.append(position)
            return
        since = position
        if seen.uid_validity != position.uid_validity:
            # All have new UIDs, so that only the last ones can be looked at (RFC 9051 2.3.1.1).
            since = replace(position, uid_validity=seen.uid_validity, uid_next=_newest_of(seen))
        after = await self._read(protocol, since, seen)
        self._positions.append(replace(since, uid_next=after))

    async def _read(self, protocol: GuardedProtocol, since: Position, seen: Opened) -> int:
        """Read what a mailbox got since a position; return the UID that would come next."""
        first, following = since.uid_next, seen.uid_next
        if self._octets_left <= 0:
            return first
        if not seen.messages or (following is not None and following <= first):
            return max(first, following or 0)
        if following is not None and following - first <= _BATCH:
            # To the end, and not to UIDNEXT: what arrives meanwhile is seen at once.
            highest = await self._fetch(protocol, since, f"{first}:*", None)
            return max(highest + 1, following)
        uids = await self._uids(protocol, first)
        highest = first - 1
        for numbers, within in uid_sets(uids[:MESSAGES_LIMIT], _BATCH):
            if self._octets_left <= 0:
                return highest + 1
            await self._fetch(protocol, since, numbers, within)
            highest = max(within)
        if len(uids) > MESSAGES_LIMIT:
            return highest + 1
        return max(highest + 1, min(following or 0, first + _SPAN + 1))

    async def _uids(self, protocol: GuardedProtocol, first: int) -> list[int]:
        """Return the UIDs from one on, of which there may be fewer than numbers."""
        result, lines = await self._ask(
            protocol, "UID SEARCH", "UID", f"{first}:{first + _SPAN}", line_limit=_SPAN_LINE
        )
        found = searched(self._unless_refused("SEARCH", result, lines))
        return [uid for uid in found if first <= uid <= first + _SPAN]

    async def _fetch(
        self,
        protocol: GuardedProtocol,
        since: Position,
        numbers: str,
        within: frozenset[int] | None,
    ) -> int:
        """Keep the messages of a sequence set; return the highest UID that was told."""
        told: dict[int, ScannedMessage] = {}
        for one in fetched(await self._told(protocol, "UID FETCH", numbers, _ITEMS)):
            # Of n:* servers return the last message even where its UID is below n.
            wanted = one.uid >= since.uid_next if within is None else one.uid in within
            if wanted and one.header is not None and one.received_at is not None:
                told[one.uid] = ScannedMessage(
                    since.mailbox,
                    since.special_use,
                    since.uid_validity,
                    one.uid,
                    one.received_at,
                    one.header[:HEADER_LIMIT],
                )
        self._messages += [told[uid] for uid in sorted(told)]
        self._octets_left -= sum(len(one.header) for one in told.values())
        return max(told, default=since.uid_next - 1)


def positions_in(lines: Sequence[bytes]) -> list[Position]:
    """Read STATUS responses that tell a position."""
    found: list[Position] = []
    for words in responses(lines, b"STATUS"):
        match words:
            case [bytes(kind), bytes(raw), list(items), *_] if kind.upper() == b"STATUS":
                facts = dict(pairs(items))
                name = mailbox_name(raw)
                validity, following = (
                    number(facts.get(b"UIDVALIDITY")),
                    number(facts.get(b"UIDNEXT")),
                )
                if name is not None and validity and following:
                    found.append(Position(name, validity, following))
    return found


def special_use_of(name: str, mailboxes: Sequence[Listed]) -> str | None:
    """Return the special use of a mailbox as a position keeps it."""
    uses = special_uses(mailboxes)
    return next((f"\\{use}" for use in sorted(uses) if same_mailbox(uses[use], name)), None)


def same_mailbox(one: str, other: str) -> bool:
    """INBOX is the only name in which the case does not matter (RFC 9051 section 5.1)."""
    return one == other or one.upper() == other.upper() == "INBOX"


def _newest_of(seen: Opened) -> int:
    """The UID from which on the last few messages are, as far as that can be known."""
    return max((seen.uid_next or 1) - _BATCH, 1)
