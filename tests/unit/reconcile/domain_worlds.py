# SPDX-License-Identifier: Apache-2.0
"""A sending domain on a virtual clock: looks with given record states, restarts, edits.

The status goes through JSON after every look, as it does through the API server.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from postroom.api.conditions import ConditionType
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import SendingDomain, parse, parse_status
from postroom.api.sendingdomain import Purpose, RecordState, SendingDomainStatus, Verification
from postroom.api.times import timestamp
from postroom.dns.answers import Answer, Question, RecordType
from postroom.dns.answers import Outcome as AnswerOutcome
from postroom.dns.judging.judgement import Judgement
from postroom.dns.requirements import PlannedRecord, TextWanted
from postroom.dns.verifying.quorum import Vote
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.reconcile.domain import sendingdomain
from postroom.reconcile.status.outcome import Memory, Outcome
from postroom.reconcile.status.summarize import summarize
from unit.reconcile.assessments import NOW, Stored

#: Ownership and two DKIM selectors gate Ready; SPF is advice.
RECORDS = {
    "ownership": Purpose.OWNERSHIP,
    "dkim-k1": Purpose.DKIM,
    "dkim-k2": Purpose.DKIM,
    "spf": Purpose.SPF,
}
REQUIRED = ("ownership", "dkim-k1", "dkim-k2")
CONFIRM_AFTER = timedelta(minutes=10)
DEADLINE = timedelta(hours=72)
GRACE = timedelta(hours=48)
SPEC: dict[str, Any] = {
    "domain": "send.example.com",
    "spf": {"includes": ["spf.example.net"]},
    "dkim": [
        {"selector": "k1", "cname": "k1.example.net"},
        {"selector": "k2", "cname": "k2.example.net"},
    ],
    "require": ["Ownership", "DKIM"],
    "gracePeriod": "48h",
}
_REASONS = {
    RecordState.VALID: Reason.RECORD_MATCHED,
    RecordState.MISSING: Reason.RECORD_NOT_FOUND,
    RecordState.WRONG: Reason.RECORD_MISMATCH,
    RecordState.CONFLICTING: Reason.MULTIPLE_RECORDS,
    RecordState.PROPAGATING: Reason.RESOLVERS_DISAGREE,
    RecordState.UNKNOWN: Reason.LOOKUP_FAILED,
}
States = Mapping[str, RecordState]
GOOD: States = dict.fromkeys(RECORDS, RecordState.VALID)
BLIND: States = dict.fromkeys(RECORDS, RecordState.UNKNOWN)


def but(**changed: RecordState) -> States:
    """Everything valid but these; ``dkim_k1`` stands for the id ``dkim-k1``."""
    return {**GOOD, **{name.replace("_", "-"): state for name, state in changed.items()}}


def report(states: States, *, certain: bool = False, wake_after: int | None = None) -> DomainReport:
    """The report of a look that found these states."""
    seen = any(state is not RecordState.UNKNOWN for state in states.values())
    return DomainReport(
        zone="example.com" if seen else None,
        nameservers=("ns1.example.net", "ns2.example.net") if seen else (),
        resolver_only=False,
        records=tuple(_record(id, state, certain=certain) for id, state in states.items()),
        findings=(),
        wake_after=wake_after,
    )


@cache
def _record(id: str, state: RecordState, *, certain: bool) -> RecordReport:
    name, value, required = f"{id}.send.example.com", f"value of {id}", id in REQUIRED
    planned = PlannedRecord(
        id, RECORDS[id], name, RecordType.TXT, value, required, TextWanted(value)
    )
    is_certain = certain and state is RecordState.WRONG
    judgement = Judgement(state, _REASONS[state], "", certain=is_certain)
    answer = Answer(Question(name, RecordType.TXT), AnswerOutcome.NO_DATA)
    return RecordReport(
        planned,
        judgement,
        votes=(Vote("ns1.example.net", answer, judgement),),
        host_label=f"{id}.send",
        message=f"{id} is {state.value}.",
    )


@dataclass
class Domain:
    """One object and its operator's memory; `raw` is what the API server holds."""

    spec: dict[str, Any] = field(default_factory=lambda: Stored(deepcopy(SPEC)))
    now: datetime = NOW
    memory: Memory = field(default_factory=Memory)
    generation: int = 1
    stored: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    created: datetime | None = None

    @property
    def raw(self) -> dict[str, Any]:
        metadata = {"name": "d", "namespace": "n", "uid": "u", "generation": self.generation}
        if self.created is not None:
            metadata["creationTimestamp"] = timestamp(self.created)
        return {"metadata": metadata, "spec": self.spec, "status": self.stored}

    @property
    def status(self) -> SendingDomainStatus:
        # Tests ask for it half a dozen times a look: the rest of the object is not read for it.
        return cast("SendingDomainStatus", parse_status(Kind.SENDING_DOMAIN, self.stored))

    @property
    def resource(self) -> SendingDomain:
        return cast("SendingDomain", parse(Kind.SENDING_DOMAIN, self.raw))

    @property
    def verification(self) -> Verification | None:
        return self.status.verification

    def wait(self, time: timedelta) -> None:
        self.now += time

    def restart(self) -> None:
        """The operator forgets all but what status tells."""
        self.memory = Memory()

    def edit(self, **changes: Any) -> None:
        """Change the spec."""
        self.spec = Stored({**self.spec, **changes})
        self.generation += 1

    def look(
        self, states: States, *, certain: bool = False, wake_after: int | None = None
    ) -> Verification | None:
        """Look at the domain, and store the status that follows."""
        self.outcome = self.outcome_of(self.memory, states, certain=certain, wake_after=wake_after)
        status = self.outcome.status
        assert status is not None
        self.stored = Stored(status.model_dump(mode="json", by_alias=True, exclude_none=True))
        return self.verification

    def outcome_of(
        self,
        memory: Memory,
        states: States,
        *,
        certain: bool = False,
        wake_after: int | None = None,
    ) -> Outcome:
        """What a look would yield, without storing it."""
        resource = self.resource
        case = sendingdomain.Case(resource, resource.spec, frozenset(), CONFIRM_AFTER)
        scope = sendingdomain.scope_of(resource, memory, self.now)
        found = report(states, certain=certain, wake_after=wake_after)
        assessment = sendingdomain.judge(case, found, scope, memory, self.now)
        return summarize(resource, assessment, memory, self.now)

    def condition(self, wanted: ConditionType) -> tuple[str, str] | None:
        """(status, reason) of a condition."""
        found = next(
            (condition for condition in self.status.conditions if condition.type is wanted), None
        )
        return (found.status.value, found.reason) if found else None

    @property
    def next_check(self) -> timedelta:
        assert self.outcome is not None
        assert self.outcome.next_check is not None
        return self.outcome.next_check


def verified() -> Domain:
    """A domain that has just been verified."""
    domain = Domain()
    domain.look(GOOD)
    return domain


def degraded() -> Domain:
    """A domain whose first selector has just been confirmed missing."""
    domain = verified()
    domain.look(but(dkim_k1=RecordState.MISSING))
    domain.wait(CONFIRM_AFTER)
    domain.look(but(dkim_k1=RecordState.MISSING))
    return domain
