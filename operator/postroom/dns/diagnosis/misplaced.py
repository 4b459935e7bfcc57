# SPDX-License-Identifier: Apache-2.0
"""What stands at a wrong place: the record, a damaged form of it, or another one of its kind."""

from dataclasses import dataclass, replace

from postroom.api.sendingdomain import RecordState
from postroom.dns import bimi, dkim, dmarc, requirements, spf
from postroom.dns.answers import Answer, Question
from postroom.dns.diagnosis import cname, mx, values
from postroom.dns.diagnosis import dkim as dkim_diagnosis
from postroom.dns.diagnosis import dmarc as dmarc_diagnosis
from postroom.dns.diagnosis.case import Case
from postroom.dns.diagnosis.damage import undone
from postroom.dns.finding_codes import Code
from postroom.dns.judging import spf_merge
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Cause, Evidence
from postroom.dns.texts.pasted import UNDO
from postroom.dns.tls import mta_sts, tls_rpt

#: The families that tell what is wrong with a value, wherever it stands.
_OF_VALUES = (dkim_diagnosis, values, mx, cname, dmarc_diagnosis)
#: What is no damage, or says nothing of what was meant.
_NO_PROOF = frozenset({Code.DKIM_MULTIPLE, Code.DKIM_PRIVATE_KEY_PUBLISHED})


@dataclass(frozen=True, slots=True)
class Misplaced:
    """What stands at a place: the values that are meant, and what is wrong with them besides.

    `held` tells that it is the record itself, be it damaged; else it is only one of its kind.
    `fault` is None where nothing else is wrong.
    """

    texts: tuple[str, ...]
    held: bool
    fault: Cause | None = None


def found_at(case: Case, answer: Answer) -> Misplaced | None:
    """Read the answer of a wrong place as if it came from the right one; None: nothing is meant."""
    held = case.holding(answer)
    if held:
        return Misplaced(held, held=True)
    for text in sorted(answer.values):
        moved = _moved(case, answer, (text,))
        fault = _fault(moved)
        if fault is not None and _proves(moved, fault):
            return Misplaced((text,), held=True, fault=fault)
    kin = tuple(value for value in sorted(answer.values) if _is_kin(case, value))
    return Misplaced(kin, held=False, fault=_fault(_moved(case, answer, kin))) if kin else None


def _moved(case: Case, answer: Answer, texts: tuple[str, ...]) -> Case:
    """The same case with these values of an answer at the record's own name."""
    question = Question(case.planned.name, case.planned.type)
    strings = dict(zip(answer.values, answer.strings, strict=False))
    there = replace(
        answer,
        question=question,
        values=texts,
        strings=tuple(strings.get(text, (text,)) for text in texts),
    )
    seen = case.seen.with_answers([there])
    return replace(case, seen=seen, judgement=judge(case.planned, seen, case.context))


def _fault(moved: Case) -> Cause | None:
    """The best proven of what is wrong with the values; None where nothing is."""
    if moved.judgement.state in (RecordState.VALID, RecordState.UNKNOWN):
        return None
    causes = [cause for family in _OF_VALUES for cause in family.FAMILY.causes(moved)]
    if moved.judgement.cause is not None:
        causes.append(moved.judgement.cause)
    return min(causes, key=lambda cause: cause.evidence, default=None)


def _proves(moved: Case, fault: Cause) -> bool:
    """Whether undoing the damage yields what is wanted, so that nothing else can be meant."""
    wanted = moved.planned.wanted
    if isinstance(wanted, requirements.DKIMKeyWanted) and any(
        dkim.mends_to(value, wanted.key) for value in moved.answer.values
    ):
        return True
    if isinstance(
        wanted, requirements.DKIMKeyWanted | requirements.CNAMEWanted | requirements.MXWanted
    ):
        return fault.evidence is Evidence.PROVEN and fault.code not in _NO_PROOF
    # The texts that come out when damage is undone.
    meant = [damage.meant for damage in undone(moved)]
    for text in moved.answer.values:
        if isinstance(wanted, requirements.DMARCWanted):
            meant.append(dmarc.mended(text))
        elif isinstance(wanted, spf.Requirement):
            read = spf_merge.meant(text)
            if read is not None:
                meant.append(read[1])
        else:
            # All damage that any value may take, one kind after the other.
            for _, undo in UNDO:
                text = undo(text)
                meant.append(text)
    return moved.holds(replace(moved.answer, values=tuple(meant)))


def _is_kin(case: Case, text: str) -> bool:
    """Whether a text is of the wanted kind, be it broken."""
    match case.planned.wanted:
        case requirements.DKIMKeyWanted():
            return dkim.looks_like_key(text)
        case requirements.DMARCWanted():
            return dmarc.looks_like_dmarc(text)
        case spf.Requirement():
            return spf.is_spf(text) or spf_merge.meant(text) is not None
        case requirements.TLSRPTWanted():
            return tls_rpt.looks_like_record(text)
        case requirements.MTASTSWanted():
            return mta_sts.looks_like_record(text)
        case requirements.BIMIWanted():
            return bimi.looks_like_record(text)
    return False
