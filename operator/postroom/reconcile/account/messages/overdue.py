# SPDX-License-Identifier: Apache-2.0
"""A test message whose result was told without it: what arrives, or comes back, after the deadline
corrects that. Queues and greylists hold mail for hours, and tell of it no sooner."""

from dataclasses import replace
from datetime import timedelta

from postroom.api.account_messages import LastTest, MessageInFlight, MessageOutcome, MessageStep
from postroom.api.mailserver import ProbeStage
from postroom.reconcile.account.messages import arrivals, correspondents
from postroom.reconcile.account.messages import flight as flights
from postroom.reconcile.account.messages.flight import Progress
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.status import schedule

#: How long after it was sent a message is still looked for, and how often. A queue tells after four
#: hours that it still tries (RFC 3461 section 4.1 leaves the time to it), and few mail is later.
UNTIL = timedelta(days=1)
APART = timedelta(hours=1)
_OPEN = frozenset({MessageOutcome.NOT_DELIVERED, MessageOutcome.UNKNOWN})


def left_behind(flight: MessageInFlight, progress: Progress) -> MessageInFlight | None:
    """The message that is to be looked for still, now that its result is told; None: none is."""
    result, look = progress.result, progress.look
    if result is None or result.outcome not in _OPEN or flight.step is not MessageStep.SENT:
        return None
    bounced = look is not None and bool(look.sighting.bounces)
    return None if bounced else flight


async def look(
    last: LastTest, receiver: correspondents.Receiver | object, view: AccountView
) -> Progress:
    """Look for the message that was left behind: `in_flight` while it still is, `result` where it
    changes what was told."""
    flight, now = last.overdue, view.world.now()
    if flight is None or now - schedule.past(flight.time, now) >= UNTIL:
        return Progress()
    before = view.memory.looks_for_overdue.get(flight.token)
    if before is not None and now - before < APART:
        return Progress(in_flight=flight, look_again=before + APART - now)
    again = Progress(in_flight=flight, look_again=APART)
    if not isinstance(receiver, correspondents.Receiver):
        return again
    view.memory.looks_for_overdue = {flight.token: now}
    report = await flights.scan(
        receiver, [arrivals.position_of(position) for position in flight.positions], view
    )
    if report.session.stage is not ProbeStage.DONE:
        return again
    seen = arrivals.look_for(flight, report, receiver, view)
    if seen.arrival.outcome is not None and (seen.arrival.copy or seen.sighting.bounces):
        if seen.arrival.copy is not None:
            await flights.clean_up(receiver, seen, view)
        return Progress(result=arrivals.result_of(flight, seen.arrival, seen.arrival.outcome))
    # What was looked at is not looked at again: a scan reads so many messages and no more.
    positions = [arrivals.stored(position) for position in report.positions]
    return replace(again, in_flight=flight.model_copy(update={"positions": positions}))
