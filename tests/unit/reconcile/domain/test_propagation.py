# SPDX-License-Identifier: Apache-2.0
"""Waiting for resolvers' caches: as long as the cache says, and not for ever; and looking again for
a zone that was not found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from postroom.api.sendingdomain import RecordState
from postroom.dns.diagnosis.zone import DOMAIN
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.reconcile.domain.propagation import caches_end_in, look_again_in
from postroom.reconcile.status.outcome import Lag, Memory
from unit.reconcile.assessments import NOW

SPF = {"spf": RecordState.PROPAGATING}
BOTH = {**SPF, "dkim": RecordState.PROPAGATING}
MINUTE = timedelta(minutes=1)


def waits(
    states: Mapping[str, RecordState], wake_after: int | None, memory: Memory, now: datetime = NOW
) -> timedelta | None:
    records = [
        cast("RecordReport", SimpleNamespace(id=name, state=state))
        for name, state in states.items()
    ]
    report = DomainReport("example.com", (), False, (), (), wake_after=wake_after)
    return caches_end_in(records, report, memory, now)


def test_the_end_of_the_cache_is_waited_for() -> None:
    memory = Memory()
    assert waits({**SPF, "mx": RecordState.MISSING}, 60, memory) == MINUTE
    assert memory.lag == Lag(frozenset({"spf"}), NOW + MINUTE)


@pytest.mark.parametrize(
    ("states", "wake_after"),
    [
        ({}, 60),
        ({"spf": RecordState.MISSING}, 60),
        ({"spf": RecordState.VALID}, 60),
        (SPF, None),
    ],
)
def test_without_lag_nothing_is_waited_for_and_the_last_is_forgotten(
    states: Mapping[str, RecordState], wake_after: int | None
) -> None:
    memory = Memory()
    memory.lag = Lag(frozenset({"spf"}), NOW, 2)
    assert waits(states, wake_after, memory) is None
    assert memory.lag is None


def test_a_resolver_that_denies_a_record_anew_is_waited_for_three_times() -> None:
    memory, now = Memory(), NOW
    waited = []
    for _ in range(6):
        waited.append(waits(SPF, 60, memory, now))
        now += MINUTE
    # The first look, two renewals; with the third it is not merely behind.
    assert waited == [MINUTE, MINUTE, MINUTE, None, None, None]


def test_looks_before_the_cache_ends_are_no_renewals_and_the_earlier_end_counts() -> None:
    memory = Memory()
    waits(SPF, 60, memory)
    for second in range(1, 30):
        now = NOW + timedelta(seconds=second)
        assert waits(SPF, 600, memory, now) == timedelta(seconds=600)
    assert memory.lag == Lag(frozenset({"spf"}), NOW + MINUTE)
    waits(SPF, 10, memory, NOW + timedelta(seconds=30))
    assert memory.lag == Lag(frozenset({"spf"}), NOW + timedelta(seconds=40))


def test_another_record_begins_a_wait_of_its_own_without_clearing_the_count() -> None:
    memory = Memory()
    waits(SPF, 60, memory)
    waits(SPF, 60, memory, NOW + MINUTE)
    later = NOW + 2 * MINUTE
    assert waits(BOTH, 30, memory, later) == timedelta(seconds=30)
    assert memory.lag == Lag(frozenset(BOTH), later + timedelta(seconds=30), 1)


@pytest.mark.parametrize(
    ("code", "subject", "wake_after", "wait"),
    [
        (Code.LOOKUP_FAILED, DOMAIN, None, 5 * MINUTE),
        (Code.LOOKUP_FAILED, DOMAIN, 60, MINUTE),
        (Code.LOOKUP_FAILED, DOMAIN, 3600, 5 * MINUTE),
        # A record that cannot be asked for is one of the verdict's, and has a schedule of its own.
        (Code.LOOKUP_FAILED, "spf", None, None),
        (Code.SERVFAIL_OTHER, DOMAIN, None, None),
        (Code.SERVFAIL_OTHER, DOMAIN, 60, MINUTE),
    ],
)
def test_a_zone_that_was_not_found_is_looked_for_again(
    code: Code, subject: str, wake_after: int | None, wait: timedelta | None
) -> None:
    """Its records were: the look counts, and the next would be due in an hour."""
    found = (finding(code, subject, "m"),)
    report = DomainReport(None, (), False, (), found, wake_after=wake_after)
    record = cast("RecordReport", SimpleNamespace(id="spf", state=RecordState.PROPAGATING))
    assert look_again_in([record], report, Memory(), NOW) == wait
