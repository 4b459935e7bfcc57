# SPDX-License-Identifier: Apache-2.0
"""Hysteresis: which failures must be seen twice, since when one with several causes has been seen,
and which verdicts outlast a look that saw nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postroom.api.conditions import ConditionStatus, Verdict, place
from postroom.reconcile.status.assessment import Evidence
from postroom.reconcile.status.confirm import Previous, confirm
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.assessments import BAD, BLIND, GOOD, NOW, assessment


def previous(verdict: Verdict, *, stale: bool = False, once_ready: bool = True) -> Previous:
    """What is stored: this verdict alone."""
    return Previous(place((verdict,), (), 1, "2026-11-21T12:00:00Z"), 1, stale, once_ready)


STANDING = previous(GOOD)
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@pytest.mark.parametrize(
    ("looks", "status", "look_again"),
    [
        # (minute, records that fail); a failure counts when it is five minutes old.
        ([(0, "ab"), (5, "ab")], FALSE, None),
        # The oldest cause decides: another one beside it does not make the failure young again.
        ([(0, "a"), (3, "ab")], TRUE, 2),
        ([(0, "a"), (3, "ab"), (5, "ab")], FALSE, None),
        ([(0, "b"), (3, "ab"), (5, "ab")], FALSE, None),
        # Each cause has a past of its own: what failed before and is mended lends none.
        ([(0, "a"), (3, "b"), (5, "b")], TRUE, 3),
        ([(0, "a"), (3, "ab"), (5, "b")], TRUE, 3),
        ([(0, "a"), (3, "ab"), (8, "b")], FALSE, None),
        # One that passed in between begins anew.
        ([(0, "ab"), (3, "b"), (4, "a")], TRUE, 5),
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


@pytest.mark.parametrize(
    ("before", "once_ready", "advisory", "status"),
    [
        (GOOD, False, False, TRUE),
        (GOOD, False, True, TRUE),
        # Too long unseen: what was good when it was seen last is held, too.
        (BLIND, True, False, UNKNOWN),
        (BLIND, False, False, FALSE),
        (BLIND, True, True, FALSE),
        (BAD, True, False, FALSE),
        (BAD, False, False, FALSE),
    ],
)
def test_what_must_be_seen_failing_twice(
    before: Verdict, once_ready: bool, advisory: bool, status: ConditionStatus
) -> None:
    found = assessment(BAD, advisory=frozenset({BAD.type} if advisory else ()))
    confirmed = confirm(found, previous(before, once_ready=once_ready), Memory(), NOW)
    assert [verdict.status for verdict in confirmed.verdicts] == [status]
    assert (confirmed.look_again is None) is (status is FALSE)


@pytest.mark.parametrize(
    ("before", "stale", "evidence", "status"),
    [
        (GOOD, False, Evidence(), TRUE),
        (BAD, False, Evidence(), FALSE),
        (GOOD, True, Evidence(), UNKNOWN),
        (GOOD, False, Evidence(withdrawn=frozenset({GOOD.type})), UNKNOWN),
        (BAD, False, Evidence(withdrawn=frozenset({GOOD.type})), UNKNOWN),
        (GOOD, True, Evidence(lagging=frozenset({GOOD.type})), TRUE),
    ],
)
def test_what_outlasts_a_look_that_saw_nothing(
    before: Verdict, stale: bool, evidence: Evidence, status: ConditionStatus
) -> None:
    found = assessment(BLIND, evidence=evidence)
    confirmed = confirm(found, previous(before, stale=stale), Memory(), NOW)
    assert [verdict.status for verdict in confirmed.verdicts] == [status]


@pytest.mark.parametrize(("once_ready", "status"), [(True, FALSE), (False, UNKNOWN)])
def test_what_only_a_cache_hides_does_not_mend_what_was_ready(
    once_ready: bool, status: ConditionStatus
) -> None:
    found = assessment(BLIND, evidence=Evidence(lagging=frozenset({BAD.type})))
    confirmed = confirm(found, previous(BAD, once_ready=once_ready), Memory(), NOW)
    assert [verdict.status for verdict in confirmed.verdicts] == [status]


@pytest.mark.parametrize(
    ("stored", "now", "status"),
    [
        (1, 2, FALSE),
        # An object that was restored from a backup counts its generations anew.
        (7, 1, FALSE),
        # Numbers that are equal without being the same object.
        (int("1000"), int("1000"), TRUE),
    ],
    ids=["an earlier one", "a later one", "this one"],
)
def test_only_verdicts_on_this_generation_stand(
    stored: int, now: int, status: ConditionStatus
) -> None:
    conditions = place((GOOD,), (), stored, "2026-11-21T12:00:00Z")
    before = Previous(conditions, now, stale=False, once_ready=True)
    confirmed = confirm(assessment(BAD), before, Memory(), NOW)
    assert [verdict.status for verdict in confirmed.verdicts] == [status]
