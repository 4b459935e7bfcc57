# SPDX-License-Identifier: Apache-2.0
"""A record that is not as it must be, and everything that was seen around it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from postroom.dns import dkim, dmarc, requirements, spf
from postroom.dns.answers import Answer, Question, RecordType
from postroom.dns.judging import mx
from postroom.dns.judging import spf as spf_judge
from postroom.dns.judging.judgement import Cause, Context, Judgement
from postroom.dns.judging.seen import Seen
from postroom.dns.names import host_label

#: Most values of one answer that are held against what is wanted.
_VALUES_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Case:
    """A record, how it was judged, and what the zone's servers answered, probes included."""

    planned: requirements.PlannedRecord
    context: Context
    seen: Seen
    judgement: Judgement

    @property
    def domain(self) -> str:
        return self.context.plan.domain

    @property
    def apex(self) -> str | None:
        """The apex of the zone, None where it is not known."""
        return self.context.zone.apex if self.context.zone else None

    @property
    def label(self) -> str:
        """The name of the record relative to the zone, ``@`` for the zone itself."""
        return host_label(self.planned.name, self.apex)

    @property
    def answer(self) -> Answer:
        """What stands at the record's own name and type."""
        return self.seen.at(self.planned.name, self.planned.type)

    def at(self, name: str, type: RecordType | None = None) -> Answer | None:
        """What was seen at another name, by default of the record's type; None: not asked."""
        return self.seen.get(name, type or self.planned.type)

    def holds(self, answer: Answer | None) -> bool:
        """Whether an answer has what is wanted, whatever name it was asked for."""
        return answer is not None and bool(self.holding(answer))

    def holding(self, answer: Answer) -> tuple[str, ...]:
        """Return the values of an answer that are what is wanted, whatever name they stand at."""
        return tuple(
            value for value in sorted(answer.values)[:_VALUES_LIMIT] if self._is_wanted(value)
        )

    def _is_wanted(self, value: str) -> bool:
        match self.planned.wanted:
            case requirements.TextWanted(text, also):
                return value == text or value in also
            case requirements.CNAMEWanted() as wanted:
                return value == wanted.target
            case requirements.DKIMKeyWanted() as wanted:
                return dkim.looks_like_key(value) and dkim.parse(value).key == wanted.key
            case requirements.DelegationWanted(nameservers):
                return value in nameservers
            case spf.Requirement() as wanted:
                if not spf.is_spf(value):
                    return False
                others = spf_judge.others_of(self.planned, wanted, [value], self.seen)
                return not wanted.missing_from(spf.reach(value, others, self.planned.name))
            case requirements.DMARCWanted() as wanted:
                if not dmarc.is_dmarc(value):
                    return False
                record = dmarc.parse(value)
                return record.problem is None and record.at_least(wanted.policy)
            case requirements.MXWanted() as wanted:
                return mx.host_of(value) == wanted.host
            case _:
                return bool(self.planned.value) and value == self.planned.value


class Probe(NamedTuple):
    """A question that may tell the cause; lower priorities are asked first."""

    priority: int
    question: Question


class CauseFamily(NamedTuple):
    """The rules of one family of causes: what to ask besides, and what the answers tell.

    `causes` are tried on every faulty record, so each must keep quiet about what it is not for.
    """

    probes: Callable[[Case], Iterable[Probe]]
    causes: Callable[[Case], Iterable[Cause]]


def no_probes(case: Case) -> Iterable[Probe]:
    """For families whose causes show in what was asked anyway."""
    return ()
