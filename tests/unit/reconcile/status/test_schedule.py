# SPDX-License-Identifier: Apache-2.0
"""When to look again.

Covers: stable jitter, the pace of pending and degraded objects told by status alone, the same
schedule after a restart, close looks after an edit, the end of what a resolver has cached, the one
thorough look of a day, and durations.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, place
from postroom.api.fields import format_duration, parse_duration
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import Metadata
from postroom.api.sendingdomain import RecordState
from postroom.api.sendingdomain_status import SendingDomainStatus
from postroom.api.status import CommonStatus
from postroom.api.times import timestamp
from postroom.reconcile.status import schedule
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.schedule import Waiting
from postroom.reconcile.status.summarize import summarize
from unit.reconcile.assessments import GOOD, NOW, assessment, resource
from unit.reconcile.domain_worlds import Domain, but, degraded

HOUR = timedelta(hours=1)
MISSING = but(dkim_k1=RecordState.MISSING)
HIDDEN = but(dkim_k1=RecordState.PROPAGATING)


def stored(**metadata: Any) -> dict[str, Any]:
    """A verified domain as the API server holds it."""
    status = summarize(resource(), assessment(GOOD), Memory(), NOW).status
    assert status is not None
    return {
        "metadata": {"name": "d", "namespace": "n", "uid": "u", "generation": 1, **metadata},
        "spec": {"domain": "send.example.com"},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def due(raw: dict[str, Any], after: timedelta = timedelta()) -> timedelta:
    return schedule.due_in(Kind.SENDING_DOMAIN, raw, NOW + after)


@given(st.text())
def test_jitter_stays_within_ten_percent_and_is_stable(uid: str) -> None:
    wait = schedule.jittered(HOUR, uid)
    assert HOUR * 0.9 <= wait <= HOUR * 1.1
    assert wait == schedule.jittered(HOUR, uid)
    assert wait == HOUR * (1 - 0.1 + 2 * 0.1 * schedule.share(uid))


def test_a_fresh_verified_object_is_due_after_its_interval() -> None:
    assert due(stored()) == schedule.jittered(HOUR, "u")
    assert due(stored(), after=timedelta(hours=2)) == timedelta()


def test_a_new_generation_is_due_now() -> None:
    assert due(stored(generation=2)) == timedelta()


def test_a_request_is_due_now_until_it_is_handled() -> None:
    raw = stored(annotations={"postroom.dev/requested-at": "x"})
    assert due(raw) == timedelta()
    raw["status"]["lastHandledReconcileAt"] = "x"
    assert due(raw) > timedelta()


@pytest.mark.parametrize(
    ("spacing", "minutes"),
    [
        # Three looks, an hour at least, and as long as the stored time may lag: the spacing, a
        # quarter of an hour at least.
        (timedelta(minutes=1), 60 + 15),
        (timedelta(minutes=15), 60 + 15),
        (timedelta(minutes=20), 60 + 20),
        (HOUR, 180 + 60),
        (timedelta(hours=24), 72 * 60 + 24 * 60),
    ],
)
def test_a_look_is_stale_after_three_and_what_its_stored_time_may_lag(
    spacing: timedelta, minutes: int
) -> None:
    bound, last = timedelta(minutes=minutes), timestamp(NOW)
    assert not schedule.is_stale(last, spacing, NOW)
    assert not schedule.is_stale(last, spacing, NOW + bound)
    assert schedule.is_stale(last, spacing, NOW + bound + timedelta(seconds=1))


def test_without_a_look_all_is_stale() -> None:
    assert schedule.is_stale(None, HOUR, NOW)


@pytest.mark.parametrize(
    ("ahead", "was"),
    [
        (timedelta(seconds=-1), NOW - timedelta(seconds=1)),
        (timedelta(), NOW),
        (timedelta(seconds=1), NOW),
        (timedelta(minutes=10), NOW),
        (timedelta(minutes=10, seconds=1), datetime(1970, 1, 1, tzinfo=UTC)),
        (timedelta(days=4000), datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_lies_ahead_has_just_been_and_far_ahead_long_ago(
    ahead: timedelta, was: datetime
) -> None:
    assert schedule.past(timestamp(NOW + ahead), NOW) == was


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=3), timedelta(days=4000)])
def test_nothing_waits_until_a_clock_is_where_it_stood_before_it_was_set_back(
    ahead: timedelta,
) -> None:
    assert due(stored(), -ahead) == timedelta()
    assert schedule.is_stale(timestamp(NOW + ahead), HOUR, NOW)


def test_the_clock_of_another_machine_may_be_a_little_ahead() -> None:
    regular = due(stored())
    assert regular > timedelta()
    assert due(stored(), -timedelta(minutes=5)) == regular
    assert not schedule.is_stale(timestamp(NOW + timedelta(minutes=5)), HOUR, NOW)


def test_an_untouched_object_is_due_now() -> None:
    raw = stored()
    del raw["status"]
    assert due(raw) == timedelta()


def test_an_invalid_spec_is_judged_at_once() -> None:
    raw = stored()
    raw["spec"] = {"domain": 7}
    assert due(raw) == timedelta()


def test_looks_at_a_pending_object_are_ever_further_apart() -> None:
    age, looks = timedelta(), []
    while age <= 96 * HOUR:
        looks.append(age)
        age += schedule.pending_wait(age)
    assert looks[:10] == [
        timedelta(seconds=at) for at in (0, 5, 10, 20, 40, 60, 100, 160, 220, 340)
    ]
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert gaps == sorted(gaps)
    for at, most in ((59, 300), (23 * 60, 900), (71 * 60, 3600), (95 * 60, 6 * 3600)):
        assert schedule.pending_wait(timedelta(minutes=at)) == timedelta(seconds=most)


@given(st.integers(0, 100_000))
def test_looks_without_success_count_as_a_wait(failures: int) -> None:
    assert timedelta() <= schedule.elapsed(failures) <= schedule.elapsed(failures + 1) < 4 * HOUR


def test_a_wait_keeps_within_the_interval_unless_it_has_a_pace_of_its_own() -> None:
    age, minute = 100 * HOUR, timedelta(minutes=1)
    capped = schedule.next_check("u", minute, settled=False, age=age)
    assert capped == schedule.jittered(minute, "u")
    free = schedule.next_check("u", minute, settled=False, age=age, capped=False)
    assert free == schedule.jittered(6 * HOUR, "u")


def test_something_sooner_wins() -> None:
    soon = timedelta(seconds=7)
    wait = schedule.next_check("u", HOUR, settled=True, age=timedelta(), sooner=[None, soon])
    assert wait == soon


def test_a_pending_domain_stays_on_schedule_over_a_restart() -> None:
    domain = Domain()
    domain.look(MISSING)
    domain.wait(2 * HOUR)
    domain.look(MISSING)
    assert domain.next_check == schedule.jittered(timedelta(minutes=15), "u")
    assert schedule.due_in(Kind.SENDING_DOMAIN, domain.raw, domain.now) == domain.next_check
    domain.restart()
    domain.wait(timedelta(minutes=20))
    assert schedule.due_in(Kind.SENDING_DOMAIN, domain.raw, domain.now) == timedelta()
    domain.look(MISSING)
    assert domain.next_check == schedule.jittered(timedelta(minutes=15), "u")


QUARTER = timedelta(minutes=15)


@given(st.timedeltas(timedelta(), timedelta(hours=3)), st.sampled_from(["5m", "1h"]), st.uuids())
def test_after_a_restart_what_may_have_been_looked_at_waits_a_quarter_of_an_hour_at_most(
    age: timedelta, interval: str, uid: UUID
) -> None:
    raw = stored(uid=str(uid))
    raw["spec"]["interval"] = interval
    every = timedelta(minutes=5) if interval == "5m" else HOUR
    left = schedule.jittered(every, str(uid)) - age
    wait = due(raw, age)
    if left > timedelta():
        assert wait == left
    elif -left < max(every, QUARTER):
        assert timedelta() <= wait <= min(schedule.jittered(every, str(uid)), QUARTER)
    else:
        assert wait == timedelta(), "nobody looked for long"


def test_a_restart_brings_no_burst() -> None:
    count, each_minute, raw = 2000, Counter[int](), stored()
    raw["spec"]["interval"] = "5m"
    for number in range(count):
        raw["metadata"]["uid"] = f"u{number}"
        # The stored times of objects at rest are spread over the time in which none is refreshed.
        each_minute[due(raw, QUARTER * number / count) // timedelta(minutes=1)] += 1
    assert max(each_minute.values()) <= 2 * count / 5


def test_looks_follow_closely_after_an_edit_or_a_request() -> None:
    domain = Domain()
    domain.look(MISSING)
    domain.wait(30 * HOUR)
    domain.look(MISSING)
    assert domain.next_check > timedelta(minutes=50)
    domain.edit(interval="2h")
    domain.look(MISSING)
    assert domain.next_check < timedelta(seconds=6)


def test_a_degraded_domain_is_looked_at_closely_and_never_less_often_than_its_interval() -> None:
    domain = degraded()
    assert domain.next_check < timedelta(seconds=6)
    domain.wait(100 * HOUR)
    domain.look(but(dkim_k1=RecordState.MISSING))
    assert domain.next_check == schedule.jittered(HOUR, "u")
    assert schedule.due_in(Kind.SENDING_DOMAIN, domain.raw, domain.now) == domain.next_check


@pytest.mark.parametrize(
    ("was_ready", "wait"), [(300, HOUR), (299, 6 * HOUR), (301, 6 * HOUR), (None, 6 * HOUR)]
)
def test_the_interval_bounds_the_wait_of_a_generation_that_was_ready(
    was_ready: int | None, wait: timedelta
) -> None:
    domain = degraded()
    domain.wait(100 * HOUR)
    domain.look(MISSING)
    raw = domain.raw
    raw["metadata"]["generation"] = int("300")
    ready = {"observedGeneration": int("300"), "lastReadyGeneration": was_ready}
    raw["status"] = {**raw["status"], **ready}
    assert schedule.due_in(Kind.SENDING_DOMAIN, raw, domain.now) == schedule.jittered(wait, "u")


def test_a_domain_that_waits_for_a_secret_is_due_at_once() -> None:
    domain = Domain()
    domain.look(MISSING)
    raw = domain.raw
    unresolved = {**raw["status"]["conditions"][0], "type": "ReferencesResolved"}
    raw["status"] = {**raw["status"], "conditions": [*raw["status"]["conditions"], unresolved]}
    assert schedule.due_in(Kind.SENDING_DOMAIN, raw, domain.now) == timedelta()


def test_the_end_of_a_cached_denial_wakes() -> None:
    domain = Domain()
    domain.look(HIDDEN, wake_after=3)
    assert domain.next_check == timedelta(seconds=3)
    domain.wait(2 * HOUR)
    domain.look(HIDDEN, wake_after=432)
    assert domain.next_check == timedelta(seconds=432)


def test_a_verified_domain_wakes_too_when_an_old_value_ends() -> None:
    domain = Domain()
    domain.look(but())
    domain.look(HIDDEN, wake_after=432)
    assert domain.next_check == timedelta(seconds=432)


def test_a_resolver_that_denies_for_ever_is_left_to_the_schedule() -> None:
    domain = Domain()
    domain.look(HIDDEN)
    domain.wait(2 * HOUR)
    waits = []
    for _ in range(6):
        domain.look(HIDDEN, wake_after=1)
        waits.append(domain.next_check)
        domain.wait(domain.next_check)
    assert waits[:3] == [timedelta(seconds=1)] * 3
    assert waits[3:] == [schedule.jittered(timedelta(minutes=15), "u")] * 3


def test_another_record_that_is_published_later_wakes_again() -> None:
    domain = Domain()
    domain.look(HIDDEN, wake_after=60)
    domain.wait(timedelta(seconds=50))
    both = but(dkim_k1=RecordState.PROPAGATING, dkim_k2=RecordState.PROPAGATING)
    domain.look(both, wake_after=20)
    assert domain.memory.lag is not None
    assert domain.memory.lag.renewals == 0


@given(st.text(), st.integers(15, 24 * 60), st.integers(0, 10**6))
@settings(deadline=None)
def test_the_first_look_of_each_day_is_thorough(uid: str, minutes: int, start: int) -> None:
    interval = schedule.jittered(timedelta(minutes=minutes), uid)
    looks = 3 * timedelta(days=1) // interval + 1
    times = [NOW + timedelta(seconds=start) + number * interval for number in range(looks)]
    stored = [None, *map(timestamp, times)]
    deep = [schedule.is_deep(uid, last, now) for last, now in zip(stored, times, strict=False)]
    days = {schedule.deep_day(uid, now) for now in times}
    assert sum(deep) == len(days) - 1


@pytest.mark.parametrize(("done", "expected"), [(0, True), (None, True), (1, False)])
def test_a_thorough_look_is_not_repeated_while_it_is_remembered(
    done: int | None, expected: bool
) -> None:
    today = schedule.deep_day("u", NOW)
    yesterday = timestamp(NOW - timedelta(days=1))
    remembered = None if done is None else today - 1 + done
    assert schedule.is_deep("u", yesterday, NOW, remembered) is expected


def test_the_first_look_is_not_thorough() -> None:
    assert not schedule.is_deep("u", None, NOW)


def test_the_days_of_many_objects_begin_all_over_the_day() -> None:
    hours = [
        hour
        for uid in map(str, range(1000))
        for hour in range(24)
        if schedule.deep_day(uid, NOW + (hour + 1) * HOUR)
        > schedule.deep_day(uid, NOW + hour * HOUR)
    ]
    assert len(hours) == 1000
    assert all(20 <= hours.count(hour) <= 70 for hour in range(24))


@given(st.timedeltas(timedelta(), timedelta(hours=720)))
def test_durations_survive_a_round_trip(value: timedelta) -> None:
    whole = timedelta(seconds=int(value.total_seconds()))
    assert parse_duration(format_duration(whole)) == whole


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("age", "before", "since"),
    [
        (10, 5, 10),
        (20, 10, 20),
        (60, 20, 40),
        (100, 40, 60),
        (220, 60, 120),
        (340, 120, 300),
        (3600, 300, 900),
        (24 * 3600, 900, 3600),
        (72 * 3600, 3600, 6 * 3600),
    ],
)
def test_each_step_begins_at_its_age(age: int, before: int, since: int) -> None:
    reached = timedelta(seconds=age)
    assert schedule.pending_wait(reached - SECOND) == timedelta(seconds=before)
    assert schedule.pending_wait(reached) == timedelta(seconds=since)


def test_a_wait_that_begins_in_the_future_is_the_first() -> None:
    assert schedule.pending_wait(-HOUR) == schedule.pending_wait(timedelta()) == 5 * SECOND


def test_failures_are_counted_up_to_twenty() -> None:
    ages = [schedule.elapsed(failures) for failures in range(1, 24)]
    assert ages[:4] == [timedelta(), 5 * SECOND, 10 * SECOND, 20 * SECOND]
    assert ages[19] < ages[20] == ages[21] == ages[22]


STALLED_FOR_LONG = "ProgressDeadlineExceeded"


def status_of(observed: int, **reasons: str) -> CommonStatus:
    """A status that observed a generation, with these conditions an hour ago."""
    verdicts = [
        Verdict(
            type=ConditionType(name),
            status=ConditionStatus.FALSE if name == "Ready" else ConditionStatus.TRUE,
            reason=Reason(reason),
            message="So.",
        )
        for name, reason in reasons.items()
    ]
    conditions = place(verdicts, (), observed, timestamp(NOW - HOUR))
    made = SendingDomainStatus(observed_generation=observed, conditions=conditions)
    # As it is stored: equal numbers and texts are other objects.
    return SendingDomainStatus.model_validate_json(made.model_dump_json(by_alias=True))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (status_of(300), Waiting()),
        (status_of(300, Reconciling="Progressing"), Waiting(NOW - HOUR)),
        (status_of(299, Reconciling="Progressing"), Waiting()),
        (status_of(301, Reconciling="Progressing"), Waiting()),
        (status_of(300, Stalled=STALLED_FOR_LONG), Waiting(expired=True)),
        (status_of(299, Stalled=STALLED_FOR_LONG), Waiting()),
        (status_of(301, Stalled=STALLED_FOR_LONG), Waiting()),
        (status_of(300, Stalled="InvalidSpec"), Waiting()),
        (status_of(300, Stalled="TargetDenied"), Waiting()),
    ],
)
def test_a_wait_is_that_of_its_generation(status: CommonStatus, expected: Waiting) -> None:
    assert Waiting.of(status, Metadata.of({"generation": 300})) == expected
    assert Waiting() == Waiting(None, expired=False, created=None)
    known = Metadata.of({"generation": 300, "creationTimestamp": timestamp(NOW)})
    assert Waiting.of(status, known) == replace(expected, created=NOW)


@pytest.mark.parametrize(
    ("waiting", "deadline", "expected"),
    [
        (Waiting(NOW - HOUR), timedelta(), None),
        (Waiting(expired=True), timedelta(), None),
        (Waiting(), 3 * HOUR, 3 * HOUR),
        (Waiting(NOW - HOUR), 3 * HOUR, 2 * HOUR),
        (Waiting(NOW - 4 * HOUR), 3 * HOUR, -HOUR),
        (Waiting(NOW - HOUR, expired=True), 3 * HOUR, timedelta()),
        # Who is younger than that has not waited for so long.
        (Waiting(expired=True, created=NOW - HOUR), 3 * HOUR, 2 * HOUR),
        (Waiting(expired=True, created=NOW - 3 * HOUR), 3 * HOUR, timedelta()),
        (Waiting(NOW - 9999 * HOUR, created=NOW - HOUR), 3 * HOUR, 2 * HOUR),
        (Waiting(NOW - HOUR, created=NOW - 9999 * HOUR), 3 * HOUR, 2 * HOUR),
        (Waiting(expired=True, created=NOW - HOUR), timedelta(), None),
    ],
)
def test_what_is_left_of_a_deadline(
    waiting: Waiting, deadline: timedelta, expected: timedelta | None
) -> None:
    assert waiting.left(deadline, NOW) == expected


@pytest.mark.parametrize("observed", [1, 299, 301])
def test_progress_of_another_generation_is_not_ours(observed: int) -> None:
    conditions = status_of(observed, Reconciling="Progressing", Stalled="InvalidSpec").conditions
    kept = [condition.type for condition in schedule.own_progress(conditions, 300)]
    assert kept == [ConditionType.STALLED]
    assert schedule.own_progress(conditions, observed) == conditions


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ({}, None),
        ({"Reconciling": "Progressing"}, None),
        ({"Ready": "Progressing", "Reconciling": "Progressing"}, NOW - HOUR),
        ({"Ready": "Progressing", "Stalled": STALLED_FOR_LONG}, NOW - 3 * HOUR),
        ({"Ready": "Progressing", "Stalled": "InvalidSpec"}, NOW - HOUR),
        ({"Ready": "Progressing", "Stalled": "TargetDenied"}, NOW - HOUR),
        ({"Ready": "RecordNotFound"}, NOW - HOUR),
    ],
)
def test_since_when_success_is_missing(reasons: dict[str, str], expected: datetime | None) -> None:
    conditions, nobody_knows = status_of(1, **reasons).conditions, Metadata.of({})
    assert schedule.wait_began(conditions, 2 * HOUR, nobody_knows) == expected
    # Not from before the object was, as a restored one is told of.
    created = Metadata.of({"creationTimestamp": timestamp(NOW + HOUR)})
    later = None if expected is None else max(expected, NOW + HOUR)
    assert schedule.wait_began(conditions, 2 * HOUR, created) == later


@pytest.mark.parametrize(
    ("due_at", "first"),
    [
        ([], None),
        ([-1], None),
        ([0], None),
        ([60], 60),
        ([0, 60], 60),
        ([-5, 90, 60], 60),
    ],
)
def test_what_is_due_first_is_waited_for_and_a_share_of_a_quarter_more(
    due_at: list[int], first: int | None
) -> None:
    moments = [NOW + seconds * SECOND for seconds in due_at]
    wait = schedule.wait_until_due(moments, "u", NOW)
    if first is None:
        assert wait is None
    else:
        assert wait == first * SECOND * (1 + 0.25 * schedule.share("retry u"))
        assert first * SECOND <= wait < 1.25 * first * SECOND


@given(st.text(), st.integers(0, 40_000))
def test_a_day_begins_at_the_share_of_its_object(uid: str, day: int) -> None:
    offset = timedelta(seconds=int(24 * 3600 * schedule.share(f"deep {uid}")))
    begins = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) + offset
    assert schedule.deep_day(uid, begins) == day
    assert schedule.deep_day(uid, begins - SECOND) == day - 1


def test_a_look_that_is_said_to_come_from_a_later_day_asks_for_no_thorough_one() -> None:
    assert not schedule.is_deep("u", timestamp(NOW + timedelta(days=1)), NOW)


@pytest.mark.parametrize("generation", [299, 301])
def test_a_status_of_another_generation_answers_nothing(generation: int) -> None:
    raw = stored(generation=300)
    raw["status"] |= {"observedGeneration": int("300")}
    assert due(raw) > timedelta()
    raw["status"] |= {"observedGeneration": generation}
    assert due(raw) == timedelta()


LOOKED_BACK = {
    "nonce": "a",
    "phase": "Done",
    "time": timestamp(NOW),
    "reason": "Succeeded",
    "message": "Well.",
}
FLIGHT = {
    "step": "Sent",
    "token": "word",
    "time": timestamp(NOW),
    "sender": "support@example.com",
    "recipient": "support@example.com",
}


@pytest.mark.parametrize(
    ("annotations", "status", "is_due"),
    [
        ({}, {}, False),
        ({"send-test": "a"}, {}, True),
        ({"send-test": "a"}, {"lastTest": {"nonce": "a"}}, False),
        ({"send-test": "b"}, {"lastTest": {"nonce": "a"}}, True),
        ({}, {"lastTest": {"nonce": "a"}}, False),
        ({"backfill": "a"}, {}, True),
        ({"backfill": "a"}, {"lastBackfill": LOOKED_BACK}, False),
        ({"backfill": "b"}, {"lastBackfill": LOOKED_BACK}, True),
        ({}, {"lastTest": {"nonce": "a", "inFlight": FLIGHT}}, True),
        ({}, {"roundTrip": {"inFlight": FLIGHT}}, True),
        ({}, {"roundTrip": {}}, False),
        ({}, {"sync": {"phase": "Idle"}}, False),
        ({}, {"sync": {"phase": "Syncing"}}, True),
        ({}, {"sync": {"phase": "Backfilling"}}, True),
    ],
)
def test_an_account_is_due_for_what_was_asked_and_for_what_is_under_way(
    annotations: dict[str, str], status: dict[str, Any], is_due: bool
) -> None:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Succeeded",
        "message": "Well.",
        "observedGeneration": 1,
        "lastTransitionTime": timestamp(NOW),
    }
    checked = {"observedGeneration": 1, "lastCheckTime": timestamp(NOW), "conditions": [ready]}
    raw = {
        "metadata": {
            "name": "a",
            "namespace": "n",
            "uid": "u",
            "generation": 1,
            "annotations": {f"postroom.dev/{name}": value for name, value in annotations.items()},
        },
        "spec": {"address": "support@example.com"},
        "status": {**checked, **status},
    }
    assert (schedule.due_in(Kind.EMAIL_ACCOUNT, raw, NOW) == timedelta()) is is_due
