# SPDX-License-Identifier: Apache-2.0
"""The round trip: a message that is sent on a schedule and must arrive; opt-in."""

from datetime import timedelta

from postroom.api.account_messages import MessageOutcome, MessageResult, RoundTripState, SenderTrip
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.reasons import Reason
from postroom.mail.round_trip.compose import Purpose
from postroom.reconcile.account.messages import correspondents, results
from postroom.reconcile.account.messages import flight as flights
from postroom.reconcile.account.messages.flight import Progress
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.status import schedule
from postroom.reconcile.status.assessment import failed, passed, unknown

_CONDITION = ConditionType.ROUND_TRIP_HEALTHY
_WELL = frozenset({MessageOutcome.DELIVERED, MessageOutcome.DELIVERED_TO_SPAM})
#: How soon another message follows one that could not be sent or looked for.
_DEFERRED = timedelta(minutes=15)
#: Outcomes that say that mail does not flow.
_BROKEN = frozenset({MessageOutcome.FAILED, MessageOutcome.NOT_DELIVERED})


async def step(view: AccountView) -> Contribution:
    """Send a message when it is time, look for one that is under way, and judge the last."""
    settings, before = view.resource.spec.round_trip, view.resource.status
    if not settings.enabled:
        return Contribution()
    state = before.round_trip or RoundTripState()
    named, in_flight = settings.receiver_ref, state.in_flight
    parties = correspondents.Correspondents(
        await correspondents.sender_of(view), await _receiver(view)
    )
    # The identity whose turn it is to send; None: the account's own address.
    trips = {trip.address: trip.time for trip in state.senders}
    trips[""] = state.result.time if state.result is not None else ""
    # Whoever asks while messages are answered wants to know of these.
    answered = _answered(state, view)
    turn = min(["", *_identities(view)], key=lambda at: (at not in answered, trips.get(at, "")))
    wait = _wait(state, turn, answered, view) if in_flight is None else timedelta()
    progress = await flights.scheduled(
        in_flight, Purpose.ROUND_TRIP, parties, wait, view, sender_address=turn or None
    )
    if view.asked:
        state = _begun_anew(state)
    if progress.moved:
        sender = in_flight.sender if in_flight is not None else turn
        state = _after(state, sender or view.resource.spec.address, progress, view)
    findings = results.findings_of(_told_of_identities(state, parties, view), "roundTrip")
    if progress.waits:
        findings += results.waiting("roundTrip", "The next message of the round trip")
    return Contribution(
        verdicts=(_verdict(state, parties),),
        fields={**flights.noted(progress, view), "round_trip": state},
        findings=findings,
        references=correspondents.references_to_receiver(name=named.name if named else None),
        look_again=progress.look_again,
        announces_message=progress.announced,
    )


async def _receiver(view: AccountView) -> correspondents.Receiver | correspondents.Obstacle:
    named = view.resource.spec.round_trip.receiver_ref
    found = (
        correspondents.own_receiver(view)
        if named is None
        else await correspondents.receiver_named(named.name, view)
    )
    if found is not None:
        return found
    message = (
        "The round trip needs a mailbox to look in: set spec.imap, or spec.roundTrip.receiverRef "
        "to an EmailAccount that has one."
    )
    return correspondents.Obstacle(Reason.RECEIVER_NOT_READY, message)


def _answered(state: RoundTripState, view: AccountView) -> frozenset[str]:
    """The senders whose last messages were answered, or sent round; the account itself as none."""
    identities = {*_identities(view)}
    own = {""} if results.is_looping(state.result) else set()
    return frozenset(own | (identities & {trip.address for trip in state.senders if trip.answered}))


def _begun_anew(state: RoundTripState) -> RoundTripState:
    """What is known once somebody has asked for a check: what answered may be switched off."""
    senders = [trip.model_copy(update={"answered": False}) for trip in state.senders]
    result = results.without_loop(state.result)
    return state.model_copy(update={"result": result, "senders": senders})


def _told_of_identities(
    state: RoundTripState, parties: correspondents.Correspondents, view: AccountView
) -> MessageResult | None:
    """The last result, with what keeps messages of identities from being sent."""
    result, receiver = state.result, parties.receiver
    if result is None or results.is_looping(result) or not _answered(state, view):
        return result
    to = view.resource.spec.address
    if isinstance(receiver, correspondents.Receiver):
        to = receiver.address
    return result.model_copy(update={"warnings": [*result.warnings, results.loop_at(to)]})


def _identities(view: AccountView) -> list[str]:
    spec = view.resource.spec
    enabled = (identity.address for identity in spec.enabled_identities)
    return [address for address in enabled if address != spec.address]


def _after(
    state: RoundTripState, sender: str, progress: Progress, view: AccountView
) -> RoundTripState:
    """Note where the message is; what became of one is kept with whom it was sent as."""
    result, identities = progress.result, _identities(view)
    known = [trip for trip in state.senders if trip.address in identities]
    changes: dict[str, object] = {"in_flight": progress.in_flight, "senders": known}
    if result is not None and sender in identities:
        trip = SenderTrip(
            address=sender,
            outcome=result.outcome,
            time=result.time,
            reason=result.reason,
            answered=results.is_looping(result),
        )
        others = [other for other in known if other.address != sender]
        changes["senders"] = sorted((*others, trip), key=lambda each: each.address)
    elif result is not None:
        changes["result"] = result
    return state.model_copy(update=changes)


def _wait(
    state: RoundTripState, turn: str, answered: frozenset[str], view: AccountView
) -> timedelta:
    """Return how long until the next message is due; where they loop, not before somebody asks.

    Whom nothing was sent as yet does not wait for the interval, nor does who asks for a check after
    a failure or a loop; what was deferred is tried again soon.
    """
    now, last, spacing = view.world.now(), state.result, flights.not_before(view)
    if answered and not view.asked:
        return schedule.FAR_AWAY
    tried = turn in {sender.address for sender in state.senders} if turn else last is not None
    failed_last = last is not None and last.outcome not in _WELL
    asked_again = view.asked and (failed_last or bool(answered))
    if not tried or asked_again:
        return spacing
    if last is not None and last.outcome is MessageOutcome.DEFERRED:
        due = schedule.past(last.time, now) + _DEFERRED
        return max(due - now, spacing)
    interval: timedelta = view.resource.spec.round_trip.interval
    times = [sender.time for sender in state.senders] + ([last.time] if last is not None else [])
    pause = schedule.jittered(interval, view.resource.metadata.uid)
    due = max(schedule.past(time, now) for time in times) + pause
    return max(due - now, spacing, timedelta())


def _verdict(state: RoundTripState, parties: correspondents.Correspondents) -> Verdict:
    last, receiver = state.result, parties.receiver
    cut_off = Reason.RECEIVER_DISCONNECTED
    if isinstance(receiver, correspondents.Obstacle) and receiver.reason is cut_off:
        # Whatever arrived before, nobody looks for the next one.
        return failed(_CONDITION, cut_off, receiver.message)
    if last is None:
        for party in (parties.sender, parties.receiver):
            if isinstance(party, correspondents.Obstacle):
                return unknown(_CONDITION, Reason.NOT_ATTEMPTED, party.message)
        message = "The first message of the round trip has not come to an end yet."
        return unknown(_CONDITION, Reason.AWAITING_MESSAGE, message)
    reason = results.reason_of(last)
    if last.outcome in _BROKEN:
        return failed(_CONDITION, reason, last.message)
    if last.outcome in (MessageOutcome.DEFERRED, MessageOutcome.UNKNOWN):
        return unknown(_CONDITION, reason, last.message)
    return passed(_CONDITION, reason, last.message)
