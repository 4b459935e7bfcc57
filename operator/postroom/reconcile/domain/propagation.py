# SPDX-License-Identifier: Apache-2.0
"""Looks before the next is due: for resolvers' caches, where the zone has records that a resolver
does not show yet, and for a zone that could not be found while its records were."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from postroom.api.sendingdomain import RecordState
from postroom.dns.diagnosis.zone import DOMAIN
from postroom.dns.finding_codes import Code
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.reconcile.status.outcome import Lag, Memory

#: How often in a row the end of a resolver's cache is waited for in vain.
_RENEWALS = 3
#: As long as a silent name server is left out: then the zone is found, or nothing is.
_ZONE = timedelta(minutes=5)


def look_again_in(
    records: Iterable[RecordReport], report: DomainReport, memory: Memory, now: datetime
) -> timedelta | None:
    """Return when to look again at the latest; None: when it is due. Arguments as below."""
    found = {(each.code, each.subject) for each in report.findings}
    lost = _ZONE if (Code.LOOKUP_FAILED, DOMAIN) in found else None
    sooner = (caches_end_in(records, report, memory, now), lost)
    return min((wait for wait in sooner if wait is not None), default=None)


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
