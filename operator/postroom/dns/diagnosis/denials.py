# SPDX-License-Identifier: Apache-2.0
"""What a denial proves: where a name does not exist, nothing below it does (RFC 8020). Pure.

So one question for a name may spare those for all names below it, of whatever type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from postroom.dns.answers import Answer, Outcome, Question
from postroom.dns.names import and_ancestors, is_within


@dataclass(frozen=True, slots=True)
class Denials:
    """The names of one zone that its servers have denied, and those that are known to exist.

    `asked` are all that were asked for, whatever came back.
    """

    apex: str
    denied: dict[str, Answer]
    existing: frozenset[str]
    asked: frozenset[str]

    @classmethod
    def of(cls, answers: Iterable[Answer], apex: str) -> Denials:
        """Read what the servers of the zone with this apex answered.

        A resolver's denial may be older than the name. Some servers (tinydns) deny a name that has
        nothing but names below it: where one of these was seen, no denial of the zone proves any.
        """
        own = [reply for reply in answers if is_within(reply.question.name, apex)]
        existing, denied = {apex}, dict[str, Answer]()
        for answer in own:
            name = answer.question.name
            if not answer.conclusive:
                continue
            # A denial behind an alias is one of the target, so that the alias is there.
            if answer.outcome is not Outcome.NX_DOMAIN or answer.aliases:
                existing.update(and_ancestors(name))
            elif answer.authoritative:
                denied[name] = answer
        if not existing.isdisjoint(denied):
            denied.clear()
        asked = frozenset(reply.question.name for reply in own)
        return cls(apex, denied, frozenset(existing), asked)

    def implied(self, question: Question) -> Answer | None:
        """The answer to a question that follows from the denial of its name, or one above it."""
        if not is_within(question.name, self.apex):
            return None
        above = (self.denied.get(ancestor) for ancestor in and_ancestors(question.name))
        denial = next((answer for answer in above if answer is not None), None)
        return None if denial is None else replace(denial, question=question)

    def first_of(self, questions: Sequence[Question]) -> tuple[Question, ...]:
        """The questions to ask first: one for each name that several others are at or below.

        Its denial would spare the others. What nothing else is at or below is asked for itself.
        """
        known = self.existing | self.asked
        tops = dict[Question, str | None]()
        for query in questions:
            ancestors = [name for name in and_ancestors(query.name) if is_within(name, self.apex)]
            # The highest name at or above it of which it is not known whether it exists.
            unknown = (name for name in reversed(ancestors) if name not in known)
            tops[query] = next(unknown, None)
        shared = Counter(tops.values())
        first = dict[str, Question]()
        alone = set[Question]()
        for question, top in tops.items():
            if top is None or shared[top] == 1:
                alone.add(question)
            elif question.name == top or top not in first:
                first[top] = replace(question, name=top)
        return tuple(sorted({*alone, *first.values()}))
