# SPDX-License-Identifier: Apache-2.0
"""What of a domain's records has to be published together. Pure.

Where one CNAME makes way for several, and where a record ends the wildcard that answers another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from postroom.api.findings import Finding, FixAction
from postroom.dns import spf
from postroom.dns.answers import Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import create
from postroom.dns.judging.judgement import where
from postroom.dns.verifying.report import RecordReport

#: Most records that a sentence names by their ids.
_NAMED_LIMIT = 4


def in_one_step(judged: Sequence[RecordReport]) -> list[RecordReport]:
    """Return the records with what has to be published in the same step, where they share a CNAME.

    Told first is what keeps most of what was found through it: an SPF record that is made of the
    one there. Any other would end that who passes by it does, until its own turn comes.
    """
    told = list(judged)
    shared = dict[str, list[int]]()
    for index, record in enumerate(judged):
        if (name := _alias_taken(record)) is not None:
            shared.setdefault(name, []).append(index)
    for places in shared.values():
        records = sorted((judged[place] for place in places), key=_keeps_nothing)
        for place, record in zip(places, records, strict=True):
            others = [other.id for other in records if other is not record]
            told[place] = _with_others(record, others) if others else record
    return told


def endings_of_valid(
    judged: Sequence[RecordReport], until: Mapping[Question, str]
) -> dict[str, Finding]:
    """Advise to publish what is valid by a wildcard alone, where the fix of another record ends
    that: `until` are the names at which one would stand."""
    told = dict[str, Finding]()
    for record in judged:
        planned = record.planned
        name = until.get(Question(planned.name, planned.type))
        if name is None:
            continue
        message = (
            f"A wildcard answers the {where(planned)}, and no more once something stands at "
            f"{name}, where a fix publishes: a name that exists has no answers of a wildcard, nor "
            "have those below it. Publish it before that, or in the same step."
        )
        fix = create(planned, record.value)
        told[record.id] = finding(Code.FIX_ENDS_WILDCARD, record.id, message, fix)
    return told


def _alias_taken(record: RecordReport) -> str | None:
    """The name at which the fix puts the record in the place of a CNAME; None where it does not."""
    cause = record.judgement.cause
    fix = cause.fix if cause is not None else None
    if fix is None or fix.name != record.name or fix.type == RecordType.CNAME.value:
        return None
    if fix.action not in (FixAction.REPLACE, FixAction.MOVE):
        return None
    taken = {(each.name, each.type) for each in fix.remove}
    return record.name if (record.name, RecordType.CNAME.value) in taken else None


def _keeps_nothing(record: RecordReport) -> bool:
    return not (isinstance(record.planned.wanted, spf.Requirement) and record.observed)


def _with_others(record: RecordReport, others: Sequence[str]) -> RecordReport:
    cause = record.judgement.cause
    if cause is None:
        return record
    named = ", ".join(others[:_NAMED_LIMIT])
    more = f" and {len(others) - _NAMED_LIMIT} more" if len(others) > _NAMED_LIMIT else ""
    message = (
        f"{cause.message} The same CNAME is in the way of {named}{more}: publish in the same step "
        "what is to be published for that, instead of what it finds of the same kind now."
    )
    changed = replace(cause, message=message)
    return replace(record, judgement=replace(record.judgement, cause=changed))
