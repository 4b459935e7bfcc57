# SPDX-License-Identifier: Apache-2.0
"""The state map of the status contract, as pure functions.

Covers: every row of the map with kstatus' and Argo CD's view of it, the lint on each, hysteresis
of regressions, staleness, the deadline, events on transitions only, and stable timestamps.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from kstatus import argo_health, compute, conditions_of, lint
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.reasons import Reason
from postroom.api.status import CommonStatus
from postroom.reconcile.status.assessment import failed
from postroom.reconcile.status.outcome import Memory, NoticeType
from postroom.reconcile.status.summarize import summarize
from unit.reconcile.assessments import (
    BAD,
    BLIND,
    GOOD,
    NOW,
    as_object,
    assessment,
    resource,
)

DENIED = failed(ConditionType.TARGET_ALLOWED, Reason.ADDRESS_DENIED, "Denied.")


def run(
    *verdicts: Verdict,
    before: CommonStatus | None = None,
    generation: int = 1,
    after: timedelta = timedelta(),
    memory: Memory | None = None,
) -> CommonStatus:
    """Summarize verdicts on top of a stored status, some time later; lint the result."""
    one = resource(before, generation)
    outcome = summarize(one, assessment(*verdicts), memory or Memory(), NOW + after)
    assert outcome.status is not None
    assert lint(as_object(one, outcome.status)) == []
    return outcome.status


def seen(status: CommonStatus, generation: int = 1) -> tuple[str, str, str, str]:
    """(Ready, its reason, kstatus, Argo CD) of a status."""
    obj = as_object(resource(generation=generation), status)
    ready = conditions_of(obj)["Ready"]
    return ready["status"], ready["reason"], compute(obj), argo_health(obj)


def test_waiting_the_first_time() -> None:
    status = run(BAD)
    assert seen(status) == ("False", "RecordNotFound", "InProgress", "Progressing")
    assert conditions_of(as_object(resource(), status))["Reconciling"]["reason"] == "AwaitingDNS"


def test_verified() -> None:
    assert seen(run(GOOD)) == ("True", "Succeeded", "Current", "Healthy")


def test_regressed_after_confirmation() -> None:
    memory, good = Memory(), run(GOOD)
    held = run(BAD, before=good, memory=memory)
    assert seen(held) == ("True", "Succeeded", "Current", "Healthy")
    fallen = run(BAD, before=held, memory=memory, after=timedelta(minutes=6))
    assert seen(fallen) == ("False", "RecordNotFound", "InProgress", "Degraded")


def test_a_regression_that_passes_is_forgotten() -> None:
    memory, good = Memory(), run(GOOD)
    run(BAD, before=good, memory=memory)
    run(GOOD, before=good, memory=memory, after=timedelta(minutes=4))
    again = run(BAD, before=good, memory=memory, after=timedelta(minutes=6))
    assert seen(again)[0] == "True"


def test_a_held_back_regression_is_looked_at_again_in_time() -> None:
    memory, good = Memory(), run(GOOD)
    one = resource(good)
    outcome = summarize(one, assessment(BAD), memory, NOW)
    assert outcome.next_check is not None
    assert outcome.next_check <= timedelta(minutes=5)


def test_denied_target_stalls() -> None:
    status = run(DENIED)
    assert seen(status) == ("False", "TargetDenied", "Failed", "Degraded")


def test_deadline_passes_and_stays_passed() -> None:
    waiting = run(BAD)
    late = run(BAD, before=waiting, after=timedelta(hours=73))
    assert seen(late) == ("False", "RecordNotFound", "Failed", "Degraded")
    stalled = conditions_of(as_object(resource(), late))["Stalled"]
    assert stalled["reason"] == "ProgressDeadlineExceeded"
    later = run(BAD, before=late, after=timedelta(hours=74))
    assert later.conditions == late.conditions


def test_the_deadline_passes_where_nothing_could_be_looked_at() -> None:
    late = run(BLIND, before=run(BLIND), after=timedelta(hours=73))
    assert seen(late) == ("False", "ProgressDeadlineExceeded", "Failed", "Degraded")


def test_without_a_required_verdict_nothing_is_ready() -> None:
    required = frozenset({GOOD.type, ConditionType.DKIM_VERIFIED})
    status = summarize(resource(), assessment(GOOD, required=required), Memory(), NOW).status
    assert status is not None
    assert seen(status) == ("Unknown", "Progressing", "InProgress", "Progressing")


def test_success_after_the_deadline_counts() -> None:
    late = run(BAD, before=run(BAD), after=timedelta(hours=73))
    assert seen(run(GOOD, before=late, after=timedelta(hours=74)))[0] == "True"


def test_a_new_generation_waits_again() -> None:
    status = run(BAD, before=run(GOOD), generation=2)
    assert seen(status, 2) == ("False", "RecordNotFound", "InProgress", "Progressing")


def test_could_not_look_leaves_the_verdict() -> None:
    good = run(GOOD)
    blind = run(BLIND, before=good, after=timedelta(minutes=50))
    assert blind.conditions == good.conditions
    assert blind.last_check_time == good.last_check_time


def test_could_not_look_for_too_long_is_stale() -> None:
    stale = run(BLIND, before=run(GOOD), after=timedelta(hours=5))
    assert seen(stale) == ("Unknown", "ObservationStale", "InProgress", "Progressing")


def test_could_not_look_the_first_time() -> None:
    assert seen(run(BLIND)) == ("Unknown", "Progressing", "InProgress", "Progressing")


def test_unknown_never_becomes_a_regression() -> None:
    memory, good = Memory(), run(GOOD)
    run(BAD, before=good, memory=memory)
    run(BLIND, before=good, memory=memory, after=timedelta(minutes=3))
    held = run(BAD, before=good, memory=memory, after=timedelta(minutes=6))
    assert seen(held)[0] == "True"


def test_transition_time_moves_with_the_status_only() -> None:
    waiting = run(BAD)
    other = failed(BAD.type, Reason.RECORD_MISMATCH, "Other.")
    moved = run(other, before=waiting, after=timedelta(minutes=1))
    times = {condition.last_transition_time for condition in moved.conditions}
    assert times == {"2026-11-21T12:00:00Z"}


def test_same_findings_give_the_same_status_but_for_the_check_time() -> None:
    good = run(GOOD)
    again = run(GOOD, before=good, after=timedelta(hours=1))
    assert again.model_copy(update={"last_check_time": good.last_check_time}) == good


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((), GOOD, None),
        ((), BAD, NoticeType.WARNING),
        ((GOOD,), GOOD, None),
        ((BAD,), BAD, None),
        ((BAD,), GOOD, NoticeType.NORMAL),
        ((), BLIND, None),
    ],
)
def test_notices_on_transitions_only(
    before: tuple[Verdict, ...], now: Verdict, expected: NoticeType | None
) -> None:
    stored = run(*before) if before else None
    outcome = summarize(resource(stored), assessment(now), Memory(), NOW)
    assert [notice.type for notice in outcome.notices] == ([expected] if expected else [])


def test_advisory_conditions_do_not_gate() -> None:
    advisory = failed(ConditionType.SPF_VERIFIED, Reason.RECORD_NOT_FOUND, "No SPF.")
    found = assessment(GOOD, advisory, advisory=frozenset({ConditionType.SPF_VERIFIED}))
    status = summarize(resource(), found, Memory(), NOW).status
    assert status is not None
    shown = conditions_of(as_object(resource(), status))
    assert (shown["Ready"]["status"], shown["SPFVerified"]["status"]) == ("True", "False")


def test_the_first_failing_verdict_decides_ready() -> None:
    spf = failed(ConditionType.SPF_VERIFIED, Reason.MULTIPLE_RECORDS, "Two.")
    assert seen(run(BAD, spf))[1] == "RecordNotFound"
    assert seen(run(GOOD, spf))[1] == "MultipleRecords"
