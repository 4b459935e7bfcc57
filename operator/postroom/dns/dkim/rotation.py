# SPDX-License-Identifier: Apache-2.0
"""Rotation of DKIM keys: what must stand under each selector, and when the old one may go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from postroom.api.sendingdomain import DKIMRole

#: How long a retired key stays at least: mail that it signed is still queued, or forwarded late.
RETIREMENT = timedelta(days=7)


class KeyState(StrEnum):
    """What stands under a selector."""

    VALID = "Valid"
    REVOKED = "Revoked"  # p= is empty
    WRONG = "Wrong"  # something else than the key
    MISSING = "Missing"
    UNKNOWN = "Unknown"  # DNS could not be asked


class RotationStep(StrEnum):
    """What to do with a selector now."""

    NOTHING = "Nothing"
    PUBLISH = "Publish"  # the key must stand there
    SWITCH = "Switch"  # the next key is published: signing may change over to it
    KEEP = "Keep"  # retired, but mail that it signed may still be on its way
    REMOVE = "Remove"  # safe to remove
    REMOVED = "Removed"
    LOOK_AGAIN = "LookAgain"


@dataclass(frozen=True, slots=True)
class SelectorSeen:
    """A selector and what stands there; `ttl` is of its record in seconds, None where unknown.

    `since` is when it got its role, None where that was not recorded.
    """

    selector: str
    role: DKIMRole
    state: KeyState
    since: datetime | None = None
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class SelectorAdvice:
    """What to do with a selector; `safe_at` is from when on a retired one may be gone, if known.

    `fault` is whether its state is one that must not be: only an active selector can have one
    that gates sending.
    """

    selector: str
    role: DKIMRole
    step: RotationStep
    safe_at: datetime | None = None
    fault: bool = False


def retirement(since: datetime, ttl: int | None) -> datetime:
    """Return when a key that was retired at `since` may go: after its TTL and seven days."""
    return since + max(RETIREMENT, timedelta(seconds=max(ttl or 0, 0)))


def advise_rotation(selectors: Sequence[SelectorSeen], now: datetime) -> tuple[SelectorAdvice, ...]:
    """What to do with each selector, in the order given.

    A retired key is safe to remove only when all active ones are valid: until then it may be the
    one that still signs.
    """
    active = [selector for selector in selectors if selector.role is DKIMRole.ACTIVE]
    sound = bool(active) and all(selector.state is KeyState.VALID for selector in active)
    return tuple(_advice(selector, now, active_valid=sound) for selector in selectors)


def _advice(seen: SelectorSeen, now: datetime, *, active_valid: bool) -> SelectorAdvice:
    if seen.state is KeyState.UNKNOWN:
        return SelectorAdvice(seen.selector, seen.role, RotationStep.LOOK_AGAIN)
    if seen.role is DKIMRole.RETIRED:
        safe_at = None if seen.since is None else retirement(seen.since, seen.ttl)
        safe = active_valid and safe_at is not None and now >= safe_at
        step = RotationStep.REMOVE if safe else RotationStep.KEEP
        if seen.state in (KeyState.MISSING, KeyState.WRONG):
            step = RotationStep.REMOVED
        return SelectorAdvice(seen.selector, seen.role, step, safe_at)
    if seen.state is not KeyState.VALID:
        fault = seen.role is DKIMRole.ACTIVE
        return SelectorAdvice(seen.selector, seen.role, RotationStep.PUBLISH, fault=fault)
    step = RotationStep.SWITCH if seen.role is DKIMRole.NEXT else RotationStep.NOTHING
    return SelectorAdvice(seen.selector, seen.role, step)
