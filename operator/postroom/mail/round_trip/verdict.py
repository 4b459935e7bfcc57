# SPDX-License-Identifier: Apache-2.0
"""What became of a test message: where it arrived, how soon, from whom, and what to conclude."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from postroom.api.account_messages import MessageOutcome
from postroom.api.conditions import shorten
from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.mail.round_trip import conclusions
from postroom.mail.round_trip.authentication import Authentication, authentication
from postroom.mail.round_trip.header import addresses
from postroom.mail.round_trip.recognise import Expected, Found, Sighting
from postroom.mail.round_trip.trace import Hop, trace

#: From here on a message that has not arrived is worth a warning.
LATE_AFTER = timedelta(seconds=120)
#: From here on it counts as not delivered.
DEADLINE = timedelta(minutes=10)


class Placement(StrEnum):
    """Where a message lies."""

    MAILBOX = "Mailbox"
    JUNK = "Junk"
    #: Only among all mail, as where a filter archives it.
    ARCHIVE = "Archive"


_JUNK, _ALL = "\\junk", "\\all"
_ORDER = tuple(Placement)


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, and where it is looked for.

    `accepted_at` is when the server took it over. `mailbox` is the one that is read. `receivers`
    are domains whose servers may judge it, where the receiving server's own name does not tell.
    `reply_to` is where answers were to go; empty: nothing was said of it.
    """

    expected: Expected
    sender: str
    recipient: str
    accepted_at: datetime
    mailbox: str = "INBOX"
    receivers: tuple[str, ...] = ()
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of a message; `outcome` is None while it is still looked for.

    `latency` is in whole seconds from the server's yes to the arrival. `received_from` is the
    sender that arrived, where it is another than was sent. `findings` are worst first.
    """

    outcome: MessageOutcome | None
    reason: Reason
    message: str
    findings: tuple[Finding, ...] = ()
    copy: Found | None = None
    placement: Placement | None = None
    mailbox: str | None = None
    latency: int | None = None
    received_from: str | None = None
    authentication: Authentication | None = None
    hops: tuple[Hop, ...] = ()


def judge(sent: Sent, sighting: Sighting, now: datetime) -> Arrival:
    """Conclude from what was seen until now. The messages hold no times and no foreign texts."""
    loop = (conclusions.looping(sent.recipient),) if sighting.loops else ()
    copy = best_copy(sent, sighting.found)
    if copy is not None:
        return _arrived(sent, copy, now, loop)
    # Ahead of us it is where the clock was set back: until then nobody waits.
    waited = abs(now - sent.accepted_at)
    bounced = bool(sighting.bounces)
    if bounced or waited >= DEADLINE:
        finding = conclusions.undelivered(sent.recipient, bounced=bounced)
        reason, outcome = Reason.NOT_DELIVERED, MessageOutcome.NOT_DELIVERED
        return Arrival(outcome, reason, shorten(finding.message), (finding, *loop))
    message = f"The test message to {sent.recipient} is on its way: postroom keeps looking for it."
    findings = (conclusions.late(sent.recipient),) if waited >= LATE_AFTER else ()
    return Arrival(None, Reason.AWAITING_MESSAGE, message, (*findings, *loop))


def best_copy(sent: Sent, found: Iterable[Found]) -> Found | None:
    """Return the copy to judge by: a proven one before others, then the best placed."""
    return min(
        found,
        key=lambda copy: (copy.proof is None, _ORDER.index(_placement(sent, copy))),
        default=None,
    )


def _placement(sent: Sent, copy: Found) -> Placement:
    names = (copy.message.mailbox, sent.mailbox)
    # Only the name INBOX is the same in any case (RFC 9051 section 5.1).
    if names[0] == names[1] or all(name.upper() == "INBOX" for name in names):
        return Placement.MAILBOX
    use = (copy.message.special_use or "").lower()
    return {_JUNK: Placement.JUNK, _ALL: Placement.ARCHIVE}.get(use, Placement.MAILBOX)


def _arrived(sent: Sent, copy: Found, now: datetime, loop: tuple[Finding, ...]) -> Arrival:
    latency: int | None = None
    if copy.message.received_at is not None:
        # Whatever the receiver's clock says, it was not later than now.
        waited = min(copy.message.received_at, now) - sent.accepted_at
        latency = max(0, int(waited.total_seconds()))
    placement = _placement(sent, copy)
    other = received_from(sent, copy)
    judged = authentication(copy.header, sent.receivers)
    told = [*conclusions.authentication_findings(judged), *_answers(sent, copy)]
    outcome, reason = MessageOutcome.DELIVERED, Reason.DELIVERED
    message = f"The test message to {sent.recipient} arrived."
    if placement is Placement.ARCHIVE:
        told.append(conclusions.archived(sent.recipient))
    if other is not None:
        told.insert(0, conclusions.rewritten(sent.sender, other))
        reason, message = Reason.SENDER_REWRITTEN, told[0].message
    if placement is Placement.JUNK:
        told.insert(0, conclusions.spam(sent.recipient, judged))
        outcome, reason = MessageOutcome.DELIVERED_TO_SPAM, Reason.DELIVERED_TO_SPAM
        message = told[0].message
    return Arrival(
        outcome,
        reason,
        shorten(message),
        (*told, *loop),
        copy=copy,
        placement=placement,
        mailbox=copy.message.mailbox,
        latency=latency,
        received_from=other,
        authentication=judged,
        hops=trace(copy.header),
    )


def received_from(sent: Sent, copy: Found) -> str | None:
    """Return the sender that arrived, where it is another than was sent; empty if unreadable."""
    fields = copy.header.all("From")
    if not fields:
        return None
    found = addresses(fields[0])
    if found and same_address(found[0], sent.sender):
        return None
    return found[0] if found else ""


def _answers(sent: Sent, copy: Found) -> tuple[Finding, ...]:
    """Whether answers to what arrived go where they were to go."""
    bodies = copy.header.all("Reply-To")
    if not bodies:
        return (conclusions.reply_to_dropped(sent.reply_to),) if sent.reply_to else ()
    found = [address for body in bodies for address in addresses(body)]
    # To name the sender there says what is so anyway (RFC 5322 section 3.6.2).
    wanted = sent.reply_to or sent.sender
    if found and all(same_address(address, wanted) for address in found):
        return ()
    others = [address for address in found if not same_address(address, wanted)]
    return (conclusions.reply_to_changed(sent.reply_to, others[0] if others else ""),)


def same_address(one: str, other: str) -> bool:
    """Compare addresses; the case is taken for nothing, as all servers of today do."""
    return one.lower() == other.lower()
