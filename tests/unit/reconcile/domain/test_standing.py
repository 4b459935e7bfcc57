# SPDX-License-Identifier: Apache-2.0
"""Failed for records that stand wrong, and for no others.

Covers: seen twice, apart, with the same content; missing, on its way, unseen; advice; a resolver's
word; restarts, an edit, a look that saw nothing; what was verified; and the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from kstatus import compute
from postroom.api.conditions import ConditionType
from postroom.api.sendingdomain import RecordState, Verification
from postroom.dns.verifying.report import DomainReport
from postroom.reconcile.domain.standing import APART, stands_wrong
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.assessments import NOW
from unit.reconcile.domain_worlds import BLIND, CONFIRM_AFTER, GOOD, Domain, but, report, verified

WRONG, CONFLICTING = RecordState.WRONG, RecordState.CONFLICTING
BAD_KEY = but(dkim_k1=WRONG)
OWNED = {ConditionType.OWNERSHIP_VERIFIED}


@pytest.mark.parametrize("state", [WRONG, CONFLICTING])
def test_what_is_wrong_twice_is_failed_and_not_stalled(state: RecordState) -> None:
    domain, wrong = Domain(), but(dkim_k1=state)
    assert domain.look(wrong) is Verification.PENDING
    domain.wait(APART)
    assert domain.look(wrong) is Verification.FAILED
    assert domain.status.verified_at is None
    assert compute(domain.raw) == "InProgress"
    assert domain.condition(ConditionType.RECONCILING) == ("True", "AwaitingDNS")
    assert domain.look(GOOD) is Verification.VERIFIED


@pytest.mark.parametrize("state", [RecordState.MISSING, RecordState.PROPAGATING])
def test_what_is_missing_or_on_its_way_is_waited_for(state: RecordState) -> None:
    domain = Domain()
    for _ in range(5):
        assert domain.look(but(dkim_k1=state)) is Verification.PENDING
        domain.wait(CONFIRM_AFTER)


def test_advice_that_stands_wrong_fails_nothing() -> None:
    domain = Domain()
    for _ in range(3):
        assert domain.look(but(spf=WRONG, dkim_k1=RecordState.MISSING)) is Verification.PENDING
        domain.wait(CONFIRM_AFTER)


def test_two_looks_in_a_row_are_one() -> None:
    domain = Domain()
    domain.look(BAD_KEY)
    domain.wait(APART - timedelta(seconds=1))
    assert domain.look(BAD_KEY) is Verification.PENDING


def test_another_record_begins_anew() -> None:
    domain = Domain()
    domain.look(BAD_KEY)
    domain.wait(APART)
    assert domain.look(but(dkim_k2=WRONG)) is Verification.PENDING


def test_a_restart_keeps_what_is_said_and_only_puts_off_what_is_not() -> None:
    domain = Domain()
    domain.look(BAD_KEY)
    domain.restart()
    domain.wait(APART)
    assert domain.look(BAD_KEY) is Verification.PENDING
    domain.wait(APART)
    assert domain.look(BAD_KEY) is Verification.FAILED
    domain.restart()
    assert domain.look(BAD_KEY) is Verification.FAILED
    assert domain.look(but(dkim_k1=RecordState.UNKNOWN)) is Verification.FAILED


def failed() -> Domain:
    domain = Domain()
    domain.look(BAD_KEY)
    domain.wait(APART)
    domain.look(BAD_KEY)
    return domain


def test_a_new_spec_is_judged_anew() -> None:
    domain = failed()
    domain.restart()
    domain.edit(interval="61m")
    assert domain.look(BAD_KEY) is Verification.PENDING


def test_what_was_wrong_and_is_gone_is_waited_for() -> None:
    assert failed().look(but(dkim_k1=RecordState.MISSING)) is Verification.PENDING


def test_what_was_verified_keeps_its_grace_period() -> None:
    domain = verified()
    for _ in range(4):
        domain.wait(CONFIRM_AFTER)
        state = domain.look(BAD_KEY)
    assert state is Verification.DEGRADED


def test_nothing_that_was_not_seen_is_wrong() -> None:
    domain = Domain()
    domain.look(BLIND)
    domain.wait(CONFIRM_AFTER)
    assert domain.look(BLIND) is Verification.UNKNOWN


def other_content(found: DomainReport) -> DomainReport:
    return replace(
        found,
        records=tuple(
            replace(record, judgement=replace(record.judgement, observed=("b",)))
            for record in found.records
        ),
    )


def by_resolver(found: DomainReport) -> DomainReport:
    return replace(found, resolver_only=True)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [(lambda same: same, True), (other_content, False), (by_resolver, False)],
)
def test_it_stands_as_it_was_at_the_zones_own_servers(
    changed: Callable[[DomainReport], DomainReport], expected: bool
) -> None:
    memory, first = Memory(), report(but(ownership=WRONG))
    assert not stands_wrong(first.records, OWNED, first, memory, NOW, known=False)
    then = changed(first)
    found = stands_wrong(then.records, OWNED, then, memory, NOW + CONFIRM_AFTER, known=False)
    assert found is expected
