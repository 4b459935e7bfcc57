# SPDX-License-Identifier: Apache-2.0
"""Hysteresis: a verified thing turns False only when the same was seen failing twice, some time
apart, and "could not look" leaves the last verdict standing until it is too old to count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postroom.api.conditions import Condition, ConditionStatus, ConditionType, Verdict, find
from postroom.reconcile.status.assessment import CERTAIN, Assessment
from postroom.reconcile.status.outcome import Memory

_WHOLE = frozenset({""})


@dataclass(frozen=True, slots=True)
class Previous:
    """What the stored status knows, as far as it is about the current generation.

    `stale` tells that the last conclusive look is too long ago for its verdicts to count;
    `once_ready` that this generation has been Ready.
    """

    conditions: Sequence[Condition]
    generation: int
    stale: bool
    once_ready: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The verdicts that count now, and how long until a held-back one must be looked at again."""

    verdicts: tuple[Verdict, ...]
    look_again: timedelta | None


def confirm(assessment: Assessment, previous: Previous, memory: Memory, now: datetime) -> Confirmed:
    """Hold fresh verdicts against the standing ones.

    Updates `memory.first_failures`: what does not fail now is dropped, so that a failure which
    passed in between begins anew.
    """
    kept: list[Verdict] = []
    waits: list[timedelta] = []
    failures: dict[tuple[ConditionType, str], datetime] = {}
    for verdict in assessment.verdicts:
        before = find(previous.conditions, verdict.type)
        if before is None or before.observed_generation != previous.generation:
            kept.append(verdict)
        elif verdict.status is ConditionStatus.UNKNOWN:
            kept.append(Verdict.of(before) if _outlasts(before, assessment, previous) else verdict)
        elif verdict.failed and _doubtful(before, assessment, previous):
            causes = assessment.evidence.causes.get(verdict.type) or _WHOLE
            seen = {(verdict.type, cause) for cause in causes}
            failures |= {failure: memory.first_failures.get(failure, now) for failure in seen}
            remaining = assessment.confirm_after - (
                now - min(failures[failure] for failure in seen)
            )
            held = remaining > timedelta()
            kept.append(Verdict.of(before) if held else verdict)
            waits += [remaining] if held else []
        else:
            kept.append(verdict)
    memory.first_failures = failures
    return Confirmed(tuple(kept), min(waits, default=None))


def _outlasts(before: Condition, assessment: Assessment, previous: Previous) -> bool:
    """Whether a verdict stands although it could not be looked at now.

    What the zone has and only a cache hides was looked at: it takes nothing from what was seen
    good, however long it lasts, and it does not yet mend what was Ready and fails.
    """
    if before.status is ConditionStatus.UNKNOWN or before.type in assessment.evidence.withdrawn:
        return False
    if before.type in assessment.evidence.lagging:
        return before.status is ConditionStatus.TRUE or previous.once_ready
    return not previous.stale


def _doubtful(before: Condition, assessment: Assessment, previous: Previous) -> bool:
    """Whether a failure must be seen twice to count."""
    if before.type in CERTAIN or before.type in assessment.evidence.certain:
        return False
    if before.status is ConditionStatus.TRUE:
        return True
    # Too long unseen, but it was good when it was seen last.
    unseen = before.status is ConditionStatus.UNKNOWN and before.type not in assessment.advisory
    return unseen and previous.once_ready
