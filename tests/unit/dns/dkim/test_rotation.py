# SPDX-License-Identifier: Apache-2.0
"""Rotation of DKIM keys: what each role needs, and when a retired key is safe to remove."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DKIMRole
from postroom.dns.dkim import KeyState, RotationStep, SelectorSeen, advise_rotation
from postroom.dns.dkim.rotation import RETIREMENT, retirement

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACTIVE = SelectorSeen("s2", DKIMRole.ACTIVE, KeyState.VALID)


def step(role: DKIMRole, state: KeyState, *others: SelectorSeen) -> RotationStep:
    return advise_rotation([SelectorSeen("s1", role, state), *others], NOW)[0].step


@pytest.mark.parametrize(
    ("role", "state", "expected"),
    [
        (DKIMRole.ACTIVE, KeyState.VALID, RotationStep.NOTHING),
        (DKIMRole.ACTIVE, KeyState.MISSING, RotationStep.PUBLISH),
        (DKIMRole.ACTIVE, KeyState.WRONG, RotationStep.PUBLISH),
        (DKIMRole.ACTIVE, KeyState.REVOKED, RotationStep.PUBLISH),
        (DKIMRole.ACTIVE, KeyState.UNKNOWN, RotationStep.LOOK_AGAIN),
        (DKIMRole.NEXT, KeyState.VALID, RotationStep.SWITCH),
        (DKIMRole.NEXT, KeyState.MISSING, RotationStep.PUBLISH),
        (DKIMRole.NEXT, KeyState.UNKNOWN, RotationStep.LOOK_AGAIN),
        (DKIMRole.RETIRED, KeyState.VALID, RotationStep.KEEP),
        (DKIMRole.RETIRED, KeyState.MISSING, RotationStep.REMOVED),
        (DKIMRole.RETIRED, KeyState.WRONG, RotationStep.REMOVED),
        (DKIMRole.RETIRED, KeyState.UNKNOWN, RotationStep.LOOK_AGAIN),
    ],
)
def test_each_role(role: DKIMRole, state: KeyState, expected: RotationStep) -> None:
    assert step(role, state, ACTIVE) is expected


def test_only_an_active_selector_can_be_at_fault() -> None:
    for role in DKIMRole:
        (found,) = advise_rotation([SelectorSeen("s1", role, KeyState.MISSING)], NOW)
        assert found.fault is (role is DKIMRole.ACTIVE)


def retired(since: datetime | None, ttl: int | None = 3600) -> SelectorSeen:
    return SelectorSeen("s1", DKIMRole.RETIRED, KeyState.VALID, since, ttl)


@pytest.mark.parametrize(
    ("since", "ttl", "safe"),
    [
        (NOW - timedelta(days=7), 3600, True),
        (NOW - timedelta(days=7) + timedelta(seconds=1), 3600, False),
        (NOW - timedelta(days=8), 86400 * 14, False),
        (NOW - timedelta(days=14), 86400 * 14, True),
        (NOW - timedelta(days=7), None, True),
        (None, 3600, False),
    ],
)
def test_safe_to_remove(since: datetime | None, ttl: int | None, safe: bool) -> None:
    found = advise_rotation([ACTIVE, retired(since, ttl)], NOW)[1]
    assert (found.step is RotationStep.REMOVE) is safe


@pytest.mark.parametrize("state", [one for one in KeyState if one is not KeyState.VALID])
def test_an_old_key_stays_while_the_active_one_is_not_valid(state: KeyState) -> None:
    active = SelectorSeen("s2", DKIMRole.ACTIVE, state)
    old = retired(NOW - timedelta(days=100))
    assert advise_rotation([active, old], NOW)[1].step is RotationStep.KEEP


def test_an_old_key_stays_where_none_is_active() -> None:
    following = SelectorSeen("s2", DKIMRole.NEXT, KeyState.VALID)
    found = advise_rotation([following, retired(NOW - timedelta(days=100))], NOW)
    assert found[1].step is RotationStep.KEEP


@given(st.integers(0, 2**31 - 1), st.integers(0, 100))
def test_retirement_is_never_shorter_than_the_ttl_or_a_week(ttl: int, days: int) -> None:
    since = NOW - timedelta(days=days)
    safe_at = retirement(since, ttl)
    assert safe_at - since == max(timedelta(seconds=ttl), RETIREMENT)
