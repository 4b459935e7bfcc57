# SPDX-License-Identifier: Apache-2.0
"""What a session is asked to do beyond a check, and what came of it.

Each report holds the `ProbeReport` of its session: how far connecting and signing in came. Where
its stage is not DONE, what was asked for may not have been done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from postroom.api.reasons import Reason
from postroom.mail.report import ProbeReport


class Acceptance(StrEnum):
    """What a server says to a sender, a recipient or a message."""

    ACCEPTED = "Accepted"
    REFUSED = "Refused"
    #: A 4xx reply: it may accept later.
    DEFERRED = "Deferred"
    #: Not asked, or the answer was lost. A message may have been taken over all the same.
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer; `reason` and `message` say why it is no yes, as in `ProbeReport`."""

    acceptance: Acceptance
    reason: Reason
    message: str
    code: int | None = None
    enhanced_code: str | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for one recipient; `octets` are RFC 5322 text with CRLF line ends.

    `may_be_sent` is asked immediately before a server is given them.
    """

    sender: str
    recipient: str
    octets: bytes = field(repr=False)
    may_be_sent: Callable[[], bool] = field(default=lambda: True, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SendReport:
    """What became of a message."""

    session: ProbeReport
    answer: Answer


@dataclass(frozen=True, slots=True)
class EnvelopeReport:
    """What MAIL and RCPT said to senders, by address; nothing was sent."""

    session: ProbeReport
    answers: Mapping[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a mailbox: messages from `uid_next` on came after it was noted."""

    mailbox: str
    uid_validity: int
    uid_next: int
    #: Its special use, such as ``\\Junk`` (RFC 6154); None for INBOX and ordinary mailboxes.
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class ScannedMessage:
    """The header fields of a message, as they came."""

    mailbox: str
    special_use: str | None
    uid_validity: int
    uid: int
    received_at: datetime
    header: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What arrived since the positions that were given, and the positions now."""

    session: ProbeReport
    positions: tuple[Position, ...] = ()
    messages: tuple[ScannedMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Removal:
    """One message to remove; only one whose header holds `proof` is removed."""

    mailbox: str
    uid_validity: int
    uid: int
    proof: str


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """Which messages are gone, or at least marked as deleted."""

    session: ProbeReport
    removed: tuple[Removal, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """How many messages arrived on each day (UTC); not `complete`: there are more than are read."""

    session: ProbeReport
    days: Mapping[date, int] = field(default_factory=dict)
    complete: bool = True
