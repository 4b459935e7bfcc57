# SPDX-License-Identifier: Apache-2.0
"""Verifying a domain: ask what the judges need, from both points of view, then judge.

Asking is here; judging and diagnosis are pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import (
    Answer,
    Asker,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.compromised import exposed, without_compromised
from postroom.dns.diagnosis import receivers
from postroom.dns.diagnosis.answering import bounce_targets, sidelong
from postroom.dns.diagnosis.case import Case
from postroom.dns.diagnosis.denials import Denials
from postroom.dns.diagnosis.diagnose import (
    FAULTY,
    NEAR_LIMIT,
    PROBE_ROUNDS,
    PROBES_LIMIT,
    diagnosed,
    probes,
)
from postroom.dns.diagnosis.dkim_rotation import advice
from postroom.dns.diagnosis.elsewhere import below_the_domain, cut_off
from postroom.dns.diagnosis.nameservers import OF_NAME_SERVERS, sound
from postroom.dns.diagnosis.zone import ZoneView, agreed
from postroom.dns.judging.judge import needs
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.judging.seen import Needs, Seen
from postroom.dns.mta_sts_host import FetchedPolicy, PolicyFetcher, PolicyFetchOutcome
from postroom.dns.names import is_within
from postroom.dns.quorum import Vote, by_quorum, elected, votes
from postroom.dns.report import DomainReport
from postroom.dns.requirements import DomainPlan, PlannedRecord
from postroom.dns.summing_up import (
    Told,
    across_views,
    is_stale,
    report,
    wake_after,
    with_advice,
)
from postroom.dns.zone_observation import look_at_zone

#: Bounds on one look: rounds of questions that follow from answers, and questions in all.
_ROUNDS_LIMIT = 12
_QUESTIONS_LIMIT = 400
#: Questions about causes that all faulty records share, beyond the likely ones of each.
_PROBES_SHARED = 96
#: Rounds of asking for one set of places: above them, ever nearer, and at last for all themselves.
_DENIAL_STEPS = 4
#: Most names of which it is asked whether they are handed to other servers.
_DELEGATIONS_LIMIT = 8


async def verify(
    plan: DomainPlan,
    asker: Asker,
    *,
    policies: PolicyFetcher | None = None,
    known_valid: Collection[str] = frozenset(),
    deep: bool = False,
    told_before: Collection[str] = frozenset(),
    search: bool = True,
    retired_at: Mapping[str, datetime] = MappingProxyType({}),
    now: datetime | None = None,
    compromised: Collection[str] = frozenset(),
) -> DomainReport:
    """Look at every record of a plan. Never raises for what DNS answers.

    `known_valid` are the ids of records that both views showed valid before: for them the zone's
    servers alone are asked, one for each record. `deep` asks all servers, the resolver and the
    parent zone about everything. `told_before` are the codes of the findings that stand: trouble
    at a name server that is known is not looked into again before it changes. Without `search` a
    record that was not valid before is not looked for again in unlikely places, unless something
    was found in one: what no look has found is not searched for at every look. `retired_at` tells
    by record id since when a DKIM selector is retired; only with it, and `now`, can one be called
    safe to remove. `compromised` are the fingerprints of keys whose private half was seen before.
    """
    plan = without_compromised(plan, compromised)
    look = _Look(plan, asker, policies)
    zone, serials, _ = await asyncio.gather(
        asker.zone_of(plan.domain), asker.serials(plan.domain), look.truth(plan.records)
    )
    context = Context(plan, zone if isinstance(zone, Zone) else None)
    judged = {record.id: look.judged(record, context) for record in plan.records}
    fresh = [record for record in plan.records if deep or record.id not in known_valid]
    good = [one for one in fresh if judged[one.id].state is RecordState.VALID]
    faulty = [record for record in plan.records if judged[record.id].state in FAULTY]
    lost = [
        record
        for record in plan.records
        if not look.everything.at(record.name, record.type).conclusive
    ]
    # Where nobody answers for anything, the zone itself is at fault.
    lost = lost if context.zone is not None and len(lost) < len(plan.records) else []
    doubtful = plan.records if deep or not agreed(serials) else (*good, *faulty)
    view = ZoneView(plan.domain, zone, serials)
    search = search or any(code.startswith("NAME_") for code in told_before)
    trouble_is_known = bool(OF_NAME_SERVERS.intersection(told_before))
    thorough = bool(fresh or faulty) or not context.zone or sound(serials) is trouble_is_known
    # The resolver is asked only for what is there: asking before would put a denial into its
    # cache, and keep everyone behind it from seeing the record once it is published.
    _, _, view, *_ = await asyncio.gather(
        look.cached(good),
        look.every_server(doubtful),
        look_at_zone(view, asker) if thorough else _as_it_is(view),
        look.probe(faulty, judged, context, None if search else known_valid),
        look.aside(fresh),
        look.delegations(lost, context),
    )
    # Another server may have what the first one lacks.
    late = [one for one in faulty if elected(look.votes(one, context)) is not None]
    await look.cached(late)
    cached = frozenset(one.id for one in (*good, *late))
    told = [look.tell(record, judged[record.id], context, cached) for record in plan.records]
    causes = {one.planned.id: one.judgement for one in told}
    leaks = exposed(plan, causes, look.all_answers)
    if not leaks <= plan.compromised:
        # What was offered, or taken for valid, before all was seen is judged anew.
        context = replace(context, plan=without_compromised(plan, leaks))
        told = [
            look.tell(record, look.judged(record, context), context, cached)
            for record in context.plan.records
        ]
    states = {one.planned.id: one.judgement for one in told}
    told = with_advice(told, advice(context, states, look.everything, retired_at, now))
    if not thorough and any(one.judgement.state is not RecordState.VALID for one in told):
        view, thorough = await look_at_zone(view, asker), True
    if any(one.judgement.state is RecordState.PROPAGATING for one in told):
        await look.above_keys()
    made = report(context, view, told, look.everything, look.single_answers)
    return replace(made, thorough=thorough, compromised=tuple(sorted(context.plan.compromised)))


async def _as_it_is(view: ZoneView) -> ZoneView:
    return view


class _Look:
    """The answers of one look at a domain, by point of view."""

    def __init__(self, plan: DomainPlan, asker: Asker, policies: PolicyFetcher | None) -> None:
        self._context = Context(plan)
        self._asker, self._fetcher = asker, policies
        self._own: dict[Question, Answer] = {}
        self._every: dict[Question, tuple[ServerAnswer, ...]] = {}
        self._own_cached: dict[Question, Answer] = {}
        self._shared: dict[Question, Answer] = {}
        self._policies: dict[str, FetchedPolicy] = {}
        self._delegations: dict[str, Delegation] = {}

    @property
    def everything(self) -> Seen:
        """What the zone's servers, and others, answered."""
        return Seen({**self._shared, **self._own}, self._policies)

    @property
    def _through_cache(self) -> Seen:
        return Seen({**self._shared, **self._own_cached}, self._policies)

    async def truth(self, records: Sequence[PlannedRecord]) -> None:
        """Ask the zone's servers what the judges of these records need."""
        await self._ask(records, self._own, self._asker.authoritative, lambda: self.everything)

    async def cached(self, records: Sequence[PlannedRecord]) -> None:
        """Ask the resolver the same."""
        await self._ask(
            records, self._own_cached, self._asker.recursive, lambda: self._through_cache
        )

    async def _ask(
        self,
        records: Sequence[PlannedRecord],
        own: dict[Question, Answer],
        ask: Callable[[Question], Awaitable[Answer]],
        view: Callable[[], Seen],
    ) -> None:
        """Ask until nothing more follows from the answers, in rounds, each at once."""
        for _ in range(_ROUNDS_LIMIT):
            wanted = receivers.needs(self._context.plan) if records else Needs()
            for record in records:
                wanted |= needs(record, view(), self._context)
            mine = sorted(wanted.own - own.keys())
            others = sorted(wanted.shared - self._shared.keys())
            hosts = sorted(wanted.policies - self._policies.keys())
            room = _QUESTIONS_LIMIT - len(own) - len(self._shared)
            if not (mine or others or hosts) or room <= 0:
                return
            mine, others = mine[:room], others[: max(room - len(mine), 0)]
            answers, shared, fetched = await asyncio.gather(
                asyncio.gather(*map(ask, mine)),
                asyncio.gather(*map(self._asker.shared, others)),
                asyncio.gather(*map(self._fetch, hosts)),
            )
            if own is self._own:
                answers = [_current(answer) for answer in answers]
            own.update(zip(mine, answers, strict=True))
            self._shared.update(zip(others, shared, strict=True))
            self._policies.update(zip(hosts, fetched, strict=True))

    async def _fetch(self, domain: str) -> FetchedPolicy:
        if self._fetcher is None:
            return FetchedPolicy(PolicyFetchOutcome.UNREACHABLE)
        return await self._fetcher.fetch(domain)

    def judged(self, planned: PlannedRecord, context: Context) -> Judgement:
        """Judge by what the zone's servers answered."""
        return across_views(planned, self.everything, None, context)

    async def every_server(self, records: Iterable[PlannedRecord]) -> None:
        """Ask every server of the zone for each record."""
        await self._ask_every(Question(record.name, record.type) for record in records)

    async def above_keys(self) -> None:
        """Ask every server for the name above DKIM keys, where nothing stands itself."""
        domain = self._context.plan.domain
        if self._context.plan.of(Purpose.DKIM):
            await self._ask_every([Question(f"_domainkey.{domain}", RecordType.TXT)])

    async def _ask_every(self, questions: Iterable[Question]) -> None:
        wanted = sorted(set(questions) - self._every.keys())
        answers = await asyncio.gather(*map(self._asker.every_server, wanted))
        self._every.update(zip(wanted, answers, strict=True))

    async def delegations(self, lost: Sequence[PlannedRecord], context: Context) -> None:
        """Ask the zone whether it has handed the names away that nobody answers for."""
        names = {one for record in lost for one in below_the_domain(record, context)}
        wanted = sorted(names, key=lambda one: (one.count("."), one))[:_DELEGATIONS_LIMIT]
        found = await asyncio.gather(*map(self._asker.delegation, wanted))
        self._delegations = {
            name: one
            for name, one in zip(wanted, found, strict=True)
            if isinstance(one, Delegation)
        }

    async def aside(self, fresh: Sequence[PlannedRecord]) -> None:
        """Ask for what nobody requires, but what must not be there."""
        if not fresh:
            return
        own = [Question(*one) for one in sidelong(self._context.plan)]
        others = [Question(*target) for target in bounce_targets(self._context.plan)]
        answers, shared = await asyncio.gather(
            asyncio.gather(*map(self._asker.authoritative, own)),
            asyncio.gather(*map(self._asker.shared, others)),
        )
        self._shared.update(zip(others, shared, strict=True))
        self._own.update(zip(own, answers, strict=True))

    @property
    def single_answers(self) -> tuple[Answer, ...]:
        """What single servers answered, to all that all were asked."""
        return tuple(answer.answer for answers in self._every.values() for answer in answers)

    @property
    def all_answers(self) -> tuple[Answer, ...]:
        """Everything that anybody answered."""
        seen = (self.everything, self._through_cache)
        return (*(each for one in seen for each in one.answers.values()), *self.single_answers)

    def votes(self, planned: PlannedRecord, context: Context) -> tuple[Vote, ...]:
        """Judge what each server has of a record, where all were asked."""
        servers = self._every.get(Question(planned.name, planned.type), ())
        return votes(planned, servers, self.everything, context)

    async def probe(
        self,
        records: Sequence[PlannedRecord],
        judged: Mapping[str, Judgement],
        context: Context,
        searched: Collection[str] | None = None,
    ) -> None:
        """Ask what may tell the cause of faulty records; answers may raise further questions.

        Those with the ids `searched`, by default all, are looked for in unlikely places too.
        """
        share = _PROBES_SHARED // max(len(records), 1)
        left = {record.id: max(NEAR_LIMIT, min(PROBES_LIMIT, share)) for record in records}
        for _ in range(PROBE_ROUNDS):
            cases = [
                Case(record, context, self.everything, judged[record.id]) for record in records
            ]
            open_ones = {
                case.planned.id: probes(
                    case,
                    left[case.planned.id],
                    search=searched is None or case.planned.id in searched,
                )
                for case in cases
            }
            left = {id: left[id] - len(asked) for id, asked in open_ones.items()}
            wanted = sorted({question for asked in open_ones.values() for question in asked})
            if not wanted:
                return
            apex = context.zone.apex if context.zone else context.plan.domain
            await self._ask_places(wanted, apex)

    async def _ask_places(self, wanted: Sequence[Question], apex: str) -> None:
        """Ask for places, but first above those that are close together: mostly nothing is there.

        What a denial implies is kept like an answer.
        """
        left = _DENIAL_STEPS
        while wanted and left:
            known = Denials.of(self.everything.answers.values(), apex)
            implied = ((one, known.implied(one)) for one in wanted)
            self._own.update((one, answer) for one, answer in implied if answer is not None)
            wanted = [one for one in wanted if one not in self._own]
            asked = known.first_of(wanted) if left > 1 else tuple(wanted)
            answers = await asyncio.gather(
                *(
                    self._asker.authoritative(one)
                    if is_within(one.name, apex)
                    else self._asker.shared(one)
                    for one in asked
                )
            )
            self._own.update(zip(asked, answers, strict=True))
            # Where servers answer badly, going step by step would only take longer.
            left = left - 1 if all(one.conclusive for one in answers) else min(left - 1, 1)

    def tell(
        self,
        planned: PlannedRecord,
        judged: Judgement,
        context: Context,
        cached: Collection[str],
    ) -> Told:
        """Sum up what is to be told of one record; of those with the ids `cached` the resolver was
        asked too."""
        truth, cast = self.everything, self.votes(planned, context)
        chosen = elected(cast)
        if chosen is not None and judged.state is not RecordState.VALID:
            truth = truth.with_answers([chosen.answer])
        wake = None
        if planned.id in cached:
            judged = across_views(planned, truth, self._through_cache, context)
            wake = wake_after(planned, truth, self._through_cache, context)
        judged = by_quorum(planned, judged, cast)
        if judged.state is RecordState.UNKNOWN:
            judged = self._cut_off(planned, context) or judged
        root, because = diagnosed(Case(planned, context, truth, judged))
        return Told(planned, root, because, cast, wake)

    def _cut_off(self, planned: PlannedRecord, context: Context) -> Judgement | None:
        if self.everything.at(planned.name, planned.type).conclusive:
            return None
        for name in below_the_domain(planned, context):
            if name in self._delegations:
                return cut_off(planned, name, self._delegations[name])
        return None


def _current(answer: Answer) -> Answer:
    """Take a stale answer for none: it stands in for servers that could not be asked."""
    if is_stale(answer):
        return Answer(answer.question, Outcome.TIMEOUT, errors=answer.errors)
    return answer
