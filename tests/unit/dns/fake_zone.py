# SPDX-License-Identifier: Apache-2.0
"""A map-shaped DNS for tables: names and types to values, and a set of names that fail."""

from __future__ import annotations

from postroom.api.findings import Fix, FixAction
from postroom.dns.answers import Answer, Outcome, Question, RecordType, Zone
from postroom.dns.dkim import looks_like_key
from postroom.dns.dmarc import looks_like_dmarc
from postroom.dns.spf import is_spf, looks_like_spf

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
        exists = any(known == name or known.endswith(f".{name}") for known, _ in records)
        outcome = Outcome.FOUND if values else Outcome.NO_DATA if exists else Outcome.NX_DOMAIN
        return Answer(question, outcome, values, tuple(aliases), 300, authoritative=authoritative)

    def apply(self, fix: Fix) -> None:
        """Do by hand what a fix says."""
        key = (fix.name, fix.type)
        there = self.records.setdefault(key, [])
        match fix.action:
            case FixAction.CREATE:
                there.append(fix.value)
            case FixAction.REPLACE:
                self.records[key] = [one for one in there if not _same_purpose(one, fix)]
                self.records[key].append(fix.value)
                # A CNAME stands alone (RFC 1034 section 3.6.2).
                self.records.pop((fix.name, "TXT" if fix.type == "CNAME" else "CNAME"), None)
            case FixAction.DELETE:
                there.remove(fix.value)
            case FixAction.WAIT:
                self.cached.clear()


def _same_purpose(text: str, fix: Fix) -> bool:
    """Replace takes away the records of the same purpose at the name."""
    if fix.type != "TXT":
        return True
    if is_spf(fix.value):
        return is_spf(text) or looks_like_spf(text)
    if fix.value.startswith("v=DMARC1"):
        return looks_like_dmarc(text)
    if fix.value.startswith("v=DKIM1"):
        return looks_like_key(text) or "_domainkey" in fix.name
    prefix = fix.value.partition("=")[0]
    return prefix in text
