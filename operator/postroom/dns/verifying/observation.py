# SPDX-License-Identifier: Apache-2.0
"""One observation of a domain: asks what judges and diagnosis need, and keeps the answers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import (
    Answer,
    Asker,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
)
from postroom.dns.diagnosis import diagnose, receivers
from postroom.dns.diagnosis.answering import bounce_targets, sidelong
from postroom.dns.diagnosis.case import Case
from postroom.dns.diagnosis.denials import Denials
from postroom.dns.diagnosis.wrong_zone import cut_off, handed_away
from postroom.dns.dkim import PrivateKeys
from postroom.dns.judging.judge import needs
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.judging.seen import Needs, Seen
from postroom.dns.names import is_within
from postroom.dns.requirements import DelegationWanted, DomainPlan, PlannedRecord
from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetcher, PolicyFetchOutcome
from postroom.dns.verifying import private_keys
from postroom.dns.verifying.quorum import Vote, by_quorum, elected, judged_before, votes
from postroom.dns.verifying.report import RecordReport
from postroom.dns.verifying.reporting import across_views, is_stale, wake_after

#: Bounds on one observation: rounds of questions that follow from answers, and questions in all.
_ROUNDS_LIMIT = 12
_QUESTIONS_LIMIT = 400
#: Questions about causes that all faulty records share, beyond the likely ones of each.
_PROBES_SHARED = 96
#: Rounds of asking for one set of places: above them, ever nearer, and at last for all themselves.
_DENIAL_STEPS = 4
#: Most names of which it is asked whether they are handed to other servers.
_DELEGATIONS_LIMIT = 8


class Observation:
    """The answers of one observation of a domain, by point of view."""

    def __init__(self, plan: DomainPlan, asker: Asker, policies: PolicyFetcher | None) -> None:
        self._context = Context(plan)
        self._asker, self._fetcher = asker, policies
        self._own: dict[Question, Answer] = {}
        self._every: dict[Question, tuple[ServerAnswer, ...]] = {}
        self._own_resolved: dict[Question, Answer] = {}
        self._shared: dict[Question, Answer] = {}
        self._policies: dict[str, FetchedPolicy] = {}
        self._delegations: dict[str, Delegation] = {}
        self._seen_at_servers: Seen | None = None
        self._seen_by_resolver: Seen | None = None

    @property
    def authoritative(self) -> Seen:
        """What the zone's servers, and others, answered."""
        if self._seen_at_servers is None:
            self._seen_at_servers = Seen({**self._shared, **self._own}, self._policies)
        return self._seen_at_servers

    @property
    def _recursive(self) -> Seen:
        """What the resolver, and others, answered."""
        if self._seen_by_resolver is None:
            self._seen_by_resolver = Seen({**self._shared, **self._own_resolved}, self._policies)
        return self._seen_by_resolver

    def _learn(
        self, of: dict[Question, Answer], asked: Iterable[Question], answers: Iterable[Answer]
    ) -> None:
        """Take in answers; what is seen is put together again at the next need."""
        of.update(zip(asked, answers, strict=True))
        self._seen_at_servers = self._seen_by_resolver = None

    async def ask_authoritative(self, records: Sequence[PlannedRecord]) -> None:
        """Learn what the judges of these records need from the zone's servers."""
        await self._ask(records, self._own, self._asker.authoritative, lambda: self.authoritative)

    async def ask_resolver(self, records: Sequence[PlannedRecord]) -> None:
        """Learn the same from the resolver."""
        await self._ask(records, self._own_resolved, self._asker.recursive, lambda: self._recursive)

    async def _ask(
        self,
        records: Sequence[PlannedRecord],
        own: dict[Question, Answer],
        ask: Callable[[Question], Awaitable[Answer]],
        view: Callable[[], Seen],
    ) -> None:
        """Learn in rounds, each at once, until nothing more follows from the answers."""
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
                # A stale answer stands in for servers that could not be asked.
                answers = [
                    Answer(answer.question, Outcome.TIMEOUT, errors=answer.errors)
                    if is_stale(answer)
                    else answer
                    for answer in answers
                ]
            self._learn(own, mine, answers)
            self._learn(self._shared, others, shared)
            self._policies.update(zip(hosts, fetched, strict=True))

    async def _fetch(self, domain: str) -> FetchedPolicy:
        if self._fetcher is None:
            return FetchedPolicy(PolicyFetchOutcome.UNREACHABLE)
        return await self._fetcher.fetch(domain)

    def judged(self, planned: PlannedRecord, context: Context) -> Judgement:
        """Judge by what the zone's servers answered."""
        return across_views(planned, self.authoritative, None, context)

    async def ask_every_server(self, records: Iterable[PlannedRecord]) -> None:
        """Learn what every server of the zone has of each record."""
        await self._ask_every(Question(record.name, record.type) for record in records)

    async def ask_above_keys(self) -> None:
        """Learn what every server has above DKIM keys, where nothing stands itself."""
        domain = self._context.plan.domain
        if self._context.plan.of(Purpose.DKIM):
            await self._ask_every([Question(f"_domainkey.{domain}", RecordType.TXT)])

    async def _ask_every(self, questions: Iterable[Question]) -> None:
        wanted = sorted(set(questions) - self._every.keys())
        answers = await asyncio.gather(*map(self._asker.every_server, wanted))
        self._every.update(zip(wanted, answers, strict=True))

    async def ask_delegations(self, context: Context, *, served: bool) -> None:
        """Learn whether the zone has handed the names away that nobody answers for; `served`: some
        server answers for the zone itself."""
        if context.zone is None:
            return
        lost = [
            record
            for record in context.plan.records
            if not self.authoritative.at(record.name, record.type).conclusive
        ]
        if not served and len(lost) == len(context.plan.records):
            # The zone itself is at fault, unless all that is asked for is a delegation.
            lost = [record for record in lost if isinstance(record.wanted, DelegationWanted)]
        names = {name for record in lost for name in handed_away(record, context)}
        wanted = sorted(names, key=lambda name: (name.count("."), name))[:_DELEGATIONS_LIMIT]
        found = await asyncio.gather(*map(self._asker.delegation, wanted))
        self._delegations = {
            name: delegation
            for name, delegation in zip(wanted, found, strict=True)
            if isinstance(delegation, Delegation)
        }

    async def ask_extra(self, fresh: Sequence[PlannedRecord]) -> None:
        """Learn of what nobody requires, but what must not be there."""
        if not fresh:
            return
        own = [Question(*name) for name in sidelong(self._context.plan)]
        others = [Question(*target) for target in bounce_targets(self._context.plan)]
        answers, shared = await asyncio.gather(
            asyncio.gather(*map(self._asker.authoritative, own)),
            asyncio.gather(*map(self._asker.shared, others)),
        )
        self._learn(self._shared, others, shared)
        self._learn(self._own, own, answers)

    @property
    def single_answers(self) -> tuple[Answer, ...]:
        """What single servers answered, to all that all were asked."""
        return tuple(answer.answer for answers in self._every.values() for answer in answers)

    @property
    def all_answers(self) -> tuple[Answer, ...]:
        """Everything that anybody answered."""
        seen = (self.authoritative, self._recursive)
        return (
            *(answer for view in seen for answer in view.answers.values()),
            *self.single_answers,
        )

    @property
    def secrets(self) -> PrivateKeys:
        """The private keys in any of that."""
        policies = self._policies.values()
        return private_keys.secrets_in(self.all_answers, policies, self._context.plan)

    def votes(self, planned: PlannedRecord, context: Context) -> tuple[Vote, ...]:
        """Judge what each server has of a record, where all were asked."""
        servers = self._every.get(Question(planned.name, planned.type), ())
        return votes(planned, servers, self.authoritative, context)

    async def ask_causes(
        self,
        judged: Mapping[str, Judgement],
        context: Context,
        searched: Collection[str] | None = None,
    ) -> None:
        """Learn what may tell the cause of faulty records; answers may raise further questions.

        Those with the ids `searched`, by default all, are looked for in unlikely places too.
        """
        records = [each for each in context.plan.records if diagnose.may_explain(judged[each.id])]
        share = _PROBES_SHARED // max(len(records), 1)
        left = {
            record.id: max(diagnose.NEAR_LIMIT, min(diagnose.PROBES_LIMIT, share))
            for record in records
        }
        for _ in range(diagnose.PROBE_ROUNDS):
            cases = [
                Case(record, context, self.authoritative, judged[record.id]) for record in records
            ]
            open_ones = {
                case.planned.id: diagnose.probes(
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
        """Learn of places, but first above those that are close together: mostly nothing is there.

        What a denial implies is kept like an answer.
        """
        left = _DENIAL_STEPS
        while wanted and left:
            known = Denials.of(self.authoritative.answers.values(), apex)
            implied = [answer for place in wanted if (answer := known.implied(place)) is not None]
            self._learn(self._own, (answer.question for answer in implied), implied)
            wanted = [place for place in wanted if place not in self._own]
            asked = known.first_of(wanted) if left > 1 else tuple(wanted)
            answers = await asyncio.gather(
                *(
                    self._asker.authoritative(place)
                    if is_within(place.name, apex)
                    else self._asker.shared(place)
                    for place in asked
                )
            )
            self._learn(self._own, asked, answers)
            # Where servers answer badly, going step by step would only take longer.
            left = left - 1 if all(answer.conclusive for answer in answers) else min(left - 1, 1)

    def diagnosed(
        self,
        planned: PlannedRecord,
        judged: Judgement,
        context: Context,
        resolved: Collection[str],
    ) -> RecordReport:
        """Conclude about a record; the resolver was asked about those in `resolved`, too."""
        seen, cast = self.authoritative, self.votes(planned, context)
        chosen = elected(cast)
        if chosen is not None and judged.state is not RecordState.VALID:
            seen = seen.with_answers([chosen.answer])
        wake = None
        if planned.id in resolved:
            known = judged_before(cast, seen.at(planned.name, planned.type))
            judged = across_views(planned, seen, self._recursive, context, known)
            wake = wake_after(planned, seen, self._recursive, context)
        judged = by_quorum(planned, judged, cast)
        unanswered = not self.authoritative.at(planned.name, planned.type).conclusive
        if judged.state is RecordState.UNKNOWN and unanswered:
            above = handed_away(planned, context)
            name = next((name for name in above if name in self._delegations), None)
            if name is not None:
                judged = cut_off(planned, name, self._delegations[name]) or judged
        root, because = diagnose.diagnosed(Case(planned, context, seen, judged))
        root = private_keys.without_private_keys(planned, root, seen, context)
        return RecordReport(planned, root, because, cast, wake)
