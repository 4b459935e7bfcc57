# SPDX-License-Identifier: Apache-2.0
"""Verifying a domain: ask everything at once, from both points of view, then judge.

Asking is here; the judges are pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroom.api.findings import Finding, Fix, FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns import dmarc, judge_simple, spf
from postroom.dns.answers import Answer, Asker, Outcome, Question, RecordType, Zone
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
from postroom.dns.judge_spf import sender_policy
from postroom.dns.judgement import Judgement, Seen, where
from postroom.dns.names import host_label, is_within
from postroom.dns.report import DomainReport, RecordReport

#: Most SPF records of others that one verification fetches.
_SPF_FETCH_LIMIT = 20


@dataclass(frozen=True, slots=True)
class _Views:
    """What the two points of view show of one expected record."""

    truth: Seen
    resolver: Seen


async def verify(plan: DomainPlan, asker: Asker) -> DomainReport:
    """Look at every record of a plan. Never raises for what DNS answers."""
    zone, seen = await asyncio.gather(
        asker.zone_of(plan.domain),
        asyncio.gather(*(_look(expected, asker) for expected in plan.records)),
    )
    known = zone if isinstance(zone, Zone) else None
    views = await _look_for_doubled(plan.records, seen, known, asker)
    reports, findings = [], []
    siblings = [one.wanted for one in plan.records if isinstance(one.wanted, ExchangeWanted)]
    for expected, view in zip(plan.records, views, strict=True):
        judged = _across_views(expected, view, siblings)
        reports.append(_report(expected, judged, known))
        findings += [*([judged.finding] if judged.finding else []), *judged.advice]
    findings += _about_domain(plan.domain, zone, views)
    return DomainReport(
        zone=known.apex if known else None,
        nameservers=known.nameservers if known else (),
        resolver_only=_resolver_only(views),
        records=tuple(reports),
        findings=tuple(dict.fromkeys(findings)),
    )


async def _look(expected: Expected, asker: Asker) -> _Views:
    """Ask both views about a record, and whatever its judge needs besides."""
    question = Question(expected.name, expected.type)
    truth, cached = await asyncio.gather(asker.authoritative(question), asker.recursive(question))
    seen, resolver = Seen(truth), Seen(cached)
    match expected.wanted:
        case AliasWanted():
            at_name = Question(expected.name, RecordType.TXT)
            text, text_cached = await asyncio.gather(
                asker.authoritative(at_name), asker.recursive(at_name)
            )
            seen, resolver = replace(seen, text=text), replace(resolver, text=text_cached)
        case spf.Requirement() as wanted:
            texts = [*truth.values, *cached.values]
            others = await _fetch_spf([*texts, *_as_record(wanted)], asker)
            seen, resolver = replace(seen, spf=others), replace(resolver, spf=others)
        case PolicyWanted() as wanted:
            agreed = await _authorizations(expected.name.removeprefix("_dmarc."), wanted, asker)
            seen, resolver = (
                replace(seen, authorizations=agreed),
                replace(resolver, authorizations=agreed),
            )
        case ExchangeWanted() as wanted:
            exists = await _has_address(wanted.host, asker)
            exchanges = {wanted.host: exists}
            seen, resolver = (
                replace(seen, exchanges=exchanges),
                replace(resolver, exchanges=exchanges),
            )
    return _Views(seen, resolver)


def _as_record(wanted: spf.Requirement) -> list[str]:
    """The required includes as a record, so that theirs are fetched before they are published."""
    return [" ".join(["v=spf1", *(f"include:{one}" for one in wanted.includes)])]


async def _fetch_spf(texts: Sequence[str], asker: Asker) -> dict[str, spf.Fetched]:
    """Fetch the SPF records that includes lead to, level by level, bounded."""
    fetched: dict[str, spf.Fetched] = {}
    level = {name for text in spf.select(texts) for name in spf.referred_names(text)}
    while level and len(fetched) < _SPF_FETCH_LIMIT:
        names = sorted(level)[: _SPF_FETCH_LIMIT - len(fetched)]
        answers = await asyncio.gather(
            *(asker.recursive(Question(name, RecordType.TXT)) for name in names)
        )
        level = set()
        for name, answer in zip(names, answers, strict=True):
            found = spf.select(answer.values)
            fetched[name] = spf.Fetched(
                found,
                missing=answer.outcome in (Outcome.NO_DATA, Outcome.NX_DOMAIN),
                unknown=not answer.conclusive,
            )
            level |= {other for text in found for other in spf.referred_names(text)}
        level -= fetched.keys()
    return fetched


async def _authorizations(domain: str, wanted: PolicyWanted, asker: Asker) -> dict[str, Answer]:
    """Ask foreign report destinations whether they agree."""
    foreign = sorted(
        {
            destination
            for destination in map(dmarc.report_domain, wanted.rua)
            if not (is_within(domain, destination) or is_within(destination, domain))
            and not _same_organisation(domain, destination)
        }
    )
    names = [dmarc.report_authorization(domain, one) for one in foreign]
    answers = await asyncio.gather(
        *(asker.recursive(Question(name, RecordType.TXT)) for name in names)
    )
    return dict(zip(names, answers, strict=True))


def _same_organisation(one: str, other: str) -> bool:
    """Siblings under a name of two labels or more count as one organisation; a narrow stand-in
    for the tree walk of RFC 9989, which asks too little rather than too much."""
    shared = 0
    for left, right in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if left != right:
            break
        shared += 1
    return shared >= 2


async def _has_address(host: str, asker: Asker) -> bool | None:
    answers = await asyncio.gather(
        asker.recursive(Question(host, RecordType.A)),
        asker.recursive(Question(host, RecordType.AAAA)),
    )
    if any(one.values for one in answers):
        return True
    return False if all(one.conclusive for one in answers) else None


async def _look_for_doubled(
    records: Sequence[Expected], views: Sequence[_Views], zone: Zone | None, asker: Asker
) -> list[_Views]:
    """For records that are not there, look at the name with the zone added once more."""
    if zone is None:
        return list(views)

    async def look(expected: Expected, seen: _Views) -> _Views:
        absent = seen.truth.answer.conclusive and not seen.truth.answer.values
        at_apex = expected.purpose in (Purpose.SPF, Purpose.MX)
        if not absent or at_apex:
            return seen
        doubled = f"{expected.name}.{zone.apex}"
        if len(doubled) > 253:
            return seen
        answer = await asker.authoritative(Question(doubled, expected.type))
        return replace(seen, truth=replace(seen.truth, doubled=answer))

    return list(await asyncio.gather(*map(look, records, views)))


def _across_views(
    expected: Expected, views: _Views, siblings: Sequence[ExchangeWanted]
) -> Judgement:
    """The authoritative view decides; where it is satisfied, the resolver's decides between Valid
    and Propagating. What could not be looked at decides nothing."""
    if not views.truth.answer.conclusive:
        return _blind(expected)
    truth = _judge(expected, views.truth, siblings)
    if truth.state is not RecordState.VALID or not views.resolver.answer.conclusive:
        return truth
    if _judge(expected, views.resolver, siblings).state is RecordState.VALID:
        return truth
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


def _blind(expected: Expected) -> Judgement:
    message = f"DNS could not be asked for {where(expected)}; the look is repeated."
    found = finding("LOOKUP_FAILED", expected.id, message)
    return Judgement(RecordState.UNKNOWN, Reason.LOOKUP_FAILED, message, found)


def _judge(expected: Expected, seen: Seen, siblings: Sequence[ExchangeWanted]) -> Judgement:
    match expected.wanted:
        case TextWanted() as wanted:
            return judge_simple.ownership(expected, wanted, seen)
        case AliasWanted() as wanted:
            return judge_simple.alias(expected, wanted, seen)
        case KeyWanted() as wanted:
            return judge_simple.key(expected, wanted, seen)
        case spf.Requirement() as wanted:
            return sender_policy(expected, wanted, seen)
        case PolicyWanted() as wanted:
            return judge_simple.policy(expected, wanted, seen)
        case ExchangeWanted() as wanted:
            return judge_simple.exchange(expected, wanted, siblings, seen)


def _report(expected: Expected, judged: Judgement, zone: Zone | None) -> RecordReport:
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


def _resolver_only(views: Sequence[_Views]) -> bool:
    """Whether every answer that was to come from the zone's servers came from the resolver."""
    answers = [one.truth.answer for one in views if one.truth.answer.conclusive]
    return bool(answers) and not any(one.authoritative for one in answers)


def _about_domain(domain: str, zone: Zone | Answer, views: Sequence[_Views]) -> list[Finding]:
    if isinstance(zone, Answer) and zone.outcome is Outcome.NX_DOMAIN:
        message = f"{domain} does not exist in DNS: register it, or correct spec.domain."
        return [finding("DOMAIN_NXDOMAIN", "domain", message)]
    if _resolver_only(views):
        message = (
            "The zone's name servers cannot be asked from here; the resolver alone decides, with "
            "the delay of its cache."
        )
        return [finding("RESOLVER_ONLY", "domain", message)]
    return []
