# SPDX-License-Identifier: Apache-2.0
"""The state map of the status contract, as pure functions.

Covers: every row of the map with kstatus' and Argo CD's view of it, the lint on each, hysteresis
of regressions, staleness, the deadline, events on transitions only, and stable timestamps.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kstatus import argo_health, compute, conditions_of, lint
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Severity
from postroom.api.reasons import Reason
from postroom.api.sendingdomain_status import SendingDomainStatus
from postroom.api.status import CommonStatus
from postroom.api.times import timestamp
from postroom.reconcile.status import schedule
from postroom.reconcile.status.assessment import Followed, failed, unknown
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


def test_the_time_of_the_last_success_stands_still_from_the_first_failure_on() -> None:
    memory, good = Memory(), run(GOOD)
    assert good.last_ready_time == timestamp(NOW)
    later = run(GOOD, before=good, memory=memory, after=timedelta(hours=1))
    last = timestamp(NOW + timedelta(hours=1))
    assert (later.last_ready_time, later.last_check_time) == (last, last)
    for minutes, verdict in ((61, BLIND), (62, BAD), (69, BAD), (80, BAD)):
        later = run(verdict, before=later, memory=memory, after=timedelta(minutes=minutes))
        assert later.last_ready_time == last, minutes
    assert seen(later)[0] == "False"
    back = run(GOOD, before=later, memory=memory, after=timedelta(minutes=90))
    assert back.last_ready_time == timestamp(NOW + timedelta(minutes=90))


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


@pytest.mark.parametrize(
    ("age", "stalls"), [(timedelta(hours=1), False), (timedelta(hours=72), True)]
)
def test_a_deadline_is_not_over_for_what_is_younger(age: timedelta, stalls: bool) -> None:
    """A clock that was ahead for a moment let it pass, or somebody wrote so into the status."""
    late = run(BAD, before=run(BAD), after=timedelta(days=9999))
    one = resource(late)
    created = timestamp(NOW - age)
    one = replace(one, metadata=replace(one.metadata, creation_timestamp=created))
    outcome = summarize(one, assessment(BAD), Memory(), NOW)
    assert outcome.status is not None
    found = conditions_of(as_object(one, outcome.status))
    assert ("Stalled" in found, "Reconciling" in found) == (stalls, not stalls)
    if not stalls:
        assert found["Reconciling"]["lastTransitionTime"] == timestamp(NOW)


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
    times = {name: getattr(good, name) for name in ("last_check_time", "last_ready_time")}
    assert again.model_copy(update=times) == good


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


# -- which generation something is about: stored numbers are equal, and other objects -------------


def passes(number: int) -> int:
    """The same number, as another object."""
    return int(str(number))


def before_of(ready_at: int | None, *, observed: int = 300) -> CommonStatus:
    """A status that saw everything good, with these generations."""
    good = run(GOOD, generation=passes(observed))
    return good.model_copy(update={"last_ready_generation": ready_at})


SAME_OR_NOT = pytest.mark.parametrize(
    ("ready_at", "same"), [(300, True), (299, False), (301, False), (None, False)]
)


@SAME_OR_NOT
def test_what_is_under_way_takes_ready_only_from_what_never_was(
    ready_at: int | None, same: bool
) -> None:
    under_way = unknown(ConditionType.DEPENDENCIES_READY, Reason.PROGRESSING, "Soon.")
    fails = failed(ConditionType.DEPENDENCIES_READY, Reason.SENDING_DOMAIN_NOT_READY, "Broken.")
    stored = before_of(ready_at)
    for followed, expected in ((under_way, "True" if same else "Unknown"), (fails, "False")):
        made = assessment(GOOD, follow=lambda *_known, each=followed: Followed(verdicts=(each,)))
        status = summarize(resource(stored, passes(300)), made, Memory(), NOW).status
        assert status is not None
        ready = conditions_of(as_object(resource(), status))["Ready"]
        assert ready["status"] == expected


def found(severity: Severity) -> Finding:
    return Finding(code="SPF_MULTIPLE", severity=severity, subject="spf", message=f"{severity}.")


@pytest.mark.parametrize(
    ("own", "followed", "shown"),
    [
        ([Severity.WARNING], [], ["Warning"]),
        ([], [Severity.ERROR], ["Error"]),
        ([Severity.WARNING, Severity.INFO], [Severity.ERROR], ["Error", "Warning", "Info"]),
        ([Severity.INFO, Severity.WARNING], [], ["Info", "Warning"]),
    ],
)
def test_findings_that_follow_stand_among_the_others(
    own: list[Severity], followed: list[Severity], shown: list[str]
) -> None:
    more = Followed(findings=tuple(map(found, followed)))
    fields = {"findings": list(map(found, own))}
    made = assessment(GOOD, fields=fields, follow=lambda *_known: more)
    status = summarize(resource(), made, Memory(), NOW).status
    assert isinstance(status, SendingDomainStatus)
    assert [each.severity.value for each in status.findings] == shown
    bare = assessment(GOOD, fields=None, follow=lambda *_known: more)
    kept = summarize(resource(), bare, Memory(), NOW).status
    assert isinstance(kept, SendingDomainStatus)
    assert [each.severity for each in kept.findings] == followed


@SAME_OR_NOT
def test_what_was_never_ready_goes_stale_as_in_progress(ready_at: int | None, same: bool) -> None:
    stale = run(BLIND, before=before_of(ready_at), generation=passes(300), after=timedelta(hours=5))
    assert seen(stale, 300)[:2] == ("Unknown", "ObservationStale" if same else "Progressing")


@SAME_OR_NOT
def test_a_regression_is_no_progress(ready_at: int | None, same: bool) -> None:
    stored = before_of(ready_at).model_copy(update={"conditions": ()})
    fallen = run(BAD, before=stored, generation=passes(300))
    assert ("Reconciling" in conditions_of(as_object(resource(), fallen))) is not same


@SAME_OR_NOT
def test_after_a_long_silence_what_was_ready_must_fail_twice(
    ready_at: int | None, same: bool
) -> None:
    unseen = run(
        BLIND, before=before_of(ready_at), generation=passes(300), after=timedelta(hours=5)
    )
    fails = run(BAD, before=unseen, generation=passes(300), after=timedelta(hours=5))
    assert seen(fails, 300)[0] == ("Unknown" if same else "False")


@SAME_OR_NOT
def test_a_pace_of_its_own_ends_with_the_first_success(ready_at: int | None, same: bool) -> None:
    stored = run(BAD, generation=passes(300)).model_copy(update={"last_ready_generation": ready_at})
    made = assessment(BAD, own_pace=True, deadline=timedelta())
    later = NOW + timedelta(hours=100)
    outcome = summarize(resource(stored, passes(300)), made, Memory(), later)
    interval = schedule.jittered(timedelta(hours=1 if same else 6), "u")
    assert outcome.next_check == interval
    bound = summarize(
        resource(stored, passes(300)),
        assessment(BAD, deadline=timedelta()),
        Memory(),
        later,
    )
    assert bound.next_check == schedule.jittered(timedelta(hours=1), "u")


@pytest.mark.parametrize(
    ("own_pace", "ready_at", "stands"), [(True, None, True), (False, None, False), (True, 1, False)]
)
def test_what_is_looked_at_seldom_goes_stale_late(
    own_pace: bool, ready_at: int | None, stands: bool
) -> None:
    stored = run(BAD).model_copy(
        update={
            "last_ready_generation": ready_at,
            "last_check_time": timestamp(NOW + timedelta(hours=100)),
        }
    )
    made = assessment(BLIND, own_pace=own_pace, deadline=timedelta())
    status = summarize(resource(stored), made, Memory(), NOW + timedelta(hours=108)).status
    assert status is not None
    owned = conditions_of(as_object(resource(), status))["OwnershipVerified"]
    assert owned["status"] == ("False" if stands else "Unknown")


@pytest.mark.parametrize(
    ("checked", "ready", "stands"),
    [
        *((0, None, True), (None, 0, True), (-9, 0, True), (0, -9, True), (-9, -9, False)),
        # Told by a clock that was wrong, or by hand.
        *((0, 9999, True), (9999, 0, True), (9999, 9999, False), (9999, -9, False)),
    ],
)
def test_a_verdict_is_as_old_as_the_later_of_two_times(
    checked: int | None, ready: int | None, stands: bool
) -> None:
    def at(hours: int | None) -> str | None:
        return None if hours is None else timestamp(NOW + timedelta(hours=hours))

    times = {"last_check_time": at(checked), "last_ready_time": at(ready)}
    blind = run(BLIND, before=run(GOOD).model_copy(update=times))
    assert seen(blind)[0] == ("True" if stands else "Unknown")


@pytest.mark.parametrize(
    ("observed", "requested", "handled", "asked"),
    [
        (300, None, None, False),
        (300, "a", "a", False),
        (300, None, "a", False),
        (299, None, None, True),
        (301, None, None, True),
        (300, "a", None, True),
        (300, "b", "a", True),
    ],
)
def test_who_edits_or_asks_is_remembered(
    observed: int, requested: str | None, handled: str | None, asked: bool
) -> None:
    stored = before_of(300, observed=observed).model_copy(
        update={"last_handled_reconcile_at": handled}
    )
    one = resource(stored, passes(300))
    one = replace(one, metadata=replace(one.metadata, requested_at=requested))
    memory = Memory()
    outcome = summarize(one, assessment(GOOD), memory, NOW)
    assert memory.asked_at == (NOW if asked else None)
    assert outcome.status is not None
    assert outcome.status.last_handled_reconcile_at == (requested or handled)


@pytest.mark.parametrize(("generation", "failures"), [(300, 3), (299, 1), (301, 1)])
@pytest.mark.parametrize("verdict", [BAD, BLIND])
def test_failures_in_a_row_are_those_of_a_generation(
    generation: int, failures: int, verdict: Verdict
) -> None:
    memory = Memory()
    for _ in range(2):
        run(verdict, generation=passes(300), memory=memory)
    assert (memory.failures, memory.generation) == (2, 300)
    run(verdict, generation=passes(generation), memory=memory)
    assert (memory.failures, memory.generation) == (failures, generation)
    run(GOOD, generation=passes(generation), memory=memory)
    assert memory.failures == 0


def test_a_look_that_saw_nothing_is_no_success() -> None:
    memory, good = Memory(), run(GOOD)
    assert seen(run(BLIND, before=good, memory=memory))[0] == "True"
    assert memory.failures == 1
