# SPDX-License-Identifier: Apache-2.0
"""How a message of ours ended, and what is told of it: results for status, and findings."""

from datetime import datetime

from postroom.api.account_messages import (
    MessageInFlight,
    MessageOutcome,
    MessageResult,
    MessageWarning,
)
from postroom.api.conditions import shorten
from postroom.api.findings import Finding, Severity
from postroom.api.reasons import CATALOGUE, Reason
from postroom.api.stored import readable
from postroom.api.times import timestamp
from postroom.mail.operations import Acceptance, Answer
from postroom.mail.report import ProbeReport
from postroom.mail.round_trip.conclusions import looping
from postroom.reconcile.account.messages.correspondents import Obstacle

_LOOP = "MAIL_LOOP"
#: What mostly is the reason of an outcome.
_USUAL = {
    MessageOutcome.ACCEPTED: Reason.MESSAGE_ACCEPTED,
    MessageOutcome.DELIVERED: Reason.DELIVERED,
    MessageOutcome.DELIVERED_TO_SPAM: Reason.DELIVERED_TO_SPAM,
    MessageOutcome.NOT_DELIVERED: Reason.NOT_DELIVERED,
    MessageOutcome.FAILED: Reason.MESSAGE_REJECTED,
    MessageOutcome.DEFERRED: Reason.MESSAGE_UNCONFIRMED,
    MessageOutcome.UNKNOWN: Reason.MESSAGE_UNCONFIRMED,
}

TAKEN = Answer(
    Acceptance.ACCEPTED,
    Reason.MESSAGE_ACCEPTED,
    "The server took the message over; whether it arrives is not looked for.",
)
LOST = Answer(
    Acceptance.UNKNOWN,
    Reason.MESSAGE_UNCONFIRMED,
    "Whether the server took the message over is not known, because its answer was lost or "
    "postroom was restarted; it is not sent again. Ask for another one.",
)
UNWRITABLE = Answer(
    Acceptance.REFUSED,
    Reason.INVALID_SPEC,
    "The message was not sent: its header would not say exactly what the spec says. Correct the "
    "addresses and spec.displayName.",
)
NOWHERE_TO_LOOK = Answer(
    Acceptance.UNKNOWN,
    Reason.MESSAGE_UNCONFIRMED,
    "The message was sent, but the mailbox to look for it in is gone from the spec.",
)


def ended(
    flight: MessageInFlight, outcome: MessageOutcome, why: Answer | Obstacle | ProbeReport
) -> MessageResult:
    """The result of a message that came to its end, for what an answer or obstacle says."""
    return MessageResult(
        outcome=outcome,
        time=flight.time,
        recipient=flight.recipient,
        reason=why.reason.value,
        message=shorten(why.message),
        warnings=[loop_at(flight.recipient)] if flight.answered else [],
        basis=flight.basis,
    )


def failed_before(recipient: str, now: datetime, reason: Reason, message: str) -> MessageResult:
    """The result of a message that may not be sent."""
    return MessageResult(
        outcome=MessageOutcome.FAILED,
        time=timestamp(now),
        recipient=recipient,
        reason=reason.value,
        message=shorten(message),
    )


def hindered(flight: MessageInFlight, obstacle: Obstacle) -> MessageResult:
    """The result of a message that could not be sent."""
    outcome = MessageOutcome.DEFERRED if obstacle.passing else MessageOutcome.FAILED
    return ended(flight, outcome, obstacle)


def reason_of(result: MessageResult) -> Reason:
    """Why a message ended as it did: what another version named is told by how it ended."""
    known = result.reason in CATALOGUE
    return Reason(result.reason) if known else _USUAL[result.outcome]


def findings_of(result: MessageResult | None, subject: str) -> tuple[Finding, ...]:
    """What the last message showed, as findings; `subject` is what it was sent for."""
    warnings = result.warnings if result is not None else []
    # A status bounds the codes of warnings less than those of findings, and may be somebody's edit.
    told = (readable(Finding, {**dict(warning), "subject": subject}) for warning in warnings)
    return tuple(finding for finding in told if finding is not None)


def is_looping(result: MessageResult | None) -> bool:
    """Whether something answered the last message, or sent it round: nothing more is sent then."""
    return result is not None and any(warning.code == _LOOP for warning in result.warnings)


def loop_at(recipient: str) -> MessageWarning:
    """That something answers messages to a recipient, or sends them round."""
    found = looping(recipient)
    return MessageWarning(code=found.code, severity=found.severity, message=shorten(found.message))


def without_loop(result: MessageResult | None) -> MessageResult | None:
    """A result once somebody has asked for another message: what looped may be mended."""
    if result is None or not is_looping(result):
        return result
    kept = [warning for warning in result.warnings if warning.code != _LOOP]
    return result.model_copy(update={"warnings": kept})


def waiting(subject: str, what: str) -> tuple[Finding, ...]:
    """That a message is due and waits for its turn; not for how long, which changes always."""
    return (
        Finding(
            code="MESSAGE_WAITS",
            severity=Severity.INFO,
            subject=subject,
            message=f"{what} waits, and is sent by itself as soon as it may be, within ten minutes "
            "unless more are waiting: an account sends one message in five minutes, and those to "
            "one recipient, over one login and of one namespace are counted, with less room in the "
            "ten minutes after the operator started. Nothing needs to be done.",
        ),
    )
