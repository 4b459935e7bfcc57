# SPDX-License-Identifier: Apache-2.0
"""Conditions: found by type, placed in time, and no longer than they may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import (
    MESSAGE_LIMIT,
    Condition,
    ConditionStatus,
    ConditionType,
    Verdict,
    find,
    is_true,
    place,
    shorten,
)
from postroom.api.reasons import Reason

EARLY, NOW = "2026-11-20T00:00:00Z", "2026-11-21T12:00:00Z"
READY, SPF, DKIM = ConditionType.READY, ConditionType.SPF_VERIFIED, ConditionType.DKIM_VERIFIED
TRUE, FALSE, UNKNOWN = ConditionStatus


def verdict(kind: ConditionType, status: ConditionStatus, message: str = "It is so.") -> Verdict:
    return Verdict(type=kind, status=status, reason=Reason.RECORD_MATCHED, message=message)


def placed(*verdicts: Verdict, previous: tuple[Condition, ...] = ()) -> tuple[Condition, ...]:
    return place(verdicts, previous, 7, NOW)


def test_a_first_verdict_is_of_now_and_of_its_generation() -> None:
    (condition,) = placed(verdict(READY, TRUE))
    assert condition == Condition(
        type=READY,
        status=TRUE,
        observed_generation=7,
        last_transition_time=NOW,
        reason="RecordMatched",
        message="It is so.",
    )


@pytest.mark.parametrize("before", ConditionStatus)
@pytest.mark.parametrize("after", ConditionStatus)
def test_the_time_moves_when_the_status_flips_and_only_then(
    before: ConditionStatus, after: ConditionStatus
) -> None:
    previous = place([verdict(READY, before, "Before."), verdict(SPF, TRUE)], (), 6, EARLY)
    (condition,) = placed(verdict(READY, after), previous=previous)
    assert condition.last_transition_time == (EARLY if before is after else NOW)
    # What is said of it, and of which generation, is always that of now.
    assert (condition.message, condition.observed_generation) == ("It is so.", 7)


@pytest.mark.parametrize(
    ("told", "kept"), [("2026-11-21T12:10:00Z", True), ("2026-11-21T12:10:01Z", False)]
)
def test_a_time_that_a_wrong_clock_told_does_not_stay(told: str, kept: bool) -> None:
    """Clocks of two machines differ; what lies further ahead was never true."""
    previous = place([verdict(READY, TRUE)], (), 6, told)
    (condition,) = placed(verdict(READY, TRUE), previous=previous)
    assert condition.last_transition_time == (told if kept else NOW)


@given(st.permutations([verdict(kind, TRUE) for kind in (READY, DKIM, SPF)]))
def test_equal_findings_give_equal_lists(verdicts: list[Verdict]) -> None:
    assert [condition.type for condition in placed(*verdicts)] == [READY, DKIM, SPF]


def test_what_is_not_judged_any_more_is_gone() -> None:
    previous = place([verdict(READY, TRUE), verdict(SPF, TRUE)], (), 6, EARLY)
    assert [condition.type for condition in placed(verdict(READY, TRUE), previous=previous)] == [
        READY
    ]


def test_conditions_are_found_by_their_type() -> None:
    conditions = placed(verdict(READY, FALSE), verdict(SPF, TRUE), verdict(DKIM, UNKNOWN))
    assert find(conditions, SPF) is conditions[2]
    assert find(conditions, ConditionType.MX_VERIFIED) is None
    asked = (READY, DKIM, SPF, ConditionType.MX_VERIFIED)
    assert [is_true(conditions, kind) for kind in asked] == [False, False, True, False]


@pytest.mark.parametrize(
    ("status", "passed", "failed"),
    [(TRUE, True, False), (FALSE, False, True), (UNKNOWN, False, False)],
)
def test_unknown_is_neither_passed_nor_failed(
    status: ConditionStatus, passed: bool, failed: bool
) -> None:
    found = verdict(READY, status)
    assert (found.passed, found.failed) == (passed, failed)
    (condition,) = placed(found)
    assert Verdict.of(condition) == found


@given(st.text(max_size=MESSAGE_LIMIT + 20))
def test_a_message_is_whole_or_marked_as_cut(text: str) -> None:
    short = shorten(text)
    assert len(short) == min(len(text), MESSAGE_LIMIT)
    assert short == (text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…")


def test_a_message_that_is_too_long_is_stored_cut() -> None:
    (condition,) = placed(verdict(READY, TRUE, "x" * (MESSAGE_LIMIT + 1)))
    assert len(condition.message) == MESSAGE_LIMIT
