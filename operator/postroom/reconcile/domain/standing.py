# SPDX-License-Identifier: Apache-2.0
"""Required records that stand wrong: there, and other than they must be, at the zone's own servers.

What is missing or on its way is waited for. What stands wrong is nobody's delay: where it was seen
twice with the same content, a domain that was never verified is not Pending any more, but Failed.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from postroom.api.conditions import ConditionType
from postroom.api.sendingdomain import RecordState
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.reconcile.domain.records import CONDITIONS
from postroom.reconcile.status.outcome import Memory

#: How far apart the two looks are at least: somebody may be about to correct it.
APART = timedelta(seconds=30)
_WRONG = frozenset({RecordState.WRONG, RecordState.CONFLICTING})


def stands_wrong(
    records: Iterable[RecordReport],
    required: Collection[ConditionType],
    report: DomainReport,
    memory: Memory,
    now: datetime,
    *,
    known: bool,
) -> bool:
    """Whether a required record was seen wrong twice; updates `memory.wrong`.

    `records` are those that decide. `known` tells that the stored status says so already, so that
    one more look is enough. A resolver's word alone is none of the zone's.
    """
    wrong = {
        record.id: record.observed
        for record in records
        if record.state in _WRONG and CONDITIONS[record.purpose] in required
    }
    if report.resolver_only:
        wrong = {}
    since = memory.wrong
    memory.wrong = {
        id: since[id] if id in since and since[id][1] == observed else (now, observed)
        for id, observed in wrong.items()
    }
    seen_twice = any(now - first >= APART for first, _ in memory.wrong.values())
    return bool(wrong) and (known or seen_twice)
