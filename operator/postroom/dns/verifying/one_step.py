# SPDX-License-Identifier: Apache-2.0
"""Records for which one CNAME makes way: whichever is told first, the others go with it. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from postroom.api.findings import FixAction
from postroom.dns import spf
from postroom.dns.answers import RecordType
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
