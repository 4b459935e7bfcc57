# SPDX-License-Identifier: Apache-2.0
"""Hysteresis: since when a failure with several causes has been seen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postroom.api.conditions import ConditionStatus, place
from postroom.reconcile.assessment import Evidence
from postroom.reconcile.confirm import Standing, confirm
from postroom.reconcile.outcome import Memory
from unit.reconcile.assessments import BAD, GOOD, NOW, assessment

STANDING = Standing(
    place((GOOD,), (), 1, "2026-11-21T12:00:00Z"), generation=1, stale=False, once_ready=True
)


@pytest.mark.parametrize(
    ("looks", "status", "look_again"),
    [
        # (minute, records that fail); a failure counts when it is five minutes old.
        ([(0, "ab"), (5, "ab")], ConditionStatus.FALSE, None),
        # The oldest cause decides: another one beside it does not make the failure young again.
        ([(0, "a"), (3, "ab")], ConditionStatus.TRUE, 2),
        ([(0, "a"), (3, "ab"), (5, "ab")], ConditionStatus.FALSE, None),
        ([(0, "b"), (3, "ab"), (5, "ab")], ConditionStatus.FALSE, None),
        # Each cause has a past of its own: what failed before and is mended lends none.
        ([(0, "a"), (3, "b"), (5, "b")], ConditionStatus.TRUE, 3),
        ([(0, "a"), (3, "ab"), (5, "b")], ConditionStatus.TRUE, 3),
        ([(0, "a"), (3, "ab"), (8, "b")], ConditionStatus.FALSE, None),
        # One that passed in between begins anew.
        ([(0, "ab"), (3, "b"), (4, "a")], ConditionStatus.TRUE, 5),
    ],
)
def test_the_oldest_cause_that_still_fails_decides(
    looks: list[tuple[int, str]], status: ConditionStatus, look_again: int | None
) -> None:
    memory = Memory()
    for minute, failing in looks:
        found = assessment(BAD, evidence=Evidence(causes={BAD.type: frozenset(failing)}))
        confirmed = confirm(found, STANDING, memory, NOW + timedelta(minutes=minute))
    assert [verdict.status for verdict in confirmed.verdicts] == [status]
    expected = timedelta(minutes=look_again) if look_again is not None else None
    assert confirmed.look_again == expected
