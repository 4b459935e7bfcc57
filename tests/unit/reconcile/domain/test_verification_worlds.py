# SPDX-License-Identifier: Apache-2.0
"""Generated lives of a sending domain: what no sequence of looks may ever lead to.

A life is a sequence of looks with arbitrary record states, at arbitrary times, with restarts,
edits and requests in between. An observer keeps the history of what was really seen, and checks
after every look: never Verified without every required record seen good; never Degraded without
the same record seen failing twice, far enough apart, or certainly; never Failed before the deadline
or the end of the grace period, but for a required record seen wrong twice; never either by a look
that saw no failure; times that only grow; conditions that keep the status contract; the same bytes
for the same inputs; and that forgetting everything between any two looks never leads to a worse
state.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kstatus import lint
from postroom.api.conditions import ConditionType
from postroom.api.sendingdomain import RecordState, Verification
from postroom.api.times import parse_timestamp
from postroom.reconcile.domain.standing import APART
from postroom.reconcile.domain.verification import (
    Bounds,
    Observation,
    PreviousState,
    State,
    advance,
)
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.schedule import Waiting
from unit.reconcile.assessments import NOW
from unit.reconcile.domain_worlds import (
    CONFIRM_AFTER,
    DEADLINE,
    GOOD,
    GRACE,
    RECORDS,
    REQUIRED,
    Domain,
    States,
)

WRONG = frozenset({RecordState.WRONG, RecordState.CONFLICTING})
FAILING = WRONG | {RecordState.MISSING}
GONE = frozenset({Verification.DEGRADED, Verification.FAILED})


@dataclass(frozen=True)
class Step:
    """What happens before a look, what the look finds, and how often it is repeated."""

    wait: timedelta
    states: States
    certain: bool = False
    restart: bool = False
    edit: bool = False
    times: int = 1


_WAITS = st.sampled_from(
    [timedelta(seconds=one) for one in (1, 30, 300, 599, 600, 900, 3600, 7200, 6 * 3600)]
    + [timedelta(hours=one) for one in (24, 47, 72)]
)
_STATES = st.one_of(
    st.just(GOOD),
    st.fixed_dictionaries({id: st.sampled_from(RecordState) for id in RECORDS}),
    # Lives in which little changes are the ones that get far.
    st.sampled_from(sorted(RECORDS)).flatmap(
        lambda id: st.sampled_from(RecordState).map(lambda state: {**GOOD, id: state})
    ),
    st.sampled_from(RecordState).map(lambda state: {**GOOD, "dkim-k1": state}),
    # A report that lacks the only record of a purpose.
    st.just({one: GOOD[one] for one in GOOD if one != "ownership"}),
)
_RARELY = st.sampled_from([False] * 7 + [True])
STEPS = st.builds(
    Step, _WAITS, _STATES, _RARELY, _RARELY, _RARELY, st.sampled_from([1, 1, 2, 3, 8])
)


def _unroll(steps: list[Step]) -> list[Step]:
    """Repeat each step as often as it says; an edit is made once."""
    return [
        replace(step, edit=step.edit and number == 0)
        for step in steps
        for number in range(step.times)
    ]


LIVES = st.lists(STEPS, min_size=3, max_size=10).map(_unroll)


@dataclass
class Observer:
    """What was really seen of a domain, kept apart from what it made of it."""

    #: Since when each record was seen failing at every look.
    failing: dict[str, datetime] = field(default_factory=dict)
    #: Since when each required record was seen wrong at every look.
    wrong: dict[str, datetime] = field(default_factory=dict)
    #: The required records that were seen published under the current spec.
    seen_good: set[str] = field(default_factory=set)
    #: Since when the domain has been waiting for a success without a break.
    waiting: datetime | None = None
    before: Verification | None = None
    verified_at: datetime = NOW
    degraded_at: datetime = NOW

    def saw(self, step: Step, now: datetime) -> None:
        if step.edit:
            self.seen_good.clear()
            self.waiting = None
        for id in RECORDS:
            state = step.states.get(id)
            if state in FAILING:
                self.failing.setdefault(id, now)
            else:
                self.failing.pop(id, None)
            if state in WRONG and id in REQUIRED:
                self.wrong.setdefault(id, now)
            else:
                self.wrong.pop(id, None)
            if state in (RecordState.VALID, RecordState.PROPAGATING):
                self.seen_good.add(id)

    def check(self, domain: Domain, step: Step) -> None:
        """Compare what the domain made of a look with what was seen."""
        state, now = domain.verification, domain.now
        fails = {id for id in REQUIRED if step.states.get(id) in FAILING}
        if state is Verification.VERIFIED:
            assert set(REQUIRED) <= self.seen_good
        if all(step.states.get(id) is RecordState.VALID for id in REQUIRED):
            assert state is Verification.VERIFIED
        if state in GONE and self.before not in GONE and not self._new_wait(step):
            certain = any(step.states[id] is RecordState.WRONG for id in fails) and step.certain
            long_enough = any(now - self.failing[id] >= CONFIRM_AFTER for id in fails)
            assert certain or long_enough
        if state is Verification.FAILED and self.before is not Verification.FAILED:
            self._check_failed(domain, fails)
        self._check_times(domain)
        self.before = state

    def _new_wait(self, step: Step) -> bool:
        """Whether the domain was never verified with this spec, so that nothing can be lost."""
        return step.edit or self.before in (None, Verification.PENDING) or self.waiting is not None

    def _check_failed(self, domain: Domain, fails: set[str]) -> None:
        since = domain.status.degraded_at
        if since is not None:
            assert fails
            assert domain.now - parse_timestamp(since) >= GRACE
        elif not any(domain.now - first >= APART for first in self.wrong.values()):
            assert self.waiting is not None
            assert domain.now - self.waiting >= DEADLINE

    def _check_times(self, domain: Domain) -> None:
        status = domain.status
        waits = status.last_ready_generation != domain.generation
        self.waiting = (self.waiting or domain.now) if waits else None
        for name, last in (("verified_at", self.verified_at), ("degraded_at", self.degraded_at)):
            text = getattr(status, name)
            if text is not None:
                assert last <= parse_timestamp(text) <= domain.now
                setattr(self, name, parse_timestamp(text))
        assert (status.degraded_at is None) or domain.verification in (
            *GONE,
            Verification.UNKNOWN,
        )


def live(domain: Domain, step: Step) -> None:
    """Let one step happen to a domain."""
    domain.wait(step.wait)
    if step.restart:
        domain.restart()
    if step.edit:
        domain.edit(interval=f"{60 + domain.generation % 2}m")
    domain.look(step.states, certain=step.certain)


def many(examples: int) -> settings:
    """Settings for tests whose worth is in their number."""
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@given(LIVES)
@many(600)
def test_no_life_leads_to_a_state_that_was_not_seen(life: list[Step]) -> None:
    """Nor to a status that breaks one of the rules below: a life is lived once for all of them."""
    domain, observer = Domain(), Observer()
    for step in life:
        observer.saw(step, domain.now + step.wait)
        live(domain, step)
        observer.check(domain, step)
        conditions_tell_the_same_as_the_state(domain)
    the_same_look_gives_the_same_bytes_and_another_one_soon_writes_nothing(domain, life[-1])
    a_restart_by_itself_changes_no_verdict(domain, life[-1])


def conditions_tell_the_same_as_the_state(domain: Domain) -> None:
    assert lint(domain.raw) == []
    ready, reconciling, stalled = (
        (domain.condition(one) or ("-", ""))[0]
        for one in (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    )
    state = domain.verification
    assert (state is Verification.VERIFIED) == (ready == "True")
    if state is Verification.DEGRADED:
        assert (ready, reconciling, stalled) == ("False", "-", "-")
    if state is Verification.PENDING:
        assert reconciling == "True"
    if state is Verification.FAILED and domain.status.degraded_at is None:
        # What stands wrong may be corrected at any time: the deadline alone stalls.
        assert "True" in (stalled, reconciling)


def copied(memory: Memory) -> Memory:
    """A memory that goes its own way; what became of children is never changed, only replaced."""
    return deepcopy(memory, {id(memory.children): memory.children})


def the_same_look_gives_the_same_bytes_and_another_one_soon_writes_nothing(
    domain: Domain, last: Step
) -> None:
    one, other = (
        domain.outcome_of(copied(domain.memory), last.states, certain=last.certain)
        for _ in range(2)
    )
    assert one.status is not None
    assert other.status is not None
    assert one.status.model_dump_json() == other.status.model_dump_json()
    assert one.next_check == other.next_check
    kept = one.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert {**kept, "lastCheckTime": ""} == {**domain.stored, "lastCheckTime": ""}


def a_restart_by_itself_changes_no_verdict(domain: Domain, last: Step) -> None:
    same, forgot = (
        domain.outcome_of(memory, last.states, certain=last.certain).status
        for memory in (copied(domain.memory), Memory())
    )
    assert same == forgot


@given(LIVES)
@many(400)
def test_forgetting_everything_never_leads_to_a_worse_state(life: list[Step]) -> None:
    remembering, forgetting = Domain(), Domain()
    for step in life:
        live(remembering, replace(step, restart=False))
        live(forgetting, replace(step, restart=True))
        if forgetting.verification in GONE:
            assert remembering.verification in GONE


_TIMES = st.integers(0, 10**6).map(lambda seconds: NOW - timedelta(seconds=seconds))
_SPANS = st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds))
STANDINGS = st.builds(
    PreviousState,
    st.none() | st.sampled_from(Verification),
    st.none() | _TIMES,
    st.none() | _TIMES,
    st.booleans(),
    st.builds(Waiting, st.none() | _TIMES, st.booleans()),
)


@given(STANDINGS, st.sampled_from(Observation), st.builds(Bounds, _SPANS, _SPANS))
@many(2000)
def test_from_any_standing_whatsoever(
    previous: PreviousState, look: Observation, bounds: Bounds
) -> None:
    state = advance(previous, look, bounds, NOW)
    assert state == advance(previous, look, bounds, NOW)
    assert (state.verification is Verification.VERIFIED) == (look is Observation.PASSED)
    if look is Observation.UNKNOWN:
        assert state == State(Verification.UNKNOWN, previous.verified_at, previous.degraded_at)
    if state.verification is Verification.DEGRADED:
        assert previous.once_verified
        assert look in (Observation.FAILED, Observation.HELD)
        assert state.degraded_at == (previous.degraded_at or NOW)
    if state.verification is Verification.PENDING:
        assert not previous.once_verified
    if state.verification is Verification.FAILED and not previous.once_verified:
        left = previous.waiting.left(bounds.propagation_deadline, NOW)
        assert left is not None
        assert left <= timedelta()
