# SPDX-License-Identifier: Apache-2.0
"""When to look again: a pure function of status and spec, so that a restart repeats nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from postroom.api.conditions import ConditionType, is_true
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.fields import Model
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, Metadata, parse_spec, parse_status
from postroom.api.sendingdomain import SendingDomainSpec

#: Waits between looks at something that is not Ready yet: close together while the user is
#: likely to be at work on it, then ever wider.
_PENDING = tuple(timedelta(seconds=seconds) for seconds in (5, 5, 10, 20, 20, 40, 60, 60, 120, 300))
#: ``lastCheckTime`` alone is not worth a write more often than this.
HEARTBEAT = timedelta(minutes=15)
_STALE_INTERVALS = 3
_STALE_LEAST = timedelta(hours=1)
_JITTER = 0.1


def timestamp(moment: datetime) -> str:
    """Write a time as metav1.Time does: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """Read a metav1.Time; raises `ValueError`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def interval_of(spec: Model) -> timedelta:
    """Return how often an object with this spec is checked."""
    match spec:
        case SendingDomainSpec() | MailServerSpec():
            interval: timedelta = spec.interval
        case EmailAccountSpec():
            interval = spec.sync.interval
        case _:
            raise TypeError(f"{type(spec).__name__} has no interval")
    return interval


def jittered(interval: timedelta, uid: str) -> timedelta:
    """Spread an interval by up to 10 % to either side, always alike for one object.

    Derived from the uid rather than drawn, so that a restart finds the same schedule.
    """
    share = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4], "big") / 2**32
    return interval * (1 - _JITTER + 2 * _JITTER * share)


def heartbeat(interval: timedelta) -> timedelta:
    """Return how old a stored ``lastCheckTime`` may become before it is refreshed."""
    return max(interval, HEARTBEAT)


def is_stale(last_check_time: str | None, interval: timedelta, now: datetime) -> bool:
    """Tell whether the last conclusive look is so long ago that its verdicts no longer count."""
    if last_check_time is None:
        return True
    # The stored time may lag behind the real one by a heartbeat.
    bound = max(_STALE_INTERVALS * interval, _STALE_LEAST) + heartbeat(interval)
    return now - parse_timestamp(last_check_time) > bound


def next_check(
    uid: str,
    interval: timedelta,
    *,
    settled: bool,
    failures: int,
    sooner: Iterable[timedelta | None] = (),
) -> timedelta:
    """Return how long to wait: the interval when settled, else a wait that grows with failures."""
    regular = jittered(interval, uid)
    if settled:
        wait = regular
    else:
        step = _PENDING[min(max(failures - 1, 0), len(_PENDING) - 1)]
        wait = min(regular, jittered(step, uid))
    return max(min([wait, *(one for one in sooner if one is not None)]), timedelta(seconds=1))


def due_in(kind: Kind, raw: Mapping[str, Any], now: datetime) -> timedelta:
    """Return how long until a stored object is due; zero when it is due now.

    Due now is what has a generation or a request that its status does not answer, what is not
    Ready, and what was never checked.
    """
    metadata = Metadata.of(raw.get("metadata") or {})
    status = parse_status(kind, raw.get("status"))
    handled = metadata.requested_at in (None, status.last_handled_reconcile_at)
    if status.observed_generation != metadata.generation or not handled:
        return timedelta()
    try:
        spec = parse_spec(kind, raw.get("spec"))
    except InvalidSpec:
        # Judging it again costs nothing and writes nothing where the verdict stands.
        return timedelta()
    if getattr(spec, "suspend", False):
        return jittered(interval_of(spec), metadata.uid)
    if status.last_check_time is None or not is_true(status.conditions, ConditionType.READY):
        return timedelta()
    checked = parse_timestamp(status.last_check_time)
    return max(checked + jittered(interval_of(spec), metadata.uid) - now, timedelta())
