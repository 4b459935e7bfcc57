# SPDX-License-Identifier: Apache-2.0
"""Waiting for resolvers' caches: records that the zone has and a resolver does not show yet."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from postroom.api.sendingdomain import RecordState
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.reconcile.status.outcome import Lag, Memory

#: How often in a row the end of a resolver's cache is waited for in vain.
_RENEWALS = 3


def caches_end_in(
    records: Iterable[RecordReport], report: DomainReport, memory: Memory, now: datetime
) -> timedelta | None:
    """Return when the resolver should show what the zone has; None: it need not be waited for.

    `records` are those that decide. A resolver that denies one again and again is not merely
    behind (two views of one name, or a cache that lies about its time): after a few times only
    the schedule counts. Updates `memory.lag`.
    """
    propagating = frozenset(
        record.id for record in records if record.state is RecordState.PROPAGATING
    )
    if report.wake_after is None or not propagating:
        memory.lag = None
        return None
    wake_after = timedelta(seconds=report.wake_after)
    ends, lag = now + wake_after, memory.lag
    if lag is None:
        lag = Lag(propagating, ends)
    elif not propagating <= lag.records:
        lag = Lag(lag.records | propagating, ends, lag.renewals)
    elif now >= lag.ends:
        lag = Lag(lag.records, ends, lag.renewals + 1)
    else:
        lag = Lag(lag.records, min(lag.ends, ends), lag.renewals)
    memory.lag = lag
    return wake_after if lag.renewals < _RENEWALS else None
