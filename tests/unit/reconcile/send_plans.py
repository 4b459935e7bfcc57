# SPDX-License-Identifier: Apache-2.0
"""Limits of accounts, servers and providers, given and drawn, and the plans that they make."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from postroom.api.send_limits import (
    SendingWindow,
    SendLimits,
    SendPlan,
    ServerLimits,
    Weekday,
)
from postroom.mail.presets import providers, resolve
from postroom.mail.presets.resolve import MailPreset
from postroom.mail.presets.sending import SendingLimits, sending_limits
from postroom.reconcile.tenancy.ceilings import Limits, limits_of
from postroom.reconcile.tenancy.send_plan import plan

OFFICE = {"timeZone": "Europe/Berlin", "days": ["Mon", "Tue", "Wed", "Thu", "Fri"]}
OFFICE |= {"start": "09:00", "end": "17:00"}
LIMITS = {"daily": 60, "window": OFFICE, "rampUp": {"startDaily": 5, "dailyIncrease": 5}}


def documented(provider: str, **parameters: str) -> SendingLimits:
    found = resolve(provider, parameters, None)
    assert isinstance(found, MailPreset)
    return sending_limits(found)


def asked_of(spec: dict[str, Any]) -> SendLimits:
    return SendLimits.model_validate(spec, by_name=False, by_alias=True)


def limits(
    asked: dict[str, Any], server: dict[str, Any] | None = None, provider: str | None = None
) -> tuple[SendLimits, Limits]:
    ours, theirs = asked_of(asked), ServerLimits.model_validate(server or {})
    known = documented(provider) if provider else SendingLimits("", None, None, None)
    return ours, limits_of(ours, theirs, known)


def planned(*arguments: Any) -> SendPlan:
    found = plan(*limits(*arguments))
    assert found is not None
    return found


UTC_ONLY = st.just("UTC")
NUMBER = st.none() | st.integers(1, 5000)
MINUTE = st.integers(0, 24 * 60)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


# Made once: Hypothesis looks anew at each that is made while it draws.
_OPENINGS = st.lists(MINUTE, min_size=2, max_size=2, unique=True)
_DAYS = st.lists(st.sampled_from(Weekday), min_size=1, unique=True)


@st.composite
def windows(draw: st.DrawFn, zones: st.SearchStrategy[str] = UTC_ONLY) -> SendingWindow:
    opens, closes = sorted(draw(_OPENINGS))
    return SendingWindow(
        time_zone=draw(zones),
        days=draw(_DAYS),
        start=clock(opens),
        end=clock(closes),
    )


RAMPS = st.none() | st.builds(
    lambda start, more: {"startDaily": start, "dailyIncrease": more},
    st.integers(1, 300),
    st.integers(1, 300),
)
SHARED = [None, *(name for name in providers() if name not in ("AmazonSES",))]
_PROVIDERS = st.sampled_from(SHARED)


@st.composite
def cases(
    draw: st.DrawFn, zones: st.SearchStrategy[str] = UTC_ONLY
) -> tuple[SendLimits, Limits, SendPlan]:
    """Limits of all three, and the plan that they make."""
    asked = asked_of({"daily": draw(NUMBER), "hourly": draw(NUMBER), "rampUp": draw(RAMPS)})
    window = draw(st.none() | windows(zones))
    asked = asked.model_copy(update={"window": window})
    server = ServerLimits(daily=draw(NUMBER), hourly=draw(NUMBER))
    name = draw(_PROVIDERS)
    known = SendingLimits("", None, None, None)
    if name is not None and isinstance(resolve(name, {}, None), MailPreset):
        known = documented(name)
    found = limits_of(asked, server, known)
    made = plan(asked, found)
    assume(made is not None)
    assert made is not None
    return asked, found, made
