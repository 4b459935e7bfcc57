# SPDX-License-Identifier: Apache-2.0
"""Hysteresis: a verified thing turns False only when it was seen failing twice, some time apart,
and "could not look" leaves the last verdict standing until it is too old to count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postroom.api.conditions import Condition, ConditionStatus, Verdict, find
from postroom.api.reasons import Reason
from postroom.reconcile.assessment import CERTAIN
from postroom.reconcile.outcome import Memory


@dataclass(frozen=True, slots=True)
class Standing:
    """What the stored status knows, as far as it is about the current generation.

    `stale` tells that the last conclusive look is too long ago for its verdicts to count.
    """

    conditions: Sequence[Condition]
    generation: int
    stale: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The verdicts that count now, and how long until a held-back one must be looked at again."""

    verdicts: tuple[Verdict, ...]
    look_again: timedelta | None


def confirm(
    verdicts: Sequence[Verdict],
    standing: Standing,
    memory: Memory,
    confirm_after: timedelta,
    now: datetime,
) -> Confirmed:
    """Hold fresh verdicts against the standing ones.

    Updates `memory.first_failures`: entries of conditions that do not fail now are dropped.
    """
    kept: list[Verdict] = []
    waits: list[timedelta] = []
    for verdict in verdicts:
        before = _comparable(verdict, standing)
        if not verdict.failed:
            memory.first_failures.pop(verdict.type, None)
        if verdict.status is ConditionStatus.UNKNOWN and before is not None and not standing.stale:
            kept.append(_repeat(before))
            continue
        if verdict.failed and before is not None and before.status is ConditionStatus.TRUE:
            first = memory.first_failures.setdefault(verdict.type, now)
            remaining = confirm_after - (now - first)
            if verdict.type not in CERTAIN and remaining > timedelta():
                kept.append(_repeat(before))
                waits.append(remaining)
                continue
            memory.first_failures.pop(verdict.type, None)
        kept.append(verdict)
    return Confirmed(tuple(kept), min(waits, default=None))


def _comparable(verdict: Verdict, standing: Standing) -> Condition | None:
    """Return the standing condition if it is a verdict about the same generation."""
    before = find(standing.conditions, verdict.type)
    if before is None or before.observed_generation != standing.generation:
        return None
    return None if before.status is ConditionStatus.UNKNOWN else before


def _repeat(before: Condition) -> Verdict:
    """Turn a standing condition back into a verdict."""
    return Verdict(
        type=before.type,
        status=before.status,
        reason=Reason(before.reason),
        message=before.message,
    )
