# SPDX-License-Identifier: Apache-2.0
"""Carries the messages of one account to the application, in order, one at a time, for ever.

    open the mailbox → what follows the cursor → fetch it → offer it → move the cursor → wait

The mailbox keeps what is not handed over: a message that waits long gives its room in the spool
back and is fetched again, and a session that nothing is left to do for is closed. Pauses are by the
event loop's clock, which nobody sets; only what outlasts the process is by the time of day.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

from postroom.api.reasons import Reason
from postroom.concurrency.backoff import Backoff
from postroom.concurrency.places import GaveWay, Place, Places
from postroom.concurrency.shortage import Shortage
from postroom.delivery import answers, cursors, events, holds, numbering
from postroom.delivery.answers import LONGEST_PAUSE, PASSED_BY, Meaning
from postroom.delivery.contract import Mailboxes, Progress, Reader, Route
from postroom.delivery.cursors import Cursor
from postroom.delivery.holds import NO_ROOM, NO_SESSION, SESSION, Holds, Trouble
from postroom.delivery.spool import Spool, SpooledMessage, SpoolFull
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.reading import Following, MessageGone, Waiting
from postroom.mail.round_trip.header import HEADER_LIMIT, Header, read_header

#: IDLE is begun anew before servers end it (RFC 2177: 30 minutes).
IDLE_LIMIT = timedelta(minutes=29)
#: Seconds for which an offer is repeated with the message at hand and the session open.
_AT_HAND = 15.0
#: Seconds after which a session has done its work, however it ends.
_LASTING = 60.0
#: Octets a second at which a message is fetched again and again: mailboxes have quotas of traffic.
_AGAIN_RATE = 8 * 1024
#: Nothing is in the way.
_NOTHING = Progress()
#: What a message may be larger than the server says, in octets, before it is fetched again.
_SLACK = 64 * 1024


class Finished(Exception):
    """We were told to finish, and the message on its way has its answer."""


class Courier:
    """One account's. `told` gets the progress whenever it changes; `now` is aware, UTC."""

    def __init__(
        self,
        route: Route,
        mailboxes: Mailboxes,
        spool: Spool,
        now: Callable[[], datetime],
        told: Callable[[Progress], None],
        progress: Progress | None = None,
        backoff: Backoff | None = None,
        places: Places | None = None,
        observe: Callable[[str, int], None] = lambda result, octets: None,
    ) -> None:
        self._route, self._mailboxes, self._spool = route, mailboxes, spool
        self._now, self._told, self._observe = now, told, observe
        self.progress = progress or Progress()
        #: What was in the way before holds until a mailbox was read, or a message handed over.
        self._before = self.progress
        self._backoff = backoff or Backoff(floor=1.0, base=1.0, cap=300.0)
        self._holds, self._numbering = Holds(), numbering.Numbering()
        #: Where the session comes from, one of them being ours while it lasts.
        self._places = places or Places(1, 1)
        self._place: Place
        #: Messages that wait, by mailboxes, and when the next of them arrived.
        self._left: dict[str, tuple[int, datetime]] = {}
        #: The mailbox that is worked on, or the session, and whose mailboxes it is for: by name of
        #: the account, and as it was stored once by the UID of its object.
        self._at, self._owner, self._owner_once = SESSION, "", ""
        #: The mailbox that is open and has nothing for us.
        self._empty: str | None = None
        self._finishing = False
        #: Whether the application has a message before it that it has not answered yet.
        self.is_offering = False
        for mailbox in sorted(self.progress.unreadable.keys() & set(route.plan.mailboxes)):
            self._holds.hold(mailbox, float("inf"), holds.cursor_unreadable(mailbox))
            self._tell()

    def finish(self) -> None:
        """Begin with no further message: `run` ends once the one on its way has its answer."""
        self._finishing = True

    async def run(self) -> None:
        """Carry until cancelled; nothing any more once the application wants nothing."""
        plan, not_before = self._route.plan, 0.0
        while True:
            wait = max(self._holds.next_due(plan.mailboxes), not_before) - _clock()
            if wait > 0:
                await asyncio.sleep(min(wait, IDLE_LIMIT.total_seconds()))
                continue
            self._at, begun = SESSION, _clock()
            try:
                async with self._places.place(
                    self._route.namespace, lambda waits: self._wait(waits, NO_SESSION)
                ) as self._place:
                    begun = _clock()
                    login, at = await self._route.login(), self._route.endpoint
                    route, of = self._route, (at.host, at.port, login.username)
                    name = f"{route.namespace}/{route.account}"
                    self._owner = cursors.owner_of(name, *of)
                    self._owner_once = cursors.owner_of(route.account_uid, *of)
                    async with self._mailboxes.reading(at, login) as reader:
                        await self._serve(reader)
            except GaveWay as gave_way:
                # Then it is looked at now and then, as a mailbox without IDLE is.
                not_before = _clock() + plan.interval.total_seconds() * gave_way.rested
                self._release(SESSION)
            except Failure as failure:
                if _clock() - begun >= _LASTING:
                    self._holds.release(SESSION)
                told = Trouble(failure.reason, failure.message, failure.conclusive)
                self._hold(self._at, told, failure.retry_after)
            except Shortage as lack:
                told = Trouble(Reason.RESOURCES_EXHAUSTED, lack.sentence, sure=False)
                self._hold(self._at, told, None)
            except Finished:
                return

    async def _serve(self, reader: Reader) -> None:
        """Hand over what lies and what comes, until all mailboxes wait."""
        mailboxes = self._route.plan.mailboxes
        while due := self._holds.due(mailboxes, _clock()):
            # A batch of each in turn, so that none waits until another is empty.
            found = False
            for mailbox in due:
                if self._holds.due([mailbox], _clock()):
                    found |= await self._visit(reader, mailbox)
            due = self._holds.due(mailboxes, _clock())
            if due and not found:
                await self._await_news(reader, due[0])

    async def _await_news(self, reader: Reader, watched: str) -> None:
        if self._empty != watched:
            # Another one was opened since, so that nobody told us of messages.
            await self._visit(reader, watched)
            if self._empty != watched:
                return
        self._at = SESSION
        plan, at = self._route.plan, _clock()
        alone = len(plan.mailboxes) == 1 and reader.idles
        limit = min(IDLE_LIMIT, IDLE_LIMIT if alone else plan.interval).total_seconds()
        if self._holds.failures(SESSION):
            limit = min(limit, _LASTING)
        async with self._place.resting():
            await reader.news(min(limit, self._holds.next_end(at) - at))
        self._release(SESSION)

    async def _visit(self, reader: Reader, mailbox: str) -> bool:
        """Hand over the next messages of a mailbox; False where there are none, or they wait."""
        self._at, self._empty = mailbox, None
        validity, uid_next = await reader.open(mailbox)
        cursor = self._cursor(mailbox, validity, uid_next, reader.promises)
        self._move(cursor)
        if cursor.uid + 1 >= uid_next:
            self._empty = mailbox
            self._left.pop(mailbox, None)
            self._release(mailbox)
            return False
        following = await reader.following(cursor.uid, uid_next)
        self._note_left(mailbox, following, 0)
        self._tell()
        for number, message in enumerate(following.messages, 1):
            moved = await self._hand_over(reader, cursor, message)
            if moved is None:
                return False
            cursor = moved
            # All of it before anything is waited for: whoever ends us finds what is so.
            self._note_left(mailbox, following, number)
            self._release(mailbox, SESSION, moved=cursor)
            self._go_on()
        self._move(cursor.past(following.looked_to))
        return True

    def _cursor(self, mailbox: str, validity: int, uid_next: int, promised: bool) -> Cursor:
        """How far a mailbox is, as it is opened now."""
        plan, at, owner = self._route.plan, (validity, uid_next, self._now()), self._owner
        if (before := self.progress.cursors.get(mailbox)) is not None:
            once = self._owner_once
            found = cursors.resume(before, *at, owner=owner, owner_once=once, promised=promised)
            return self._numbering.settled(before, found)
        return cursors.begin(mailbox, *at, owner=owner, start=plan.start, backfill=plan.backfill)

    async def _hand_over(self, reader: Reader, cursor: Cursor, message: Waiting) -> Cursor | None:
        """The cursor after a message that was handed over, passed by or is gone; None: it waits."""
        arrived_at = message.arrived_at or self._now()
        if not cursor.wants(message.uid, arrived_at):
            return cursor.past(message.uid)
        largest = self._route.plan.max_size
        try:
            if message.size <= largest:
                for room in (min(message.size + _SLACK, largest), largest):
                    try:
                        return await self._whole(reader, cursor, message, arrived_at, room)
                    except SpoolFull:
                        continue
            # Without its body: the application hears of it, and can fetch it itself.
            header = read_header(await reader.header(message.uid))
            if self._route.is_ours(header):
                return cursor.past(message.uid)
            told = self._described(cursor, message, arrived_at, header, oversized=True)
            return await self._offered(cursor, message, arrived_at, told, None)
        except MessageGone:
            return cursor.past(message.uid)

    async def _whole(
        self, reader: Reader, cursor: Cursor, message: Waiting, arrived_at: datetime, room: int
    ) -> Cursor | None:
        """Fetch a message and offer it; raises `SpoolFull` where it is larger than the room."""
        async with self._spool.message(self._route.namespace, room, self._wait) as spooled:
            begun = b""
            async with aclosing(reader.pieces(message.uid, message.size)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    if len(begun) < HEADER_LIMIT:
                        begun += piece
                    await spooled.add(piece)
            header = read_header(_header_in(begun))
            if self._route.is_ours(header):
                return cursor.past(message.uid)
            whole = replace(message, size=spooled.size)
            told = self._described(cursor, whole, arrived_at, header)
            return await self._offered(cursor, whole, arrived_at, told, spooled)

    def _described(
        self,
        cursor: Cursor,
        message: Waiting,
        arrived_at: datetime,
        header: Header,
        *,
        oversized: bool = False,
    ) -> Mapping[str, str]:
        route = self._route
        by_uid = not cursor.epoch or cursor.owner == self._owner_once
        place = events.Place(
            route.namespace,
            route.account,
            cursor.mailbox,
            cursor.uid_validity,
            message.uid,
            cursor.owner,
            cursor.epoch,
            mark=events.mark_of(header),
            account_uid=route.account_uid if by_uid else "",
        )
        return events.attributes(
            place,
            header,
            arrived_at,
            message.size,
            receivers=(route.endpoint.host,),
            may_repeat=cursor.repeats(message.uid, arrived_at),
            oversized=oversized,
        )

    async def _offered(
        self,
        cursor: Cursor,
        message: Waiting,
        arrived_at: datetime,
        told: Mapping[str, str],
        spooled: SpooledMessage | None,
    ) -> Cursor | None:
        """The cursor after a message that was taken or passed by; None: it waits."""
        begun = _clock()
        while True:
            self.is_offering = True
            try:
                answer = await self._route.sink.send(told, spooled)
            finally:
                self.is_offering = False
            now, meaning = self._now(), answer.meaning
            self._observe(meaning.value, spooled.size if spooled is not None else 0)
            if meaning is Meaning.HANDED_OVER:
                delivered = self.progress.delivered + 1
                self.progress = replace(self.progress, delivered_at=now, delivered=delivered)
                # Servers keep any time that they are told with a message: one that is to come
                # would hide others.
                return cursor.past(message.uid, min(arrived_at, now))
            if meaning is Meaning.STOP:
                self._holds.hold(SESSION, float("inf"), answers.trouble(answer))
                self._tell()
                return None
            if meaning is Meaning.REFUSED:
                by = self._route.addressee
                cursor = cursor.refusing(message.uid, answer.status or 0, now, by)
                if cursor.refused and answers.is_passed_by(answer, cursor.refused, now):
                    last = cursor.mailbox, message.uid, cursor.refused.status
                    rejected = self.progress.rejected + 1
                    self.progress = replace(self.progress, rejected=rejected, last_rejected=last)
                    self._observe(PASSED_BY, 0)
                    return cursor.past(message.uid, min(arrived_at, now))
                self._move(cursor)
            longest = LONGEST_PAUSE.total_seconds() if meaning is Meaning.REFUSED else 0.0
            if spooled is not None:
                longest = max(longest, spooled.size / _AGAIN_RATE)
            trouble = answers.trouble(answer)
            pause = self._hold(cursor.mailbox, trouble, answer.retry_after, longest)
            self._go_on()
            if _clock() + pause - begun > _AT_HAND:
                return None
            await asyncio.sleep(pause)

    def _hold(
        self, what: str, trouble: Trouble, at_least: timedelta | None, longest: float = 0.0
    ) -> float:
        """Have something wait, and return for how many seconds.

        The first time is told only where it lasts: what mends itself within seconds is no news.
        """
        failures = self._holds.failures(what) + 1
        backoff = replace(self._backoff, cap=max(self._backoff.cap, longest))
        asked = at_least.total_seconds() if at_least is not None else 0.0
        pause = max(backoff.delay(failures), asked)
        self._holds.hold(what, _clock() + pause, trouble, told=failures > 1 or pause > _AT_HAND)
        self._tell()
        return pause

    def _release(self, *what: str, moved: Cursor | None = None) -> None:
        self._before = _NOTHING
        for each in what:
            self._holds.release(each)
        self._tell(moved)

    def _wait(self, waits: bool, trouble: Trouble = NO_ROOM) -> None:
        """Something waits for long, a message for room if nothing else; or no longer."""
        self._holds.passing = trouble if waits else None
        self._tell()

    def _go_on(self) -> None:
        """Raise `Finished` where we are to finish, and `GaveWay` where it is another's turn."""
        if self._finishing:
            raise Finished
        self._place.pause()

    def _note_left(self, mailbox: str, following: Following, done: int) -> None:
        """Keep how many messages wait when so many of these are done."""
        self._left.pop(mailbox, None)
        if (count := following.count - done) > 0 and (messages := following.messages):
            # Of those that were not looked at yet it is not known when they came: after these.
            arrived_at = messages[min(done, len(messages) - 1)].arrived_at
            self._left[mailbox] = count, arrived_at or self._now()

    def _move(self, cursor: Cursor) -> None:
        if self.progress.cursors.get(cursor.mailbox) != cursor:
            self._tell(cursor)

    def _tell(self, moved: Cursor | None = None) -> None:
        """Tell the progress where it is another one; `moved` is a cursor of it."""
        before, told = self.progress, self._holds.trouble or self._before
        kept = before.cursors
        if moved is not None:
            kept = {**kept, moved.mailbox: moved}
        progress = replace(
            before,
            cursors=kept,
            waiting=sum(count for count, _ in self._left.values()),
            waiting_since=min((since for _, since in self._left.values()), default=None),
            reason=told.reason,
            message=told.message,
            sure=told.sure,
        )
        if progress != before:
            self.progress = progress
            self._told(progress)


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _header_in(message: bytes) -> bytes:
    """The header of a message, as a server gives it by itself (RFC 3501 section 6.4.5).

    One that begins with an empty line has none, whatever its body looks like: it must have the id
    that it has where it is too large to be fetched whole.
    """
    return b"" if message.startswith(b"\r\n") else message.partition(b"\r\n\r\n")[0]
