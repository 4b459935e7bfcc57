# SPDX-License-Identifier: Apache-2.0
"""A message of ours on its way: sent at most once, through crashes, then looked for until it is
found or given up.

What is known of it stands in status: it is written there before it is sent. Each run of the
reconciler takes one step, and none waits for mail to arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from postroom.api.account_messages import (
    RECENT_MESSAGES,
    MessageInFlight,
    MessageOutcome,
    MessageResult,
    MessageStep,
    SentMessage,
)
from postroom.api.conditions import shorten
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.findings import Finding, Severity
from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.api.times import parse_timestamp, timestamp
from postroom.mail.operations import (
    Acceptance,
    Answer,
    OutgoingMessage,
    Position,
    ScanReport,
    SendReport,
)
from postroom.mail.report import ProbeReport
from postroom.mail.round_trip.compose import Purpose
from postroom.mail.round_trip.verdict import DEADLINE
from postroom.reconcile.account.messages.arrivals import (
    Look,
    look_for,
    new_token,
    position_of,
    result_of,
    stored,
    written,
)
from postroom.reconcile.account.messages.correspondents import (
    Correspondents,
    Obstacle,
    Receiver,
    login_for,
    unverified_domain,
)
from postroom.reconcile.account.messages.spending import message_id, spender_of
from postroom.reconcile.account.sender import effective_sender
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.status import schedule
from postroom.reconcile.tenancy.budgets import SPACING, Budgets

#: Soon enough to go on as soon as status is written.
_AT_ONCE = timedelta(milliseconds=50)
#: Seconds after sending at which the mailbox is looked at; afterwards each minute.
_LOOKS = (1, 2, 4, 8, 15, 30, 60)
_LATER = timedelta(seconds=60)
_LOOP = "MAIL_LOOP"
#: How long a message waits that finds another one under way.
_BUSY = timedelta(seconds=30)
#: Over how long those are spread who wait for the same.
_SPREAD = timedelta(seconds=10)
#: How often to look at a message that another process is sending.
_OTHERS = timedelta(seconds=15)
#: Tokens to remember of one account.
_REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a message is after a step: under way, or at its end."""

    in_flight: MessageInFlight | None = None
    result: MessageResult | None = None
    look_again: timedelta | None = None
    #: What the mailbox showed in this run.
    look: Look | None = None
    #: Whether a server was given the message in this run, or may have been.
    sent: bool = False
    #: Whether it was not begun, because no more may be sent now.
    waits: bool = False


async def begin(
    recipient: str, parties: Correspondents, view: AccountView, sender_address: str | None = None
) -> Progress:
    """Note where the mailbox ends, and announce the message; it is sent once that is stored.

    A receiver that cannot be read now is done without. Without a sender's address the message is
    from the one that applications should use now.
    """
    now, sender, receiver = view.world.now(), parties.sender, parties.receiver
    spec = view.resource.spec
    address = sender_address or effective_sender(spec, view.dependencies).address or spec.address
    flight = MessageInFlight(
        step=MessageStep.SENDING,
        token=new_token(),
        time=timestamp(now),
        sender=address,
        recipient=recipient,
    )
    if isinstance(sender, Obstacle):
        return Progress(result=_hindered(flight, sender))
    problem = view.dependencies.problem
    if problem is not None:
        return Progress(result=_hindered(flight, Obstacle(problem.reason, problem.message)))
    unverified = await unverified_domain(address, view)
    if unverified is not None:
        return Progress(result=_hindered(flight, unverified))
    wait = _reserve(flight, sender, view)
    if wait > timedelta():
        return Progress(look_again=wait, waits=True)
    if isinstance(receiver, Receiver):
        report = await _scan(receiver, (), view)
        if report.session.stage is not ProbeStage.DONE:
            _budgets(view).give_back(flight.token)
            return Progress(result=_ended(flight, MessageOutcome.DEFERRED, _why(report.session)))
        flight = flight.model_copy(
            update={"positions": [stored(position) for position in report.positions]}
        )
    while len(view.memory.sends) >= _REMEMBERED:
        view.memory.sends.pop(next(iter(view.memory.sends)))
    view.memory.sends[flight.token] = None
    view.begun.append(flight.token)
    return Progress(in_flight=flight, look_again=_AT_ONCE)


def _budgets(view: AccountView) -> Budgets:
    return policy.budgets if (policy := view.world.messages) is not None else Budgets(is_open=False)


def _reserve(flight: MessageInFlight, sender: Attempt, view: AccountView) -> timedelta:
    """Count the message against what may be sent; return how long it must wait instead."""
    budgets, metadata, now = _budgets(view), view.resource.metadata, view.world.now()
    spender = spender_of(view.resource, view.dependencies.server, sender)
    wait = budgets.reserve(
        flight.token, spender, flight.recipient, metadata.creation_timestamp, now
    )
    if wait == timedelta():
        budgets.know(flight.token, now)
        budgets.know(message_id(metadata.uid, flight.time), now)
    # Whoever waits for the same is not to come back at the same moment.
    return wait and wait + _SPREAD * schedule.share(metadata.uid)


async def advance(
    flight: MessageInFlight, purpose: Purpose, parties: Correspondents, view: AccountView
) -> Progress:
    """Send a message that is announced, or look for one that was sent."""
    if flight.step is MessageStep.SENDING:
        return await _send(flight, purpose, parties.sender, view)
    return await _look(flight, parties.receiver, view)


async def _send(
    flight: MessageInFlight, purpose: Purpose, sender: Attempt | Obstacle, view: AccountView
) -> Progress:
    memory, budgets, now = view.memory, _budgets(view), view.world.now()
    if flight.token not in memory.sends:
        if budgets.is_of_another(flight.token, parse_timestamp(flight.time), now):
            return Progress(in_flight=flight, look_again=_OTHERS)
        # Another process announced it, and may have sent it before it ended.
        return _after(flight, _LOST)
    report = memory.sends[flight.token]
    if report is not None:
        return _after(flight, report.answer)
    if isinstance(sender, Obstacle):
        budgets.give_back(flight.token)
        return Progress(result=_hindered(flight, sender))
    try:
        message = written(flight, purpose, view)
    except ValueError:
        del memory.sends[flight.token]
        budgets.give_back(flight.token)
        return Progress(result=_ended(flight, MessageOutcome.FAILED, _UNWRITABLE))
    # Should this run be cancelled or fail, nobody may take the message for one that is to be sent.
    del memory.sends[flight.token]
    report = memory.sends[flight.token] = await _handed_over(message, sender, view)
    sent = report.answer.acceptance in (Acceptance.ACCEPTED, Acceptance.UNKNOWN)
    flight = flight.model_copy(update={"time": timestamp(view.world.now())})
    if sent:
        budgets.know(message_id(view.resource.metadata.uid, flight.time), now)
    else:
        budgets.give_back(flight.token)
    return replace(_after(flight, report.answer), sent=sent)


async def _handed_over(message: OutgoingMessage, sender: Attempt, view: AccountView) -> SendReport:
    login = await login_for(sender, view.world)
    if isinstance(login, Answer):
        session = ProbeReport(ProbeStage.AUTH, login.reason, login.message, conclusive=False)
        return SendReport(session, replace(login, acceptance=Acceptance.DEFERRED))
    return await view.world.mail.send(sender.endpoint, login, message)


def _after(flight: MessageInFlight, answer: Answer) -> Progress:
    """Go on by what the server said to the message."""
    accepted = answer.acceptance is Acceptance.ACCEPTED
    if answer.acceptance is Acceptance.REFUSED:
        return Progress(result=_ended(flight, MessageOutcome.FAILED, answer))
    if answer.acceptance is Acceptance.DEFERRED:
        return Progress(result=_ended(flight, MessageOutcome.DEFERRED, answer))
    if not flight.positions:
        outcome = MessageOutcome.ACCEPTED if accepted else MessageOutcome.UNKNOWN
        return Progress(result=_ended(flight, outcome, _TAKEN if accepted else answer))
    on_its_way = flight.model_copy(update={"step": MessageStep.SENT, "certain": accepted})
    return Progress(in_flight=on_its_way, look_again=timedelta(seconds=_LOOKS[0]))


async def _scan(receiver: Receiver, since: Sequence[Position], view: AccountView) -> ScanReport:
    attempt = receiver.attempt
    login = await login_for(attempt, view.world)
    if isinstance(login, Answer):
        session = ProbeReport(ProbeStage.AUTH, login.reason, login.message, conclusive=False)
        return ScanReport(session)
    return await view.world.mail.scan(attempt.endpoint, login, attempt.mailbox, since)


async def _look(
    flight: MessageInFlight, receiver: Receiver | Obstacle | None, view: AccountView
) -> Progress:
    waited = view.world.now() - parse_timestamp(flight.time)
    again = Progress(in_flight=flight, look_again=_next_look(waited))
    if not isinstance(receiver, Receiver):
        problem = _answer(receiver) if receiver is not None else _NOWHERE_TO_LOOK
        return again if waited < DEADLINE else Progress(result=_unknown(flight, problem))
    report = await _scan(receiver, [position_of(position) for position in flight.positions], view)
    look = look_for(flight, report, receiver, view)
    if look.arrival.copy is not None and look.arrival.outcome is not None:
        await _clean_up(receiver, look, view)
        result = result_of(flight, look.arrival, look.arrival.outcome)
        return Progress(result=result, look=look)
    if look.arrival.outcome is None:
        # What was looked at is not looked at again: a scan reads so many messages and no more.
        seen = (
            {"positions": [stored(position) for position in report.positions]}
            if report.positions
            else {}
        )
        return replace(again, look=look, in_flight=flight.model_copy(update=seen))
    if report.session.stage is not ProbeStage.DONE:
        return Progress(result=_unknown(flight, _why(report.session)))
    if not flight.certain:
        return Progress(result=_unknown(flight, _LOST))
    return Progress(result=result_of(flight, look.arrival, look.arrival.outcome), look=look)


async def _clean_up(receiver: Receiver, look: Look, view: AccountView) -> None:
    """Remove our message; one that stays is harmless, and says itself what it is."""
    login = await login_for(receiver.attempt, view.world)
    removals = look.removals(_under_way(view.resource.status))
    if removals and not isinstance(login, Answer):
        await view.world.mail.remove(receiver.attempt.endpoint, login, removals)


def noted(progress: Progress, view: AccountView) -> dict[str, object]:
    """Return the status fields that say when messages last went out, and to whom."""
    sent = progress.in_flight or progress.result
    if not progress.sent or sent is None:
        return {}
    told = SentMessage(time=sent.time, recipient=sent.recipient)
    recent = [told, *view.resource.status.recent_messages][:RECENT_MESSAGES]
    return {
        "last_message_time": timestamp(view.world.now()),
        "recent_messages": recent,
    }


def not_before(view: AccountView) -> timedelta:
    """Return how long the next message must wait: for one under way, and five minutes after it.

    An account that was deleted and created again is taken for the one that it was.
    """
    if view.begun or _under_way(view.resource.status):
        return _BUSY
    metadata, now = view.resource.metadata, view.world.now()
    early = too_early(view.resource.status.last_message_time, now) or timedelta()
    spender = spender_of(view.resource, view.dependencies.server)
    return max(early, _budgets(view).wait(spender, metadata.creation_timestamp, now))


def waiting(subject: str, what: str) -> tuple[Finding, ...]:
    """Say that a message is due and waits for its turn; not for how long, which changes always."""
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


def too_early(last: str | None, now: datetime) -> timedelta | None:
    """Return what is left of the five minutes after a message; None: nothing."""
    if last is None:
        return None
    left = parse_timestamp(last) + SPACING - now
    return left if left > timedelta() else None


def _under_way(status: EmailAccountStatus) -> frozenset[str]:
    states = (status.last_test, status.round_trip, status.forwarding)
    return frozenset(state.in_flight.token for state in states if state and state.in_flight)


def findings_of(result: MessageResult | None, subject: str) -> tuple[Finding, ...]:
    """Return what the last message showed, as findings; `subject` is what it was sent for."""
    warnings = result.warnings if result is not None else []
    return tuple(
        Finding(
            code=warning.code, severity=warning.severity, subject=subject, message=warning.message
        )
        for warning in warnings
    )


def is_looping(result: MessageResult | None) -> bool:
    """Whether something answered the last message, or sent it round: nothing more is sent then."""
    return result is not None and any(warning.code == _LOOP for warning in result.warnings)


def _next_look(age: timedelta) -> timedelta:
    for second in _LOOKS:
        if age < timedelta(seconds=second):
            return timedelta(seconds=second) - age
    return _LATER


def _ended(flight: MessageInFlight, outcome: MessageOutcome, answer: Answer) -> MessageResult:
    return MessageResult(
        outcome=outcome,
        time=flight.time,
        recipient=flight.recipient,
        reason=answer.reason.value,
        message=shorten(answer.message),
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


def _hindered(flight: MessageInFlight, obstacle: Obstacle) -> MessageResult:
    outcome = MessageOutcome.DEFERRED if obstacle.passing else MessageOutcome.FAILED
    return _ended(flight, outcome, _answer(obstacle))


def _unknown(flight: MessageInFlight, answer: Answer) -> MessageResult:
    return _ended(flight, MessageOutcome.UNKNOWN, answer)


def _why(session: ProbeReport) -> Answer:
    return Answer(Acceptance.UNKNOWN, session.reason, session.message)


def _answer(obstacle: Obstacle) -> Answer:
    return Answer(Acceptance.UNKNOWN, obstacle.reason, obstacle.message)


_TAKEN = Answer(
    Acceptance.ACCEPTED,
    Reason.MESSAGE_ACCEPTED,
    "The server took the message over; whether it arrives is not looked for.",
)
_LOST = Answer(
    Acceptance.UNKNOWN,
    Reason.MESSAGE_UNCONFIRMED,
    "Whether the server took the message over is not known, because its answer was lost or "
    "postroom was restarted; it is not sent again. Ask for another one.",
)
_UNWRITABLE = Answer(
    Acceptance.REFUSED,
    Reason.INVALID_SPEC,
    "The message was not sent: its header would not say exactly what the spec says. Correct the "
    "addresses and spec.displayName.",
)
_NOWHERE_TO_LOOK = Answer(
    Acceptance.UNKNOWN,
    Reason.MESSAGE_UNCONFIRMED,
    "The message was sent, but the mailbox to look for it in is gone from the spec.",
)
