# SPDX-License-Identifier: Apache-2.0
"""Causes in the value: the text was changed on the way into DNS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from postroom.dns import dkim, requirements, spf
from postroom.dns.answers import Question, RecordType
from postroom.dns.diagnosis import standing
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.damage import Damage, pieced, texts_of, undone
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import delete, removal, replace
from postroom.dns.judging.judgement import Cause, Evidence, where
from postroom.dns.judging.spf_merge import reading

_KINDS = (
    requirements.TextWanted,
    requirements.DKIMKeyWanted,
    spf.Requirement,
    requirements.DMARCWanted,
    requirements.MTASTSWanted,
    requirements.TLSRPTWanted,
    requirements.BIMIWanted,
)
#: What only resembles the wanted key, so that what else is there may be meant.
_SHOWN = frozenset({Code.VALUE_PLACEHOLDER, Code.VALUE_NEAR})


def _concerned(case: Case) -> bool:
    """Whether there are texts at the name itself, of a kind that has damage."""
    return (
        case.planned.type is RecordType.TXT
        and isinstance(case.planned.wanted, _KINDS)
        and bool(case.answer.values)
        and not case.answer.aliases
        and not standing.from_wildcard(case, RecordType.TXT)
    )


def probes(case: Case) -> Iterable[Probe]:
    """Ask what a policy leads to when its damage is undone: it may hold more than is wanted."""
    if not _concerned(case) or not isinstance(case.planned.wanted, spf.Requirement):
        return
    for damage in (*undone(case), *pieced(case)):
        read = reading(damage.meant) if spf.is_spf(damage.meant) else "v=spf1"
        for name in spf.referred_names(read):
            yield Probe(2, Question(name, RecordType.TXT))


def causes(case: Case) -> Iterable[Cause]:
    if not _concerned(case):
        return
    if isinstance(case.planned.wanted, requirements.DKIMKeyWanted):
        yield from _of_key(case, case.planned.wanted)
        return
    for damage in (*pieced(case), *undone(case)):
        yield _cause(case, damage)


def _cause(case: Case, damage: Damage) -> Cause:
    evidence = Evidence.PROVEN if damage.proven else Evidence.SHOWN
    message = (
        f"The {where(case.planned)} {damage.detail}.{standing.consequences(case, damage.meant)}"
    )
    value, said = standing.value_from(case, damage.meant), case.judgement.cause
    if value is None and isinstance(case.planned.wanted, spf.Requirement) and said is not None:
        # Never the bare requirement: publishing that would take away what is there.
        return Cause(damage.code, message, said.fix, evidence)
    gone = standing.in_the_way(case, removal(case.planned.name, RecordType.TXT, damage.values))
    return Cause(
        damage.code,
        message,
        standing.with_removed(replace(case.planned, (), value), gone),
        evidence,
    )


def _of_key(case: Case, wanted: requirements.DKIMKeyWanted) -> Iterator[Cause]:
    """What the library knows of key records; what is only of DKIM has a family of its own."""
    texts = texts_of(case)
    strings = dict(zip(case.answer.values, case.answer.strings, strict=False))
    pieces = [strings.get(text, (text,)) for text in texts]
    slips = dkim.slips(texts, pieces, wanted.key, case.planned.value)
    # Who pastes a whole line of a zone file has quotes in it as well.
    for slip in sorted(slips, key=lambda candidate: candidate.code != Code.VALUE_INCLUDES_NAME):
        if not slip.code.startswith("VALUE_"):
            continue
        evidence = Evidence.SHOWN if slip.code in _SHOWN else Evidence.PROVEN
        message = f"The {where(case.planned)} {slip.detail}."
        if slip.code == Code.VALUE_DUPLICATE_RECORD:
            yield _duplicate(case, message)
            continue
        gone = standing.in_the_way(
            case, removal(case.planned.name, RecordType.TXT, _parts(case, slip))
        )
        yield Cause(
            slip.code, message, standing.with_removed(replace(case.planned, ()), gone), evidence
        )


def _parts(case: Case, slip: dkim.Slip) -> Sequence[str]:
    """The values that a slip is about; all pieces of a key that was split into records."""
    if slip.value:
        return (slip.value,)
    return tuple(text for text in texts_of(case) if _is_piece(text, case.planned.value))


def _is_piece(text: str, whole: str) -> bool:
    """Whether a text is a part of the whole, in whatever way its spaces were kept."""
    bare = "".join(text.split())
    return bool(bare) and (dkim.looks_like_key(text) or bare in "".join(whole.split()))


def _duplicate(case: Case, message: str) -> Cause:
    """The right one is there: only what stands beside it has to go."""
    right = case.holding(case.answer)
    others = [text for text in texts_of(case) if dkim.looks_like_key(text) and text not in right]
    gone = removal(case.planned.name, RecordType.TXT, [*others, *right[1:]])
    return Cause(Code.VALUE_DUPLICATE_RECORD, message, delete(gone), Evidence.PROVEN)


FAMILY = CauseFamily(probes, causes)
