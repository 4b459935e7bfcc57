# SPDX-License-Identifier: Apache-2.0
"""Which messages of a mailbox come next: three numbers and two times. Pure.

UIDs only grow while UIDVALIDITY stays (RFC 9051 section 2.3.1.1), so that what was handed over is
told by the last UID. Where UIDVALIDITY changes, UIDs go back, or the mailbox is another user's or
server's, where UIDVALIDITY may be equal by chance, it was made anew and its UIDs tell nothing: then
by the time of arrival, a day back, and whatever that lets in may be a repetition. Never from the
beginning again.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from postroom.api import inbound_delivery

#: Ports of IMAP: whoever goes from one to the other reads the same mailboxes.
_PORTS = frozenset({143, 993})
#: Mailboxes that cursors are kept of: those of the spec, and some that it named before.
CURSORS_LIMIT = inbound_delivery.CURSORS_LIMIT
#: No mailbox has it (RFC 9051 section 9, nz-number).
_NO_VALIDITY = 0
#: How far before the last message that was handed over a mailbox that was made anew is read: times
#: of arrival are kept in whole seconds, and servers copy messages in any order.
OVERLAP = timedelta(days=1)


class Start(StrEnum):
    """Where a mailbox begins that nothing was handed over from yet."""

    NOW = "Now"
    BACKFILL = "Backfill"


@dataclass(frozen=True, slots=True)
class Refused:
    """The message after the cursor, which the application refuses: since when, and how often.

    `by` tells which application it is (see `addressee_of`); it is empty where that was stored
    before it was.
    """

    uid: int
    since: datetime
    attempts: int
    status: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a mailbox was handed over: every message up to `uid`.

    `arrived_at` is when the last of them arrived, or when there was nothing yet the moment from
    which on messages count. Of messages below `known_below`, which were there when the mailbox was
    first opened or was made anew, only those count that arrived at `since` or later; with
    `may_repeat` they may have been handed over before, under another key. So may be whatever
    arrived before `anew_at`, when it was last found to be made anew: who moves mailboxes may copy
    messages for long after they were opened.

    `owner` tells whose mailbox it is (see `owner_of`), and `epoch` how often UIDs began anew; they
    are empty and 0 where cursors were stored before there was either. One that was stored under an
    object's UID keeps that, and the ids of its messages with it, until the mailbox is made anew.
    """

    mailbox: str
    uid_validity: int
    uid: int
    arrived_at: datetime
    known_below: int = 0
    since: datetime | None = None
    may_repeat: bool = False
    refused: Refused | None = None
    owner: str = ""
    epoch: int = 0
    anew_at: datetime | None = None

    def wants(self, uid: int, arrived_at: datetime) -> bool:
        """Whether a message is to be handed over."""
        if uid <= self.uid:
            return False
        return uid >= self.known_below or self.since is None or arrived_at >= self.since

    def repeats(self, uid: int, arrived_at: datetime) -> bool:
        """Whether a message may have been handed over before, under another key."""
        late = self.anew_at is not None and arrived_at < self.anew_at
        return late or (self.may_repeat and uid < self.known_below)

    def past(self, uid: int, arrived_at: datetime | None = None) -> "Cursor":
        """The cursor once a message was handed over, passed by, or is not wanted (no time)."""
        latest = max(self.arrived_at, arrived_at) if arrived_at is not None else self.arrived_at
        moved = replace(self, uid=max(uid, self.uid), arrived_at=latest, refused=None)
        if moved.uid + 1 >= self.known_below:
            return replace(moved, known_below=0, since=None, may_repeat=False)
        return moved

    def refusing(self, uid: int, status: int, now: datetime, by: str = "") -> "Cursor":
        """The cursor once an application has refused the message after it, once more.

        What another one refused counts for nothing with it, whenever and wherever it took its
        place: it may be the one that mends it.
        """
        before = self.refused
        if before is not None and (before.uid != uid or before.by not in ("", by)):
            before = None
        since, attempts = (before.since, before.attempts) if before is not None else (now, 0)
        # A clock that was set back does not have the message wait for longer.
        return replace(self, refused=Refused(uid, min(since, now), attempts + 1, status, by))


def bounded(
    found: Mapping[str, Cursor], wanted: Collection[str], limit: int = CURSORS_LIMIT
) -> Mapping[str, Cursor]:
    """Those cursors that are kept: of mailboxes that are read, and as many others as there is room
    for, the latest first, so that one that is read again goes on from where it was."""
    others = sorted(found.keys() - set(wanted), key=lambda name: (found[name].arrived_at, name))
    room = max(limit - len(wanted), 0)
    kept = {*wanted, *(others[-room:] if room else ())}
    return {name: cursor for name, cursor in found.items() if name in kept}


def owner_of(account: str, host: str, port: int, username: str) -> str:
    """Whose mailboxes at which server: the same whatever is signed in with, and however host and
    user are written. Who reads it learns neither, and not that two accounts have the same.

    `account` is its namespace and name, so that one that is created again has the same; once it was
    the UID of its object.
    """
    at = host.lower().rstrip("."), "" if port in _PORTS else str(port), username.casefold()
    return _hash("\n".join((account, *at)))


def addressee_of(deliver: inbound_delivery.Deliver) -> str:
    """To whom mail goes, and how it is written, as the spec says: neither which keys sign it nor
    which of it goes there. Fields that came later and are not used leave it as it is."""
    to = {"service", "jet_stream", "format"}
    return _hash(deliver.model_dump_json(include=to, exclude_defaults=True))


def _hash(told: str) -> str:
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def begin(
    mailbox: str,
    uid_validity: int,
    uid_next: int,
    now: datetime,
    *,
    owner: str,
    start: Start,
    backfill: timedelta,
) -> Cursor:
    """The cursor of a mailbox that nothing was handed over from yet."""
    begun = Cursor(mailbox, uid_validity, uid_next - 1, now, owner=owner, epoch=1)
    if start is Start.NOW or uid_next <= 1:
        return begun
    since = now - backfill
    return replace(begun, uid=0, arrived_at=since, known_below=uid_next, since=since)


def lost(mailbox: str, arrived_at: datetime, since: datetime | None = None) -> Cursor:
    """The cursor of a mailbox that only times are known of: it is found to be made anew, under an
    epoch that was never there."""
    epoch = max(int(arrived_at.timestamp()), 0)
    return Cursor(mailbox, _NO_VALIDITY, 0, arrived_at, since=since, epoch=epoch)


def resume(
    cursor: Cursor,
    uid_validity: int,
    uid_next: int,
    now: datetime,
    *,
    owner: str,
    owner_once: str = "",
    promised: bool = True,
) -> Cursor:
    """The cursor for a mailbox as it is opened now: another one if it was made anew.

    `owner_once` is the owner by the UID of the account's object. `promised`: UIDNEXT is the
    server's own. Where it was reckoned from the messages that are there, it goes back when the last
    one is expunged.
    """
    same = cursor.uid_validity == uid_validity and cursor.owner in ("", owner, owner_once)
    if same and (cursor.uid < uid_next or not promised):
        # Whatever was written there: what comes from now on was not there before.
        known_below = min(cursor.known_below, uid_next) if promised else cursor.known_below
        return replace(cursor, owner=cursor.owner or owner, known_below=known_below)
    # A clock that went wrong for a while must not hide what came since.
    since = min(cursor.arrived_at, now) - OVERLAP
    # Backfill that was not through goes on from where it was to begin.
    since = min(since, cursor.since) if cursor.since is not None else since
    filled = uid_next > 1
    return Cursor(
        cursor.mailbox,
        uid_validity,
        0,
        # That is what the next time goes by, where it is made anew once more.
        since + OVERLAP,
        known_below=uid_next if filled else 0,
        since=since if filled else None,
        may_repeat=filled,
        owner=owner,
        epoch=cursor.epoch + 1,
        # In whole seconds, as it is stored and as times of arrival are.
        anew_at=max(cursor.arrived_at, now).replace(microsecond=0) + timedelta(seconds=1),
    )
