# SPDX-License-Identifier: Apache-2.0
"""The state machine of a sending domain, from looks to status.

Covers: every arrow between Pending, Verified, Degraded, Failed and Unknown and the conditions that
go with it; confirmation by record, certain failures, looks that saw nothing, stale answers of the
resolver, the grace period, edits of the spec, restarts, and outcomes without a look.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kstatus import argo_health, compute
from postroom.api.conditions import Condition, ConditionStatus, ConditionType
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState, Verification
from postroom.reconcile.domain.verification import Observation, sum_up, without_look
from postroom.reconcile.engine import Policy, reconcile
from postroom.reconcile.status.assessment import passed
from postroom.reconcile.tenancy.claims import ClaimBook
from unit.reconcile.domain_worlds import (
    BLIND,
    CONFIRM_AFTER,
    DEADLINE,
    GOOD,
    GRACE,
    RECORDS,
    Domain,
    but,
    degraded,
    verified,
)

MISSING, WRONG = RecordState.MISSING, RecordState.WRONG
UNKNOWN, PROPAGATING = RecordState.UNKNOWN, RecordState.PROPAGATING
NO_K1 = but(dkim_k1=MISSING)
HOUR = timedelta(hours=1)


def lifecycle(domain: Domain) -> tuple[Any, Any, Any]:
    """Ready, Reconciling and Stalled, each as (status, reason)."""
    wanted = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    ready, reconciling, stalled = map(domain.condition, wanted)
    return ready, reconciling, stalled


def test_pending_until_everything_required_is_there() -> None:
    domain = Domain()
    assert domain.look(NO_K1) is Verification.PENDING
    assert lifecycle(domain) == (("False", "RecordNotFound"), ("True", "AwaitingDNS"), None)
    assert domain.look(GOOD) is Verification.VERIFIED
    assert domain.status.verified_at == "2026-11-21T12:00:00Z"


def test_advice_does_not_keep_from_verified() -> None:
    assert Domain().look(but(spf=MISSING)) is Verification.VERIFIED


def test_pending_fails_at_the_deadline_and_recovers_after_it() -> None:
    domain = Domain()
    domain.look(NO_K1)
    domain.wait(DEADLINE - timedelta(seconds=1))
    assert domain.look(NO_K1) is Verification.PENDING
    assert domain.next_check == timedelta(seconds=1)
    domain.wait(domain.next_check)
    assert domain.look(NO_K1) is Verification.FAILED
    assert lifecycle(domain)[1:] == (None, ("True", "ProgressDeadlineExceeded"))
    assert timedelta(hours=5) < domain.next_check < timedelta(hours=7)
    assert domain.look(GOOD) is Verification.VERIFIED


def test_a_deadline_of_zero_never_ends() -> None:
    domain = Domain()
    domain.edit(propagationDeadline="0s")
    domain.look(NO_K1)
    domain.wait(timedelta(days=400))
    assert domain.look(NO_K1) is Verification.PENDING


def test_a_first_look_that_saw_nothing_is_unknown() -> None:
    domain = Domain()
    assert domain.look(BLIND) is Verification.UNKNOWN
    domain.wait(DEADLINE * 2)
    assert domain.look(BLIND) is Verification.UNKNOWN


def test_a_record_that_was_not_reported_is_never_verified() -> None:
    reported = {id: state for id, state in GOOD.items() if id != "ownership"}
    domain = Domain()
    assert domain.look(reported) is Verification.UNKNOWN
    assert domain.condition(ConditionType.OWNERSHIP_VERIFIED) == ("Unknown", "LookupFailed")


def test_a_verdict_that_is_required_and_absent_is_unknown() -> None:
    there = passed(ConditionType.OWNERSHIP_VERIFIED, Reason.RECORD_MATCHED, "There.")
    required = {ConditionType.OWNERSHIP_VERIFIED, ConditionType.DKIM_VERIFIED}
    assert sum_up([there], required, ()) is Observation.UNKNOWN
    assert sum_up([there], {there.type}, ()) is Observation.PASSED


def test_degraded_after_confirmation_only() -> None:
    domain = verified()
    assert domain.look(NO_K1) is Verification.VERIFIED
    assert domain.next_check <= CONFIRM_AFTER
    domain.wait(CONFIRM_AFTER - timedelta(seconds=1))
    assert domain.look(NO_K1) is Verification.VERIFIED
    domain.wait(timedelta(seconds=1))
    assert domain.look(NO_K1) is Verification.DEGRADED
    assert lifecycle(domain) == (("False", "RecordNotFound"), None, None)
    assert (compute(domain.raw), argo_health(domain.raw)) == ("InProgress", "Degraded")
    assert domain.status.verified_at == "2026-11-21T12:00:00Z"
    assert domain.status.degraded_at == "2026-11-21T12:10:00Z"


def test_another_record_begins_a_confirmation_of_its_own() -> None:
    domain = verified()
    domain.look(NO_K1)
    domain.wait(CONFIRM_AFTER)
    assert domain.look(but(dkim_k2=MISSING)) is Verification.VERIFIED


def test_the_same_record_may_fail_in_another_way() -> None:
    domain = verified()
    domain.look(NO_K1)
    domain.wait(CONFIRM_AFTER)
    assert domain.look(but(dkim_k1=WRONG)) is Verification.DEGRADED


def test_a_certain_failure_counts_at_once() -> None:
    assert verified().look(but(dkim_k1=WRONG), certain=True) is Verification.DEGRADED


def test_degraded_becomes_verified_at_once() -> None:
    domain = degraded()
    domain.wait(timedelta(seconds=5))
    assert domain.look(GOOD) is Verification.VERIFIED
    assert domain.status.degraded_at is None
    assert domain.status.verified_at == "2026-11-21T12:00:00Z"


def test_degraded_fails_when_the_grace_period_ends() -> None:
    domain = degraded()
    domain.wait(GRACE - timedelta(seconds=1))
    assert domain.look(NO_K1) is Verification.DEGRADED
    assert domain.next_check == timedelta(seconds=1)
    domain.wait(domain.next_check)
    assert domain.look(NO_K1) is Verification.FAILED
    assert lifecycle(domain) == (("False", "RecordNotFound"), None, None)
    assert domain.status.verified_at is None
    assert domain.status.degraded_at == "2026-11-21T12:10:00Z"
    assert domain.look(GOOD) is Verification.VERIFIED


def test_a_grace_period_that_ended_long_ago_has_ended() -> None:
    domain = degraded()
    domain.wait(3 * GRACE)
    assert domain.look(NO_K1) is Verification.FAILED


def test_a_grace_period_of_zero_never_ends() -> None:
    domain = degraded()
    domain.spec["gracePeriod"] = "0s"
    domain.wait(timedelta(days=400))
    assert domain.look(NO_K1) is Verification.DEGRADED


def test_a_domain_that_failed_stays_so_whatever_the_clock_says() -> None:
    domain = degraded()
    domain.wait(GRACE)
    domain.look(NO_K1)
    domain.wait(-HOUR)
    assert domain.look(NO_K1) is Verification.FAILED


@pytest.mark.parametrize("unseen", [BLIND, but(dkim_k1=UNKNOWN), but(dkim_k1=PROPAGATING)])
def test_the_grace_period_does_not_end_with_a_look_that_saw_no_failure(unseen: Any) -> None:
    domain = degraded()
    domain.wait(GRACE - HOUR)
    assert domain.look(NO_K1) is Verification.DEGRADED
    domain.wait(HOUR)
    assert domain.look(unseen) is Verification.DEGRADED
    assert domain.next_check > timedelta(seconds=1)
    assert domain.look(NO_K1) is Verification.FAILED


@pytest.mark.parametrize("minutes", [1, 50, 180])
def test_a_look_that_saw_nothing_changes_nothing(minutes: int) -> None:
    domain = verified()
    before = domain.stored
    domain.wait(timedelta(minutes=minutes))
    domain.look(BLIND)
    assert domain.stored == before


def test_too_long_unseen_is_unknown_and_no_regression() -> None:
    domain = verified()
    domain.wait(timedelta(hours=5))
    assert domain.look(BLIND) is Verification.UNKNOWN
    assert domain.status.verified_at == "2026-11-21T12:00:00Z"
    assert domain.look(GOOD) is Verification.VERIFIED
    assert domain.status.verified_at == "2026-11-21T12:00:00Z"


def test_a_failure_after_a_long_silence_is_confirmed_too() -> None:
    domain = verified()
    domain.wait(timedelta(hours=5))
    domain.look(BLIND)
    assert domain.look(NO_K1) is Verification.UNKNOWN
    domain.wait(CONFIRM_AFTER)
    assert domain.look(NO_K1) is Verification.DEGRADED


def test_a_stale_answer_never_takes_verified_away() -> None:
    domain = verified()
    for _ in range(40):
        domain.wait(HOUR)
        assert domain.look(but(dkim_k1=PROPAGATING)) is Verification.VERIFIED


def test_what_is_published_first_shows_as_propagating() -> None:
    domain = Domain()
    domain.look(NO_K1)
    assert domain.look(but(dkim_k1=PROPAGATING)) is Verification.PENDING
    assert domain.condition(ConditionType.DKIM_VERIFIED) == ("Unknown", "ResolversDisagree")


def test_a_new_spec_is_pending_whatever_was_before() -> None:
    for domain in (verified(), degraded()):
        domain.edit(interval="2h")
        assert domain.look(NO_K1) is Verification.PENDING
        assert (domain.status.verified_at, domain.status.degraded_at) == (None, None)


def test_a_new_spec_has_the_whole_deadline_before_it() -> None:
    domain = Domain()
    domain.look(NO_K1)
    domain.wait(DEADLINE - HOUR)
    domain.look(NO_K1)
    domain.edit(interval="2h")
    assert domain.look(NO_K1) is Verification.PENDING
    domain.wait(DEADLINE - HOUR)
    assert domain.look(NO_K1) is Verification.PENDING
    domain.wait(HOUR)
    assert domain.look(NO_K1) is Verification.FAILED


def test_a_new_spec_that_holds_keeps_the_time() -> None:
    domain = verified()
    domain.edit(interval="2h")
    domain.wait(HOUR)
    assert domain.look(GOOD) is Verification.VERIFIED
    assert domain.status.verified_at == "2026-11-21T12:00:00Z"


def test_the_same_look_again_writes_nothing_but_the_time_of_the_check() -> None:
    domain = degraded()
    before = domain.stored
    domain.wait(HOUR)
    domain.look(NO_K1)
    assert {**domain.stored, "lastCheckTime": ""} == {**before, "lastCheckTime": ""}


class NoWorld:
    """A world that is asked for nothing but the time and who else has to do with a domain: nobody.

    Neither claims it, nor uses it.
    """

    def __init__(self, domain: Domain) -> None:
        self.now = lambda: domain.now
        self.claims = ClaimBook()

    async def find(self, *_wanted: object) -> tuple[()]:
        return ()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [({"suspend": True}, Verification.DEGRADED), ({"dkim": "none"}, Verification.UNKNOWN)],
)
async def test_without_a_look(spec: dict[str, Any], expected: Verification) -> None:
    domain = degraded()
    raw = {**domain.raw, "spec": {**domain.spec, **spec}}
    world: Any = NoWorld(domain)
    outcome = await reconcile(Kind.SENDING_DOMAIN, raw, world, domain.memory, Policy())
    assert outcome.status is not None
    assert outcome.status.model_dump()["verification"] is expected


def conditions(**reasons: str) -> tuple[Condition, ...]:
    """Conditions by type, each "status reason", as they are read from JSON."""
    return tuple(
        Condition(
            type=ConditionType(type),
            status=ConditionStatus(said.split()[0]),
            observed_generation=1,
            last_transition_time="2026-11-21T12:00:00Z",
            reason=said.split()[1],
            message="So.",
        )
        for type, said in reasons.items()
    )


@pytest.mark.parametrize(
    ("reasons", "stands"),
    [
        ({}, False),
        ({"Ready": "True Succeeded"}, True),
        ({"Ready": "False RecordNotFound"}, True),
        ({"Ready": "Unknown Progressing"}, False),
        ({"Ready": "False InvalidSpec", "Stalled": "True InvalidSpec"}, False),
        ({"Ready": "False RecordNotFound", "Stalled": "True DomainClaimed"}, True),
        ({"Ready": "False RecordNotFound", "Stalled": "True ProgressDeadlineExceeded"}, True),
        ({"Ready": "False InvalidSpec"}, True),
        ({"Stalled": "True ProgressDeadlineExceeded"}, False),
    ],
)
def test_without_a_look_the_state_stands_while_ready_says_so(
    reasons: dict[str, str], stands: bool
) -> None:
    for before in (Verification.DEGRADED, None):
        expected = before if stands else Verification.UNKNOWN
        assert without_look(before, conditions(**reasons)) is expected


def test_every_record_is_listed_with_its_state() -> None:
    domain = verified()
    domain.look(but(dkim_k1=MISSING, spf=WRONG))
    states = {record.id: record.state for record in domain.status.records}
    assert states == {**dict.fromkeys(RECORDS, RecordState.VALID), "dkim-k1": MISSING, "spf": WRONG}
