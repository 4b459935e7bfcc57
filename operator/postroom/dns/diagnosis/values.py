# SPDX-License-Identifier: Apache-2.0
"""Causes in the value: the text was changed on the way into DNS."""

from collections.abc import Iterable, Iterator

from postroom.dns import dkim, requirements, spf
from postroom.dns.answers import Question, RecordType
from postroom.dns.diagnosis import fix_contents, synthesis
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.damage import pieced, texts_of, undone
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import create, delete, removal, replace
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


def _concerned(case: Case) -> bool:
    """Whether there are texts at the name itself, of a kind that has damage."""
    return (
        case.planned.type is RecordType.TXT
        and isinstance(case.planned.wanted, _KINDS)
        and bool(case.answer.values)
        and not case.answer.aliases
        and not synthesis.from_wildcard(case, RecordType.TXT)
    )


def probes(case: Case) -> Iterable[Probe]:
    """What a policy leads to when its damage is undone: it may hold more than is wanted."""
    if not _concerned(case) or not isinstance(case.planned.wanted, spf.Requirement):
        return
    for damage in (*undone(case), *pieced(case)):
        read = reading(damage.meant) if spf.is_spf(damage.meant) else "v=spf1"
        for name in spf.referred_names(read, case.planned.name):
            yield Probe(2, Question(name, RecordType.TXT))


def causes(case: Case) -> Iterable[Cause]:
    if not _concerned(case):
        return
    if isinstance(case.planned.wanted, requirements.DKIMKeyWanted):
        yield from _of_key(case, case.planned.wanted)
        return
    for damage in (*pieced(case), *undone(case)):
        evidence = Evidence.PROVEN if damage.proven else Evidence.SHOWN
        lost = fix_contents.consequences(case, damage.meant)
        message = f"The {where(case.planned)} {damage.detail}.{lost}"
        if damage.code == Code.VALUE_NEAR:
            # Accounts of one provider, or tenants, may have values that are as much alike.
            message += " It may be another's and stays: delete it if it is a slip of the pen."
            yield Cause(damage.code, message, create(case.planned), evidence)
            continue
        value, said = fix_contents.value_from(case, damage.meant), case.judgement.cause
        if value is None and isinstance(case.planned.wanted, spf.Requirement) and said is not None:
            # Never the bare requirement: publishing that would take away what is there.
            fix = said.fix
        else:
            gone = removal(case.planned.name, RecordType.TXT, damage.values)
            fix = fix_contents.with_removed(
                replace(case.planned, (), value), fix_contents.records_to_remove(case, gone)
            )
        yield Cause(damage.code, message, fix, evidence, left_out=lost)


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
        evidence = Evidence.PROVEN if slip.proves else Evidence.SHOWN
        message = f"The {where(case.planned)} {slip.detail}."
        if slip.code == Code.VALUE_DUPLICATE_RECORD:
            # The right one is there: only what stands beside it has to go.
            stays = dkim.staying(texts, wanted.key)
            keys = [text for text in texts if dkim.looks_like_key(text) and text != stays]
            extra = removal(case.planned.name, RecordType.TXT, keys)
            yield Cause(slip.code, message, delete(extra), Evidence.PROVEN)
            continue
        wrong = [slip.value]
        if not slip.value:
            # All pieces of a key that was split, in whatever way their spaces were kept.
            whole = "".join(case.planned.value.split())
            bare = {text: "".join(text.split()) for text in texts}
            wrong = [
                text
                for text, piece in bare.items()
                if piece and (dkim.looks_like_key(text) or piece in whole)
            ]
        gone = fix_contents.records_to_remove(
            case, removal(case.planned.name, RecordType.TXT, wrong)
        )
        yield Cause(
            slip.code, message, fix_contents.with_removed(replace(case.planned, ()), gone), evidence
        )


FAMILY = CauseFamily(probes, causes)
