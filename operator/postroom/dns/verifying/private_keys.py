# SPDX-License-Identifier: Apache-2.0
"""Private keys that stand in records of something else: what to do, and that nothing shows them.

The judge of such a record knows nothing of keys. What it says is kept, as receivers see the record
as it is; what is to be published instead is made of the record without the key. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from postroom.api.findings import FINDING_LIMIT, Finding, Fix, FixAction
from postroom.api.sendingdomain import RecordState
from postroom.dns import dkim
from postroom.dns.answers import Answer, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.fixes import as_removed, delete, removal, replacing
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Context, Judgement, displayed, where
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import DKIMKeyWanted, DomainPlan, PlannedRecord
from postroom.dns.tls.mta_sts_host import FetchedPolicy
from postroom.dns.verifying.report import DomainReport, RecordReport


def without_private_keys(
    planned: PlannedRecord, judged: Judgement, seen: Seen, context: Context
) -> Judgement:
    """Have no private key published that a record holds besides, and tell of it.

    Those at the names of DKIM keys have a judge of their own.
    """
    answer = seen.at(planned.name, planned.type)
    if planned.type is not RecordType.TXT or isinstance(planned.wanted, DKIMKeyWanted):
        return judged
    rest = {text: dkim.without_private(text) for text in answer.values if dkim.spans(text) != ()}
    holding = [text for text in rest if displayed([text])[0] in judged.observed]
    if not holding:
        return judged
    values = tuple(left for text in answer.values if (left := rest.get(text, text)) is not None)
    clean = judge(planned, seen.with_answers([replace(answer, values=values, strings=())]), context)
    value = None if None in rest.values() else _to_publish(clean, rest[holding[0]])
    secrets = dkim.PrivateKeys(holding, _wanted(context.plan))
    cause, fix = judged.cause, replacing(planned, answer, holding, value) if value else None
    if cause is not None and cause.fix is not None:
        fix = _mended(cause.fix, value, secrets)
        cause = replace(cause, fix=fix)
    message = (
        f"The {where(planned)} holds a private key, which anybody can read there. Take it out of "
        "the record, and use it nowhere any more: revoke its certificate, and sign with a new key "
        "pair under a new selector where it is one of DKIM."
    )
    told = finding(Code.PRIVATE_KEY_IN_RECORD, planned.id, message, fix or _by_hand(planned))
    kept = (
        judged.value if judged.value and secrets.concealed(judged.value) == judged.value else value
    )
    return replace(judged, cause=cause, value=kept, advice=(*judged.advice, told))


def with_strays(records: Sequence[RecordReport], seen: Seen) -> list[RecordReport]:
    """Tell of private keys that stand in a record of their own beside those that are judged.

    Once for each record, where neither a judge nor a fix speaks of it.
    """
    told = set[tuple[str, str]]()
    made = list[RecordReport]()
    for record in records:
        planned, judged = record.planned, record.judgement
        answer = seen.at(planned.name, planned.type)
        spoken_of = set[str]()
        for other in records:
            if (other.planned.name, other.planned.type) == (planned.name, planned.type):
                spoken_of.update(other.judgement.observed)
            cause = other.judgement.cause
            if cause is not None and cause.fix is not None:
                gone = (each for each in cause.fix.remove if each.name == planned.name)
                spoken_of.update(each.value for each in gone)
        for text in answer.values if planned.type is RecordType.TXT else ():
            shown = displayed([text])[0]
            known = shown in spoken_of or as_removed(text) in spoken_of
            if dkim.spans(text) != () and not known and (planned.name, text) not in told:
                told.add((planned.name, text))
                judged = replace(judged, advice=(*judged.advice, _stray(planned, answer, text)))
        made.append(replace(record, judgement=judged))
    return made


def _stray(planned: PlannedRecord, answer: Answer, text: str) -> Finding:
    message = (
        f"A TXT record at {planned.name} holds a private key, which anybody can read there. Take "
        "it away, and use it nowhere any more: revoke its certificate, and sign with a new key "
        "pair under a new selector where it is one of DKIM."
    )
    alone = not answer.aliases and not dkim.without_private(text)
    todo = (
        f"Take the private key out of the TXT records at {planned.name}, and leave all else there "
        "as it is."
    )
    fix = (
        delete(removal(planned.name, RecordType.TXT, [text]))
        if alone
        else Fix(action=FixAction.EXTERNAL, instruction=todo)
    )
    return finding(Code.PRIVATE_KEY_IN_RECORD, planned.id, message, fix)


def _to_publish(clean: Judgement, text: str | None) -> str | None:
    """What is to be published, by how the record is judged without the key."""
    if clean.state is RecordState.VALID:
        return clean.value or text
    return clean.cause.fix.value if clean.cause is not None and clean.cause.fix else None


def _mended(fix: Fix, value: str | None, secrets: dkim.PrivateKeys) -> Fix:
    """A fix whose value holds nothing of the keys."""
    if secrets.concealed(fix.value) == fix.value:
        return fix
    return fix.model_copy(update={"value": value}) if value else Fix(action=FixAction.EXTERNAL)


def _by_hand(planned: PlannedRecord) -> Fix:
    todo = f"Take the private key out of the {where(planned)}, and leave the rest as it is."
    return Fix(action=FixAction.EXTERNAL, instruction=todo)


def secrets_in(
    answers: Iterable[Answer], policies: Iterable[FetchedPolicy], plan: DomainPlan
) -> dkim.PrivateKeys:
    """Find the private keys in all that anybody answered."""
    texts = [text for answer in answers for text in answer.values]
    return dkim.PrivateKeys([*texts, *(policy.text for policy in policies)], _wanted(plan))


def _wanted(plan: DomainPlan) -> Iterator[str]:
    """What the spec says is no secret."""
    for planned in plan.records:
        yield planned.value
        yield planned.name


def concealed(report: DomainReport, secrets: dkim.PrivateKeys) -> DomainReport:
    """Return a report that repeats nothing of the keys."""
    if not secrets:
        return report
    return replace(
        report,
        records=tuple(_record(record, secrets) for record in report.records),
        findings=tuple(_finding(made, secrets) for made in report.findings),
    )


def _record(record: RecordReport, secrets: dkim.PrivateKeys) -> RecordReport:
    judged, hide = record.judgement, secrets.concealed
    value = judged.value if judged.value is None or hide(judged.value) == judged.value else None
    judged = replace(
        judged,
        message=hide(judged.message),
        value=value,
        observed=tuple(map(hide, judged.observed)),
    )
    return replace(record, judgement=judged, message=hide(record.message)[:FINDING_LIMIT])


def _finding(made: Finding, secrets: dkim.PrivateKeys) -> Finding:
    hide = secrets.concealed
    fix = None if made.fix is None else _fix(made.fix, secrets)
    message, summary = (hide(text)[:FINDING_LIMIT] for text in (made.message, made.summary))
    told = {"message": message, "summary": summary, "ask": hide(made.ask), "fix": fix}
    return made.model_copy(update=told)


def _fix(fix: Fix, secrets: dkim.PrivateKeys) -> Fix:
    """What would publish part of a key is left to hands that see where it begins and ends."""
    hide = secrets.concealed
    if hide(fix.value) != fix.value or hide(fix.name) != fix.name:
        return Fix(action=FixAction.EXTERNAL)
    gone = [record.model_copy(update={"value": hide(record.value)}) for record in fix.remove]
    return fix.model_copy(update={"remove": gone, "instruction": hide(fix.instruction)})
