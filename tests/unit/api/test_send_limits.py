# SPDX-License-Identifier: Apache-2.0
"""What users may write as limits and windows, and the sentences for what they may not."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.send_limits import Weekday, time_zones
from rows import over

NO_ZONE = "must be a time zone of the IANA database such as Europe/Berlin or UTC"
NO_START = 'must be a time of day from "00:00" to "23:59", such as "09:00"'
NO_END = 'must be a time of day up to "24:00", such as "17:00"'
OVER_MIDNIGHT = "end must be later than start: a window does not go over midnight"


def problems(**window: Any) -> list[str]:
    spec = {
        "address": "a@example.com",
        "sendLimits": {"window": {"timeZone": "UTC", **window}},
    }
    try:
        parse_spec(Kind.EMAIL_ACCOUNT, spec)
    except InvalidSpec as error:
        return [str(problem).removeprefix("spec.sendLimits.") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        ({"timeZone": "Europe/Berln"}, f"window.timeZone: {NO_ZONE}: did you mean Europe/Berlin?"),
        ({"timeZone": "europe/berlin"}, f"window.timeZone: {NO_ZONE}: did you mean Europe/Berlin?"),
        ({"timeZone": "America/New York"}, "did you mean America/New_York?"),
        ({"timeZone": "CEST"}, NO_ZONE),
        ({"timeZone": "+01:00"}, NO_ZONE),
        ({"timeZone": "UTC+1"}, NO_ZONE),
        ({"timeZone": "Local"}, NO_ZONE),
        ({"timeZone": "localtime"}, NO_ZONE),
        ({"timeZone": "Europe"}, NO_ZONE),
        ({"timeZone": "../etc/passwd"}, NO_ZONE),
        ({"timeZone": "/Europe/Berlin"}, NO_ZONE),
        ({"timeZone": "Europe/Berlin\n"}, NO_ZONE),
        ({"timeZone": ""}, NO_ZONE),
        ({"timeZone": "A" * 65}, "must have at most 64 characters"),
        ({"timeZone": 1}, "window.timeZone: must be text"),
        ({"days": []}, "window.days: must have at least 1 entry"),
        ({"days": ["Mon", "Mon"]}, "window: days must name each day once"),
        ({"days": ["Monday"]}, "window.days[0]: must be one of"),
        ({"days": ["mon"]}, "did you mean Mon?"),
        ({"start": "9:00"}, f"window.start: {NO_START}"),
        ({"start": "24:00"}, NO_START),
        ({"start": "09:60"}, NO_START),
        ({"start": "09:00:00"}, NO_START),
        ({"start": "9am"}, NO_START),
        ({"start": 900}, "window.start: must be text"),
        ({"end": "24:01"}, f"window.end: {NO_END}"),
        ({"end": "25:00"}, NO_END),
        ({"end": "00:00"}, OVER_MIDNIGHT),
        ({"start": "17:00", "end": "09:00"}, OVER_MIDNIGHT),
        ({"start": "22:00", "end": "06:00"}, OVER_MIDNIGHT),
        ({"start": "09:00", "end": "09:00"}, OVER_MIDNIGHT),
    ],
)
def test_windows_that_are_none(window: dict[str, Any], sentence: str) -> None:
    found = problems(**window)
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"timeZone": "Asia/Kolkata", "days": ["Sun"]},
        {"timeZone": "America/Argentina/Buenos_Aires"},
        {"timeZone": "Etc/GMT+5", "start": "23:59"},
        {"start": "00:00", "end": "00:01"},
    ],
)
def test_windows(window: dict[str, Any]) -> None:
    assert problems(**window) == []


def test_without_a_zone_nobody_knows_when_a_window_opens() -> None:
    spec = {"address": "a@example.com", "sendLimits": {"window": {"start": "09:00"}}}
    with pytest.raises(InvalidSpec, match=r"spec\.sendLimits\.window\.timeZone: is required"):
        parse_spec(Kind.EMAIL_ACCOUNT, spec)


@over(sorted(time_zones()))
def test_every_zone_that_is_taken_can_be_used(zone: str) -> None:
    assert ZoneInfo(zone).key == zone
    assert problems(timeZone=zone) == []


@pytest.mark.parametrize("field", ["daily", "hourly"])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (0, "must be at least 1"),
        (-5, "must be at least 1"),
        (100_000_001, "must be at most 100000000"),
        ("50", "must be a whole number, without quotation marks"),
        (1.5, "must be a whole number"),
        (True, "must be a whole number"),
    ],
)
def test_numbers(field: str, value: object, sentence: str) -> None:
    for kind, spec in (
        (Kind.EMAIL_ACCOUNT, {"address": "a@example.com", "sendLimits": {field: value}}),
        (Kind.MAIL_SERVER, {"host": "smtp.example.com", "limits": {field: value}}),
    ):
        with pytest.raises(InvalidSpec, match=sentence):
            parse_spec(kind, spec)


def test_a_ramp_up_is_given_whole() -> None:
    for part in ("startDaily", "dailyIncrease"):
        ramp = {"startDaily": 1, "dailyIncrease": 1}
        del ramp[part]
        spec = {"address": "a@example.com", "sendLimits": {"rampUp": ramp}}
        with pytest.raises(InvalidSpec, match=f"spec.sendLimits.rampUp.{part}: is required"):
            parse_spec(Kind.EMAIL_ACCOUNT, spec)


def test_defaults_say_every_day_around_the_clock() -> None:
    spec = parse_spec(
        Kind.EMAIL_ACCOUNT,
        {"address": "a@example.com", "sendLimits": {"window": {"timeZone": "UTC"}}},
    )
    assert isinstance(spec, EmailAccountSpec)
    assert spec.send_limits is not None
    window = spec.send_limits.window
    assert window is not None
    assert (window.days, window.minutes) == (list(Weekday), (0, 1440))
    server = parse_spec(Kind.MAIL_SERVER, {"host": "smtp.example.com"})
    assert isinstance(server, MailServerSpec)
    assert server.limits is None
