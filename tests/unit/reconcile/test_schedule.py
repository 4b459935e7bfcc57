# SPDX-License-Identifier: Apache-2.0
"""When to look again: jitter is stable, waits grow, and a restart finds the same schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.fields import format_duration, parse_duration
from postroom.api.names import Kind
from postroom.reconcile import schedule
from postroom.reconcile.outcome import Memory
from postroom.reconcile.summarize import summarize
from unit.reconcile.assessments import GOOD, NOW, assessment, resource

HOUR = timedelta(hours=1)


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


def test_an_untouched_object_is_due_now() -> None:
    raw = stored()
    del raw["status"]
    assert due(raw) == timedelta()


def test_an_invalid_spec_is_judged_at_once() -> None:
    raw = stored()
    raw["spec"] = {"domain": 7}
    assert due(raw) == timedelta()


def test_waits_grow_with_failures_up_to_the_interval() -> None:
    waits = [
        schedule.next_check("u", HOUR, settled=False, failures=count) for count in range(1, 20)
    ]
    assert waits == sorted(waits)
    assert waits[0] < timedelta(seconds=6)
    assert waits[-1] <= timedelta(minutes=6)


def test_something_sooner_wins() -> None:
    soon = timedelta(seconds=7)
    assert schedule.next_check("u", HOUR, settled=True, failures=0, sooner=[None, soon]) == soon


@given(st.timedeltas(timedelta(), timedelta(hours=720)))
def test_durations_survive_a_round_trip(value: timedelta) -> None:
    whole = timedelta(seconds=int(value.total_seconds()))
    assert parse_duration(format_duration(whole)) == whole
