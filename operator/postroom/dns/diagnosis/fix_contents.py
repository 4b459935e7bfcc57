# SPDX-License-Identifier: Apache-2.0
"""What the fix of a cause takes away, and the value that keeps what the user's own text says."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from postroom.api.findings import FINDING_LIMIT, Finding, Fix, FixAction, RecordToRemove
from postroom.api.sendingdomain import RecordState
from postroom.dns import bimi, dmarc, spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis import synthesis
from postroom.dns.diagnosis.case import Case, Probe
from postroom.dns.judging import fixes, spf_merge
from postroom.dns.judging import spf as spf_judge
from postroom.dns.judging import tls_rpt as tls_rpt_judge
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Cause
from postroom.dns.requirements import VALUE_LIMIT, BIMIWanted, DMARCWanted, TLSRPTWanted
from postroom.dns.texts.quoting import quoted
from postroom.dns.tls import tls_rpt

#: What is found through a CNAME and may be needed when it goes.
THROUGH_ALIAS = (RecordType.TXT, RecordType.MX, RecordType.A, RecordType.AAAA)
#: Most values of one type that are named as found through a CNAME.
_ALIASED_SHOWN = 3


def records_to_remove(case: Case, more: Iterable[RecordToRemove] = ()) -> list[RecordToRemove]:
    """Return what has to go for the record to be valid: `more`, and what the judge said.

    What a wildcard answers stands nowhere, and what a CNAME leads to not here.
    """
    cause = case.judgement.cause
    said = cause.fix.remove if cause is not None and cause.fix is not None else []
    kept = [record for record in said if _stands(case, record)]
    found = {(record.name, record.type, record.value): record for record in (*more, *kept)}
    return list(found.values())


def _stands(case: Case, record: RecordToRemove) -> bool:
    type = RecordType(record.type)
    answer = case.at(record.name, type)
    if answer is not None and answer.aliases:
        return False
    if record.name != case.planned.name:
        return True
    if type is RecordType.CNAME and synthesis.dname_target(case) is not None:
        return False
    synthesized = type is RecordType.CNAME and any(
        reply.aliases and synthesis.from_wildcard(case, reply.question.type)
        for reply in synthesis.answers_at_name(case)
    )
    return not synthesized and not synthesis.from_wildcard(case, type)


def probes_of_advice(case: Case) -> Iterator[Probe]:
    """Names beside those of what valid records are advised to take away: is it a wildcard's?"""
    beside = synthesis.invented_sibling(case)
    advised = [made.fix for made in case.judgement.advice if made.fix is not None]
    gone = {each.type for fix in advised for each in fix.remove if each.name == case.planned.name}
    if beside is not None:
        yield from (Probe(0, Question(beside, RecordType(type))) for type in sorted(gone))


def as_it_stands(case: Case, made: Finding) -> Finding:
    """Return advice whose fix takes away only what stands there, not what a wildcard answers."""
    fix, name = made.fix, case.planned.name
    if fix is None or all(_stands(case, record) for record in fix.remove):
        return made
    left = with_removed(fix, [record for record in fix.remove if _stands(case, record)])
    message = f"{made.message} A wildcard, or a CNAME, answers that: it does not stand at {name}."
    if left is not None and not left.remove:
        if fix.action is FixAction.DELETE:
            message += f" To end it there alone, publish at {name} all that is to be answered."
            left = fixes.external()
        else:
            left = left.model_copy(update={"action": FixAction.CREATE})
    told = {"message": message[:FINDING_LIMIT], "summary": "", "fix": left}
    return made.model_copy(update=told)


def with_removed(fix: Fix | None, records: Iterable[RecordToRemove]) -> Fix | None:
    """Return the fix with exactly these records to remove."""
    return None if fix is None else fixes.with_removed(fix, records)


def valid_with(case: Case, text: str) -> bool:
    """Whether the record would be valid if exactly this text were published."""
    question = Question(case.planned.name, RecordType.TXT)
    answer = Answer(question, Outcome.FOUND, (text,), strings=((text,),))
    judged = judge(case.planned, case.seen.with_answers([answer]), case.context)
    return judged.state is RecordState.VALID


def value_from(case: Case, text: str) -> str | None:
    """Return the value to publish, given a text of the user's own; None: the one of the plan.

    Policies may hold more than what is wanted, which is not to be lost.
    """
    wanted = case.planned.wanted
    if isinstance(wanted, DMARCWanted):
        # What else may keep the record from being valid, the plan's own value would not mend.
        policy = dmarc.with_requirements(text, wanted.policy, wanted.rua)
        return policy if len(policy) <= VALUE_LIMIT else None
    if isinstance(wanted, TLSRPTWanted):
        return tls_rpt_judge.value_from(case.planned, wanted, [text])
    if isinstance(wanted, BIMIWanted):
        record = bimi.record_for([text], wanted.logo, wanted.certificate)
        return record if len(record) <= VALUE_LIMIT else None
    if not isinstance(wanted, spf.Requirement):
        return None
    made = _offer_from(case, wanted, text).value
    good = made is not None and len(made) <= VALUE_LIMIT and valid_with(case, made)
    return made if good else None


def with_what_counts(case: Case, cause: Cause) -> Cause:
    """Keep in a fix that would publish the plan's own value what receivers read at the name now,
    through an alias or by a wildcard: the judge has made one record of it and what is wanted."""
    said, fix, planned = case.judgement.cause, cause.fix, case.planned
    if fix is None or said is None or said.fix is None or said.fix.value == planned.value:
        return cause
    if (fix.name, fix.type, fix.value) != (planned.name, planned.type.value, planned.value):
        return cause
    read = spf.select(case.answer.values) or dmarc.select(case.answer.values)
    if not said.fix.value:
        # What cannot be merged, or not yet, is not to be replaced by the bare requirement.
        kept = replace(cause, message=f"{cause.message} {said.message}", fix=said.fix)
        return kept if read and said is not cause else cause
    more = consequences(case, read[0]) if len(read) == 1 else ""
    if more == cause.left_out:
        more = ""
    fix = fix.model_copy(update={"value": said.fix.value})
    return replace(cause, message=f"{cause.message}{more}", fix=fix)


def is_dedicated(name: str) -> bool:
    """Whether a name is for records of one use: none with an underscore is that of a host, or of a
    domain that has mail."""
    return any(label.startswith("_") for label in name.split("."))


def with_alias_named(case: Case, cause: Cause) -> Cause:
    """Name what mail and websites need of all that is found through a CNAME which a fix takes away.

    By whichever record it goes: the fixes of others at that name have it no more then.
    """
    fix, planned = cause.fix, case.planned
    gone = {(each.name, each.type) for each in fix.remove} if fix is not None else set()
    takes = (planned.name, RecordType.CNAME.value) in gone and not is_dedicated(planned.name)
    if planned.type is RecordType.CNAME or not takes:
        return cause
    found = list[str]()
    for type in THROUGH_ALIAS:
        answer = case.at(planned.name, type)
        values = answer.values if answer is not None and answer.aliases else ()
        if type is RecordType.TXT:
            # Of another text nothing is told: it may be a secret.
            values = () if isinstance(planned.wanted, spf.Requirement) else spf.select(values)
        elif planned.type is type:
            values = ()
        found += [f"{type.value} {quoted(value)}" for value in sorted(values)[:_ALIASED_SHOWN]]
        more = len(values) - _ALIASED_SHOWN
        found += [f"{more} more of type {type.value}"] if more > 0 else []
    if not found:
        return cause
    message = (
        f"{cause.message} With the CNAME goes what is found through it: {', '.join(found)}. "
        f"Publish that at {planned.name} in the same step, for whoever needs it."
    )
    return replace(cause, message=message)


def consequences(case: Case, text: str) -> str:
    """What `value_from` leaves out of a text of the user's own; "" for nothing."""
    wanted = case.planned.wanted
    left_out: Callable[[Sequence[str], str], str] | None = None
    if isinstance(wanted, DMARCWanted):
        left_out = dmarc.left_out
    elif isinstance(wanted, BIMIWanted):
        left_out = bimi.left_out
    elif isinstance(wanted, TLSRPTWanted):
        left_out = tls_rpt.left_out
    if left_out is not None:
        said = left_out([text], value_from(case, text) or case.planned.value)
        return f" {said}" if said else ""
    if not isinstance(wanted, spf.Requirement) or value_from(case, text) is None:
        return ""
    said = _offer_from(case, wanted, text).consequences
    return f" {said}" if said else ""


def unmergeable(case: Case, text: str) -> str | None:
    """Why no record can be offered for a policy of the user's own; None where one can.

    The bare requirement in its place would take away what it says besides.
    """
    wanted = case.planned.wanted
    if not isinstance(wanted, spf.Requirement) or value_from(case, text) is not None:
        return None
    why = _offer_from(case, wanted, text).why
    return why or "No record is offered: what came out would not be valid."


def _offer_from(case: Case, wanted: spf.Requirement, text: str) -> spf_merge.Offer:
    others = spf_judge.others_of(case.planned, wanted, [text], case.seen)
    plan = case.context.plan
    # Where it stands nobody passes by it, so that it has nothing to lose.
    return spf_merge.offered((text,), case.planned, wanted, others, plan, lambda _: False)
