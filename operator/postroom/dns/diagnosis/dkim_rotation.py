# SPDX-License-Identifier: Apache-2.0
"""What to do with retired DKIM selectors: when they may go, and when they have gone. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from postroom.api.finding_texts import joined
from postroom.api.findings import Finding, Severity
from postroom.api.sendingdomain import DKIMRole, RecordState
from postroom.dns import dkim
from postroom.dns.answers import Answer
from postroom.dns.diagnosis.dkim import EXPOSED
from postroom.dns.dkim import KeyState, RotationStep, SelectorSeen
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import delete, removal, told
from postroom.dns.judging.judgement import Context, Judgement
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import Behind, CNAMEWanted, DKIMKeyWanted, PlannedRecord

#: Before this time nothing was retired: without a clock, nothing is old enough to go.
_NO_CLOCK = datetime(1970, 1, 1, tzinfo=UTC)
#: What a verdict on its record says of a key that is in use; any other: it is wrong.
_STATES = {
    RecordState.VALID: KeyState.VALID,
    RecordState.UNKNOWN: KeyState.UNKNOWN,
    RecordState.PROPAGATING: KeyState.UNKNOWN,
    RecordState.MISSING: KeyState.MISSING,
}


def advice(
    context: Context,
    judged: Mapping[str, Judgement],
    seen: Seen,
    retired_at: Mapping[str, datetime],
    now: datetime | None,
) -> Mapping[str, Finding]:
    """Return the advice on retired selectors, by record id.

    `retired_at` tells by record id since when a selector is retired. Without `now`, or for one
    that is not in it, nothing is ever safe to remove.
    """
    records = [record for record in context.plan.records if _role(record) is not None]
    selectors = []
    for record in records:
        answer = seen.at(record.name, record.type)
        role = _role(record) or DKIMRole.ACTIVE
        state = _STATES.get(judged[record.id].state, KeyState.WRONG)
        if role is DKIMRole.RETIRED:
            state = _retired(record, answer)
        since = retired_at.get(record.id)
        selectors.append(SelectorSeen(record.id, role, state, since, answer.ttl))
    found: dict[str, Finding] = {}
    steps = dkim.advise_rotation(selectors, now or _NO_CLOCK)
    for planned, advised in zip(records, steps, strict=True):
        answer = seen.at(planned.name, planned.type)
        if judged[planned.id].state is not RecordState.VALID:
            continue
        if advised.step is RotationStep.REMOVED:
            message = (
                f"The retired key is no longer at {planned.name}: take its selector out of "
                "spec.dkim."
            )
            found[planned.id] = finding(Code.DKIM_RETIRED_GONE, planned.id, message)
        elif advised.step is RotationStep.REMOVE and not answer.aliases:
            zone = context.zone.apex if context.zone else None
            fix = told(delete(removal(planned.name, planned.type, answer.values)), zone)
            message = (
                f"The retired key at {planned.name} has been out of use for long enough, and the "
                "active one is in place: it can go, and its selector from spec.dkim."
            )
            message, summary = joined(message, fix)
            made = finding(Code.DKIM_SAFE_TO_REMOVE, planned.id, message, fix, summary)
            found[planned.id] = made
    return found


def weighed(planned: PlannedRecord, made: Finding) -> Finding:
    """A key that does not sign keeps nothing from working, except that a leaked one harms."""
    idle = _role(planned) not in (None, DKIMRole.ACTIVE)
    if not idle or made.severity is not Severity.ERROR or made.code in EXPOSED:
        return made
    return made.model_copy(update={"severity": Severity.WARNING})


def _role(planned: PlannedRecord) -> DKIMRole | None:
    match planned.wanted:
        case DKIMKeyWanted(role=role):
            return role
        case CNAMEWanted(behind=Behind.KEY, role=role):
            return role
        case _:
            return None


def _retired(planned: PlannedRecord, answer: Answer) -> KeyState:
    """What is left of a key that nobody demands any more."""
    if not answer.conclusive:
        return KeyState.UNKNOWN
    if not answer.values:
        return KeyState.MISSING
    match planned.wanted:
        case CNAMEWanted(target=target):
            return KeyState.VALID if target in answer.values else KeyState.WRONG
        case DKIMKeyWanted(key=key):
            found = [dkim.parse(value) for value in answer.values if dkim.looks_like_key(value)]
            if any(record.key == key for record in found):
                return KeyState.VALID
            return KeyState.REVOKED if any(record.revoked for record in found) else KeyState.WRONG
        case _:
            return KeyState.WRONG
