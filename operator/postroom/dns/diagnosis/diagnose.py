# SPDX-License-Identifier: Apache-2.0
"""From a faulty record to its root cause: which questions may tell, and which cause comes first."""

from collections.abc import Iterable
from dataclasses import replace

from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Question
from postroom.dns.diagnosis import (
    cname,
    dkim,
    dmarc,
    fix_contents,
    mx,
    names,
    spf,
    types,
    values,
    wildcards,
    wrong_zone,
)
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.places import FAR
from postroom.dns.judging.judgement import Cause, Evidence, Judgement
from postroom.dns.names import fits_into_query

#: Most questions that are asked besides, for one record: first the likely ones, and only where
#: these explain nothing the many that are each unlikely.
NEAR_LIMIT = 24
PROBES_LIMIT = 62
#: Most questions that are asked beyond these, as what was found may be a wildcard's.
DOUBTS_LIMIT = 8
#: How often answers may raise further questions.
PROBE_ROUNDS = 3
_BECAUSE_LIMIT = 8

#: In the order in which equally well proven causes are told.
FAMILIES: tuple[CauseFamily, ...] = (
    dkim.FAMILY,
    names.FAMILY,
    wildcards.FAMILY,
    mx.FAMILY,
    types.FAMILY,
    cname.FAMILY,
    wrong_zone.FAMILY,
    spf.FAMILY,
    dmarc.FAMILY,
    values.FAMILY,
)

#: What a look for causes makes sense for.
FAULTY = frozenset({RecordState.MISSING, RecordState.WRONG, RecordState.CONFLICTING})


def may_explain(judgement: Judgement) -> bool:
    """Whether answers beside a record may tell more of it, or of what it is advised to change."""
    return judgement.state in FAULTY or any(made.fix for made in judgement.advice)


def probes(case: Case, left: int = PROBES_LIMIT, *, search: bool = True) -> tuple[Question, ...]:
    """Return the questions that may tell the cause, the likeliest first, no more than `left`.

    Without `search` only the likely ones: the many others found nothing the last time.
    """
    if case.judgement.state not in FAULTY:
        return _unasked(case, fix_contents.probes_of_advice(case))[: max(left, 0)]
    wanted: list[Probe] = [probe for family in FAMILIES for probe in family.probes(case)]
    ordered = sorted(wanted, key=lambda probe: probe.priority)
    likely = [probe for probe in ordered if probe.priority < FAR]
    near = _unasked(case, likely)
    if near:
        # What a wildcard answers must be known as that: nobody can take it away.
        doubts = _unasked(case, (probe for probe in likely if probe.priority == 0))
        return near[: max(min(left, NEAR_LIMIT), min(len(doubts), DOUBTS_LIMIT))]
    asked = (case.seen.answers.get(probe.question) for probe in likely)
    # Where servers answer badly, the many unlikely questions would only be lost as well.
    heard = all(answer is None or answer.conclusive for answer in asked)
    # What stands at the right name, and is wrong there, is hardly misspelt somewhere else as well.
    misplaced = case.judgement.state is RecordState.MISSING
    if not (search and heard and misplaced) or any(
        cause.evidence <= Evidence.SHOWN for cause in causes(case)
    ):
        return ()
    return _unasked(case, ordered)[: max(left, 0)]


def _unasked(case: Case, probes: Iterable[Probe]) -> tuple[Question, ...]:
    asked = dict.fromkeys(probe.question for probe in probes)
    return tuple(
        question
        for question in asked
        if question not in case.seen.answers and fits_into_query(question.name)
    )


def causes(case: Case) -> tuple[Cause, ...]:
    """Return every cause that was found, best proven first; what the judge said is among them."""
    found = [cause for family in FAMILIES for cause in family.causes(case)]
    if case.judgement.cause is not None:
        found.append(case.judgement.cause)
    # Nothing else that may be wrong matters beside a key that others can sign with.
    found = [cause for cause in found if cause.code in dkim.EXPOSED] or found
    return tuple(sorted(found, key=lambda cause: cause.evidence))


def diagnosed(case: Case) -> tuple[Judgement, tuple[str, ...]]:
    """Return the judgement with its root cause, and the codes of what else was found."""
    if case.judgement.state not in FAULTY:
        advice = (fix_contents.as_it_stands(case, made) for made in case.judgement.advice)
        return replace(case.judgement, advice=tuple(advice)), ()
    found = causes(case)
    root = fix_contents.with_what_counts(case, found[0])
    root = types.with_all_in_the_way(case, root)
    root = dkim.with_tags_kept(case, dkim.with_keys_named(case, root))
    root = dmarc.with_names_below(case, dmarc.with_policy_kept(case, root))
    root = fix_contents.with_alias_named(case, root)
    others = dict.fromkeys(cause.code for cause in found[1:] if cause.code != root.code)
    judged = replace(case.judgement, cause=root, message=root.message)
    return judged, tuple(others)[:_BECAUSE_LIMIT]
