# SPDX-License-Identifier: Apache-2.0
"""Turns what the steps found into conditions, notices and the one status.

The only place that decides Ready, Reconciling and Stalled (the state map of docs/status.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from postroom.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Verdict,
    find,
    is_true,
    place,
)
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource
from postroom.api.status import CommonStatus
from postroom.reconcile import schedule
from postroom.reconcile.assessment import (
    STALLING,
    Assessment,
    awaited,
    failed,
    passed,
    unknown,
)
from postroom.reconcile.confirm import Standing, confirm
from postroom.reconcile.outcome import Memory, Notice, NoticeType, Outcome


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a run, in both forms that are needed."""

    now: datetime

    @property
    def text(self) -> str:
        return schedule.timestamp(self.now)


def summarize(
    resource: AnyResource, assessment: Assessment, memory: Memory, now: datetime
) -> Outcome:
    """Build the status of a resource from an assessment of it.

    `resource.status` is the stored status; `memory` is updated.
    """
    before, generation = resource.status, resource.metadata.generation
    stale = schedule.is_stale(before.last_check_time, assessment.interval, now)
    confirmed = confirm(
        assessment.verdicts,
        Standing(before.conditions, generation, stale),
        memory,
        assessment.confirm_after,
        now,
    )
    ready = _ready(confirmed.verdicts, assessment, before, generation)
    progress, deadline_in = _progress(
        ready, confirmed.verdicts, assessment, before, generation, now
    )
    moment = Moment(now)
    conditions = place(
        [_with_stall(ready, progress), *progress, *confirmed.verdicts],
        before.conditions,
        generation,
        moment.text,
    )
    status = build_status(resource, conditions, assessment, moment)
    _count(memory, generation, assessment.conclusive and ready.passed)
    next_check = schedule.next_check(
        resource.metadata.uid,
        assessment.interval,
        settled=ready.passed and assessment.conclusive,
        failures=memory.failures,
        sooner=(confirmed.look_again, deadline_in),
    )
    return Outcome(
        status=status,
        next_check=next_check,
        notices=notices_of(before.conditions, conditions),
        references=assessment.references,
    )


def _ready(
    verdicts: Iterable[Verdict], assessment: Assessment, before: CommonStatus, generation: int
) -> Verdict:
    """Sum the gating verdicts up: the first that fails decides, then the first unknown one."""
    gating = [one for one in verdicts if one.type not in assessment.advisory]
    for verdict in gating:
        if verdict.failed:
            return failed(ConditionType.READY, verdict.reason, verdict.message)
    for verdict in gating:
        if verdict.status is ConditionStatus.UNKNOWN:
            once_ready = before.last_ready_generation == generation
            reason = Reason.OBSERVATION_STALE if once_ready else Reason.PROGRESSING
            return unknown(ConditionType.READY, reason, verdict.message)
    return passed(ConditionType.READY, Reason.SUCCEEDED, assessment.ready_message)


def _progress(
    ready: Verdict,
    verdicts: Iterable[Verdict],
    assessment: Assessment,
    before: CommonStatus,
    generation: int,
    now: datetime,
) -> tuple[tuple[Verdict, ...], timedelta | None]:
    """Decide on Reconciling and Stalled; also return how long until the deadline."""
    if ready.passed:
        return (), None
    if ready.reason in STALLING:
        reason = (
            Reason.TARGET_DENIED
            if ready.reason in (Reason.ADDRESS_DENIED, Reason.PORT_DENIED)
            else ready.reason
        )
        return (_stalled(reason, ready.message),), None
    if ready.status is ConditionStatus.UNKNOWN and ready.reason is Reason.OBSERVATION_STALE:
        return (_reconciling(Reason.PROGRESSING_WITH_RETRY, ready.message),), None
    if before.last_ready_generation == generation:
        return (), None  # regressed: a plain Ready=False, which Argo CD shows as Degraded
    left = _time_left(assessment.deadline, before, generation, now)
    if left is not None and left <= timedelta():
        return (_stalled(Reason.PROGRESS_DEADLINE_EXCEEDED, ready.message),), None
    worst = next(
        (one for one in verdicts if one.reason is ready.reason and one.message == ready.message),
        ready,
    )
    return (_reconciling(awaited(worst), ready.message),), left


def _time_left(
    deadline: timedelta, before: CommonStatus, generation: int, now: datetime
) -> timedelta | None:
    """Return what is left of the deadline for the first success; None: there is none.

    The wait began when Reconciling became True. A deadline that has passed for this generation
    stays passed.
    """
    if deadline == timedelta():
        return None
    stalled = find(before.conditions, ConditionType.STALLED)
    if (
        stalled is not None
        and before.observed_generation == generation
        and stalled.reason == Reason.PROGRESS_DEADLINE_EXCEEDED.value
    ):
        return timedelta()
    waiting = find(before.conditions, ConditionType.RECONCILING)
    if waiting is None:
        return deadline
    return deadline - (now - schedule.parse_timestamp(waiting.last_transition_time))


def _stalled(reason: Reason, message: str) -> Verdict:
    return passed(ConditionType.STALLED, reason, message)


def _reconciling(reason: Reason, message: str) -> Verdict:
    return passed(ConditionType.RECONCILING, reason, message)


def build_status(
    resource: AnyResource,
    conditions: tuple[Condition, ...],
    assessment: Assessment | None,
    moment: Moment,
) -> CommonStatus:
    """Fill the status model of the kind; without an assessment, keep what the kind found before."""
    before = resource.status
    ready = is_true(conditions, ConditionType.READY)
    became_ready = ready and not is_true(before.conditions, ConditionType.READY)
    common: dict[str, object] = {
        "observed_generation": resource.metadata.generation,
        "conditions": conditions,
        "last_handled_reconcile_at": resource.metadata.requested_at
        or before.last_handled_reconcile_at,
        "last_check_time": moment.text
        if assessment is not None and assessment.conclusive
        else before.last_check_time,
        "last_ready_time": moment.text if became_ready else before.last_ready_time,
        "last_ready_generation": resource.metadata.generation
        if ready
        else before.last_ready_generation,
    }
    if assessment is not None and assessment.conclude is not None:
        common.update(assessment.conclude(conditions, before, moment.text))
    if assessment is None or assessment.fields is None:
        return before.model_copy(update=common)
    # The validation also bounds what a reconciler puts into status.
    return type(before).model_validate({**assessment.fields, **common}, by_name=True)


def notices_of(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> tuple[Notice, ...]:
    """Say what is worth telling: that it failed, why else it fails now, and that it recovered.

    A success at the first look is no news: a thousand objects applied at once would cost a
    thousand Events more.
    """
    old, new = find(before, ConditionType.READY), find(after, ConditionType.READY)
    if new is None or (old and (old.status, old.reason) == (new.status, new.reason)):
        return ()
    if new.status is ConditionStatus.TRUE:
        untold = old is None or old.reason in (Reason.PENDING.value, Reason.PROGRESSING.value)
        return () if untold else (Notice(NoticeType.NORMAL, new.reason, new.message),)
    if new.status is ConditionStatus.FALSE:
        return (Notice(NoticeType.WARNING, new.reason, new.message),)
    if new.reason == Reason.OBSERVATION_STALE.value:
        return (Notice(NoticeType.WARNING, new.reason, new.message),)
    return ()


def _count(memory: Memory, generation: int, success: bool) -> None:
    """Count looks in a row without success; a new generation starts afresh."""
    if success or memory.generation != generation:
        memory.failures = 0
        memory.generation = generation
    if not success:
        memory.failures += 1


def _with_stall(ready: Verdict, progress: tuple[Verdict, ...]) -> Verdict:
    """Let Ready say the same as what keeps it from being True (kstatus lint)."""
    for one in progress:
        if one.type is ConditionType.STALLED and one.reason is not (
            Reason.PROGRESS_DEADLINE_EXCEEDED
        ):
            return failed(ConditionType.READY, one.reason, one.message)
    return ready
