# SPDX-License-Identifier: Apache-2.0
"""Verifying a domain: ask everything at once, from both points of view, then judge.

Asking is here; the judges are pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from postroom.api.sendingdomain import RecordState
from postroom.dns import dmarc, spf
from postroom.dns.answers import Answer, Asker, Question, RecordType, Zone
from postroom.dns.expected import AliasWanted, DomainPlan, ExchangeWanted, Expected, PolicyWanted
from postroom.dns.judge import Views, judge, report
from postroom.dns.judgement import Seen
from postroom.dns.names import can_be_asked, is_within
from postroom.dns.report import DomainReport

#: Most SPF records of others that one verification fetches.
_SPF_FETCH_LIMIT = 20


async def verify(plan: DomainPlan, asker: Asker) -> DomainReport:
    """Look at every record of a plan. Never raises for what DNS answers."""
    zone, views = await asyncio.gather(
        asker.zone_of(plan.domain),
        asyncio.gather(*(_look(expected, asker) for expected in plan.records)),
    )
    if isinstance(zone, Zone):
        apex = zone.apex
        views = await asyncio.gather(
            *(
                _look_for_doubled(expected, seen, plan, apex, asker)
                for expected, seen in zip(plan.records, views, strict=True)
            )
        )
    return report(plan, zone, views)


async def _look(expected: Expected, asker: Asker) -> Views:
    """Ask both views about a record, and whatever its judge needs besides."""
    question = Question(expected.name, expected.type)
    truth, cached = await asyncio.gather(asker.authoritative(question), asker.recursive(question))
    match expected.wanted:
        case AliasWanted() as wanted:
            return await _look_behind(wanted, Views(Seen(truth), Seen(cached)), asker)
        case spf.Requirement() as wanted:
            texts = [*truth.values, *cached.values, _as_record(wanted)]
            others = await _fetch_spf(texts, asker)
            return Views(Seen(truth, spf=others), Seen(cached, spf=others))
        case PolicyWanted() as wanted:
            domain = expected.name.removeprefix("_dmarc.")
            agreed = await _authorizations(domain, wanted, asker)
            return Views(Seen(truth, authorizations=agreed), Seen(cached, authorizations=agreed))
        case ExchangeWanted() as wanted:
            exists = {wanted.host: await _has_address(wanted.host, asker)}
            return Views(Seen(truth, exchanges=exists), Seen(cached, exchanges=exists))
        case _:
            return Views(Seen(truth), Seen(cached))


async def _look_behind(wanted: AliasWanted, views: Views, asker: Asker) -> Views:
    """Ask for the key behind an alias, and where there is no alias, for its target's."""
    at_name = Question(views.truth.answer.question.name, RecordType.TXT)
    text, cached = await asyncio.gather(asker.authoritative(at_name), asker.recursive(at_name))
    truth, resolver = replace(views.truth, text=text), replace(views.resolver, text=cached)
    flattened = any(
        one.text and one.text.values and not one.answer.values for one in (truth, resolver)
    )
    if flattened:
        target = await asker.recursive(Question(wanted.target, RecordType.TXT))
        truth, resolver = replace(truth, target_text=target), replace(resolver, target_text=target)
    return Views(truth, resolver)


def _as_record(wanted: spf.Requirement) -> str:
    """The required includes as a record, so that theirs are fetched before they are published."""
    return " ".join(["v=spf1", *(f"include:{one}" for one in wanted.includes)])


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
                missing=answer.conclusive and not answer.values,
                unknown=not answer.conclusive,
            )
            level |= {other for text in found for other in spf.referred_names(text)}
        level -= fetched.keys()
    return fetched


async def _authorizations(domain: str, wanted: PolicyWanted, asker: Asker) -> dict[str, Answer]:
    """Ask foreign report destinations whether they agree."""
    destinations = sorted(set(map(dmarc.report_domain, wanted.rua)))
    foreign = [one for one in destinations if not _same_organisation(domain, one)]
    names = [dmarc.report_authorization(domain, one) for one in foreign]
    answers = await asyncio.gather(
        *(asker.recursive(Question(name, RecordType.TXT)) for name in names)
    )
    return dict(zip(names, answers, strict=True))


def _same_organisation(one: str, other: str) -> bool:
    """Whether one name is within the other, or both are below a name of two labels or more.

    A narrow stand-in for the tree walk of RFC 9989, which asks too little rather than too much.
    """
    if is_within(one, other) or is_within(other, one):
        return True
    return one.split(".")[-2:] == other.split(".")[-2:]


async def _has_address(host: str, asker: Asker) -> bool | None:
    answers = await asyncio.gather(
        asker.recursive(Question(host, RecordType.A)),
        asker.recursive(Question(host, RecordType.AAAA)),
    )
    if any(one.values for one in answers):
        return True
    return False if all(one.conclusive for one in answers) else None


async def _look_for_doubled(
    expected: Expected, views: Views, plan: DomainPlan, apex: str, asker: Asker
) -> Views:
    """For a record that is not there, look at the name with the zone added once more: many DNS
    hosts add it to whatever is entered. Only the record itself proves it, a wildcard does not."""
    truth, doubled = views.truth, f"{expected.name}.{apex}"
    if not truth.answer.conclusive or not can_be_asked(doubled):
        return views
    if judge(expected, truth, plan).state is not RecordState.MISSING:
        return views
    answer = await asker.authoritative(Question(doubled, expected.type))
    there = replace(truth, answer=answer, text=None)
    if not answer.values or judge(expected, there, plan).state is not RecordState.VALID:
        return views
    return replace(views, truth=replace(truth, doubled=doubled))
