# SPDX-License-Identifier: Apache-2.0
"""Whether mail to a public address reaches the technical one, and unchanged: tried by a message."""

from datetime import timedelta

from postroom.api.account_messages import (
    ForwardingState,
    ForwardingVerdict,
    MessageResult,
    MessageWarning,
)
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Severity
from postroom.api.reasons import Reason
from postroom.mail.round_trip.compose import Purpose
from postroom.mail.round_trip.forwarding import judge_forwarding, names_recipient
from postroom.mail.round_trip.forwarding_steps import steps_for
from postroom.mail.round_trip.verdict import best_copy
from postroom.reconcile.account.messages import correspondents, results
from postroom.reconcile.account.messages import flight as flights
from postroom.reconcile.account.messages import technical as technical_addresses
from postroom.reconcile.account.messages.arrivals import WARNINGS_LIMIT, Search
from postroom.reconcile.account.messages.flight import Progress
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.status import schedule
from postroom.reconcile.status.assessment import failed, passed, unknown

_CONDITION = ConditionType.FORWARDING_VERIFIED
#: After this many messages in a row that did not arrive as sent, the wait until the next.
_RETRIES = (timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6))
#: How often it is tried again once it works.
_AGAIN = timedelta(days=1)


async def step(view: AccountView) -> Contribution:
    """Send a message when it is time, look for one that is under way, and judge the last."""
    wanted, spec = view.resource.spec.forwarding, view.resource.spec
    if wanted is None:
        return Contribution()
    found, before = await technical_addresses.technical_of(view), view.resource.status.forwarding
    technical = found.address
    state = ForwardingState(verdict=ForwardingVerdict.PENDING, technical_address=technical)
    if before is not None and before.technical_address == technical:
        # Nothing is known of another technical address.
        state = before
    if found.refused is not None:
        return _without_receiver(state, found, found.refused)
    parties = correspondents.Correspondents(await correspondents.sender_of(view), found.receiver)
    wait = _wait(state, view) if state.in_flight is None else timedelta()
    progress = await flights.scheduled(
        state.in_flight, Purpose.FORWARDING, parties, wait, view, recipient=spec.address
    )
    if view.asked:
        state = state.model_copy(update={"result": results.without_loop(state.result)})
    if progress.moved:
        state = _after(state, progress, view)
    findings = results.findings_of(state.result, "forwarding")
    if progress.waits:
        findings += results.waiting("forwarding", "The next message of the forwarding")
    works = state.verdict is ForwardingVerdict.REDIRECTED
    steps = () if works or not technical else steps_for(wanted.source, spec.address, technical)
    if steps and found.note:
        steps = (*steps, found.note)
    state = state.model_copy(update={"steps": list(steps)})
    return Contribution(
        verdicts=(_verdict(state, spec.address, parties),),
        findings=findings,
        fields={**flights.noted(progress, view), "forwarding": state},
        references=found.references,
        look_again=progress.look_again,
        announces_message=progress.announced,
    )


def _without_receiver(
    state: ForwardingState, found: technical_addresses.Technical, why: correspondents.Obstacle
) -> Contribution:
    """That mail has nowhere to go: what worked before says nothing of where it ends now."""
    nothing: dict[str, object] = {
        "verdict": ForwardingVerdict.PENDING,
        "in_flight": None,
        "steps": [],
    }
    return Contribution(
        verdicts=(failed(_CONDITION, why.reason, why.message),),
        fields={"forwarding": state.model_copy(update=nothing)},
        references=found.references,
    )


def _after(state: ForwardingState, progress: Progress, view: AccountView) -> ForwardingState:
    """Note where the message is; its end decides the verdict, unless it says nothing."""
    changes: dict[str, object] = {"in_flight": progress.in_flight}
    look = progress.look
    if progress.result is not None:
        verdict, works = state.verdict, False
        if look is not None:
            found = judge_forwarding(look.sent, look.sighting, view.world.now())
            verdict, works = found.verdict, found.verdict is ForwardingVerdict.REDIRECTED
        failures = 0 if works else state.failures + 1
        result = _with_warnings(progress.result, state, look, view) if look else progress.result
        changes |= {"result": result, "verdict": verdict, "failures": failures}
    return state.model_copy(update=changes)


def _with_warnings(
    result: MessageResult, state: ForwardingState, look: Search, view: AccountView
) -> MessageResult:
    """Add that the message does not tell the derived sub-address under which it arrived."""
    wanted, copy = view.resource.spec.forwarding, best_copy(look.sent, look.sighting.found)
    technical = state.technical_address
    if technical is None or copy is None or wanted is None or wanted.receiver_ref is None:
        return result
    if names_recipient(copy.header, technical):
        return result
    told = MessageWarning(
        code="SUB_ADDRESS_NOT_TOLD",
        severity=Severity.INFO,
        message=f"No field of the message that arrived names {technical}: applications cannot "
        "tell by it whose mail it is.",
    )
    return result.model_copy(update={"warnings": [*result.warnings, told][-WARNINGS_LIMIT:]})


def _wait(state: ForwardingState, view: AccountView) -> timedelta:
    """Return how long until the next message is due; whoever asks for a check has it at once."""
    metadata, now = view.resource.metadata, view.world.now()
    spacing = flights.not_before(view)
    if state.result is None or view.asked:
        return spacing
    if results.is_looping(state.result):
        return schedule.FAR_AWAY
    pause = _RETRIES[min(state.failures, len(_RETRIES)) - 1] if state.failures else _AGAIN
    due = schedule.past(state.result.time, now) + schedule.jittered(pause, metadata.uid)
    return max(due - now, spacing, timedelta())


def _verdict(
    state: ForwardingState, address: str, parties: correspondents.Correspondents
) -> Verdict:
    technical = state.technical_address
    match state.verdict:
        case ForwardingVerdict.REDIRECTED:
            message = f"Mail to {address} reaches {technical} as it was sent."
            return passed(_CONDITION, Reason.REDIRECTED, message)
        case ForwardingVerdict.REWRITTEN:
            message = (
                f"Mail to {address} reaches {technical} as a message of whoever forwards it: "
                "redirect it instead, as status.forwarding.steps says."
            )
            return failed(_CONDITION, Reason.HEADERS_REWRITTEN, message)
        case ForwardingVerdict.NOT_ARRIVING:
            message = (
                f"Mail to {address} does not reach {technical}: set up forwarding as "
                "status.forwarding.steps says."
            )
            return failed(_CONDITION, Reason.NOT_FORWARDED, message)
    for party in (parties.sender, parties.receiver):
        if isinstance(party, correspondents.Obstacle) and state.in_flight is None:
            return unknown(_CONDITION, Reason.NOT_ATTEMPTED, party.message)
    if state.result is not None and state.in_flight is None:
        return unknown(_CONDITION, results.reason_of(state.result), state.result.message)
    message = f"Whether mail to {address} reaches {technical} is being tried by a message."
    return unknown(_CONDITION, Reason.AWAITING_MESSAGE, message)
