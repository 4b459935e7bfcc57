# SPDX-License-Identifier: Apache-2.0
"""A message of ours on its way: sent at most once, through crashes, then looked for until it is
found or given up.

What is known of it stands in status: it is written there before it is sent. Each run of the
reconciler takes one step, and none waits for mail to arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from postroom.api import account_messages
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.mailserver import ProbeStage
from postroom.api.times import timestamp
from postroom.mail import operations
from postroom.mail.report import ProbeReport
from postroom.mail.round_trip.compose import Purpose
from postroom.mail.round_trip.verdict import DEADLINE
from postroom.reconcile.account.messages import arrivals, correspondents, results
from postroom.reconcile.account.messages.spacing import too_early
from postroom.reconcile.account.messages.spending import message_id, spender_of
from postroom.reconcile.account.sender import effective_sender
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in.probing import Attempt
from postroom.reconcile.status import schedule
from postroom.reconcile.tenancy.budgets import Budgets

#: Soon enough to go on as soon as status is written.
_AT_ONCE = timedelta(milliseconds=50)
#: How long after sending the mailbox is looked at; afterwards each minute.
_LOOKS = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 4, 8, 15, 30, 60))
_LATER = timedelta(seconds=60)
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

    in_flight: account_messages.MessageInFlight | None = None
    result: account_messages.MessageResult | None = None
    look_again: timedelta | None = None
    #: What the mailbox showed in this run.
    look: arrivals.Search | None = None
    #: Whether a server was given the message in this run, or may have been.
    sent: bool = False
    #: Whether it was not begun, because no more may be sent now.
    waits: bool = False

    @property
    def moved(self) -> bool:
        """Whether there is a message, under way or at its end."""
        return self.in_flight is not None or self.result is not None

    @property
    def announced(self) -> bool:
        """Whether a message is announced and not sent yet, so that no other may be."""
        return (
            self.in_flight is not None
            and self.in_flight.step is account_messages.MessageStep.SENDING
        )


async def begin(
    recipient: str,
    parties: correspondents.Correspondents,
    view: AccountView,
    sender_address: str | None = None,
) -> Progress:
    """Note where the mailbox ends, and announce the message; it is sent once that is stored.

    A receiver that cannot be read now is done without. Without a sender's address the message is
    from the one that applications should use now.
    """
    now, sender, receiver = view.world.now(), parties.sender, parties.receiver
    spec = view.resource.spec
    address = sender_address or effective_sender(spec, view.dependencies).address or spec.address
    flight = account_messages.MessageInFlight(
        step=account_messages.MessageStep.SENDING,
        token=arrivals.new_token(),
        time=timestamp(now),
        sender=address,
        recipient=recipient,
        reply_to=spec.reply_to,
        basis=view.basis,
    )
    if isinstance(sender, correspondents.Obstacle):
        return Progress(result=results.hindered(flight, sender))
    problem = view.dependencies.problem
    if problem is not None:
        return Progress(
            result=results.hindered(
                flight, correspondents.Obstacle(problem.reason, problem.message)
            )
        )
    unverified = await correspondents.unverified_domain(address, view)
    if unverified is not None:
        return Progress(result=results.hindered(flight, unverified))
    wait = _reserve(flight, sender, view)
    if wait > timedelta():
        return Progress(look_again=wait, waits=True)
    if isinstance(receiver, correspondents.Receiver):
        report = await scan(receiver, (), view)
        if report.session.stage is not ProbeStage.DONE:
            _budgets(view).give_back(flight.token)
            return Progress(
                result=results.ended(
                    flight, account_messages.MessageOutcome.DEFERRED, report.session
                )
            )
        flight = flight.model_copy(
            update={"positions": [arrivals.stored(position) for position in report.positions]}
        )
    while len(view.memory.sends) >= _REMEMBERED:
        view.memory.sends.pop(next(iter(view.memory.sends)))
    view.memory.sends[flight.token] = flight
    return Progress(in_flight=flight, look_again=_AT_ONCE)


def _budgets(view: AccountView) -> Budgets:
    return (
        policy.budgets
        if (policy := view.world.outbound.messages) is not None
        else Budgets(is_open=False)
    )


def _reserve(
    flight: account_messages.MessageInFlight, sender: Attempt, view: AccountView
) -> timedelta:
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


async def scheduled(
    in_flight: account_messages.MessageInFlight | None,
    purpose: Purpose,
    parties: correspondents.Correspondents,
    wait: timedelta,
    view: AccountView,
    *,
    recipient: str | None = None,
    sender_address: str | None = None,
) -> Progress:
    """The step of a message that is sent on a schedule: one under way goes on, else the next one
    is begun when `wait` is over, if both ends are there; it goes to the receiver unless said."""
    if in_flight is not None:
        return await advance(in_flight, purpose, parties, view)
    if wait > timedelta():
        return Progress(look_again=wait, waits=wait <= not_before(view))
    if isinstance(parties.receiver, correspondents.Receiver) and not isinstance(
        parties.sender, correspondents.Obstacle
    ):
        return await begin(recipient or parties.receiver.address, parties, view, sender_address)
    return Progress()


async def advance(
    flight: account_messages.MessageInFlight,
    purpose: Purpose,
    parties: correspondents.Correspondents,
    view: AccountView,
) -> Progress:
    """Send a message that is announced, or look for one that was sent."""
    if flight.step is account_messages.MessageStep.SENDING:
        return await _send(flight, purpose, parties.sender, view)
    return await _look(flight, parties.receiver, view)


async def _send(
    flight: account_messages.MessageInFlight,
    purpose: Purpose,
    sender: Attempt | correspondents.Obstacle,
    view: AccountView,
) -> Progress:
    memory, budgets, now = view.memory, _budgets(view), view.world.now()
    if flight.token not in memory.sends:
        if budgets.is_of_another(flight.token, schedule.past(flight.time, now), now):
            return Progress(in_flight=flight, look_again=_OTHERS)
        # Another process announced it, and may have sent it before it ended.
        return _after(flight, results.LOST)
    known = memory.sends[flight.token]
    if isinstance(known, operations.Answer):
        return _after(flight, known)
    # To whom, and from whom, was asked and allowed then: a status may have been changed since.
    flight = known
    if isinstance(sender, correspondents.Obstacle):
        budgets.give_back(flight.token)
        return Progress(result=results.hindered(flight, sender))
    try:
        message = arrivals.written(flight, purpose, view)
    except ValueError:
        del memory.sends[flight.token]
        budgets.give_back(flight.token)
        return Progress(
            result=results.ended(flight, account_messages.MessageOutcome.FAILED, results.UNWRITABLE)
        )
    # Should this run be cancelled or fail, nobody may take the message for one that is to be sent.
    del memory.sends[flight.token]
    login = await correspondents.login_for(sender, view.world)
    if isinstance(login, operations.Answer):
        answer = replace(login, acceptance=operations.Acceptance.DEFERRED)
    else:
        sending = operations.SendMessage(message)
        answer = (await view.world.outbound.mail.perform(sender.endpoint, login, sending)).answer
    memory.sends[flight.token] = answer
    sent = answer.acceptance in (operations.Acceptance.ACCEPTED, operations.Acceptance.UNKNOWN)
    flight = flight.model_copy(update={"time": timestamp(view.world.now())})
    if sent:
        budgets.know(message_id(view.resource.metadata.uid, flight.time), now)
        kept = {token: at for token, at in memory.sent_at.items() if token in memory.sends}
        memory.sent_at = {**kept, flight.token: view.world.now()}
    else:
        budgets.give_back(flight.token)
    return replace(_after(flight, answer), sent=sent)


def _after(flight: account_messages.MessageInFlight, answer: operations.Answer) -> Progress:
    """Go on by what the server said to the message."""
    accepted = answer.acceptance is operations.Acceptance.ACCEPTED
    if answer.acceptance is operations.Acceptance.REFUSED:
        return Progress(
            result=results.ended(flight, account_messages.MessageOutcome.FAILED, answer)
        )
    if answer.acceptance is operations.Acceptance.DEFERRED:
        return Progress(
            result=results.ended(flight, account_messages.MessageOutcome.DEFERRED, answer)
        )
    if not flight.positions:
        outcome = (
            account_messages.MessageOutcome.ACCEPTED
            if accepted
            else account_messages.MessageOutcome.UNKNOWN
        )
        return Progress(
            result=results.ended(flight, outcome, results.TAKEN if accepted else answer)
        )
    on_its_way = flight.model_copy(
        update={"step": account_messages.MessageStep.SENT, "certain": accepted}
    )
    return Progress(in_flight=on_its_way, look_again=_LOOKS[0])


async def scan(
    receiver: correspondents.Receiver, since: Sequence[operations.Position], view: AccountView
) -> operations.ScanReport:
    """Read what arrived at a receiver; without positions, where its mailboxes end."""
    attempt = receiver.attempt
    login = await correspondents.login_for(attempt, view.world)
    if isinstance(login, operations.Answer):
        session = ProbeReport(ProbeStage.AUTH, login.reason, login.message, conclusive=False)
        return operations.ScanReport(session)
    scanning = operations.ScanMailbox(attempt.mailbox, since)
    return await view.world.outbound.mail.perform(attempt.endpoint, login, scanning)


async def _look(
    flight: account_messages.MessageInFlight,
    receiver: correspondents.Receiver | correspondents.Obstacle | None,
    view: AccountView,
) -> Progress:
    now = view.world.now()
    # The wall clock may have been set since; what this process sent itself it has counted.
    waited = now - (view.memory.sent_at.get(flight.token) or schedule.past(flight.time, now))
    next_look = next((each - waited for each in _LOOKS if waited < each), _LATER)
    again = Progress(in_flight=flight, look_again=next_look)
    if not isinstance(receiver, correspondents.Receiver):
        if waited < DEADLINE:
            return again
        why = receiver or results.NOWHERE_TO_LOOK
        return Progress(result=results.ended(flight, account_messages.MessageOutcome.UNKNOWN, why))
    report = await scan(
        receiver, [arrivals.position_of(position) for position in flight.positions], view
    )
    look = arrivals.look_for(flight, report, receiver, view)
    if look.sighting.loops:
        # Whatever is seen later: an answer may come before the message, which is held up elsewhere.
        flight = flight.model_copy(update={"answered": True})
    if look.arrival.copy is not None and look.arrival.outcome is not None:
        await clean_up(receiver, look, view)
        result = arrivals.result_of(flight, look.arrival, look.arrival.outcome)
        return Progress(result=result, look=look)
    if look.arrival.outcome is None:
        # What was looked at is not looked at again: a scan reads so many messages and no more.
        seen = (
            {"positions": [arrivals.stored(position) for position in report.positions]}
            if report.positions
            else {}
        )
        return replace(again, look=look, in_flight=flight.model_copy(update=seen))
    if report.session.stage is not ProbeStage.DONE:
        return Progress(
            result=results.ended(flight, account_messages.MessageOutcome.UNKNOWN, report.session)
        )
    if not flight.certain:
        return Progress(
            result=results.ended(flight, account_messages.MessageOutcome.UNKNOWN, results.LOST)
        )
    return Progress(
        result=arrivals.result_of(flight, look.arrival, look.arrival.outcome), look=look
    )


async def clean_up(
    receiver: correspondents.Receiver, look: arrivals.Search, view: AccountView
) -> None:
    """Remove our message; one that stays is harmless, and says itself what it is."""
    login = await correspondents.login_for(receiver.attempt, view.world)
    removals = look.removals(_looked_for(view.resource.status))
    if removals and not isinstance(login, operations.Answer):
        removing = operations.RemoveMessages(removals)
        await view.world.outbound.mail.perform(receiver.attempt.endpoint, login, removing)


def noted(progress: Progress, view: AccountView) -> dict[str, object]:
    """Return the status fields that say when messages last went out, and to whom."""
    sent = progress.in_flight or progress.result
    if not progress.sent or sent is None:
        return {}
    told = account_messages.SentMessage(time=sent.time, recipient=sent.recipient)
    recent = [told, *view.resource.status.recent_messages][: account_messages.RECENT_MESSAGES]
    return {
        "last_message_time": timestamp(view.world.now()),
        "recent_messages": recent,
    }


def not_before(view: AccountView) -> timedelta:
    """Return how long the next message must wait: for one under way, and five minutes after it.

    An account that was deleted and created again is taken for the one that it was.
    """
    if view.message_announced or _under_way(view.resource.status):
        return _BUSY
    _withdraw_what_was_not_stored(view)
    metadata, now = view.resource.metadata, view.world.now()
    early = too_early(view.resource.status.last_message_time, now) or timedelta()
    spender = spender_of(view.resource, view.dependencies.server)
    return max(early, _budgets(view).wait(spender, metadata.creation_timestamp, now))


def _withdraw_what_was_not_stored(view: AccountView) -> None:
    """Have announcements that the API server did not take count for nothing. Where one was stored
    all the same, and is only not known yet, it is not sent."""
    sends = view.memory.sends.items()
    unsent = [token for token, known in sends if not isinstance(known, operations.Answer)]
    for token in unsent:
        del view.memory.sends[token]
        _budgets(view).give_back(token)


def _under_way(status: EmailAccountStatus) -> frozenset[str]:
    states = (status.last_test, status.round_trip, status.forwarding)
    return frozenset(state.in_flight.token for state in states if state and state.in_flight)


def _looked_for(status: EmailAccountStatus) -> frozenset[str]:
    overdue = status.last_test.overdue if status.last_test is not None else None
    return _under_way(status) | ({overdue.token} if overdue is not None else set())
