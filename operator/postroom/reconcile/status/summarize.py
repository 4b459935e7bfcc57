# SPDX-License-Identifier: Apache-2.0
"""Turns what the steps found into conditions, notices and the one status.

The only place that decides Ready, Reconciling and Stalled (the state map of docs/status.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import cast

from postroom.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Verdict,
    find,
    is_true,
    place,
)
from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource
from postroom.api.status import CommonStatus
from postroom.api.times import is_far_ahead, timestamp
from postroom.reconcile.status import schedule
from postroom.reconcile.status.assessment import (
    Assessment,
    Conclusion,
    Followed,
    awaited,
    failed,
    passed,
    unknown,
    worst_first,
)
from postroom.reconcile.status.confirm import Previous, confirm
from postroom.reconcile.status.outcome import Memory, Notice, NoticeType, Outcome


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a run, in both forms that are needed."""

    now: datetime
    text: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", timestamp(self.now))


def summarize(
    resource: AnyResource, assessment: Assessment, memory: Memory, now: datetime
) -> Outcome:
    """Build the status of a resource from an assessment of it.

    `resource.status` is the stored status; `memory` is updated.
    """
    before, metadata = resource.status, resource.metadata
    generation = metadata.generation
    requested = metadata.requested_at not in (None, before.last_handled_reconcile_at)
    if requested or before.observed_generation != generation:
        # Somebody edited the spec or asked for a check, and so is at work on it.
        memory.asked_at = now
    confirmed = confirm(assessment, _previous(resource, assessment, now), memory, now)
    followed = Followed()
    if assessment.follow is not None:
        followed = assessment.follow(confirmed.verdicts, before)
    verdicts = (*confirmed.verdicts, *followed.verdicts)
    # What is under way for an object that has been Ready does not take that from it.
    once_ready = before.last_ready_generation == generation
    decided = [each for each in followed.verdicts if each.failed or not once_ready]
    ready, deciding = _ready((*confirmed.verdicts, *decided), assessment, before, generation)
    progress, deadline_in = _progress(ready, deciding, assessment, resource, now)
    moment = Moment(now)
    conditions = place(
        [_with_stall(ready, progress), *progress, *verdicts],
        schedule.own_progress(before.conditions, generation),
        generation,
        moment.text,
    )
    concluded = Conclusion({})
    if assessment.conclude is not None:
        concluded = assessment.conclude(conditions, before, now)
    fields: dict[str, object] = {**concluded.fields, **followed.fields}
    if followed.findings:
        found = cast("Sequence[Finding]", (assessment.fields or {}).get("findings", ()))
        fields["findings"] = worst_first((*found, *followed.findings))
    # What is held back to be confirmed is no success, though Ready stands.
    if assessment.conclusive and ready.passed and confirmed.look_again is None:
        fields["last_ready_time"] = moment.text
    status = build_status(resource, conditions, assessment, moment, fields)
    # Checks in a row without success; a new generation starts afresh.
    succeeded = assessment.conclusive and ready.passed
    if succeeded or memory.generation != generation:
        memory.failures, memory.generation = 0, generation
    memory.failures += not succeeded
    others = (concluded.look_again, assessment.look_again)
    sooner = (confirmed.look_again, deadline_in, *others)
    return Outcome(
        status=status,
        next_check=_next_check(resource, status, assessment, memory, now, sooner),
        notices=notices_of(before.conditions, conditions),
        references=assessment.references,
        deciding=deciding.type if deciding is not None else None,
        field=deciding.field if deciding is not None else "",
        fix=deciding.fix if deciding is not None else "",
        children=followed.children,
    )


def _previous(resource: AnyResource, assessment: Assessment, now: datetime) -> Previous:
    """What the stored status knows of this generation."""
    before, generation = resource.status, resource.metadata.generation
    once_ready = before.last_ready_generation == generation
    spacing = assessment.interval
    began = schedule.wait_began(before.conditions, assessment.deadline, resource.metadata)
    if began is not None and assessment.own_pace and not once_ready:
        spacing = max(spacing, schedule.pending_wait(now - began))
    stale = schedule.is_stale(schedule.last_look(before, now), spacing, now)
    return Previous(before.conditions, generation, stale=stale, once_ready=once_ready)


def _next_check(
    resource: AnyResource,
    status: CommonStatus,
    assessment: Assessment,
    memory: Memory,
    now: datetime,
    sooner: Iterable[timedelta | None],
) -> timedelta:
    """Return how long until the next look; how long success is missing is told by status, so that
    a restart keeps the schedule."""
    began = schedule.wait_began(status.conditions, assessment.deadline, resource.metadata)
    if began is None:
        age = schedule.elapsed(memory.failures)
    else:
        age = now - max(began, memory.asked_at or began)
    generation = resource.metadata.generation
    return schedule.next_check(
        resource.metadata.uid,
        assessment.interval,
        settled=began is None and assessment.conclusive,
        age=age,
        capped=not assessment.own_pace or status.last_ready_generation == generation,
        paced=schedule.wait_until_due(memory.due.values(), resource.metadata.uid, now),
        sooner=sooner,
    )


def _ready(
    verdicts: Iterable[Verdict], assessment: Assessment, before: CommonStatus, generation: int
) -> tuple[Verdict, Verdict | None]:
    """Return Ready, and the verdict that decides it: the first gating one that fails.

    What is final goes before what may still come: nobody should wait for the one in vain. Where
    none fails, the first that is Unknown keeps Ready from being True.
    """
    gating = [verdict for verdict in verdicts if verdict.type not in assessment.advisory]
    once_ready = before.last_ready_generation == generation
    open_reason = Reason.OBSERVATION_STALE if once_ready else Reason.PROGRESSING
    failing = [verdict for verdict in gating if verdict.failed]
    final = (each for each in failing if assessment.is_final(each, once_ready=once_ready))
    if (decides := next(final, failing[0] if failing else None)) is not None:
        return failed(ConditionType.READY, decides.reason, decides.message), decides
    for verdict in gating:
        if verdict.status is ConditionStatus.UNKNOWN:
            return unknown(ConditionType.READY, open_reason, verdict.message), verdict
    absent = assessment.required - {verdict.type for verdict in gating}
    if absent:
        message = f"{', '.join(sorted(absent))}: not evaluated yet."
        return unknown(ConditionType.READY, open_reason, message), None
    return passed(ConditionType.READY, Reason.SUCCEEDED, assessment.ready_message), None


def _progress(
    ready: Verdict,
    deciding: Verdict | None,
    assessment: Assessment,
    resource: AnyResource,
    now: datetime,
) -> tuple[tuple[Verdict, ...], timedelta | None]:
    """Decide on Reconciling and Stalled; also return how long until the deadline."""
    if ready.passed:
        return (), None
    before, metadata = resource.status, resource.metadata
    once_ready = before.last_ready_generation == metadata.generation
    if deciding is not None and assessment.is_final(deciding, once_ready=once_ready):
        reason = (
            Reason.TARGET_DENIED
            if ready.reason in (Reason.ADDRESS_DENIED, Reason.PORT_DENIED)
            else ready.reason
        )
        return (_stalled(reason, ready.message),), None
    if ready.status is ConditionStatus.UNKNOWN and ready.reason is Reason.OBSERVATION_STALE:
        return (_reconciling(Reason.PROGRESSING_WITH_RETRY, ready.message),), None
    if once_ready:
        return (), None  # regressed: a plain Ready=False, which Argo CD shows as Degraded
    left = schedule.Waiting.of(before, metadata).left(assessment.deadline, now)
    if left is not None and left <= timedelta():
        return (_stalled(Reason.PROGRESS_DEADLINE_EXCEEDED, ready.message),), None
    awaited_for = deciding if deciding is not None and deciding.failed else ready
    return (_reconciling(awaited(awaited_for), ready.message),), left


def _stalled(reason: Reason, message: str) -> Verdict:
    return passed(ConditionType.STALLED, reason, message)


def _reconciling(reason: Reason, message: str) -> Verdict:
    return passed(ConditionType.RECONCILING, reason, message)


def build_status(
    resource: AnyResource,
    conditions: tuple[Condition, ...],
    assessment: Assessment | None,
    moment: Moment,
    concluded: Mapping[str, object] = MappingProxyType({}),
) -> CommonStatus:
    """Fill the status model of the kind; without an assessment, keep what the kind found before.

    `concluded` are the fields that follow from the conditions.
    """
    before = resource.status
    ready = is_true(conditions, ConditionType.READY)
    became_ready = ready and not is_true(before.conditions, ConditionType.READY)
    looks = (before.last_check_time, before.last_ready_time)
    # Nobody knows when it was that a clock that was wrong has told.
    checked, was_ready = (
        None if text is None or is_far_ahead(text, moment.text) else text for text in looks
    )
    generation, ready_at = resource.metadata.generation, before.last_ready_generation
    if ready_at is not None and ready_at > generation:
        # Of a restored object, which begins at 1: another spec will be of that generation.
        ready_at = None
    common: dict[str, object] = {
        "observed_generation": generation,
        "conditions": conditions,
        "last_handled_reconcile_at": resource.metadata.requested_at
        or before.last_handled_reconcile_at,
        "last_check_time": moment.text
        if assessment is not None and assessment.conclusive
        else checked,
        "last_ready_time": moment.text if became_ready else was_ready,
        "last_ready_generation": generation if ready else ready_at,
        **concluded,
    }
    if assessment is None or assessment.fields is None:
        return before.model_copy(update=common)
    # The validation also bounds what a reconciler puts into status.
    return type(before).model_validate({**assessment.fields, **common}, by_name=True)


def notices_of(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> tuple[Notice, ...]:
    """What is worth telling: that it failed, why else it fails now, and that it recovered.

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


def _with_stall(ready: Verdict, progress: tuple[Verdict, ...]) -> Verdict:
    """Let Ready say the same as what keeps it from being True (kstatus lint).

    A deadline leaves a failing dimension its say; where none is known to fail, it decides.
    """
    for verdict in progress:
        late = verdict.reason is Reason.PROGRESS_DEADLINE_EXCEEDED
        if verdict.type is ConditionType.STALLED and not (late and ready.failed):
            return failed(ConditionType.READY, verdict.reason, verdict.message)
    return ready
