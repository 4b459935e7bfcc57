# SPDX-License-Identifier: Apache-2.0
"""What of the answers at a name is synthesized, by a wildcard (RFC 4592) or a DNAME (RFC 6672)."""

import hashlib
from collections.abc import Iterator

from postroom.dns.answers import Answer, RecordType
from postroom.dns.diagnosis.case import Case
from postroom.dns.names import is_within

#: What may stand where a CNAME belongs, which must be alone (RFC 1034 section 3.6.2), of all that
#: people put at the names of hosts. What else there is (SRV and many more) is not asked for.
BESIDE_ALIAS = (
    RecordType.TXT,
    RecordType.MX,
    RecordType.A,
    RecordType.AAAA,
    RecordType.CAA,
    RecordType.HTTPS,
)
#: What may be seen at the name of a record.
_TYPES = (RecordType.CNAME, *BESIDE_ALIAS)


def parent(name: str) -> str:
    """The name without its first label."""
    return name.partition(".")[2]


def invented_sibling(case: Case) -> str | None:
    """A name beside the record's that nobody has made: what it answers, a wildcard answers.

    None for the zone itself.
    """
    name = case.planned.name
    if case.apex is None or name == case.apex or not is_within(name, case.apex):
        return None
    return invented_name(parent(name))


def invented_name(above: str) -> str:
    """A name below another that looks random, but is always the same, so that messages are."""
    return f"postroom-{hashlib.sha256(above.encode()).hexdigest()[:16]}.{above}"


def answers_at_name(case: Case) -> Iterator[Answer]:
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
    beside = invented_sibling(case)
    own = case.at(case.planned.name, type)
    other = case.at(beside, type) if beside else None
    if own is None or other is None or not (own.values or own.aliases):
        return False
    return (sorted(own.values), own.aliases) == (sorted(other.values), other.aliases)


def only_from_wildcard(case: Case, answer: Answer) -> bool:
    """Whether a wildcard makes all of an answer: then nothing of it stands at that name."""
    name, type = answer.question.name, answer.question.type
    other = case.at(invented_name(parent(name)), type)
    return other is not None and set(answer.values) <= set(other.values)


def dname_target(case: Case) -> str | None:
    """Tell what name the parent of the record's is answered as, as a DNAME makes it (RFC 6672).

    None where a name beside it that nobody has made is not answered in the same way.
    """
    beside, name = invented_sibling(case), case.planned.name
    if beside is None:
        return None
    for answer in answers_at_name(case):
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
    if dname_target(case) is not None:
        return None
    cname = case.at(case.planned.name, RecordType.CNAME)
    if cname is not None and cname.values and not from_wildcard(case, RecordType.CNAME):
        return min(cname.values)
    answer = case.answer
    if answer.aliases and not from_wildcard(case, case.planned.type):
        return answer.aliases[0]
    return None
