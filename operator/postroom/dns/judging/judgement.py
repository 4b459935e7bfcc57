# SPDX-License-Identifier: Apache-2.0
"""The shape of a judgement on one record, and what all judges share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from postroom.api.findings import Finding, Fix
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import dkim, requirements
from postroom.dns.answers import RECORDS_LIMIT, TXT_LIMIT, Answer, Outcome, Question, Zone
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import create, external
from postroom.dns.spf import Requirement
from postroom.dns.texts.quoting import quoted, shown

#: From how many CNAMEs on some resolvers give up; RFC 1034 section 3.6.2 sets no limit.
_LONG_CHAIN = 8


class Evidence(IntEnum):
    """How well a cause is proven; the best proven one is told as the root."""

    PROVEN = 0  # the wanted record was found elsewhere, or undoing the slip yields it
    SHOWN = 1  # what is there shows it
    LIKELY = 2  # what is there resembles it
    PLAIN = 3  # the record is just not as it must be


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a record is not as it must be: a code of the catalogue, and the change that mends it.

    `message` is one or two sentences that end in a full stop: what was looked for and what was
    seen, where. What to do is said by the fix, in words that are the same for all causes.
    """

    code: Code
    message: str
    fix: Fix | None = None
    evidence: Evidence = Evidence.PLAIN
    #: What to ask DNS to see it, where that is neither the record nor what the fix takes away.
    shown_by: Question | None = None
    #: The keys that the message names, and what it says that the fix leaves out: nothing is said
    #: twice.
    keys: frozenset[dkim.PublicKey] = frozenset()
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a record amounts to in one view.

    `cause` is None for a valid record. `value` is what to publish, where it depends on what is
    there. `certain` tells that no second look could see it otherwise by chance.
    """

    state: RecordState
    reason: Reason
    message: str
    cause: Cause | None = None
    value: str | None = None
    observed: tuple[str, ...] = ()
    advice: tuple[Finding, ...] = ()
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What judges know besides the answers: the whole plan, and the zone where it was found."""

    plan: requirements.DomainPlan
    zone: Zone | None = None


def valid(
    reason: Reason,
    message: str,
    observed: Sequence[str],
    value: str | None = None,
    advice: tuple[Finding, ...] = (),
) -> Judgement:
    """The record is as it must be; `value` is how it is published, where that may vary."""
    kept = value if value is not None and len(value) <= requirements.VALUE_LIMIT else None
    return Judgement(
        RecordState.VALID, reason, message, value=kept, observed=displayed(observed), advice=advice
    )


def faulty(
    state: RecordState,
    reason: Reason,
    cause: Cause,
    observed: Sequence[str],
    value: str | None = None,
    *,
    certain: bool = False,
) -> Judgement:
    """The record is not as it must be."""
    return Judgement(
        state, reason, cause.message, cause, value, observed=displayed(observed), certain=certain
    )


def missing(
    planned: requirements.PlannedRecord,
    code: Code,
    reason: Reason,
    observed: Sequence[str] = (),
    so: str = "",
    there: Sequence[str] | None = None,
) -> Judgement:
    """Nothing of the kind is there; `so` is a sentence on what follows.

    `there` are the records of the type that stand there, by default what was `observed`.
    """
    message = f"{lacking(planned, observed if there is None else there)} {so}".rstrip()
    cause = Cause(code, message, create(planned))
    return faulty(RecordState.MISSING, reason, cause, observed)


#: What a text must be, for people.
_KINDS: dict[type, str] = {
    requirements.TextWanted: "ownership record with the required value",
    requirements.DKIMKeyWanted: "DKIM key record",
    Requirement: "SPF record",
    requirements.DMARCWanted: "DMARC record",
    requirements.MTASTSWanted: "MTA-STS record",
    requirements.TLSRPTWanted: "TLS-RPT record",
    requirements.BIMIWanted: "BIMI record",
}


def lacking(planned: requirements.PlannedRecord, there: Sequence[str] = ()) -> str:
    """The message on a missing record: its kind is named where others of its type are published."""
    kind = _KINDS.get(type(planned.wanted))
    if not there or kind is None:
        return f"There is no {where(planned)}."
    return f"There is no {kind} among the {planned.type.value} records at {planned.name}."


def blind(
    planned: requirements.PlannedRecord,
    what: str | None = None,
    observed: Sequence[str] = (),
    answers: Iterable[Answer | None] = (),
) -> Judgement:
    """What must be seen could not be looked at, which says nothing about the record.

    A single `observed` value is also the one to publish, for now: it may be as it must be. Of
    `answers`, those to what had to be seen, one that is too much to be read stays so.
    """
    cause = next(filter(None, (_crowded(planned, answer) for answer in answers)), None)
    if cause is None:
        message = f"DNS could not be asked for {what or where(planned)}; the look is repeated."
        cause = Cause(Code.LOOKUP_FAILED, message)
    keep = len(observed) == 1 and len(observed[0]) <= requirements.VALUE_LIMIT
    return Judgement(
        RecordState.UNKNOWN,
        Reason.LOOKUP_FAILED,
        cause.message,
        cause,
        value=observed[0] if keep else None,
        observed=displayed(observed),
    )


def unanswered(planned: requirements.PlannedRecord, answer: Answer) -> Judgement:
    """What is said of a record without an answer."""
    return blind(planned, answers=[answer])


def is_crowded(answer: Answer | None) -> bool:
    """Whether more stands at a name than is read."""
    return answer is not None and answer.outcome is Outcome.TOO_LARGE


def _crowded(planned: requirements.PlannedRecord, answer: Answer | None) -> Cause | None:
    if answer is None or not is_crowded(answer):
        return None
    name, kind = answer.question.name, answer.question.type.value
    said, todo = "what is required is among them", "delete those that nobody uses any more."
    if (name, kind) != (planned.name, planned.type.value):
        said = f"the {where(planned)} is as it must be"
        todo = f"who runs {quoted(name)} has to delete those that nobody uses any more."
    message = (
        f"More {kind} records stand at {quoted(name)} than are read of one name and type "
        f"({RECORDS_LIMIT} records, and {TXT_LIMIT // 1024} KiB of values), so that it cannot be "
        f"said whether {said}: {todo}"
    )
    return Cause(Code.TOO_MANY_RECORDS, message, external(), shown_by=answer.question)


def where(planned: requirements.PlannedRecord) -> str:
    """Name a record for people: ``TXT at _dmarc.example.com``."""
    return f"{planned.type.value} at {planned.name}"


def named(question: Question) -> str:
    """Name what a question is about, in the same way."""
    return f"{question.type.value} at {question.name}"


def chain_advice(planned: requirements.PlannedRecord, length: int) -> tuple[Finding, ...]:
    """Warn of a chain of this many CNAMEs, if that is long."""
    if length < _LONG_CHAIN:
        return ()
    message = (
        f"From the {where(planned)} it takes {length} CNAMEs to get to what is wanted; some "
        "resolvers give up: point it nearer to the last name."
    )
    return (finding(Code.CNAME_CHAIN_LONG, planned.id, message),)


def displayed(observed: Sequence[str]) -> tuple[str, ...]:
    """What stands at a name, as it is told: whatever it was looked at for, no private key."""
    return shown(list(map(dkim.concealed, observed)))
