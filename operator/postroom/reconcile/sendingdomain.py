# SPDX-License-Identifier: Apache-2.0
"""SendingDomain: work out the records, ask DNS, and say what each purpose's records amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from postroom.api.conditions import Condition, ConditionStatus, ConditionType, Verdict, find
from postroom.api.reasons import Reason
from postroom.api.resource import SendingDomain
from postroom.api.sendingdomain import (
    Purpose,
    RecordState,
    RecordStatus,
    SendingDomainSpec,
    SendingDomainStatus,
    Verification,
)
from postroom.api.status import CommonStatus
from postroom.dns import expected
from postroom.dns.report import DomainReport, RecordReport
from postroom.dns.verify import verify
from postroom.reconcile import references
from postroom.reconcile.assessment import Assessment, failed, passed, unknown, worst_first
from postroom.reconcile.world import World

CONDITIONS: dict[Purpose, ConditionType] = {
    Purpose.OWNERSHIP: ConditionType.OWNERSHIP_VERIFIED,
    Purpose.DKIM: ConditionType.DKIM_VERIFIED,
    Purpose.SPF: ConditionType.SPF_VERIFIED,
    Purpose.DMARC: ConditionType.DMARC_VERIFIED,
    Purpose.MX: ConditionType.MX_VERIFIED,
}

#: What the condition says where all records of the purpose are Valid.
_PASSED: dict[Purpose, tuple[Reason, str]] = {
    Purpose.OWNERSHIP: (Reason.RECORD_MATCHED, "The ownership record is published."),
    Purpose.DKIM: (Reason.RECORDS_MATCHED, "All DKIM selectors are published with the right key."),
    Purpose.SPF: (Reason.RECORD_VALID, "The SPF record is valid and authorises what is required."),
    Purpose.DMARC: (Reason.RECORD_VALID, "The DMARC record is valid and strict enough."),
    Purpose.MX: (Reason.RECORDS_MATCHED, "The MX records are published."),
}

#: Which record decides a purpose that has several: a definite failure before a passing state.
_WORST = (
    RecordState.CONFLICTING,
    RecordState.WRONG,
    RecordState.MISSING,
    RecordState.UNKNOWN,
    RecordState.PROPAGATING,
)


async def assess(
    resource: SendingDomain, world: World, regression_confirmation: timedelta
) -> Assessment:
    """Look at a sending domain; raises `InvalidSpec` for a key that cannot be read."""
    spec, namespace = resource.spec, resource.metadata.namespace
    keys, unresolved, refs = await _public_keys(spec, namespace, world)
    if unresolved is not None:
        return _assessment(spec, (unresolved,), None, refs, regression_confirmation)
    plan = expected.plan(spec, namespace, world.ownership_key(), keys)
    report = await verify(plan, world.dns)
    verdicts = tuple(verdict_on(purpose, report.records) for purpose in spec.declared)
    fields = status_fields(report, _known_records(resource))
    return _assessment(spec, verdicts, fields, refs, regression_confirmation)


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
    spec: SendingDomainSpec,
    verdicts: tuple[Verdict, ...],
    fields: dict[str, object] | None,
    refs: frozenset[str],
    regression_confirmation: timedelta,
) -> Assessment:
    required = {CONDITIONS[purpose] for purpose in spec.required}
    return Assessment(
        verdicts=verdicts,
        ready_message=f"{spec.domain} is verified.",
        confirm_after=regression_confirmation,
        interval=spec.interval,
        deadline=spec.propagation_deadline,
        advisory=frozenset(set(CONDITIONS.values()) - required),
        fields=fields,
        references=refs,
        conclude=conclude,
    )


def verdict_on(purpose: Purpose, records: Sequence[RecordReport]) -> Verdict:
    """Sum up the records of one purpose: the worst one decides."""
    condition = CONDITIONS[purpose]
    mine = [record for record in records if record.purpose is purpose]
    for state in _WORST:
        worst = [record for record in mine if record.state is state]
        if not worst:
            continue
        first = worst[0]
        message = first.message
        others = sorted(record.name for record in worst[1:])
        if others:
            message = f"{message} The same holds for {', '.join(others)}."
        if state in (RecordState.UNKNOWN, RecordState.PROPAGATING):
            return unknown(condition, first.reason, message)
        return failed(condition, first.reason, message)
    reason, message = _PASSED[purpose]
    return passed(condition, reason, message)


def conclude(conditions: Sequence[Condition], before: CommonStatus, now: str) -> dict[str, object]:
    """Put the verdict on the domain into one word, and say since when it is verified."""
    ready = find(conditions, ConditionType.READY)
    verification = Verification.UNKNOWN
    if ready is not None and ready.status is ConditionStatus.TRUE:
        verification = Verification.VERIFIED
    elif any(
        one.type is ConditionType.RECONCILING and one.reason == Reason.AWAITING_DNS.value
        for one in conditions
    ):
        verification = Verification.PENDING
    elif ready is not None and ready.status is ConditionStatus.FALSE:
        waiting = find(conditions, ConditionType.RECONCILING)
        verification = Verification.PENDING if waiting else Verification.FAILED
    if verification is not Verification.VERIFIED:
        return {"verification": verification, "verified_at": None}
    since = before.verified_at if isinstance(before, SendingDomainStatus) else None
    return {"verification": verification, "verified_at": since or now}


def _known_records(resource: SendingDomain) -> dict[str, RecordStatus]:
    """What the stored status knows of the records of this generation, by id."""
    if resource.status.observed_generation != resource.metadata.generation:
        return {}
    return {
        record.id: record
        for record in resource.status.records
        if record.state is not RecordState.UNKNOWN
    }


def status_fields(report: DomainReport, known: Mapping[str, RecordStatus]) -> dict[str, object]:
    """Put a report into the fields of SendingDomainStatus.

    A record that could not be looked at now stays as it is `known`.
    """
    return {
        "zone": report.zone,
        "nameservers": list(report.nameservers),
        "records": [_record_status(record, known.get(record.id)) for record in report.records],
        "findings": worst_first(report.findings),
    }


def _record_status(record: RecordReport, known: RecordStatus | None) -> RecordStatus:
    if record.state is RecordState.UNKNOWN and known is not None:
        return known
    return RecordStatus(
        id=record.id,
        purpose=record.purpose,
        name=record.name,
        host_label=record.host_label,
        type=record.type.value,
        value=record.value,
        required=record.required,
        state=record.state,
        observed=list(record.observed),
    )
