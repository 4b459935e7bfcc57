# SPDX-License-Identifier: Apache-2.0
"""Verifying a domain: observe it, from both points of view, then judge, diagnose and report.

The order of asking is here; judging and diagnosis are pure.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Asker, Question, Zone
from postroom.dns.diagnosis.diagnose import FAULTY
from postroom.dns.diagnosis.dkim_rotation import advice
from postroom.dns.diagnosis.nameservers import OF_NAME_SERVERS, is_served, sound
from postroom.dns.diagnosis.zone import ZoneView, agreed
from postroom.dns.judging.judgement import Context
from postroom.dns.requirements import DomainPlan
from postroom.dns.tls.mta_sts_host import PolicyFetcher
from postroom.dns.verifying import private_keys
from postroom.dns.verifying.compromised import exposed, without_compromised
from postroom.dns.verifying.observation import Observation
from postroom.dns.verifying.one_step import endings_of_valid
from postroom.dns.verifying.quorum import elected
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.dns.verifying.reporting import endings, made_by, report, with_advice
from postroom.dns.verifying.standing import synthesized_until, wildcards_ended_by
from postroom.dns.verifying.zone_observation import look_at_zone


@dataclass(frozen=True, slots=True)
class Scope:
    """How much of a domain is observed, and what is known of it from before.

    `known_valid` are the ids of records that both views showed valid before: for them the zone's
    servers alone are asked, one for each record. `full` asks all servers, the resolver and the
    parent zone about everything. `reported` are the codes of the findings that stand: trouble at
    a name server that is known is not looked into again before it changes. Without `search` a
    record that was not valid before is not looked for again in unlikely places, unless something
    was found in one: what no observation has found is not searched for at every one. `retired_at`
    tells by record id since when a DKIM selector is retired; only with it, and `now`, can one be
    called safe to remove. `compromised` are the fingerprints of keys whose private half was seen
    before.
    """

    full: bool = False
    known_valid: Collection[str] = frozenset()
    reported: Collection[str] = frozenset()
    search: bool = True
    retired_at: Mapping[str, datetime] = field(default_factory=dict)
    now: datetime | None = None
    compromised: Collection[str] = frozenset()


#: Of a domain of which nothing is known.
_FIRST = Scope()


async def verify(
    plan: DomainPlan,
    asker: Asker,
    scope: Scope = _FIRST,
    *,
    policies: PolicyFetcher | None = None,
) -> DomainReport:
    """Observe every record of a plan and report. Never raises for what DNS answers."""
    plan = without_compromised(plan, scope.compromised)
    seen = Observation(plan, asker, policies)
    zone, serials, _ = await asyncio.gather(
        asker.zone_of(plan.domain), asker.serials(plan.domain), seen.ask_authoritative(plan.records)
    )
    context = Context(plan, zone if isinstance(zone, Zone) else None)
    judged = {record.id: seen.judged(record, context) for record in plan.records}
    fresh = [record for record in plan.records if scope.full or record.id not in scope.known_valid]
    good = [record for record in fresh if judged[record.id].state is RecordState.VALID]
    faulty = [record for record in plan.records if judged[record.id].state in FAULTY]
    doubtful = plan.records if scope.full or not agreed(serials) else (*good, *faulty)
    view = ZoneView(plan.domain, zone, serials)
    search = scope.search or any(code.startswith("NAME_") for code in scope.reported)
    trouble_is_known = bool(OF_NAME_SERVERS.intersection(scope.reported))
    thorough = bool(fresh or faulty) or not context.zone or sound(serials) is trouble_is_known
    # The resolver is asked only for what is there: asking before would put a denial into its
    # cache, and keep everyone behind it from seeing the record once it is published.
    _, _, view, *_ = await asyncio.gather(
        seen.ask_resolver(good),
        seen.ask_every_server(doubtful),
        look_at_zone(view, asker) if thorough else _as_it_is(view),
        seen.ask_causes(judged, context, None if search else scope.known_valid),
        seen.ask_extra(fresh),
        seen.ask_delegations(context, served=is_served(serials)),
    )
    # Another server may have what the first one lacks.
    late = [record for record in faulty if elected(seen.votes(record, context)) is not None]
    await seen.ask_resolver(late)
    resolved = frozenset(record.id for record in (*good, *late))
    records = [
        seen.diagnosed(record, judged[record.id], context, resolved) for record in plan.records
    ]
    judged = {record.planned.id: record.judgement for record in records}
    leaks = exposed(plan, judged, seen.all_answers)
    if not leaks <= plan.compromised:
        # What was offered, or taken for valid, before all was seen is judged anew.
        context = replace(context, plan=without_compromised(plan, leaks))
        records = [
            seen.diagnosed(record, seen.judged(record, context), context, resolved)
            for record in context.plan.records
        ]
    judged = {record.planned.id: record.judgement for record in records}
    advised = advice(context, judged, seen.authoritative, scope.retired_at, scope.now)
    records = await _with_endings(with_advice(records, advised), asker, context)
    states = {record.judgement.state for record in records}
    if not thorough and states - {RecordState.VALID}:
        view, thorough = await look_at_zone(view, asker), True
    if RecordState.PROPAGATING in states:
        await seen.ask_above_keys()
    made = report(context, view, records, seen.authoritative, seen.single_answers)
    made = replace(made, thorough=thorough, compromised=tuple(sorted(context.plan.compromised)))
    return private_keys.concealed(made, seen.secrets)


async def _with_endings(
    records: list[RecordReport], asker: Asker, context: Context
) -> list[RecordReport]:
    """Add what wildcards answer no more once the records are published that are missing."""
    if context.zone is None:
        return records
    names = [fix.name for record in records for fix in made_by(record)]
    ended = await wildcards_ended_by(asker, names, context.zone.apex)
    records = with_advice(records, endings(records, ended))
    valid = [each for each in records if each.state is RecordState.VALID]
    used = {
        Question(each.name, each.type): [
            fix.name for other in records if other is not each for fix in made_by(other)
        ]
        for each in valid
    }
    until = await synthesized_until(asker, used, context.zone.apex)
    return with_advice(records, endings_of_valid(records, until))


async def _as_it_is(view: ZoneView) -> ZoneView:
    return view
