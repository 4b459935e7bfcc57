# SPDX-License-Identifier: Apache-2.0
"""What people see of a send plan: the rule, and what it comes to today."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.times import parse_timestamp
from postroom.cli.account_details import Line
from postroom.reconcile.tenancy.send_plan import allowance


def send_plan_lines(status: EmailAccountStatus, now: datetime) -> Iterator[Line]:
    """The lines on how much the account may send and when; none where nothing limits it."""
    plan = status.send_plan
    if plan is None:
        return
    numbers = [
        f"{number} {unit} ({source.value})"
        for number, unit, source in (
            (plan.daily, "a day", plan.daily_from),
            (plan.hourly, "an hour", plan.hourly_from),
        )
        if number is not None and source is not None
    ]
    if plan.connections is not None:
        numbers.append(f"{plan.connections} connection{'s' * (plan.connections > 1)} at a time")
    yield Line(f"  Sending: at most {', '.join(numbers)}" if numbers else "  Sending")
    if plan.window is not None:
        days = ", ".join(day.value for day in plan.window.days)
        hours = f"{plan.window.start} to {plan.window.end}"
        yield Line(f"    {days}, {hours} ({plan.window.time_zone})", "dim")
    since = status.connected_at
    today = allowance(plan, parse_timestamp(since) if since else None, now)
    if plan.ramp_up is not None:
        grows = f"{plan.ramp_up.start_daily} a day, {plan.ramp_up.daily_increase} more each day"
        yield Line(f"    begins with {grows}, from {since or 'when it connects'}", "dim")
    if today.daily is not None and plan.daily != today.daily:
        yield Line(f"    today: {today.daily}", "dim")
