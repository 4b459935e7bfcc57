# SPDX-License-Identifier: Apache-2.0
"""Finds what arrived since some positions, by UID: SEARCH by header lags or fails at providers.

Nothing is changed: EXAMINE and BODY.PEEK mark nothing as read.
"""

from collections.abc import Sequence
from dataclasses import replace

from postroom.api.mailserver import ProbeStage
from postroom.mail.imap import examine, listing
from postroom.mail.imap.auth import state_of
from postroom.mail.imap.examine import written
from postroom.mail.imap.fetching import fetched, searched, uid_sets
from postroom.mail.imap.operation import ask_at_once, for_an_operation, lines_told, unless_refused
from postroom.mail.imap.session import ImapSession, text_of
from postroom.mail.imap.values import number, pairs, responses
from postroom.mail.operations import Position, ScanMailbox, ScannedMessage, ScanReport
from postroom.mail.report import Endpoint, Login
from postroom.mail.round_trip.header import FIELD_NAMES
from postroom.mail.session.state import Connector

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
#: The header fields that are fetched: all that `postroom.mail.round_trip` draws conclusions from.
FIELDS = " ".join(sorted(FIELD_NAMES, key=lambda name: name != "Message-ID")).upper()
_ITEMS = f"(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS ({FIELDS})]<0.{HEADER_LIMIT}>)"


async def scan(
    endpoint: Endpoint, login: Login, asked: ScanMailbox, connector: Connector
) -> ScanReport:
    """What arrived since some positions; nothing where the session did not come to its end."""
    state = state_of(endpoint, login, connector)
    scanning: _Scanning | None = None
    async with state.reported(), for_an_operation(state) as session:
        scanning = _Scanning(session, asked.mailbox)
        if not asked.since:
            await scanning.note_positions()
        for position in asked.since:
            await scanning.scan(position)
    report = state.report()
    if scanning is None or report.stage is not ProbeStage.DONE:
        return asked.not_done(report)
    return ScanReport(report, tuple(scanning.positions), tuple(scanning.messages))


class _Scanning:
    """What is found bit by bit, within the octets that may be read."""

    def __init__(self, session: ImapSession, mailbox: str) -> None:
        self._session, self._mailbox = session, mailbox
        self.positions: list[Position] = []
        self.messages: list[ScannedMessage] = []
        self._octets_left = _TOTAL_LIMIT

    async def note_positions(self) -> None:
        """Note the positions of the mailbox and of those where mail also arrives."""
        session = self._session
        result, lines = await session.ask(*listing.list_command(session.capabilities))
        mailboxes = listing.listed(lines[:-1]) if result == "OK" else []
        own = special_use_of(self._mailbox, mailboxes)
        uses: dict[str, str | None] = {self._mailbox: own}
        for special, name in listing.where_mail_arrives(mailboxes).items():
            if not same_mailbox(name, self._mailbox) and not session.state.echo_filter.echoes(name):
                uses.setdefault(name, f"\\{special}")
        asked = [("STATUS", written(name), "(UIDNEXT UIDVALIDITY)") for name in uses]
        answers = await ask_at_once(session, asked)
        found = positions_in([line for _, lines in answers for line in lines[:-1]])
        for name, use in uses.items():
            told = next((place for place in found if same_mailbox(place.mailbox, name)), None)
            if told is not None:
                self.positions.append(replace(told, mailbox=name, special_use=use))
            elif name == self._mailbox:
                seen = await examine.examine(session, name)
                if seen.uid_validity is None or seen.uid_next is None:
                    raise examine.no_positions(session)
                self.positions.append(Position(name, seen.uid_validity, seen.uid_next, use))

    async def scan(self, position: Position) -> None:
        """Note what arrived since a position, and the position now."""
        result, lines = await self._session.ask("EXAMINE", written(position.mailbox))
        seen = examine.opened(lines[:-1]) if result == "OK" else None
        if seen is None or seen.uid_validity is None:
            if same_mailbox(position.mailbox, self._mailbox):
                if result != "OK":
                    raise examine.not_opened(self._session, result, text_of(lines))
                raise (
                    examine.uncounted(self._session)
                    if seen is None
                    else examine.no_positions(self._session)
                )
            # Gone, or closed to us: what matters is the mailbox that is read.
            self.positions.append(position)
            return
        since = position
        if seen.uid_validity != position.uid_validity:
            # All have new UIDs, so that only the last ones can be looked at (RFC 9051 2.3.1.1).
            newest = max((seen.uid_next or 1) - _BATCH, 1)
            since = replace(position, uid_validity=seen.uid_validity, uid_next=newest)
        after = await self._read(since, seen)
        self.positions.append(replace(since, uid_next=after))

    async def _read(self, since: Position, seen: examine.Opened) -> int:
        """Read what a mailbox got since a position; return the UID that would come next."""
        first, following = since.uid_next, seen.uid_next
        if self._octets_left <= 0:
            return first
        if not seen.messages or (following is not None and following <= first):
            return max(first, following or 0)
        if following is not None and following - first <= _BATCH:
            # To the end, and not to UIDNEXT: what arrives meanwhile is seen at once.
            highest = await self._fetch(since, f"{first}:*", None)
            return max(highest + 1, following)
        # There may be fewer UIDs than numbers.
        result, lines = await self._session.ask(
            "UID SEARCH", "UID", f"{first}:{first + _SPAN}", line_limit=_SPAN_LINE
        )
        found = searched(unless_refused(self._session, "SEARCH", result, lines))
        uids = [uid for uid in found if first <= uid <= first + _SPAN]
        highest = first - 1
        for numbers, within in uid_sets(uids[:MESSAGES_LIMIT], _BATCH):
            if self._octets_left <= 0:
                return highest + 1
            await self._fetch(since, numbers, within)
            highest = max(within)
        if len(uids) > MESSAGES_LIMIT:
            return highest + 1
        return max(highest + 1, min(following or 0, first + _SPAN + 1))

    async def _fetch(self, since: Position, numbers: str, within: frozenset[int] | None) -> int:
        """Keep the messages of a sequence set; return the highest UID that was told."""
        told: dict[int, ScannedMessage] = {}
        for message in fetched(await lines_told(self._session, "UID FETCH", numbers, _ITEMS)):
            # Of n:* servers return the last message even where its UID is below n.
            uid = message.uid
            wanted = uid >= since.uid_next if within is None else uid in within
            if wanted and message.header is not None:
                told[uid] = ScannedMessage(
                    since.mailbox,
                    since.special_use,
                    since.uid_validity,
                    uid,
                    message.received_at,
                    message.header[:HEADER_LIMIT],
                )
        self.messages += [told[uid] for uid in sorted(told)]
        self._octets_left -= sum(len(message.header) for message in told.values())
        return max(told, default=since.uid_next - 1)


def positions_in(lines: Sequence[bytes]) -> list[Position]:
    """The positions that STATUS responses tell."""
    found: list[Position] = []
    for words in responses(lines, b"STATUS"):
        match words:
            case [bytes(kind), bytes(raw), list(items), *_] if kind.upper() == b"STATUS":
                facts = dict(pairs(items))
                name = listing.mailbox_name(raw)
                validity, following = (
                    number(facts.get(b"UIDVALIDITY")),
                    number(facts.get(b"UIDNEXT")),
                )
                if name is not None and validity and following:
                    found.append(Position(name, validity, following))
    return found


def special_use_of(name: str, mailboxes: Sequence[listing.Listed]) -> str | None:
    """The special use of a mailbox as a position keeps it."""
    uses = listing.special_uses(mailboxes)
    return next((f"\\{use}" for use in sorted(uses) if same_mailbox(uses[use], name)), None)


def same_mailbox(name: str, other: str) -> bool:
    """INBOX is the only name in which the case does not matter (RFC 9051 section 5.1)."""
    return name == other or name.upper() == other.upper() == "INBOX"
