# SPDX-License-Identifier: Apache-2.0
"""Causes above the name: a wildcard or a DNAME answers in its place."""

from collections.abc import Iterable, Iterator

from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.diagnosis import fix_contents, synthesis
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import create, external, removal, replace
from postroom.dns.judging.judgement import Cause, Evidence, where
from postroom.dns.names import is_within
from postroom.dns.texts.quoting import quoted


def probes(case: Case) -> Iterable[Probe]:
    """What is seen at the name, beside it; and above it where nothing is."""
    beside = synthesis.invented_sibling(case)
    if beside is None:
        return
    for answer in synthesis.answers_at_name(case):
        yield Probe(0, Question(beside, answer.question.type))
    if synthesis.dname_target(case) is not None:
        yield from (Probe(0, Question(ancestor, RecordType.DNAME)) for ancestor in _above(case))
    above = synthesis.parent(case.planned.name)
    if above != case.domain and is_within(above, case.domain):
        yield Probe(5, Question(above, RecordType.NS))


def causes(case: Case) -> Iterable[Cause]:
    yield from _renamed(case)
    above = synthesis.parent(case.planned.name)
    seen = [
        answer
        for answer in synthesis.answers_at_name(case)
        if synthesis.from_wildcard(case, answer.question.type)
    ]
    if seen:
        message = (
            f"A wildcard above {case.planned.name} answers for it as for any other name in "
            f"{above}; the {where(case.planned)} itself is missing, or says the same as the "
            "wildcard: then change that one."
        )
        fix = fix_contents.with_removed(create(case.planned), fix_contents.records_to_remove(case))
        beside = Question(synthesis.invented_name(above), seen[0].question.type)
        yield Cause(Code.WILDCARD_MASKS, message, fix, Evidence.PROVEN, beside)
    # A CNAME at the name above leads nowhere for the names below it (RFC 1034 section 3.6.2).
    parent = case.at(above, RecordType.NS)
    nothing = case.answer.outcome is Outcome.NX_DOMAIN and not case.answer.aliases
    if parent is not None and parent.aliases and nothing and above != case.domain:
        message = (
            f"There is a CNAME at {above} to {quoted(parent.aliases[0])}, but it does not hold for "
            f"names below it: there is no {where(case.planned)}."
        )
        gone = fix_contents.records_to_remove(
            case, removal(above, RecordType.CNAME, parent.aliases[:1])
        )
        fix = fix_contents.with_removed(replace(case.planned, ()), gone)
        yield Cause(Code.ENT_CNAME_PARENT, message, fix, Evidence.SHOWN)


def _above(case: Case) -> tuple[str, ...]:
    """The names above the record's, the nearest first, up to the zone itself."""
    found = list[str]()
    name = case.planned.name
    while case.apex is not None and name != case.apex and is_within(name, case.apex):
        name = synthesis.parent(name)
        found.append(name)
    return tuple(found)


def _renamed(case: Case) -> Iterator[Cause]:
    """A DNAME gives every name below it another end, that of a stranger as well (RFC 6672)."""
    target = synthesis.dname_target(case)
    if target is None:
        return
    for owner in _above(case):
        answer = case.at(owner, RecordType.DNAME)
        if answer is not None and answer.values and not answer.aliases:
            message = (
                f"A DNAME at {owner} makes every name below it one below "
                f"{quoted(answer.values[0])}, so that nothing that is published at "
                f"{case.planned.name} is seen. What else is found through it goes with it."
            )
            gone = removal(owner, RecordType.DNAME, answer.values[:1])
            fix = fix_contents.with_removed(replace(case.planned, ()), gone)
            yield Cause(Code.ENT_CNAME_PARENT, message, fix, Evidence.PROVEN)
            return
    # Nobody has shown the record that does it, so that none can be named, nor taken away.
    above = synthesis.parent(case.planned.name)
    message = (
        f"Every name in {above} is answered as the same name in {quoted(target)}, as a DNAME at "
        f"{above} or above it makes it, so that nothing that is published at {case.planned.name} "
        "is seen: take the DNAME away."
    )
    yield Cause(Code.ENT_CNAME_PARENT, message, external(), Evidence.PROVEN)


FAMILY = CauseFamily(probes, causes)
