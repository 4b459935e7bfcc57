# SPDX-License-Identifier: Apache-2.0
"""The send plan of an account: its own limits under those of its server and of its provider.

A plan is a rule, the same on every day; `allowance` reads it for one moment.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from postroom.api import send_limits
from postroom.reconcile.tenancy.ceilings import Limits

_DAY = 24 * 60
_WEEKDAYS = list(send_limits.Weekday)


def plan(asked: send_limits.SendLimits, limits: Limits) -> send_limits.SendPlan | None:
    """The rule that whoever sends keeps to; None where nothing is limited."""
    daily, daily_from = limits.daily.least
    hourly, hourly_from = limits.hourly.least
    if daily is not None and hourly is not None:
        if (room := room_in(hourly, asked.window)) < daily:
            daily, daily_from = room, send_limits.LimitSource.WINDOW
        if daily < hourly:
            hourly, hourly_from = daily, daily_from
    hours: tuple[send_limits.PlannedHour, ...] = ()
    window = asked.window
    if window is not None:
        # As a set the days have no order; the plan has that of the week.
        in_order = sorted(window.days, key=_WEEKDAYS.index)
        window = window.model_copy(update={"days": in_order})
    if daily is not None and window is not None:
        numbers = spread(daily, hourly, window)
        peak, (opens, closes) = max(numbers), window.minutes
        hours = tuple(
            send_limits.PlannedHour(
                start=_clock(start), end=_clock(min(start + 60, closes)), messages=messages
            )
            for start, messages in zip(range(opens, closes, 60), numbers, strict=True)
        )
        if hourly is None or peak < hourly:
            hourly, hourly_from = peak, send_limits.LimitSource.WINDOW
    found = send_limits.SendPlan(
        daily=daily,
        daily_from=daily_from,
        hourly=hourly,
        hourly_from=hourly_from,
        connections=limits.connections,
        window=window,
        hours=hours,
        ramp_up=_planned(asked.ramp_up, daily),
    )
    return None if found == send_limits.NO_PLAN else found


def room_in(hourly: int, window: send_limits.SendingWindow | None) -> int:
    """How many messages fit into a window, or a day; of its first hour all may be used."""
    opens, closes = window.minutes if window else (0, _DAY)
    whole, rest = divmod(closes - opens, 60)
    return hourly * whole + hourly * rest // 60 if whole else hourly


def spread(daily: int, hourly: int | None, window: send_limits.SendingWindow) -> list[int]:
    """Spread a daily number, for which there is room, evenly over the hours of a window.

    They are counted from when it opens; what remains after the last whole one gets its share, at
    no higher pace than theirs.
    """
    opens, closes = window.minutes
    whole, rest = divmod(closes - opens, 60)
    if not whole:
        return [daily]
    last = daily * rest // (closes - opens)
    last = last if hourly is None else min(last, hourly * rest // 60)
    before = daily - last
    numbers = [before * (hour + 1) // whole - before * hour // whole for hour in range(whole)]
    return [*numbers, last] if rest else numbers


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _planned(
    ramp_up: send_limits.RampUp | None, daily: int | None
) -> send_limits.PlannedRampUp | None:
    if ramp_up is None:
        return None
    start, increase = ramp_up.start_daily, ramp_up.daily_increase
    if daily is None:
        return send_limits.PlannedRampUp(start_daily=start, daily_increase=increase)
    return send_limits.PlannedRampUp(
        start_daily=min(start, daily),
        daily_increase=increase,
        full_after_days=-(-max(daily - start, 0) // increase),
    )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a plan allows at one moment; None: it does not limit that.

    `daily` is for the whole day of the moment, `hourly` for the hour that the moment lies in, of
    which each counts once, however often the clock shows it.
    """

    daily: int | None
    hourly: int | None


_NONE_NOW = Allowance(0, 0)


def allowance(plan: send_limits.SendPlan, connected_at: datetime | None, at: datetime) -> Allowance:
    """Read a plan for one moment, by the clock of its time zone, so that no change of it matters.

    Before the account ever connected, it is as on its first day.
    """
    zone = ZoneInfo(plan.window.time_zone) if plan.window else UTC
    here = at.astimezone(zone)
    daily = plan.daily
    if plan.ramp_up is not None:
        began = (connected_at or at).astimezone(zone)
        days = max((here.date() - began.date()).days, 0)
        warmed = plan.ramp_up.start_daily + days * plan.ramp_up.daily_increase
        daily = warmed if daily is None else min(daily, warmed)
    if plan.window is None:
        hourly = plan.hourly if daily is None else min(daily, plan.hourly or daily)
        return Allowance(daily, hourly)
    if _WEEKDAYS[here.weekday()] not in plan.window.days:
        return _NONE_NOW
    opens, closes = plan.window.minutes
    minute = here.hour * 60 + here.minute
    if not opens <= minute < closes:
        return Allowance(daily, 0)
    if daily is None:
        return Allowance(None, plan.hourly)
    return Allowance(daily, spread(daily, plan.hourly, plan.window)[(minute - opens) // 60])
