# SPDX-License-Identifier: Apache-2.0
"""A map-shaped DNS for tables: names and types to values, and a set of names that fail."""

from __future__ import annotations

from postroom.api.findings import Fix, FixAction
from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.judging.fixes import as_removed

Key = tuple[str, str]


class FakeZone:
    """Implements Asker over a dict; `cached` is what the resolver shows where it differs."""

    def __init__(self, records: dict[Key, list[str]], apex: str = "example.com") -> None:
        self.records = {key: list(values) for key, values in records.items()}
        self.cached: dict[Key, list[str]] = {}
        self.failing: dict[str, Outcome] = {}
        self.blocked = False
        self.zone: Zone | Outcome = Zone(apex, ("ns1.example.net", "ns2.example.net"))
        #: What fails at the resolver only.
        self.failing_resolver: dict[str, Outcome] = {}

    async def zone_of(self, name: str) -> Zone | Answer:
        if isinstance(self.zone, Zone):
            return self.zone
        return Answer(Question(name, RecordType.SOA), self.zone)

    async def authoritative(self, question: Question) -> Answer:
        return self._answer(question, self.records, authoritative=not self.blocked)

    async def recursive(self, question: Question) -> Answer:
        if question.name in self.failing_resolver:
            return Answer(question, self.failing_resolver[question.name])
        return self._answer(question, {**self.records, **self.cached}, authoritative=False)

    def _answer(
        self, question: Question, records: dict[Key, list[str]], *, authoritative: bool
    ) -> Answer:
        if question.name in self.failing:
            return Answer(question, self.failing[question.name])
        name, aliases = question.name, []
        while question.type is not RecordType.CNAME and records.get((name, "CNAME")):
            name = records[name, "CNAME"][0]
            aliases.append(name)
        values = tuple(records.get((name, question.type.value), ()))
        outcome = Outcome.FOUND
        if not values:
            exists = any(known == name or known.endswith(f".{name}") for known, _ in records)
            outcome = Outcome.NO_DATA if exists else Outcome.NX_DOMAIN
        return Answer(question, outcome, values, tuple(aliases), 300, authoritative=authoritative)

    async def shared(self, question: Question) -> Answer:
        return await self.recursive(question)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        answer = await self.authoritative(question)
        if not isinstance(self.zone, Zone) or not answer.authoritative:
            return ()
        return tuple(ServerAnswer(nameserver, answer) for nameserver in self.zone.nameservers)

    async def serials(self, name: str) -> tuple[ServerAnswer, ...]:
        if not isinstance(self.zone, Zone):
            return ()
        question = Question(self.zone.apex, RecordType.SOA)
        answer = Answer(question, Outcome.FOUND, ("1",), ttl=300, authoritative=True)
        if self.blocked:
            answer = Answer(question, Outcome.TIMEOUT)
        return tuple(ServerAnswer(nameserver, answer) for nameserver in self.zone.nameservers)

    async def unvalidated(self, question: Question) -> Answer:
        return await self.recursive(question)

    async def delegation(self, apex: str) -> Delegation | Answer:
        if not isinstance(self.zone, Zone):
            return Answer(Question(apex, RecordType.NS), self.zone)
        if self.blocked:
            return Answer(Question(apex, RecordType.NS), Outcome.TIMEOUT)
        return Delegation(apex.partition(".")[2], self.zone.nameservers, signed=False)

    def apply(self, fix: Fix) -> None:
        """Do by hand what a fix says."""
        for gone in fix.remove:
            there = self.records.get((gone.name, gone.type), [])
            left = [one for one in there if gone.value and as_removed(one) != gone.value]
            self.records[gone.name, gone.type] = left
        if fix.action is FixAction.WAIT:
            self.cached.clear()
        elif fix.action is not FixAction.DELETE and fix.name:
            self.records.setdefault((fix.name, fix.type), []).append(fix.value)
