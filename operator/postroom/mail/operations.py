# SPDX-License-Identifier: Apache-2.0
"""What a session is asked to do beyond a check, and what came of it.

Each report holds the `ProbeReport` of its session: how far connecting and signing in came. Where
its stage is not DONE, what was asked for may not have been done.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Generic, Protocol, TypeVar

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
    """The header fields of a message, as they came; `received_at` is None where the server tells no
    time that can be."""

    mailbox: str
    special_use: str | None
    uid_validity: int
    uid: int
    received_at: datetime | None
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
    """How many messages arrived on each day (UTC); not `complete`: there are more than are read.

    `duplicates` are those of them that are there again under the same Message-ID.
    """

    session: ProbeReport
    days: Mapping[date, int] = field(default_factory=dict)
    complete: bool = True
    duplicates: int = 0


class OperationReport(Protocol):
    """What every report of an operation holds."""

    @property
    def session(self) -> ProbeReport: ...


Report = TypeVar("Report", bound=OperationReport)


class Operation(ABC, Generic[Report]):
    """What a session is signed in for; `kind` is its name in metrics."""

    kind: ClassVar[str]

    @abstractmethod
    def not_done(self, session: ProbeReport) -> Report:
        """The report of a session that ended before anything was done."""


@dataclass(frozen=True, slots=True)
class AskSenders(Operation[EnvelopeReport]):
    """The question whether each sender may write to the recipient; nothing is sent."""

    senders: Sequence[str]
    recipient: str
    kind: ClassVar[str] = "envelope"

    def not_done(self, session: ProbeReport, answer: Answer | None = None) -> EnvelopeReport:
        """See `Operation`; `answer` says why nothing was done where the session does not."""
        return EnvelopeReport(session, dict.fromkeys(self.senders, answer or _unasked(session)))


@dataclass(frozen=True, slots=True)
class SendMessage(Operation[SendReport]):
    """Hand one message over, once."""

    message: OutgoingMessage
    kind: ClassVar[str] = "send"

    def not_done(self, session: ProbeReport, answer: Answer | None = None) -> SendReport:
        """See `Operation`; `answer` says why nothing was done where the session does not."""
        return SendReport(session, answer or _unasked(session))


@dataclass(frozen=True, slots=True)
class ScanMailbox(Operation[ScanReport]):
    """Read, without marking, the headers of what arrived since some positions.

    Without any, only note the positions of the mailbox and of the special ones where mail also
    arrives (junk, all mail).
    """

    mailbox: str
    since: Sequence[Position]
    kind: ClassVar[str] = "scan"

    def not_done(self, session: ProbeReport) -> ScanReport:
        """See `Operation`."""
        return ScanReport(session)


@dataclass(frozen=True, slots=True)
class RemoveMessages(Operation[RemovalReport]):
    """Remove messages of ours, and never any other."""

    removals: Sequence[Removal]
    kind: ClassVar[str] = "remove"

    def not_done(self, session: ProbeReport) -> RemovalReport:
        """See `Operation`."""
        return RemovalReport(session)


@dataclass(frozen=True, slots=True)
class CountDays(Operation[HistoryReport]):
    """Count what arrived in a mailbox on each day since a date; bounded."""

    mailbox: str
    since: date
    kind: ClassVar[str] = "history"

    def not_done(self, session: ProbeReport) -> HistoryReport:
        """See `Operation`."""
        return HistoryReport(session, complete=False)


#: What a session may be for, by its name in metrics: a look over one of the two protocols, or one
#: of the operations.
SESSIONS = (
    "smtp",
    "imap",
    *(each.kind for each in (AskSenders, SendMessage, ScanMailbox, RemoveMessages, CountDays)),
)


def _unasked(session: ProbeReport) -> Answer:
    return Answer(
        Acceptance.UNKNOWN, session.reason, session.message, session.code, session.enhanced_code
    )
