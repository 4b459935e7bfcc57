# SPDX-License-Identifier: Apache-2.0
"""What stands at the name of a record, what a wildcard only pretends, and what would be valid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from postroom.api.findings import Fix, RecordToRemove
from postroom.api.sendingdomain import RecordState
from postroom.dns import dmarc, spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis.case import Case
from postroom.dns.judging import spf as spf_judge
from postroom.dns.judging import spf_merge
from postroom.dns.judging.judge import judge
from postroom.dns.names import is_within
from postroom.dns.requirements import VALUE_LIMIT, DMARCWanted

_REMOVE_LIMIT = 16
#: What may be seen at the name of a record.
_TYPES = (RecordType.CNAME, RecordType.TXT, RecordType.A, RecordType.AAAA, RecordType.MX)


def parent(name: str) -> str:
    """The name without its first label."""
    return name.partition(".")[2]


def stranger(case: Case) -> str | None:
    """A name beside the record's that nobody has made: what it answers, a wildcard answers.

    None for the zone itself.
    """
    name = case.planned.name
    if case.apex is None or name == case.apex or not is_within(name, case.apex):
        return None
    return stranger_in(parent(name))


def stranger_in(above: str) -> str:
    """A name below another that looks random, but is always the same, so that messages are."""
    return f"postroom-{hashlib.sha256(above.encode()).hexdigest()[:16]}.{above}"


def there(case: Case) -> Iterator[Answer]:
    """Yield the answers at the record's own name that show anything in its place, or an alias.

    Of other types only what keeps a CNAME away is in its place.
    """
    types = _TYPES if case.planned.type is RecordType.CNAME else (case.planned.type,)
    for type in types:
        answer = case.at(case.planned.name, type)
        if answer is not None and (answer.values or answer.aliases):
            yield answer


def from_wildcard(case: Case, type: RecordType) -> bool:
    """Whether what the name answers for a type is what any name there would answer."""
    beside = stranger(case)
    own = case.at(case.planned.name, type)
    other = case.at(beside, type) if beside else None
    if own is None or other is None or not (own.values or own.aliases):
        return False
    return (sorted(own.values), own.aliases) == (sorted(other.values), other.aliases)


def only_pretended(case: Case, answer: Answer) -> bool:
    """Whether a wildcard makes all of an answer: then nothing of it stands at that name."""
    name, type = answer.question.name, answer.question.type
    other = case.at(stranger_in(parent(name)), type)
    return other is not None and set(answer.values) <= set(other.values)


def renamed_below(case: Case) -> str | None:
    """Tell what name the parent of the record's is answered as, as a DNAME makes it (RFC 6672).

    None where a name beside it that nobody has made is not answered in the same way.
    """
    beside, name = stranger(case), case.planned.name
    if beside is None:
        return None
    for answer in there(case):
        type = answer.question.type
        other = case.at(beside, type)
        own = _first_alias(answer, type)
        strange = _first_alias(other, type) if other is not None else None
        if own is None or strange is None or not own.startswith(f"{name.partition('.')[0]}."):
            continue
        if strange == f"{beside.partition('.')[0]}.{parent(own)}":
            return parent(own)
    return None


def _first_alias(answer: Answer, type: RecordType) -> str | None:
    chain = answer.values if type is RecordType.CNAME else answer.aliases
    return chain[0] if chain else None


def alias_of(case: Case) -> str | None:
    """Where a CNAME at the record's own name leads; None where there is none, or a wildcard's.

    What a DNAME above makes of the name is no record of it either.
    """
    if renamed_below(case) is not None:
        return None
    cname = case.at(case.planned.name, RecordType.CNAME)
    if cname is not None and cname.values and not from_wildcard(case, RecordType.CNAME):
        return min(cname.values)
    answer = case.answer
    if answer.aliases and not from_wildcard(case, case.planned.type):
        return answer.aliases[0]
    return None


def in_the_way(case: Case, more: Iterable[RecordToRemove] = ()) -> list[RecordToRemove]:
    """Return what has to go for the record to be valid: `more`, and what the judge said.

    What a wildcard answers stands nowhere, and what a CNAME leads to not here.
    """
    cause = case.judgement.cause
    said = cause.fix.remove if cause is not None and cause.fix is not None else []
    kept = [record for record in said if _stands(case, record)]
    found = {(record.name, record.type, record.value): record for record in (*more, *kept)}
    return list(found.values())[:_REMOVE_LIMIT]


def _stands(case: Case, record: RecordToRemove) -> bool:
    type = RecordType(record.type)
    answer = case.at(record.name, type)
    if answer is not None and answer.aliases:
        return False
    if record.name != case.planned.name:
        return True
    if type is RecordType.CNAME and renamed_below(case) is not None:
        return False
    synthesized = type is RecordType.CNAME and any(
        reply.aliases and from_wildcard(case, reply.question.type) for reply in there(case)
    )
    return not synthesized and not from_wildcard(case, type)


def with_removed(fix: Fix | None, records: Iterable[RecordToRemove]) -> Fix | None:
    """Return the fix with exactly these records to remove."""
    return None if fix is None else fix.model_copy(update={"remove": list(records)})


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
    if not isinstance(wanted, spf.Requirement):
        return None
    made = _offer_from(case, wanted, text).value
    good = made is not None and len(made) <= VALUE_LIMIT and valid_with(case, made)
    return made if good else None


def consequences(case: Case, text: str) -> str:
    """What `value_from` leaves out of a text of the user's own; "" for nothing."""
    wanted = case.planned.wanted
    if isinstance(wanted, DMARCWanted):
        said = dmarc.left_out([text], value_from(case, text) or case.planned.value)
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
    return spf_merge.offered((text,), case.planned, wanted, others, plan, lambda _: False)
