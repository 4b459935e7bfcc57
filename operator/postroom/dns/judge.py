# SPDX-License-Identifier: Apache-2.0
"""From what was seen to verdicts: pure, for one record and for the domain as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroom.api.findings import Finding, Fix, FixAction, Severity
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import judge_dkim, judge_dmarc, judge_mx, judge_ownership, judge_spf, spf
from postroom.dns.answers import Answer, Outcome, Zone
from postroom.dns.expected import (
    AliasWanted,
    DomainPlan,
    ExchangeWanted,
    Expected,
    KeyWanted,
    PolicyWanted,
    TextWanted,
)
from postroom.dns.findings import finding
from postroom.dns.judgement import Judgement, Seen, blind, where
from postroom.dns.names import host_label
from postroom.dns.report import DomainReport, RecordReport

_SEVERITIES = list(Severity)


@dataclass(frozen=True, slots=True)
class Views:
    """What the two points of view show of one expected record."""

    truth: Seen
    resolver: Seen


def judge(expected: Expected, seen: Seen, plan: DomainPlan) -> Judgement:
    """Judge one record by what one view shows of it."""
    match expected.wanted:
        case TextWanted() as wanted:
            return judge_ownership.ownership(expected, wanted, seen)
        case AliasWanted() as wanted:
            return judge_dkim.alias(expected, wanted, seen)
        case KeyWanted() as wanted:
            return judge_dkim.key(expected, wanted, seen)
        case spf.Requirement() as wanted:
            return judge_spf.sender_policy(expected, wanted, seen)
        case PolicyWanted() as wanted:
            return judge_dmarc.policy(expected, wanted, seen)
        case ExchangeWanted() as wanted:
            return judge_mx.exchange(expected, wanted, plan.exchanges, seen)


def across_views(expected: Expected, views: Views, plan: DomainPlan) -> Judgement:
    """The authoritative view decides; where it is satisfied, the resolver's decides between Valid
    and Propagating. What could not be looked at decides nothing."""
    if not views.truth.answer.conclusive:
        return blind(expected)
    truth = judge(expected, views.truth, plan)
    if truth.state is not RecordState.VALID:
        return truth
    if not views.resolver.answer.conclusive:
        return blind(expected, f"{where(expected)} through the resolver")
    cached = judge(expected, views.resolver, plan)
    if cached.state in (RecordState.VALID, RecordState.UNKNOWN):
        return truth if cached.state is RecordState.VALID else cached
    message = (
        f"The zone has the {where(expected)}, but the resolver does not show it yet: wait until "
        "its cache expires."
    )
    wait = finding("PROPAGATING", expected.id, message, Fix(action=FixAction.WAIT))
    return replace(
        truth,
        state=RecordState.PROPAGATING,
        reason=Reason.RESOLVERS_DISAGREE,
        message=message,
        finding=wait,
    )


def report(plan: DomainPlan, zone: Zone | Answer, views: Sequence[Views]) -> DomainReport:
    """Sum a look at a domain up; `views` are in the order of the plan's records."""
    judged = [across_views(one, seen, plan) for one, seen in zip(plan.records, views, strict=True)]
    resolver_only = _resolver_only(views)
    findings = [one for each in judged for one in (each.finding, *each.advice) if one is not None]
    root = _root_cause(plan.domain, zone, views)
    if root is not None:
        # What follows from it is not said again for every record.
        moot = {root.code} if root.code == "LOOKUP_FAILED" else {one.code for one in findings}
        findings = [root, *(one for one in findings if one.code not in moot)]
    elif resolver_only:
        findings.append(_seen_through_the_resolver())
    known = zone if isinstance(zone, Zone) and root is None else None
    return DomainReport(
        zone=known.apex if known else None,
        nameservers=known.nameservers if known else (),
        resolver_only=resolver_only,
        records=tuple(
            _record(one, each, known) for one, each in zip(plan.records, judged, strict=True)
        ),
        findings=tuple(sorted(findings, key=lambda one: _SEVERITIES.index(one.severity))),
    )


def _record(expected: Expected, judged: Judgement, zone: Zone | None) -> RecordReport:
    return RecordReport(
        id=expected.id,
        purpose=expected.purpose,
        name=expected.name,
        host_label=host_label(expected.name, zone.apex if zone else None),
        type=expected.type,
        value=judged.value or expected.value,
        required=expected.required,
        state=judged.state,
        reason=judged.reason,
        message=judged.message,
        observed=judged.observed,
    )


def _resolver_only(views: Sequence[Views]) -> bool:
    """Whether every answer that was to come from the zone's servers came from the resolver."""
    answers = [one.truth.answer for one in views if one.truth.answer.conclusive]
    return bool(answers) and not any(one.authoritative for one in answers)


def _seen_through_the_resolver() -> Finding:
    message = (
        "The zone's name servers cannot be asked from here; the resolver alone decides, with the "
        "delay of its cache."
    )
    return finding("RESOLVER_ONLY", "domain", message)


def _root_cause(domain: str, zone: Zone | Answer, views: Sequence[Views]) -> Finding | None:
    """Find what makes every single record moot: there is no such domain, or no way to its zone."""
    if isinstance(zone, Answer) and not zone.conclusive:
        message = f"DNS could not be asked for the zone of {domain}; the look is repeated."
        return finding("LOOKUP_FAILED", "domain", message)
    outcomes = {one.truth.answer.outcome for one in views}
    # Nobody's records stand in a top-level zone: it only denies that the domain is delegated.
    undelegated = isinstance(zone, Zone) and "." not in zone.apex and zone.apex != domain
    if isinstance(zone, Answer) or (undelegated and outcomes == {Outcome.NX_DOMAIN}):
        message = f"{domain} does not exist in DNS: register it, or correct spec.domain."
        return finding("DOMAIN_NXDOMAIN", "domain", message)
    return None
