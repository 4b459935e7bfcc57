# SPDX-License-Identifier: Apache-2.0
"""SendingDomain: work out the records, ask DNS, and say what each purpose's records amount to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from postroom.api.conditions import Condition, ConditionType, Verdict
from postroom.api.resource import SendingDomain
from postroom.api.sendingdomain import (
    RecordState,
    SendingDomainSpec,
    SendingDomainStatus,
    Verification,
)
from postroom.api.status import CommonStatus
from postroom.dns import expected
from postroom.dns.ownership import OwnershipRules
from postroom.dns.report import DomainReport
from postroom.dns.verify import verify
from postroom.reconcile import references, schedule, verification
from postroom.reconcile.assessment import Assessment, Conclusion, Evidence
from postroom.reconcile.domain_records import (
    CONDITIONS,
    deciding,
    evidence_of,
    retired_since,
    status_fields,
    verdict_on,
)
from postroom.reconcile.outcome import Memory
from postroom.reconcile.ownership import finding_without_key, requiring, without_key
from postroom.reconcile.world import World

_NO_RULES = OwnershipRules()


@dataclass(frozen=True, slots=True)
class Approach:
    """How a look at a domain is made.

    `deep` tells that it is the thorough one of the day; `known_valid` are the ids of the records
    that were valid at the last look; `retired_at` tells by record id since when selectors are
    Retired; `told_before` are the codes of the findings that stand.
    """

    deep: bool
    known_valid: frozenset[str]
    retired_at: Mapping[str, datetime]
    told_before: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: an object, its spec completed by the preset, and what it stands on.

    `keyless` tells that its ownership token cannot be known, for want of a key.
    """

    resource: SendingDomain
    spec: SendingDomainSpec
    references: frozenset[str]
    regression_confirmation: timedelta
    rules: OwnershipRules = _NO_RULES
    keyless: bool = False

    @property
    def required(self) -> frozenset[ConditionType]:
        """The conditions that gate Ready; what only another's key could show is not held against
        the domain."""
        required = {CONDITIONS[purpose] for purpose in self.spec.required}
        if self.keyless and self.rules.key_elsewhere:
            required.discard(ConditionType.OWNERSHIP_VERIFIED)
        return frozenset(required)


async def assess(
    resource: SendingDomain, world: World, memory: Memory, regression_confirmation: timedelta
) -> Assessment:
    """Look at a sending domain; raises `InvalidSpec` for what its preset or keys do not allow."""
    rules, namespace = world.ownership, resource.metadata.namespace
    spec = requiring(expected.complete(resource.spec), rules)
    keys, unresolved, refs = await _public_keys(spec, namespace, world)
    keyless = not rules.keys and spec.ownership.value is None
    case = Case(resource, spec, refs, regression_confirmation, rules, keyless)
    if unresolved is not None:
        return _assessment(case, (unresolved,), None, Evidence())
    plan = expected.plan(spec, namespace, rules.keys, keys, token=rules.token_required)
    approach = approach_to(resource, memory, world.now())
    report = await verify(
        plan,
        world.dns,
        policies=world.policies,
        known_valid=approach.known_valid,
        deep=approach.deep,
        told_before=approach.told_before,
        retired_at=approach.retired_at,
        now=world.now(),
    )
    return judge(case, report, approach)


def judge(case: Case, report: DomainReport, approach: Approach) -> Assessment:
    """Judge what a look at DNS reported."""
    before, metadata = case.resource.status, case.resource.metadata
    records = deciding(case.spec, report)
    verdicts = tuple(verdict_on(purpose, records) for purpose in case.spec.declared)
    if case.keyless:
        required = ConditionType.OWNERSHIP_VERIFIED in case.required
        unseen = without_key(case.rules)
        verdicts = (unseen, *(one for one in verdicts if one.type is not unseen.type))
        told = finding_without_key(case.rules, required=required)
        report = replace(report, findings=(*report.findings, told))
    fields = status_fields(
        report,
        before,
        approach.retired_at,
        same_generation=before.observed_generation == metadata.generation,
    )
    return _assessment(case, verdicts, fields, evidence_of(verdicts, records, report.wake_after))


def approach_to(resource: SendingDomain, memory: Memory, now: datetime) -> Approach:
    """Decide how to look now; a thorough look is noted in `memory`."""
    uid, status = resource.metadata.uid, resource.status
    deep = schedule.is_deep(uid, status.last_check_time, now, memory.deep_day)
    if deep:
        memory.deep_day = schedule.deep_day(uid, now)
    known_valid, told_before = frozenset[str](), frozenset[str]()
    if status.observed_generation == resource.metadata.generation:
        known_valid = frozenset(one.id for one in status.records if one.state is RecordState.VALID)
        told_before = frozenset(one.code for one in status.findings)
    retired_at = retired_since(resource.spec, status, now)
    return Approach(deep, known_valid, retired_at, told_before)


async def _public_keys(
    spec: SendingDomainSpec, namespace: str, world: World
) -> tuple[dict[str, str], Verdict | None, frozenset[str]]:
    """Read the public keys that Secrets hold, by selector."""
    keys: dict[str, str] = {}
    refs: set[str] = set()
    problem: Verdict | None = None
    for index, selector in enumerate(spec.dkim):
        if selector.public_key_ref is None:
            continue
        refs.add(references.reference_to("Secret", selector.public_key_ref.name))
        text = await references.secret_text(
            world, namespace, selector.public_key_ref, f"spec.dkim[{index}].publicKeyRef"
        )
        if isinstance(text, Verdict):
            problem = problem or text
        else:
            keys[selector.selector] = text.value
    return keys, problem, frozenset(refs)


def _assessment(
    case: Case,
    verdicts: tuple[Verdict, ...],
    fields: dict[str, object] | None,
    evidence: Evidence,
) -> Assessment:
    spec, required = case.spec, case.required
    bounds = verification.Bounds(spec.propagation_deadline, spec.grace_period)
    return Assessment(
        verdicts=verdicts,
        ready_message=f"{spec.domain} is verified.",
        confirm_after=case.regression_confirmation,
        interval=spec.interval,
        deadline=spec.propagation_deadline,
        advisory=frozenset(CONDITIONS.values()) - required,
        fields=fields,
        references=case.references,
        conclude=partial(
            conclude,
            case.resource.metadata.generation,
            required,
            frozenset(one.type for one in verdicts if one.failed),
            bounds,
        ),
        required=required,
        evidence=evidence,
        own_pace=True,
    )


def conclude(
    generation: int,
    required: Collection[ConditionType],
    seen_failing: Collection[ConditionType],
    bounds: verification.Bounds,
    conditions: Sequence[Condition],
    before: CommonStatus,
    now: datetime,
) -> Conclusion:
    """Put the verdict on a domain into one word and say since when it holds.

    `conditions` are those that count after the look, `seen_failing` which of them failed in the
    look itself, and `before` is the stored status.
    """
    look = verification.sum_up(conditions, required, seen_failing)
    state = verification.advance(_standing(before, generation), look, bounds, now)
    left: timedelta | None = None
    if state.verification is Verification.DEGRADED and state.degraded_at is not None:
        left = verification.grace_left(state.degraded_at, bounds, now)
        if left is not None and left <= timedelta():
            left = None  # it ends with the next look that sees it fail
    fields = {
        "verification": state.verification,
        "verified_at": _written(state.verified_at),
        "degraded_at": _written(state.degraded_at),
    }
    return Conclusion(fields, look_again=left)


def _standing(before: CommonStatus, generation: int) -> verification.Standing:
    known = before if isinstance(before, SendingDomainStatus) else SendingDomainStatus()
    return verification.Standing(
        verification=known.verification,
        verified_at=_read(known.verified_at),
        degraded_at=_read(known.degraded_at),
        once_verified=known.last_ready_generation == generation,
        waiting=schedule.Waiting.of(known, generation),
    )


def _read(time: str | None) -> datetime | None:
    return None if time is None else schedule.parse_timestamp(time)


def _written(time: datetime | None) -> str | None:
    return None if time is None else schedule.timestamp(time)
