# SPDX-License-Identifier: Apache-2.0
"""When to look again: a pure function of status and spec, so that a restart repeats nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from postroom.api.conditions import Condition, ConditionType, find, is_true
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EmailAccountStatus, SyncPhase
from postroom.api.fields import Model
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import InvalidSpec, Metadata, parse_spec, parse_status
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.api.status import CommonStatus
from postroom.api.times import SKEW, is_far_ahead, parse_timestamp, time_of, timestamp

#: (age of the wait from which on it holds, wait until the next look): close together while the
#: user is likely to be at work on it, then ever wider.
_PENDING = tuple(
    (timedelta(seconds=age), timedelta(seconds=wait))
    for age, wait in (
        (0, 5),
        (10, 10),
        (20, 20),
        (60, 40),
        (100, 60),
        (220, 120),
        (340, 300),
        (3600, 900),
        (24 * 3600, 3600),
        (72 * 3600, 6 * 3600),
    )
)
#: ``lastCheckTime`` alone is not worth a write more often than this.
HEARTBEAT = timedelta(minutes=15)
#: For how long what is new leaves the first verdict on what it stands on time to come.
FIRST_VERDICT = timedelta(seconds=2)
_STALE_INTERVALS = 3
_STALE_LEAST = timedelta(hours=1)
_JITTER = 0.1
#: By how much of itself a wait for a failed probe is lengthened at most.
_SPREAD = 0.25
#: Longer than any interval: not before something changes.
FAR_AWAY = timedelta(days=365)
#: Looks in a row without success that still widen the wait.
_COUNTED_FAILURES = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The wait of a generation for its first success, as status tells it.

    `since` is None where it only begins; `expired` tells that its deadline has passed already, and
    `created` how old the object is, if that is known.
    """

    since: datetime | None = None
    expired: bool = False
    created: datetime | None = None

    @classmethod
    def of(cls, status: CommonStatus, metadata: Metadata) -> Waiting:
        """Read it from a stored status: the wait began when Reconciling became True.

        What an earlier generation waited for is nothing to this one.
        """
        generation, created = metadata.generation, metadata.creation_timestamp
        stalled = find(status.conditions, ConditionType.STALLED)
        expired = (
            stalled is not None
            and status.observed_generation == generation
            and stalled.reason == Reason.PROGRESS_DEADLINE_EXCEEDED.value
        )
        reconciling = find(own_progress(status.conditions, generation), ConditionType.RECONCILING)
        since = parse_timestamp(reconciling.last_transition_time) if reconciling else None
        return cls(since, expired, time_of(created))

    def left(self, deadline: timedelta, now: datetime) -> timedelta | None:
        """Return what is left of a deadline; None: there is none (zero).

        A deadline that has passed for this generation stays passed. What exists for less long has
        not waited so long, whatever a clock that was wrong, or somebody's hand, made of its status.
        """
        if deadline == timedelta():
            return None
        left = deadline if self.since is None else deadline - (now - self.since)
        if self.expired:
            left = timedelta()
        return left if self.created is None else max(left, deadline - (now - self.created))


def own_progress(conditions: Sequence[Condition], generation: int) -> tuple[Condition, ...]:
    """Return conditions without a Reconciling that is about another generation.

    A new generation begins to be reconciled: its condition is another one, with a time of its own.
    """
    return tuple(
        condition
        for condition in conditions
        if condition.type is not ConditionType.RECONCILING
        or condition.observed_generation == generation
    )


def past(text: str, now: datetime) -> datetime:
    """Read when something was; raises `ValueError`.

    What lies a little ahead, by the clock of another machine, has just been. What lies far ahead
    was told by a clock that was wrong and has been set since: nobody knows when it was, and nothing
    may wait until that time comes. It counts as long ago.
    """
    moment = parse_timestamp(text)
    if moment <= now:
        return moment
    return now if moment - now <= SKEW else _EPOCH


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
    return interval * (1 - _JITTER + 2 * _JITTER * share(uid))


def share(uid: str) -> float:
    """Return a number from 0 to below 1 that is always alike for one object, by its uid."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4], "big") / 2**32


def heartbeat(interval: timedelta) -> timedelta:
    """Return how old a stored ``lastCheckTime`` may become before it is refreshed."""
    return max(interval, HEARTBEAT)


def last_look(status: CommonStatus, now: datetime) -> str | None:
    """Return when a status says that its object was looked at last, by the one of its two times
    that counts: what was right when the object became Ready was right from then on.

    Another time that lies far ahead takes nothing from one that does not.
    """
    looks = [text for text in (status.last_check_time, status.last_ready_time) if text]
    moment = timestamp(now)
    return max(
        (text for text in looks if not is_far_ahead(text, moment)), default=max(looks, default=None)
    )


def is_stale(last_look: str | None, spacing: timedelta, now: datetime) -> bool:
    """Whether the last conclusive look is so long ago that its verdicts no longer count.

    `spacing` is how far apart the looks are planned.
    """
    if last_look is None:
        return True
    # The stored time may lag behind the real one by a heartbeat.
    bound = max(_STALE_INTERVALS * spacing, _STALE_LEAST) + heartbeat(spacing)
    return now - past(last_look, now) > bound


def pending_wait(age: timedelta) -> timedelta:
    """Return how long to wait where success has been missing for `age`.

    Looks come after 0, 5, 10, 20, 40, 60 seconds, ever wider up to 5 minutes in the first hour,
    then every 15 minutes for a day, hourly for three days, and every 6 hours from then on.
    """
    return next((wait for least, wait in reversed(_PENDING) if age >= least), _PENDING[0][1])


def elapsed(failures: int) -> timedelta:
    """Return how old a wait is that has seen so many looks in a row fail."""
    age = timedelta()
    for _ in range(min(failures - 1, _COUNTED_FAILURES)):
        age += pending_wait(age)
    return age


def wait_began(
    conditions: Sequence[Condition], deadline: timedelta, metadata: Metadata
) -> datetime | None:
    """Return since when success is missing; None: the object is Ready.

    Told by conditions alone, so that a restart goes on where the schedule stood; but not from
    before the object was: those of a restored one, or by somebody's hand, would have it looked at
    as seldom as what fails for days.
    """
    ready = find(conditions, ConditionType.READY)
    if ready is None or is_true(conditions, ConditionType.READY):
        return None
    began = parse_timestamp(ready.last_transition_time)
    reconciling = find(conditions, ConditionType.RECONCILING)
    stalled = find(conditions, ConditionType.STALLED)
    if reconciling is not None:
        began = parse_timestamp(reconciling.last_transition_time)
    elif stalled is not None and stalled.reason == Reason.PROGRESS_DEADLINE_EXCEEDED.value:
        began = parse_timestamp(stalled.last_transition_time) - deadline
    created = time_of(metadata.creation_timestamp)
    return began if created is None else max(began, created)


def next_check(
    uid: str,
    interval: timedelta,
    *,
    settled: bool,
    age: timedelta,
    capped: bool = True,
    paced: timedelta | None = None,
    sooner: Iterable[timedelta | None] = (),
) -> timedelta:
    """Return how long to wait: the interval when settled, else a wait that grows with its age.

    `capped` keeps the latter within the interval; `paced` replaces it.
    """
    wait = regular = jittered(interval, uid)
    if not settled:
        step = jittered(pending_wait(age), uid) if paced is None else paced
        wait = min(regular, step) if capped else step
    return max(min([wait, *(pause for pause in sooner if pause is not None)]), timedelta(seconds=1))


def wait_until_due(due: Iterable[datetime], uid: str, now: datetime) -> timedelta | None:
    """Return the wait until the first of some moments; None: none of them is to come.

    It is lengthened by up to a quarter, always alike for one object: what failed together at one
    server does not come back together.
    """
    waits = [moment - now for moment in due if moment > now]
    return min(waits) * (1 + _SPREAD * share(f"retry {uid}")) if waits else None


def deep_day(uid: str, moment: datetime) -> int:
    """Number the days as one object counts them: each begins its days at a time of its own."""
    # Whole seconds, as stored times have: what was done within a day stays within it.
    begins = timedelta(seconds=int(_DAY.total_seconds() * share(f"deep {uid}")))
    return (moment - _EPOCH - begins) // _DAY


def is_deep(uid: str, last_check_time: str | None, now: datetime, done: int | None = None) -> bool:
    """Whether a look at `now` is the thorough one of its day: the first of the day.

    `done` is the day of the last thorough look as far as it is remembered: the stored time of the
    last check lags, so that a restart may repeat one. The very first look is none, so that many
    objects applied at once do not ask for everything at once.
    """
    today = deep_day(uid, now)
    if last_check_time is None or done == today:
        return False
    return deep_day(uid, parse_timestamp(last_check_time)) < today


def due_in(kind: Kind, raw: Mapping[str, Any], now: datetime) -> timedelta:
    """Return how long until a stored object is due; zero when it is due now.

    Due now is what has a generation or a request that its status does not answer, what was never
    checked, and what is not Ready for another reason than DNS: what it waits for may have come
    while nobody watched. What may have been looked at since its stored time is spread over an
    interval, a quarter of an hour at most.
    """
    metadata = Metadata.of(raw.get("metadata") or {})
    status = parse_status(kind, raw.get("status"))
    handled = metadata.requested_at in (None, status.last_handled_reconcile_at)
    handled = handled and not _awaits(status, metadata)
    if status.observed_generation != metadata.generation or not handled:
        return timedelta()
    try:
        spec = parse_spec(kind, raw.get("spec"))
    except InvalidSpec:
        # Judging it again costs nothing and writes nothing where the verdict stands.
        return timedelta()
    if getattr(spec, "at_rest", getattr(spec, "suspend", False)):
        return jittered(interval_of(spec), metadata.uid)
    if status.last_check_time is None:
        return timedelta()
    checked = past(status.last_check_time, now)
    if not is_true(status.conditions, ConditionType.READY):
        wait = _unready_wait(spec, status, metadata, checked)
        return max(checked + wait - now, timedelta())
    interval = interval_of(spec)
    wait = jittered(interval, metadata.uid)
    left = checked + wait - now
    if timedelta() >= left > -heartbeat(interval):
        # The real look may be younger than the stored time, so that after a restart most would be
        # due in one moment, and again together an interval later.
        return min(wait, HEARTBEAT) * share(f"restart {metadata.uid}")
    return max(left, timedelta())


def _awaits(status: CommonStatus, metadata: Metadata) -> bool:
    """Whether a message or a look back is asked for, or a message or a look is under way."""
    if not isinstance(status, EmailAccountStatus):
        return False
    if is_busy(status):
        # The process that was at it has ended.
        return True
    test, backfill = status.last_test, status.last_backfill
    if metadata.send_test not in (None, test.nonce if test else None):
        return True
    if metadata.backfill not in (None, backfill.nonce if backfill else None):
        return True
    states = (test, status.round_trip, status.forwarding)
    return any(state is not None and state.in_flight is not None for state in states)


def is_busy(status: EmailAccountStatus) -> bool:
    """Whether a status says that something is being done at the mailbox."""
    return status.sync is not None and status.sync.phase is not SyncPhase.IDLE


def _unready_wait(
    spec: Model, status: CommonStatus, metadata: Metadata, checked: datetime
) -> timedelta:
    """Return the wait that followed the last look at an object that is not Ready."""
    if not isinstance(spec, SendingDomainSpec):
        return timedelta()
    began = wait_began(status.conditions, spec.propagation_deadline, metadata)
    if began is None or find(status.conditions, ConditionType.REFERENCES_RESOLVED) is not None:
        return timedelta()
    return next_check(
        metadata.uid,
        interval_of(spec),
        settled=False,
        age=checked - began,
        capped=status.last_ready_generation == metadata.generation,
    )
