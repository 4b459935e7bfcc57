# SPDX-License-Identifier: Apache-2.0
"""Whole messages, read one after the other over a session that lasts.

Nothing is changed: EXAMINE and BODY.PEEK mark nothing as read. Nothing is left out either: what a
server does not show is only passed over once SEARCH says that it is gone.
"""

import asyncio
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.examine import Opened, examine, no_positions
from postroom.mail.imap.fetching import (
    Piece,
    fetched,
    is_search_whole,
    pieces_of,
    searched,
    uid_sets,
)
from postroom.mail.imap.operation import IDENTITY, unless_refused
from postroom.mail.imap.protocol import LINE_LIMIT, TOTAL_LIMIT, CommandAnswer
from postroom.mail.imap.session import ImapSession
from postroom.mail.imap.values import without_literals
from postroom.mail.round_trip.header import HEADER_LIMIT

#: Octets of one FETCH: what is kept of a message in memory.
PIECE = 256 * 1024
#: Small messages come several at a time, since to ask for each costs more than it does: octets of
#: one, octets and number of all at most, and seconds for which they are kept. What is removed
#: within these may still be handed over.
_SMALL, _TOGETHER, _AT_ONCE, _FRESH = 16 * 1024, 64 * 1024, 16, 1.0
#: Seconds in which a message comes, besides what its octets allow at the slowest rate, in octets a
#: second: it has its room on the way for as long.
_IN_TIME, _SLOWEST = 120.0, 64 * 1024
#: FETCHes of a message, besides one for so many octets that came: some servers give less at a time
#: than they are asked for.
_ASKED, _LEAST = 1000, 4 * 1024
#: UIDs of one SEARCH, whose answer is one line; more where so few messages are in the mailbox, and
#: twice as many after each that finds none: UIDs may be far apart.
_SPAN, _FEW = 20_000, 50_000
#: Messages whose facts are fetched at once.
_BATCH = 200
#: Seconds between looks for which the server gives no reason, at most.
_LONGEST_CALM = 60.0
_RENUMBERED = re.compile(rb"OK \[UIDVALIDITY (\d{1,10})\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that lies in the mailbox; `size` is what the server says, which may be wrong."""

    uid: int
    arrived_at: datetime | None
    size: int


@dataclass(frozen=True, slots=True)
class Following:
    """The messages that come next, by UID; `looked_to` is the last UID that was looked for, and
    `count` how many messages there are up to it."""

    messages: Sequence[Waiting]
    looked_to: int
    count: int


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The UIDs of all messages after `after`, up to `last`, as SEARCH told them.

    Which of them are gone by now shows when they are fetched.
    """

    uid_validity: int | None
    after: int
    last: int
    uids: "array[int]"


class MessageGone(Exception):
    """The message is no longer in the mailbox."""


class MailboxReader:
    """A signed-in session that reads messages; each method raises `Failure`."""

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self._protocol = session.protocol
        self._protocol.conversation_limit = None
        #: Whether the server tells of new messages by itself (RFC 2177), and does so when asked.
        self.idles = "IDLE" in session.capabilities
        #: Whether the server told UIDNEXT of the mailbox that is open; else it was reckoned.
        self.promises = False
        self._opened = Opened(0, None, None)
        self._mailbox = ""
        #: How often the server had told of new messages when the mailbox was opened.
        self._arrivals = 0
        #: By mailboxes, which may be opened in turn.
        self._ahead: dict[str, _Ahead] = {}
        self._span = _SPAN
        #: The messages that are read next; of these what came already, and when; and how many come
        #: at a time: more while they are taken in time.
        self._batch: Sequence[Waiting] = ()
        self._brought: dict[int, bytes] = {}
        self._brought_at, self._at_once = 0.0, 1
        #: How often in a row the server told of news, and there was nothing new.
        self._false_alarms = 0
        self._alarmed = False

    async def introduce(self) -> None:
        """NetEase opens no mailbox for clients that do not say their name (RFC 2971)."""
        if "ID" in self._session.capabilities:
            await self._session.ask("ID", IDENTITY)

    async def open(self, mailbox: str) -> tuple[int, int]:
        """Open a mailbox read-only; returns its UIDVALIDITY and UIDNEXT."""
        before, arrivals = (self._mailbox, self._opened), self._protocol.arrivals
        self._mailbox, self._batch = "", ()
        self._brought.clear()
        found = await examine(self._session, mailbox)
        if found.uid_validity is None:
            raise no_positions(self._session)
        # One of them is the answer; others came when there was more already than it says.
        self._mailbox, self._opened, self._arrivals = mailbox, found, arrivals + 1
        uid_next = found.uid_next
        # Not one that is too low for as many messages, so that the last ones would never come.
        self.promises = uid_next is not None and uid_next > found.messages
        if uid_next is None or not self.promises:
            # Then it is the UID after the last message's.
            last = await self._told("FETCH", "*", "(UID)") if found.messages else ()
            uid_next = max((message.uid for message in fetched(last)), default=0) + 1
            if found.messages and uid_next == 1:
                # Whatever lies there would be taken for new.
                raise self._tells_no_last()
        self._opened = found = replace(found, uid_next=uid_next)
        in_vain = self._alarmed and before == (mailbox, found)
        self._false_alarms = self._false_alarms + 1 if in_vain else 0
        self._alarmed = False
        return found.uid_validity or 0, uid_next

    async def following(self, uid: int, uid_next: int) -> Following:
        """The messages after a UID, below UIDNEXT as far as that is known; the first ones."""
        if uid + 1 >= uid_next:
            return Following((), uid_next - 1, 0)
        ahead = self._ahead.pop(self._mailbox, None)
        same = ahead is not None and ahead.uid_validity == self._opened.uid_validity
        if ahead is None or not (same and ahead.after <= uid < ahead.last < uid_next):
            ahead = await self._look_ahead(uid, uid_next - 1)
        uids = ahead.uids[bisect_right(ahead.uids, uid) :]
        if not uids:
            return Following((), ahead.last, 0)
        numbers, within = next(uid_sets(uids, _BATCH))
        messages = await self._facts(numbers, within)
        looked_to = max(within) if len(uids) > len(within) else ahead.last
        if looked_to < ahead.last:
            self._ahead[self._mailbox] = ahead
        hidden = await self._hidden(within - {message.uid for message in messages})
        if hidden is not None:
            # What comes before it can be read all the same.
            messages = [message for message in messages if message.uid < hidden]
            looked_to = hidden - 1
            if not messages:
                raise self._hides(hidden)
        self._batch = messages
        return Following(messages, looked_to, len(uids))

    async def _look_ahead(self, uid: int, end: int) -> _Ahead:
        few = self._opened.messages <= _FEW
        last = end if few else min(uid + self._span, end)
        uids = [found for found in await self._search(uid + 1, last) if uid < found <= last]
        self._span = _SPAN if uids else 2 * self._span
        return _Ahead(self._opened.uid_validity, uid, last, array("I", uids))

    async def _facts(self, numbers: str, within: frozenset[int]) -> list[Waiting]:
        """What there is to know of messages before they are read, by UID.

        A server may tell more than once of a message, and of others: what it tells is put together.
        """
        items = "(UID INTERNALDATE RFC822.SIZE)"
        dates: dict[int, datetime] = {}
        sizes: dict[int, int] = {}
        # NO as well: some of them may be gone by now, and those that are not are looked for.
        _, lines = await self._ask("UID FETCH", numbers, items)
        for told in fetched(lines[:-1]):
            if told.received_at is not None:
                dates[told.uid] = told.received_at
            if told.size is not None:
                sizes[told.uid] = told.size
        return [Waiting(uid, dates.get(uid), sizes[uid]) for uid in sorted(within & sizes.keys())]

    async def _hidden(self, missing: frozenset[int]) -> int | None:
        """The first message of those that is there all the same."""
        if not missing:
            return None
        there = await self._search(min(missing), max(missing))
        return min(missing.intersection(there), default=None)

    async def header(self, uid: int) -> bytes:
        """The header of a message, as much of it as counts; raises `MessageGone`."""
        return (await self._section(uid, "HEADER", 0, HEADER_LIMIT)).octets[:HEADER_LIMIT]

    async def pieces(self, uid: int, size: int) -> AsyncIterator[bytes]:
        """A message's octets, piece by piece, to its end; raises `MessageGone`.

        `size` is what the server said. Where that is not what it gives, or where it gives less at a
        time than it is asked for, it is asked on until there is nothing more, within bounds.
        """
        if (whole := await self._whole(uid)) is not None:
            yield whole
            return
        offset = asked = 0
        time = asyncio.get_running_loop().time
        begun = time()
        while True:
            if time() - begun > _IN_TIME + offset / _SLOWEST or asked > _ASKED + offset / _LEAST:
                raise self._trickles(uid)
            asked += 1
            piece = await self._section(uid, "", offset, PIECE)
            if not piece.octets:
                # Dovecot shows a message that was expunged by now as one without more octets.
                if not await self._search(uid, uid):
                    raise MessageGone
                if size and not offset:
                    raise self._hides(uid)
                return
            yield piece.octets
            offset += len(piece.octets)
            if len(piece.octets) != PIECE and offset == size:
                return
            if piece.origin is None and offset > PIECE:
                return  # the server does not know parts, and has given all

    async def _whole(self, uid: int) -> bytes | None:
        """All of a small message, which may have come with one before it; None: it did not."""
        now = asyncio.get_running_loop().time()
        if now - self._brought_at > _FRESH:
            self._brought.clear()
            self._at_once = max(self._at_once // 4, 1)
        elif not self._brought:
            self._at_once = min(2 * self._at_once, _AT_ONCE)
        if uid not in self._brought:
            self._brought.clear()
            self._brought_at = now
            await self._bring(uid)
        return self._brought.pop(uid, None)

    async def _bring(self, first: int) -> None:
        """Fetch some messages at a time, those that are small; keep each that comes whole."""
        sizes, largest = dict[int, int](), 0
        begin = bisect_left(self._batch, first, key=lambda message: message.uid)
        for message in self._batch[begin:]:
            largest = max(largest, message.size)
            # What a server gives beyond what it said is cut off, and bounded by that.
            fits = (len(sizes) + 1) * largest <= _TOGETHER and len(sizes) < self._at_once
            if not (fits and 0 < message.size <= _SMALL):
                break
            sizes[message.uid] = message.size
        if len(sizes) < 2 or first not in sizes:
            return
        numbers, most = next(uid_sets(sizes, _AT_ONCE))[0], max(sizes.values()) + 1
        # NO as well: those that do not come are looked for one by one.
        _, lines = await self._ask("UID FETCH", numbers, f"(UID BODY.PEEK[]<0.{most}>)")
        for uid, piece in pieces_of(lines[:-1], b"").items():
            if len(piece.octets) == sizes.get(uid) and not piece.origin:
                self._brought[uid] = piece.octets

    async def news(self, seconds: float) -> None:
        """Wait until a message may have come since the mailbox was opened, or for some seconds."""
        if not self.idles:
            await asyncio.sleep(seconds)
            return
        if self._false_alarms:
            # Whatever a server tells, it is not asked without end.
            await asyncio.sleep(min(2.0**self._false_alarms, _LONGEST_CALM, seconds))
        if self._protocol.arrivals <= self._arrivals:
            patience = self._session.state.deadlines.command
            time = asyncio.get_running_loop().time
            begun = time()
            idle = self._protocol.idle(self._arrivals, seconds, patience)
            idled = await self._session.within(ProbeStage.MAILBOX, seconds + 3 * patience, idle)
            # Who refuses it, or ends it at once, is looked at now and then instead.
            self.idles = idled or time() - begun >= patience
        self._alarmed = self._protocol.arrivals > self._arrivals

    async def _search(self, first: int, last: int) -> list[int]:
        """The UIDs of the messages from one to another.

        An answer in part is not taken for one that finds nothing: what it leaves out would be
        passed over. Nor is none, as some servers give where they find nothing.
        """
        numbers = f"{first}:{last}"
        lines = await self._told("UID SEARCH", "UID", numbers)
        if is_search_whole(lines):
            return searched(lines)
        told = fetched(await self._told("UID FETCH", numbers, "(UID)"))
        return sorted({*searched(lines), *(message.uid for message in told)})

    async def _section(self, uid: int, section: str, offset: int, most: int) -> Piece:
        """Octets of a section, none beyond its end; raises `MessageGone`."""
        asked = f"(UID BODY.PEEK[{section}]<{offset}.{most}>)"
        result, lines = await self._ask("UID FETCH", str(uid), asked)
        piece = pieces_of(lines[:-1], section.encode()).get(uid)
        # A server may say NO because the message is gone (RFC 9051 section 6.4.5).
        if piece is None and uid not in await self._search(uid, uid):
            raise MessageGone
        unless_refused(self._session, "FETCH", result, lines)
        if piece is None or (piece.octets and (piece.origin or 0) != offset):
            raise self._hides(uid)
        return piece

    async def _told(self, name: str, *arguments: str) -> list[bytes]:
        """The untagged lines of an answer; raises `Failure` where it is not OK."""
        return unless_refused(self._session, name, *await self._ask(name, *arguments))

    async def _ask(self, name: str, *arguments: str) -> CommandAnswer:
        """The answer to a command, while the mailbox is the one that was opened."""
        limit = TOTAL_LIMIT if name == "UID SEARCH" else LINE_LIMIT
        result, lines = await self._session.ask(name, *arguments, line_limit=limit)
        validity = self._opened.uid_validity
        said = map(_RENUMBERED.match, without_literals(lines))
        if any(int(found[1]) != validity for found in said if found):
            wrong = f"{self._session.state.place} numbers the mailbox anew: it is opened again."
            raise self._session.state.passing(Reason.PROBE_INCONCLUSIVE, wrong, "")
        return result, lines

    def _trickles(self, uid: int) -> Failure:
        wrong = (
            f"{self._session.state.place} gives the message with the UID {uid} too slowly, or in "
            "parts that are far too small; it is asked again:"
        )
        fix = "look at its load, or move the message elsewhere."
        return self._session.state.passing(Reason.CONNECTION_TIMEOUT, wrong, fix)

    def _tells_no_last(self) -> Failure:
        wrong = (
            f"{self._session.state.place} says that there are messages, but not which UID the last "
            "one has; it is asked again:"
        )
        return self._session.state.passing(Reason.PROBE_INCONCLUSIVE, wrong, "read its log.")

    def _hides(self, uid: int) -> Failure:
        wrong = (
            f"{self._session.state.place} lists a message with the UID {uid}, but does not show it "
            "as it is; it is asked again:"
        )
        fix = "read its log, or move the message elsewhere."
        return self._session.state.passing(Reason.PROBE_INCONCLUSIVE, wrong, fix)
