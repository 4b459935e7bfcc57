# SPDX-License-Identifier: Apache-2.0
"""Judging one record over a map-shaped DNS, without asking anybody: needs, answers, judgement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from postroom.api.findings import Fix
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import MTASTSMode, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.answers import Answer, Outcome, Question
from postroom.dns.judging.fixes import as_removed
from postroom.dns.judging.judge import judge, needs
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.judging.seen import Needs, Seen
from postroom.dns.names import is_within
from postroom.dns.requirements import DomainPlan, PlannedRecord
from postroom.dns.tls.mta_sts import policy_text
from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetchOutcome

DOMAIN = "example.com"
Key = tuple[str, str]


def plan_of(**spec: Any) -> DomainPlan:
    """Plan a domain that declares nothing else."""
    parsed = parse_spec(Kind.SENDING_DOMAIN, {"domain": DOMAIN, **spec})
    assert isinstance(parsed, SendingDomainSpec)
    return planning.plan(parsed, "mail", b"key", {})


@dataclass
class Names:
    """A DNS as a map from name and type to values.

    `signed` are the zones below which answers through a validating resolver are authenticated;
    `failing` what cannot be looked at; `policies` what fetching yields.
    """

    records: dict[Key, list[str]]
    signed: tuple[str, ...] = ("com", "net")
    failing: dict[Key, Outcome] = field(default_factory=dict)
    policies: dict[str, FetchedPolicy] = field(default_factory=dict)
    asked: list[Question] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def answer(self, question: Question, *, authenticated: bool) -> Answer:
        self.asked.append(question)
        name, kind = question.name, question.type.value
        if (name, kind) in self.failing:
            return Answer(question, self.failing[name, kind])
        aliases = list(self._aliases(name)) if kind != "CNAME" else []
        values = tuple(self.records.get((aliases[-1] if aliases else name, kind), ()))
        exists = any(is_within(known, name) for known, _ in self.records)
        outcome = Outcome.FOUND if values else Outcome.NO_DATA if exists else Outcome.NX_DOMAIN
        secure = authenticated and any(is_within(name, one) for one in self.signed)
        return Answer(question, outcome, values, tuple(aliases), 300, authenticated=secure)

    def _aliases(self, name: str) -> Iterator[str]:
        while self.records.get((name, "CNAME")):
            name = self.records[name, "CNAME"][0]
            yield name

    def seen(self, one: PlannedRecord, context: Context) -> Seen:
        """Answer what the judge of a record asks for, until it asks for no more."""
        seen = Seen()
        for _ in range(9):
            wanted = needs(one, seen, context)
            if self.all_answered(wanted, seen):
                return seen
            new = [self.answer(each, authenticated=True) for each in sorted(wanted.shared)]
            new += [self.answer(each, authenticated=False) for each in sorted(wanted.own)]
            policies = {each: self.fetch(each) for each in wanted.policies}
            seen = Seen(seen.with_answers(new).answers, {**seen.policies, **policies})
        raise AssertionError("the judge does not stop asking")

    def all_answered(self, wanted: Needs, seen: Seen) -> bool:
        asked = wanted.own | wanted.shared
        return asked <= seen.answers.keys() and wanted.policies <= seen.policies.keys()

    def fetch(self, domain: str) -> FetchedPolicy:
        self.fetched.append(domain)
        return self.policies.get(domain, FetchedPolicy(PolicyFetchOutcome.UNREACHABLE))

    def judged(self, plan: DomainPlan, id: str) -> Judgement:
        """Judge the record of a plan with this id."""
        one, context = record(plan, id), Context(plan)
        return judge(one, self.seen(one, context), context)

    def apply(self, fix: Fix) -> None:
        """Do by hand what a fix says."""
        for gone in fix.remove:
            there = self.records.get((gone.name, gone.type), [])
            self.records[gone.name, gone.type] = [
                one for one in there if as_removed(one) != gone.value
            ]
        self.records.setdefault((fix.name, fix.type), []).append(fix.value)


def record(plan: DomainPlan, id: str) -> PlannedRecord:
    """The record of a plan with this id."""
    return next(one for one in plan.records if one.id == id)


def verdict(judged: Judgement) -> tuple[str, str | None]:
    """The state, and the code of the cause."""
    return judged.state.value, judged.cause.code if judged.cause is not None else None


def advice(judged: Judgement) -> list[str]:
    """The codes of what works, but not as well as it could."""
    return [one.code for one in judged.advice]


def policy(mode: str, *hosts: str, age: int = 604_800) -> FetchedPolicy:
    """A policy that was fetched."""
    text = policy_text(MTASTSMode(mode), hosts, age)
    return FetchedPolicy(PolicyFetchOutcome.FETCHED, text, 200)
