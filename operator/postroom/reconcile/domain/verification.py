# SPDX-License-Identifier: Apache-2.0
"""The state machine of a sending domain: what stood, what a look showed, and which state follows.

Pure: the same previous state, observation, bounds and time give the same state. The arrows::

    Pending  -> Verified   all that is required was seen good
    Pending  -> Failed     the propagation deadline has passed, or a required record stands wrong
    Verified -> Degraded   a required record fails, and that is confirmed
    Degraded -> Failed     it is seen failing when the grace period has passed
    any      -> Verified   at once when all is seen good
    any      -> Unknown    nothing could be looked at for so long that no verdict counts

A timeout, SERVFAIL or stale answer never leads to Degraded or Failed. A spec that was never
verified waits as Pending, whatever the one before it was. What confirms a failure is in `confirm`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from postroom.api.conditions import Condition, ConditionStatus, ConditionType, Verdict, find
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Verification
from postroom.api.times import SKEW
from postroom.reconcile.status.schedule import Waiting

#: Why nothing could be seen; anything else that is Unknown is there and only hidden by a cache.
_BLIND = frozenset({Reason.LOOKUP_FAILED.value, Reason.OWNERSHIP_KEY_MISSING.value})


class Observation(StrEnum):
    """What the verdicts that count amount to."""

    PASSED = "Passed"
    FAILED = "Failed"
    #: Failed when it was seen last; it could not be looked at now, or a cache hides the mend.
    HELD = "Held"
    #: Everything is published, but the resolver does not show all of it yet.
    PROPAGATING = "Propagating"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class PreviousState:
    """What the stored status says of a domain.

    `once_verified` tells that the current generation has been verified; `waiting` how long its
    first verification has been waited for.
    """

    verification: Verification | None
    verified_at: datetime | None
    degraded_at: datetime | None
    once_verified: bool
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the spec lets the first verification and a regression take; zero: for ever."""

    propagation_deadline: timedelta
    grace_period: timedelta


@dataclass(frozen=True, slots=True)
class State:
    """The state of a domain, since when it is verified, and since when it fails."""

    verification: Verification
    verified_at: datetime | None = None
    degraded_at: datetime | None = None


def sum_up(
    verdicts: Iterable[Verdict | Condition],
    required: Collection[ConditionType],
    seen_failing: Collection[ConditionType],
) -> Observation:
    """Sum up the verdicts that count; one that is required and absent counts as Unknown.

    `seen_failing` are those that failed in this very look. An unresolved reference fails like a
    required record: what it holds cannot be compared.
    """
    gating = {*required, ConditionType.REFERENCES_RESOLVED}
    mine = {verdict.type: verdict for verdict in verdicts if verdict.type in gating}
    failing = {verdict.type for verdict in mine.values() if verdict.status is ConditionStatus.FALSE}
    if failing:
        return Observation.FAILED if failing & set(seen_failing) else Observation.HELD
    if set(required) - mine.keys():
        return Observation.UNKNOWN
    unseen = [verdict for verdict in mine.values() if verdict.status is ConditionStatus.UNKNOWN]
    if not unseen:
        return Observation.PASSED
    blind = any(verdict.reason in _BLIND for verdict in unseen)
    return Observation.UNKNOWN if blind else Observation.PROPAGATING


def advance(previous: PreviousState, look: Observation, bounds: Bounds, now: datetime) -> State:
    """Return the state that follows from a look at `now`."""
    now = now.replace(microsecond=0)
    verified_at, degraded_at = (
        # Told by a clock that was wrong, and has been set since.
        now if moment is not None and moment - now > SKEW else moment
        for moment in (previous.verified_at, previous.degraded_at)
    )
    previous = replace(previous, verified_at=verified_at, degraded_at=degraded_at)
    if look is Observation.PASSED:
        return State(Verification.VERIFIED, previous.verified_at or now)
    failing = look in (Observation.FAILED, Observation.HELD)
    if failing and previous.once_verified:
        # Within the grace period it is Degraded; Failed keeps the time of the regression only.
        since = previous.degraded_at or now
        given_up = previous.degraded_at is not None and previous.verified_at is None
        left = grace_left(since, bounds, now)
        ended = look is Observation.FAILED and left is not None and left <= timedelta()
        if given_up or ended:
            return State(Verification.FAILED, degraded_at=since)
        return State(Verification.DEGRADED, previous.verified_at or since, since)
    if failing or (look is Observation.PROPAGATING and not previous.once_verified):
        left = previous.waiting.left(bounds.propagation_deadline, now)
        passed = left is not None and left <= timedelta()
        return State(Verification.FAILED if passed else Verification.PENDING)
    return State(Verification.UNKNOWN, previous.verified_at, previous.degraded_at)


def told_wrong(state: State, *, wrong: bool) -> State:
    """Return the state of a domain of which a required record was seen wrong twice: what was never
    verified is Failed; what was has its grace period."""
    pending = state.verification is Verification.PENDING
    return State(Verification.FAILED) if wrong and pending else state


def grace_left(degraded_at: datetime, bounds: Bounds, now: datetime) -> timedelta | None:
    """Return what is left of the grace period; None: it never ends."""
    if bounds.grace_period == timedelta():
        return None
    return bounds.grace_period - (now - degraded_at)


def without_look(
    before: Verification | None, conditions: Sequence[Condition]
) -> Verification | None:
    """Return the state where the spec could not be evaluated at all, or is suspended.

    The last state stands as long as Ready says so, too.
    """
    ready = find(conditions, ConditionType.READY)
    kept = ready is not None and ready.status is not ConditionStatus.UNKNOWN
    stalled = find(conditions, ConditionType.STALLED)
    invalid = stalled is not None and stalled.reason == Reason.INVALID_SPEC.value
    return before if kept and not invalid else Verification.UNKNOWN
