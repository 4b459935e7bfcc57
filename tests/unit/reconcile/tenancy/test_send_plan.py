# SPDX-License-Identifier: Apache-2.0
"""The send plan: what an account may send, under every ceiling, by the clock of its window.

Covers: whose limit holds, by table and at random; the spread over the hours; the ramp-up; changes
of the clock in all time zones.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from postroom.api.send_limits import (
    LimitSource,
    SendLimits,
    SendPlan,
    ServerLimits,
    Weekday,
    time_zones,
)
from postroom.reconcile.tenancy.ceilings import Limits, limits_of
from postroom.reconcile.tenancy.send_plan import Allowance, allowance, plan
from rows import over
from unit.reconcile.send_plans import (
    LIMITS,
    OFFICE,
    asked_of,
    cases,
    documented,
    limits,
    planned,
)

ALL_DAY = {"timeZone": "UTC"}


S, M, P, W = LimitSource
#: account, server, provider -> daily and whose it is, hourly and whose it is
NUMBERS: list[tuple[dict[str, Any], dict[str, Any], str | None, tuple[Any, ...]]] = [
    ({"daily": 50}, {}, None, (50, S, None, None)),
    ({"daily": 50}, {"daily": 50}, None, (50, S, None, None)),
    ({"daily": 50}, {"daily": 49}, None, (49, M, None, None)),
    ({}, {"daily": 2000, "hourly": 200}, None, (2000, M, 200, M)),
    ({"hourly": 20}, {"daily": 2000, "hourly": 200}, None, (480, W, 20, S)),
    ({"hourly": 300}, {"daily": 2000, "hourly": 200}, None, (2000, M, 200, M)),
    ({"daily": 3}, {"hourly": 200}, None, (3, S, 3, S)),
    ({"daily": 9000}, {}, "GoogleWorkspace", (2000, P, None, None)),
    ({"daily": 9000}, {"daily": 1500}, "GoogleWorkspace", (1500, M, None, None)),
    ({"daily": 9000}, {"daily": 5000}, "GoogleWorkspace", (2000, P, None, None)),
    ({}, {}, "Gmail", (500, P, None, None)),
    ({}, {}, "Microsoft365", (10000, P, 1800, P)),
    ({"hourly": 2000}, {}, "Microsoft365", (10000, P, 1800, P)),
    ({"daily": 700}, {}, "ICloud", (700, S, None, None)),
    # What a plan raises is no ceiling: nobody knows the plan.
    ({}, {"daily": 50000}, "AmazonSES", (50000, M, None, None)),
    ({"daily": 1000}, {}, "Resend", (1000, S, None, None)),
    ({"daily": 50, "window": OFFICE}, {}, None, (50, S, 7, W)),
    ({"daily": 50, "window": ALL_DAY}, {}, None, (50, S, 3, W)),
    ({"daily": 50, "hourly": 5, "window": OFFICE}, {}, None, (40, W, 5, S)),
    ({"daily": 50, "window": OFFICE}, {"hourly": 2}, None, (16, W, 2, M)),
    ({"hourly": 5, "window": OFFICE}, {}, None, (None, None, 5, S)),
]


@pytest.mark.parametrize(("asked", "server", "provider", "expected"), NUMBERS)
def test_whose_limit_holds(
    asked: dict[str, Any],
    server: dict[str, Any],
    provider: str | None,
    expected: tuple[Any, ...],
) -> None:
    if provider == "AmazonSES":
        ours = asked_of(asked)
        found = plan(
            ours, limits_of(ours, ServerLimits(**server), documented(provider, region="eu-west-1"))
        )
        assert found is not None
    else:
        found = planned(asked, server, provider)
    assert (found.daily, found.daily_from, found.hourly, found.hourly_from) == expected


def test_without_any_limit_there_is_no_plan() -> None:
    assert plan(*limits({})) is None
    assert plan(*limits({}, {}, "AOL")) is None


def test_the_day_is_spread_over_the_window() -> None:
    hours = planned({"daily": 50, "window": OFFICE}).hours
    assert [(hour.start, hour.end) for hour in hours][::7] == [
        ("09:00", "10:00"),
        ("16:00", "17:00"),
    ]
    assert [hour.messages for hour in hours] == [6, 6, 6, 7, 6, 6, 6, 7]


@pytest.mark.parametrize(
    ("start", "end", "spec", "expected"),
    [
        ("09:30", "11:00", {"daily": 9}, [("09:30", "10:30", 6), ("10:30", "11:00", 3)]),
        ("09:30", "09:45", {"daily": 9, "hourly": 5}, [("09:30", "09:45", 5)]),
        (
            "09:30",
            "11:00",
            {"daily": 9, "hourly": 4},
            [("09:30", "10:30", 4), ("10:30", "11:00", 2)],
        ),
        (
            "09:00",
            "10:01",
            {"daily": 9, "hourly": 7},
            [("09:00", "10:00", 7), ("10:00", "10:01", 0)],
        ),
        ("23:00", "24:00", {"daily": 2}, [("23:00", "24:00", 2)]),
    ],
)
def test_hours_that_are_not_whole(
    start: str, end: str, spec: dict[str, Any], expected: list[tuple[str, str, int]]
) -> None:
    found = planned({**spec, "window": {"timeZone": "UTC", "start": start, "end": end}})
    assert [(hour.start, hour.end, hour.messages) for hour in found.hours] == expected


def test_connections_are_the_fewest_of_server_and_provider() -> None:
    assert planned({}, {"connections": 2}).connections == 2
    assert planned({}, {"connections": 9}, "Microsoft365").connections == 3


def test_days_have_the_order_of_the_week() -> None:
    one = planned({"window": {**OFFICE, "days": ["Fri", "Mon"]}}).window
    assert one is not None
    assert one.days == [Weekday.MONDAY, Weekday.FRIDAY]


@given(cases())
def test_no_ceiling_is_ever_exceeded(case: tuple[SendLimits, Limits, SendPlan]) -> None:
    _, limited, made = case
    for each, number in ((limited.daily, made.daily), (limited.hourly, made.hourly)):
        for ceiling in (each.own, each.server, each.firm):
            assert ceiling is None or (number is not None and 1 <= number <= ceiling)
    if made.daily is not None and made.hourly is not None:
        assert made.hourly <= made.daily <= 24 * made.hourly


@given(cases())
def test_the_hours_hold_the_day_and_no_more(case: tuple[SendLimits, Limits, SendPlan]) -> None:
    _, _, made = case
    assert bool(made.hours) == (made.window is not None and made.daily is not None)
    if made.hours and made.window:
        assert sum(hour.messages for hour in made.hours) == made.daily
        assert max(hour.messages for hour in made.hours) == made.hourly
        places = [hour.start for hour in made.hours] + [made.hours[-1].end]
        assert (places[0], places[-1]) == (made.window.start, made.window.end)
        assert [hour.end for hour in made.hours] == places[1:]
        assert places == sorted(places)


# By the clock.

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (timedelta(hours=7, minutes=59), Allowance(50, 0)),
        (timedelta(hours=8), Allowance(50, 6)),
        (timedelta(hours=11, minutes=59), Allowance(50, 7)),
        (timedelta(hours=15, minutes=59), Allowance(50, 7)),
        (timedelta(hours=16), Allowance(50, 0)),
        (timedelta(days=5, hours=10), Allowance(0, 0)),
    ],
)
def test_what_may_be_sent_at_a_moment(at: timedelta, expected: Allowance) -> None:
    made = planned({"daily": 50, "window": OFFICE})
    assert allowance(made, None, MONDAY + at) == expected


def test_a_ramp_up_counts_days_of_the_calendar_of_its_zone() -> None:
    ramp = {"startDaily": 5, "dailyIncrease": 10}
    made = planned(
        {"daily": 50, "rampUp": ramp, "window": {"timeZone": "Asia/Tokyo", "start": "08:00"}}
    )
    assert made.ramp_up is not None
    assert made.ramp_up.full_after_days == 5
    # Half past midnight of Monday in Tokyo, which is Sunday in UTC.
    connected = MONDAY - timedelta(hours=8, minutes=30)
    days = [allowance(made, connected, MONDAY + timedelta(days=day)).daily for day in range(7)]
    assert days == [5, 15, 25, 35, 45, 50, 50]
    assert allowance(made, None, MONDAY).daily == 5
    assert allowance(made, MONDAY + timedelta(days=3), MONDAY).daily == 5


def test_a_ramp_up_without_an_end_goes_on() -> None:
    made = planned({"rampUp": {"startDaily": 5, "dailyIncrease": 10}})
    assert (made.daily, made.ramp_up and made.ramp_up.full_after_days) == (None, None)
    assert allowance(made, MONDAY, MONDAY + timedelta(days=100)) == Allowance(1005, 1005)


@given(cases(), st.integers(0, 400), st.integers(0, 400))
def test_a_ramp_up_never_goes_down(
    case: tuple[SendLimits, Limits, SendPlan], first: int, more: int
) -> None:
    _, _, made = case
    open_always = made.model_copy(update={"window": None, "hours": []})
    early, late = (
        allowance(open_always, MONDAY, MONDAY + timedelta(days=days)).daily
        for days in (first, first + more)
    )
    assert (early is None) == (late is None)
    if early is not None and late is not None:
        assert early <= late
        assert made.daily is None or late <= made.daily
    if made.ramp_up and made.ramp_up.full_after_days is not None:
        days = timedelta(days=made.ramp_up.full_after_days)
        assert allowance(open_always, MONDAY, MONDAY + days).daily == made.daily


@cache
def changes_of(zone: ZoneInfo, year: int) -> list[date]:
    """The days of a year on which the clock of a zone is changed."""
    days = [date(year, 1, 1) + timedelta(days=day) for day in range(365)]
    at_noon = [datetime(year, day.month, day.day, 12, tzinfo=zone).utcoffset() for day in days]
    return [
        day for day, (before, now) in zip(days[1:], pairwise(at_noon), strict=True) if before != now
    ]


def is_changed(zone: ZoneInfo, year: int) -> bool:
    """Whether the clock of a zone is changed in a year, and stays so for a week."""
    weeks = (datetime(year, 1, 1, tzinfo=zone) + timedelta(weeks=week) for week in range(53))
    return len({week.utcoffset() for week in weeks}) > 1


CHANGING = sorted(name for name in time_zones() if is_changed(ZoneInfo(name), 2026))


def test_there_are_zones_that_change_their_clock_both_ways() -> None:
    assert len(CHANGING) > 100
    assert {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} <= set(CHANGING)


def around(zone: ZoneInfo, day: date) -> list[datetime]:
    """All quarters of an hour of a day, and of half of those beside it."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone).astimezone(UTC)
    return [noon + timedelta(minutes=15 * step) for step in range(-4 * 18, 4 * 18)]


def greedy(made: SendPlan, zone: ZoneInfo, day: date) -> dict[tuple[date, int], int]:
    """What somebody sends who looks every quarter and takes all that each hour allows."""
    sent: dict[tuple[date, int], int] = {}
    assert made.window is not None
    opens, _ = made.window.minutes
    for at in around(zone, day):
        here = at.astimezone(zone)
        now = allowance(made, None, at)
        if not now.hourly:
            continue
        clock_here = here.strftime("%H:%M")
        assert made.window.start <= clock_here < made.window.end
        assert list(Weekday)[here.weekday()] in made.window.days
        hour = (here.hour * 60 + here.minute - opens) // 60
        assert sent.setdefault((here.date(), hour), now.hourly) == now.hourly
    return sent


@given(cases(st.sampled_from(CHANGING)), st.data())
def test_changes_of_the_clock_exceed_nothing(
    case: tuple[SendLimits, Limits, SendPlan], data: st.DataObject
) -> None:
    """On both days of a year: never outside the window, never more than a day or an hour holds."""
    _, _, made = case
    assume(made.hours)
    assert made.window is not None
    zone = ZoneInfo(made.window.time_zone)
    for day in changes_of(zone, 2026):
        sent = greedy(made, zone, day)
        for each in {found for found, _ in sent}:
            total = sum(number for (found, _), number in sent.items() if found == each)
            assert made.daily is not None
            assert total <= made.daily
        assert all(made.hourly is not None and number <= made.hourly for number in sent.values())


def clock_of(name: str) -> tuple[object, ...]:
    """How the clock of a zone goes on the days around its changes, quarter by quarter."""
    zone = ZoneInfo(name)
    days = changes_of(zone, 2026)
    return tuple(
        (day, *(at.astimezone(zone).utcoffset() for at in around(zone, day))) for day in days
    )


#: Of the zones whose clocks go alike, one: the plan knows no more of a zone.
CLOCKS = list({clock_of(name): name for name in CHANGING}.values())


@over(CLOCKS)
def test_around_the_clock_the_day_is_sent_whole_but_for_what_the_clock_skips(zone: str) -> None:
    made = planned({"daily": 2400, "window": {"timeZone": zone}})
    for day in changes_of(ZoneInfo(zone), 2026):
        sent = greedy(made, ZoneInfo(zone), day)
        hours = {hour for found, hour in sent if found == day}
        total = sum(number for (found, _), number in sent.items() if found == day)
        assert total == 100 * len(hours)
        # The clock of Antarctica/Troll skips two.
        assert 22 <= len(hours) <= 24


def test_a_window_in_the_hour_that_the_clock_skips_stays_shut_and_twice_counts_once() -> None:
    window = {"timeZone": "Europe/Berlin", "start": "02:00", "end": "03:00"}
    made, zone = planned({"daily": 7, "window": window}), ZoneInfo("Europe/Berlin")
    spring, autumn = changes_of(zone, 2026)
    sent = {day: greedy(made, zone, day) for day in (spring, autumn)}
    assert {found for found, _ in sent[spring] if found == spring} == set()
    assert {found: number for (found, _), number in sent[autumn].items()}[autumn] == 7


def test_a_stored_plan_is_understood_again() -> None:
    made = planned(LIMITS, {"daily": 40, "connections": 2})
    stored = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert SendPlan.model_validate(stored, by_name=False, by_alias=True) == made
