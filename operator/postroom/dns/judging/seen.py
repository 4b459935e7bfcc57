# SPDX-License-Identifier: Apache-2.0
"""What was seen, by question, and what a judge still needs to be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.tls.mta_sts_host import FetchedPolicy


@dataclass(frozen=True, slots=True)
class Needs:
    """Questions that a judge wants answered.

    `own` are about the domain's own names: asked afresh, from both points of view. `shared` are
    about names of others (providers, parents): a cached answer serves, the same for both views.
    `policies` are the domains whose MTA-STS policy is to be fetched.
    """

    own: frozenset[Question] = frozenset()
    shared: frozenset[Question] = frozenset()
    policies: frozenset[str] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.own | other.own, self.shared | other.shared, self.policies | other.policies
        )


def own(*questions: tuple[str, RecordType]) -> Needs:
    """Need answers about the domain's own names."""
    return Needs(own=frozenset(Question(*question) for question in questions))


def shared(*questions: tuple[str, RecordType]) -> Needs:
    """Need answers about names of others."""
    return Needs(shared=frozenset(Question(*question) for question in questions))


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that one point of view shows, by question, and the policies that were fetched."""

    answers: Mapping[Question, Answer] = field(default_factory=dict)
    policies: Mapping[str, FetchedPolicy] = field(default_factory=dict)

    def get(self, name: str, type: RecordType) -> Answer | None:
        """Return the answer to a question, None if it was not asked."""
        return self.answers.get(Question(name, type))

    def at(self, name: str, type: RecordType) -> Answer:
        """Return the answer to a question; a question that was not asked is as good as silence."""
        question = Question(name, type)
        return self.answers.get(question) or Answer(question, Outcome.TIMEOUT)

    def with_answers(self, answers: Iterable[Answer]) -> Seen:
        """Return the same view with these answers added, or in the place of others."""
        added = {answer.question: answer for answer in answers}
        return replace(self, answers={**self.answers, **added})
