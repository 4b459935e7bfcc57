# SPDX-License-Identifier: Apache-2.0
"""The judge for SPF: one record, sound, within its limits, authorising what is required."""

from collections.abc import Sequence
from dataclasses import replace as changed
from functools import partial

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import spf
from postroom.dns.answers import Answer, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import spf_chains, spf_faults, spf_includes, spf_losses, spf_merge
from postroom.dns.judging.fixes import create, external, replacing, wait
from postroom.dns.judging.judgement import (
    Cause,
    Context,
    Evidence,
    Judgement,
    blind,
    faulty,
    is_crowded,
    lacking,
    missing,
    where,
)
from postroom.dns.judging.seen import Needs, Seen, own, shared
from postroom.dns.judging.spf_advice import may_find_nothing, valid_with_advice
from postroom.dns.judging.spf_look import SPFLook, published
from postroom.dns.names import canonical
from postroom.dns.requirements import VALUE_LIMIT, PlannedRecord
from postroom.dns.texts.quoting import quoted

#: What ends the evaluation in what the record names.
_ENDS = {
    spf_chains.End.DEAD: (Code.SPF_DEAD_INCLUDE, Reason.INVALID_RECORD),
    spf_chains.End.CIRCLE: (Code.SPF_LOOP, Reason.INVALID_RECORD),
    spf_chains.End.OVERFULL: (Code.SPF_TOO_MANY, Reason.LOOKUP_LIMIT_EXCEEDED),
}
#: The limits of RFC 7208 section 4.6.4, which some senders may never get to.
_BUDGET = frozenset({Code.SPF_TOO_MANY, Code.SPF_VOID})


def needs(planned: PlannedRecord, wanted: spf.Requirement, seen: Seen, context: Context) -> Needs:
    """The texts, and what the records lead to, level by level.

    The required includes are among them at once: they will be needed whatever stands there.
    """
    answer = seen.at(planned.name, RecordType.TXT)
    texts = _with_what_they_mean(read(answer.values), wanted)
    return own((planned.name, RecordType.TXT)) | shared(
        *spf_includes.questions(texts, planned.name, seen)
    )


def read(values: Sequence[str]) -> tuple[str, ...]:
    """Return the SPF records among texts; where there are none, what was meant as one."""
    made = (spf_merge.meant(value) for value in sorted(values))
    return spf.select(values) or tuple(reading[1] for reading in made if reading is not None)


def others_of(
    planned: PlannedRecord, wanted: spf.Requirement, texts: Sequence[str], seen: Seen
) -> dict[str, spf.Fetched]:
    """Return what was seen of the names that these records, and the requirement, lead to."""
    return spf_includes.fetched(_with_what_they_mean(texts, wanted), planned.name, seen)


def _with_what_they_mean(texts: Sequence[str], wanted: spf.Requirement) -> list[str]:
    """The records, as they are and mended, and the requirement: all that may be published."""
    mended = [spf_merge.reading(text) for text in texts if len(text) <= VALUE_LIMIT]
    return list(dict.fromkeys([*texts, *mended, spf_includes.as_record(wanted)]))


def judge(
    planned: PlannedRecord, wanted: spf.Requirement, seen: Seen, context: Context
) -> Judgement:
    """Judge the SPF records of a name; the value to publish is always the merged one."""
    answer = seen.at(planned.name, RecordType.TXT)
    records = spf.select(answer.values)
    if not records:
        return _absent(planned, wanted, seen, context)
    others = others_of(planned, wanted, records, seen)
    return _judged(SPFLook(planned, wanted, context, answer, records, others, seen))


def _judged(look: SPFLook) -> Judgement:
    records, wanted, name = look.records, look.wanted, look.planned.name
    fault = spf_faults.of_text(records) or spf_faults.of_openness(
        records[0], wanted, look.others, name
    )
    if fault is not None:
        return _faulty(look, fault)
    found = spf.reach(records[0], look.others, name)
    lacking = wanted.missing_from(found)
    if lacking:
        # What could not be looked at may authorise what is missing.
        unseen = wanted.unseen_in(found)
        if found.unknown:
            return _unseen(look, min(found.unknown))
        if unseen:
            return _unseen(look, min(unseen), is_host=True)
        return _faulty(look, spf_faults.of_authorisation(records[0], lacking, name))
    return _judged_by_trial(look, found)


def _judged_by_trial(look: SPFLook, found: spf.Reach) -> Judgement:
    """All that is required stands there: see whether it passes when receivers evaluate it."""
    text, fault = look.records[0], spf_faults.of_reach(found)
    voids = max(found.family_voids) > spf.VOID_LOOKUP_LIMIT
    doubtful = fault is not None or found.unknown or voids or spf_faults.may_refuse(text)
    trial = look.trial(text) if doubtful else spf_includes.Trial(0, ())
    refused = spf_faults.of_trial(trial)
    if refused is not None:
        return _faulty(look, refused)
    ends = spf_chains.of_others(found)
    if ends:
        return _ends_at_others(look, found, ends)
    if fault is None and not found.unknown and voids:
        fault = spf_faults.of_voids(trial)
        if fault is not None:
            return _void_for_required(look, fault)
    if fault is not None and fault.code in _BUDGET and trial.all_pass:
        what = "looks up more than two names that do not exist"
        if found.lookups > spf.LOOKUP_LIMIT:
            what = (
                f"takes {found.lookups} DNS lookups in the worst case, of which "
                f"{spf.LOOKUP_LIMIT} are allowed{spf_faults.dearest(found)}"
            )
        message = (
            f"The {where(look.planned)} {what}. What this spec requires passes before that, other "
            "senders may fail."
        )
        return valid_with_advice(
            look, finding(Code.SPF_BUDGET_WORST_CASE, look.planned.id, message)
        )
    if fault is None and found.unknown:
        if not trial.all_pass:
            return _unseen(look, min(found.unknown))
        name = min(found.unknown)
        crowded = is_crowded(look.seen.get(name, RecordType.TXT))
        why, what = "cannot be looked up now", "other senders get a temporary error"
        if crowded:
            why = "has more TXT records than are read of one name"
            what = "nothing can be said of other senders"
        message = (
            f"The {where(look.planned)} includes {quoted(name)}, which {why}: what this spec "
            f"requires passes before that, {what}."
        )
        if crowded:
            return valid_with_advice(
                look, finding(Code.TOO_MANY_RECORDS, look.planned.id, message, external())
            )
        return valid_with_advice(
            look, finding(Code.SPF_TEMPERROR_IN_CHAIN, look.planned.id, message)
        )
    if fault is None and found.most_voids > spf.VOID_LOOKUP_LIMIT >= max(found.family_voids):
        return valid_with_advice(look, may_find_nothing(look, found))
    return valid_with_advice(look) if fault is None else _faulty(look, fault)


def _ends_at_others(
    look: SPFLook, found: spf.Reach, ends: Sequence[spf_chains.DeadEnd]
) -> Judgement:
    """What others publish leads to a dead end: theirs to mend, but for what passes before it."""
    said = f"The {where(look.planned)} {ends[0].sentence}"
    required = {canonical(include) for include in look.wanted.includes}
    theirs = any(end.concerns(required) for end in ends)
    if not theirs and look.passes(look.records[0]):
        message = (
            f"{said}. What this spec requires passes before that, other senders get permerror. "
            f"{ends[0].remedy(moved=False)}"
        )
        overfull = ends[0].why is spf_chains.End.OVERFULL
        code = Code.SPF_BUDGET_WORST_CASE if overfull else Code.SPF_DEAD_IN_CHAIN
        return valid_with_advice(look, finding(code, look.planned.id, message))
    message = f"{said}: receivers give permerror to all who have not passed before."
    code, reason = _ENDS[ends[0].why]
    if look.is_fix:
        cause = Cause(code, message, evidence=Evidence.SHOWN)
        return faulty(RecordState.WRONG, reason, cause, look.records)
    fix, value = external(), look.records[0]
    offer = _offered(look, look.records)
    if offer.value not in (None, value) and not theirs and look.passes(offer.value):
        value = offer.value
        fix = replacing(look.planned, look.answer, look.records, value) or fix
        also = changed(offer, ends=()).consequences
        message = f"{message} {ends[0].remedy(moved=offer.moved)} {also}".rstrip()
    else:
        last = spf_chains.put_last(spf.parse(value, look.planned.name), ends)
        message += (
            f" No record is offered. {ends[0].remedy(moved=False)} Who passes by "
            f"{quoted(ends[0].cost.term)} all the same does so as long as it stays there"
            f"{'.' if last is None else ': put it last meanwhile, so that all others pass first.'}"
        )
    cause = Cause(code, message, fix, Evidence.SHOWN)
    return faulty(RecordState.WRONG, reason, cause, look.records, value)


def _void_for_required(look: SPFLook, fault: spf_faults.SPFFault) -> Judgement:
    """Lookups that find nothing for one version of IP end the evaluation before somebody who is
    required passes: what is required first does, unless it runs into that by itself."""
    offer = None if look.is_fix else _offered(look, look.records)
    if offer is None or (offer.value is not None and look.passes(offer.value)):
        return _faulty(look, fault)
    message = (
        f"The {where(look.planned)} {fault.sentence}. No record is offered: what spec.spf requires "
        "comes to as many by itself. Only who publishes that can mend it; until then leave it out "
        "of spec.spf."
    )
    cause = Cause(fault.code, message, external(), Evidence.SHOWN)
    return faulty(RecordState.WRONG, fault.reason, cause, look.records, look.records[0])


def _offered(look: SPFLook, existing: Sequence[str]) -> spf_merge.Offer:
    """Merge what is required into records, so that it passes by the result."""

    name, others = look.planned.name, look.others

    def refuses(text: str) -> bool:
        found = spf.reach(text, others, name)
        voids = max(found.family_voids) > spf.VOID_LOOKUP_LIMIT >= found.void_lookups
        if voids or spf_chains.of_others(found):
            return not look.passes(text)
        return spf_faults.may_refuse(text) and spf_faults.of_trial(look.trial(text)) is not None

    losses = partial(spf_losses.losses, look.records, look.wanted, others, name, look.seen)
    plan = look.context.plan
    return spf_merge.offered(
        existing, look.planned, look.wanted, others, plan, refuses, losses, look.depends
    )


def _unseen(look: SPFLook, name: str, *, is_host: bool = False) -> Judgement:
    """Nothing is said before the chain and its hosts were seen: there may be what is missing."""
    what, does = f"the SPF record of {quoted(name)}", f"includes {quoted(name)}"
    if is_host:
        what = f"the addresses of {quoted(name)}"
        does = f"authorises {what}"
    message = (
        f"The {where(look.planned)} {does}, which cannot be looked up now: receivers give "
        "temperror meanwhile. Its DNS is up to who runs that name; the look is repeated."
    )
    kinds = (RecordType.A, RecordType.AAAA, RecordType.MX) if is_host else (RecordType.TXT,)
    answers = [look.seen.get(name, kind) for kind in kinds]
    judged = blind(look.planned, what, look.records, answers)
    if any(map(is_crowded, answers)):
        return judged
    cause = Cause(Code.SPF_TEMPERROR_IN_CHAIN, message, wait())
    return changed(judged, message=message, cause=cause)


def _absent(
    planned: PlannedRecord, wanted: spf.Requirement, seen: Seen, context: Context
) -> Judgement:
    """There is nothing that receivers take for an SPF record, though it may have been meant."""
    answer = seen.at(planned.name, RecordType.TXT)
    intended = {value: spf_merge.meant(value) for value in sorted(answer.values)}
    read = {text: made for text, made in intended.items() if made is not None}
    if read:
        others = others_of(planned, wanted, [record for _, record in read.values()], seen)
        look = SPFLook(planned, wanted, context, answer, tuple(read), others, seen)
        code = next(iter(read.values()))[0]
        sentence = "does not begin with v=spf1 and a space, so receivers ignore it"
        fault = spf_faults.SPFFault(code, Reason.INVALID_RECORD, sentence)
        return _faulty(look, fault, [record for _, record in read.values()])
    others = others_of(planned, wanted, (), seen)
    found = _if_published(planned.value, planned, others)
    if found.within_limits() and not found.broken:
        return _created(SPFLook(planned, wanted, context, answer, (planned.value,), others, seen))
    broken = spf_faults.of_reach(found)
    if broken is not None and broken.code != Code.SPF_TOO_MANY:
        sentence = (
            f"The one that spec.spf requires {broken.sentence}. "
            "Only who publishes that can mend it; until then leave it out of spec.spf."
        )
        return _not_offered(planned, answer, broken.code, broken.reason, sentence)
    sentence = (
        f"What spec.spf requires takes more than {spf.LOOKUP_LIMIT} DNS "
        f"lookups{spf_faults.dearest(found)}. Require less, or send from a return path of its own."
    )
    reason = Reason.LOOKUP_LIMIT_EXCEEDED
    return _not_offered(planned, answer, Code.SPF_TOO_MANY, reason, sentence)


def _not_offered(
    planned: PlannedRecord, answer: Answer, code: Code, reason: Reason, sentence: str
) -> Judgement:
    """Nothing is there, and nothing that spec.spf requires alone would do."""
    message = f"{lacking(planned, answer.values)} {sentence}"
    return faulty(RecordState.MISSING, reason, Cause(code, message, external(), Evidence.SHOWN), ())


def _created(look: SPFLook) -> Judgement:
    """Nothing is there, and receivers get through what is required: let it be published so that
    all of it passes, in another order if it takes that."""
    planned, answer, value = look.planned, look.answer, look.planned.value
    rest = _judged(look.after(value))
    fault = rest.cause if rest.state is RecordState.WRONG else None
    if fault is not None or look.depends(value):
        bare = f"v=spf1 {look.wanted.all_term}"
        ordered = _offered(changed(look, records=(bare,)), (bare,)).value
        if ordered is not None and _judged(look.after(ordered)).state is not RecordState.WRONG:
            value = ordered
        elif fault is not None:
            sentence = (
                f"Where only what spec.spf requires stands there, {_within(rest)} "
                "Only who publishes that can mend it; until then leave it out of spec.spf."
            )
            return _not_offered(planned, answer, fault.code, rest.reason, sentence)
    judged = missing(planned, Code.SPF_MISSING, Reason.RECORD_NOT_FOUND, there=answer.values)
    fix = replacing(planned, answer, (), value) if answer.aliases else create(planned, value)
    if judged.cause is None or (value == planned.value and not answer.aliases):
        return judged
    kept = None if value == planned.value else value
    return changed(judged, cause=changed(judged.cause, fix=fix), value=kept)


def _within(judged: Judgement) -> str:
    """A message as it stands within another sentence."""
    return f"{judged.message[:1].lower()}{judged.message[1:]}"


def _if_published(text: str, planned: PlannedRecord, others: dict[str, spf.Fetched]) -> spf.Reach:
    """Walk a record as if it stood at its name: what leads back there finds it, not what is there
    now."""
    return spf.reach(text, published(others, planned.name, text), planned.name)


def _faulty(
    look: SPFLook, fault: spf_faults.SPFFault, existing: Sequence[str] | None = None
) -> Judgement:
    """Offer the merged record, if it is sound; else say what keeps it from being so.

    Handing out a record that breaks a limit would only move the fault.
    """
    planned, observed = look.planned, look.records
    message = f"The {where(planned)} {fault.sentence}."
    if look.is_fix:
        cause = Cause(fault.code, message, evidence=Evidence.SHOWN)
        return faulty(RecordState.WRONG, fault.reason, cause, observed)
    offer = _offered(look, observed if existing is None else existing)
    code, reason, fix, value = fault.code, fault.reason, external(), offer.value
    if value is not None and [value] == list(observed) and not look.answer.aliases:
        value = None
    alone = _if_published(spf_includes.as_record(look.wanted), planned, look.others)
    if value is not None and not alone.loops:
        fix = replacing(planned, look.answer, observed, value) or fix
        rest = _judged(look.after(value))
        # What others have to mend is said once.
        said = changed(offer, ends=() if rest.state is RecordState.WRONG else offer.ends)
        message = f"{message} {said.consequences}".rstrip()
        if rest.state is RecordState.WRONG:
            theirs = f" {offer.ends[0].remedy(moved=offer.moved)}" if offer.ends else ""
            message += f" This fix alone is not enough: after it {_within(rest)}{theirs}"
    else:
        why = offer.why or (
            "No record is offered: another would not help as long as what spec.spf requires leads "
            "to a fault. Only who publishes that can mend it; until then leave it out of spec.spf."
        )
        if alone.loops and (offer.too_dear or value is not None):
            code, reason = Code.SPF_LOOP, Reason.INVALID_RECORD
            # No record here can break a circle of others, nor one that leads back to it.
            why = (
                "No record is offered: what spec.spf requires leads in a circle itself, through "
                f"{quoted(min(alone.loops))}, so that receivers give up. Only who publishes that "
                "can mend it; until then leave it out of spec.spf."
            )
        elif offer.too_dear:
            code, reason = Code.SPF_TOO_MANY, Reason.LOOKUP_LIMIT_EXCEEDED
        message += f" {why}"
        # Never the bare requirement: publishing that would take away what is there.
        candidates = (observed[0] if len(observed) == 1 else offer.candidate, planned.value)
        value = min(candidates, key=lambda candidate: len(candidate) > VALUE_LIMIT)
    state = RecordState.CONFLICTING if len(observed) > 1 else RecordState.WRONG
    cause = Cause(code, message, fix, Evidence.SHOWN)
    return faulty(state, reason, cause, observed, value)
