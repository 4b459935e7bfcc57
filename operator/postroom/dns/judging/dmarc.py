# SPDX-License-Identifier: Apache-2.0
"""The judge for DMARC: a record that applies, is strict enough, and reports where it must."""

from collections.abc import Sequence
from dataclasses import replace as changed

from postroom.api.findings import Finding, Fix
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import DMARCPolicy, RecordState
from postroom.dns import dmarc
from postroom.dns.answers import Answer, Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import dmarc_advice, dmarc_destinations, judgement
from postroom.dns.judging.dmarc_walk import (
    discover,
    domain_of,
    sending_identifiers,
    with_parents,
)
from postroom.dns.judging.fixes import replacing
from postroom.dns.judging.seen import Needs, Seen, own, shared
from postroom.dns.names import is_within
from postroom.dns.requirements import VALUE_LIMIT, DMARCWanted, PlannedRecord
from postroom.dns.texts.quoting import quoted


def needs(
    planned: PlannedRecord, wanted: DMARCWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The texts, those of the parents (the tree walk), what tells whether foreign report
    destinations agree, and the records below which the return path stands."""
    domain = domain_of(planned)
    above = dmarc.walk_names(domain)[1:]
    # Where nothing stands at the domain itself, what its own organisation publishes is the policy
    # under test, of which a cache may have an old state.
    there = seen.get(planned.name, RecordType.TXT)
    organisation = dmarc.organisational_domain(domain)
    ours = [name for name in above if is_within(name, organisation)]
    inherits = there is not None and not dmarc.select(there.values)
    names = [name for name in above if name not in ours or not (inherits or there is None)]
    for identifier in sending_identifiers(context.plan):
        names += dmarc.walk_names(identifier.domain)
    asked = {planned.name, *(ours if inherits else ())}
    found = discover(domain, seen)
    if found.source is dmarc.PolicySource.UNKNOWN and found.record is not None:
        # Whether sp= or np= of the parent counts depends on whether the domain exists.
        asked.add(domain)
    mine = own(*((name, RecordType.TXT) for name in asked))
    more = shared(*((name, RecordType.TXT) for name in names if name not in asked))
    records = dmarc.select(seen.at(planned.name, RecordType.TXT).values)
    record = dmarc.parse(records[0]) if len(records) == 1 else None
    return mine | more | dmarc_destinations.needs(domain, wanted, seen, record)


def judge(
    planned: PlannedRecord, wanted: DMARCWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """Judge the DMARC records of a name; what the value offers keeps the other tags there."""
    answer = seen.at(planned.name, RecordType.TXT)
    records = dmarc.select(answer.values)
    intended = sorted(value for value in answer.values if dmarc.meant(value))
    if not records and intended:
        slip, mended = dmarc.slip(intended[0]), dmarc.mended(intended[0])
        code = slip.code if slip is not None else Code.DMARC_VERSION
        detail = slip.detail if slip is not None else "does not begin with v=DMARC1"
        unread = (code, Reason.INVALID_RECORD, f"{detail}, so receivers ignore it")
        value = planned.value
        if dmarc.is_dmarc(mended):
            value = dmarc.with_requirements(mended, wanted.policy, wanted.rua)
        found = discover(domain_of(planned), seen)
        if _suffices(found, wanted) and not answer.aliases:
            sentence = f"The {judgement.where(planned)} {detail}, so receivers ignore it."
            offered = with_parents(value, found)
            fix = replacing(planned, answer, intended, offered)
            return _applying(planned, found, Code.DMARC_OWN_IGNORED, sentence, fix)
        return _replaceable(planned, unread, value, answer, intended, seen)
    if not records:
        return _inherited(planned, wanted, seen, context)
    fault = _fault(records, wanted)
    if fault is None:
        return _reporting(planned, wanted, seen, context, records)
    # Of several, the strictest stays, with the report addresses of all.
    parsed = {record: dmarc.parse(dmarc.mended(record)) for record in records}
    base = max(records, key=lambda record: parsed[record].strictness)
    others = [uri for record in records if record != base for uri in parsed[record].rua]
    kept = base if len(records) > 1 else dmarc.mended(base)
    value = dmarc.with_requirements(kept, wanted.policy, (*others, *wanted.rua))
    asked = [
        policy.value for policy in DMARCPolicy if policy in {p.policy for p in parsed.values()}
    ]
    if len(asked) > 1:
        code, reason, sentence = fault
        said = f"they ask for p={' and p='.join(asked)}, the fix for p={dmarc.parse(value).policy}"
        fault = code, reason, f"{sentence}; {said}"
    return _replaceable(planned, fault, value, answer, records, seen)


_Fault = tuple[Code, Reason, str]
#: Most name servers that a sentence names.
_SERVERS_SHOWN = 4


def _inherited(
    planned: PlannedRecord, wanted: DMARCWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """Nothing stands at the domain itself: what applies comes from a parent, if from anywhere."""
    domain = domain_of(planned)
    found = discover(domain, seen)
    if found.source is dmarc.PolicySource.UNKNOWN:
        # What a parent publishes may be all that the spec asks for.
        there = seen.at(planned.name, RecordType.TXT).values
        return _unseen_above(planned, found, context, judgement.lacking(planned, there))
    if found.source is not dmarc.PolicySource.INHERITED or found.record is None:
        return _missing(planned, wanted, seen, "No policy of a parent applies either.")
    if not _suffices(found, wanted):
        return _missing(planned, wanted, seen, _what_applies(found), found.policy)
    there = seen.at(planned.name, RecordType.TXT).values
    return _applying(planned, found, Code.DMARC_INHERITED, judgement.lacking(planned, there))


def _unseen_above(
    planned: PlannedRecord, found: dmarc.Discovery, context: judgement.Context, lacking: str
) -> judgement.Judgement:
    """What applies without a record is not known, for receivers that see as much neither (RFC 9989
    section 4.10): whose servers that is up to, and what is in the domain's own hands."""
    above = found.failed[0] if found.failed else found.domain
    name = f"_dmarc.{above}" if found.failed else above
    zone, who = context.zone, f"whoever runs the DNS of {above}"
    if zone is not None and is_within(name, zone.apex):
        who = f"the name servers of {zone.apex} ({', '.join(zone.nameservers[:_SERVERS_SHOWN])})"
    blinded = judgement.blind(planned, f"TXT at {name}")
    message = (
        f"{lacking} What applies by a parent's is not known: "
        f"{blinded.message} If it stays so, {who} must be made to answer, or a record be published "
        f"at {planned.name} that asks for no less than the parent's, which counts no more then."
    )
    cause = judgement.Cause(Code.LOOKUP_FAILED, message, shown_by=Question(name, RecordType.TXT))
    return changed(blinded, message=message, cause=cause)


def _suffices(found: dmarc.Discovery, wanted: DMARCWanted) -> bool:
    """Whether a parent's record applies, and does all that the spec asks for."""
    if found.source is not dmarc.PolicySource.INHERITED or found.record is None:
        return False
    enough = found.policy is not None and dmarc.PolicyRecord(found.policy, ()).at_least(
        wanted.policy
    )
    return enough and not dmarc.missing_reports(found.record, wanted.rua)


def _what_applies(found: dmarc.Discovery) -> str:
    policy = found.policy.value if found.policy else "none"
    return f"The policy of {found.policy_domain} applies, which comes to {policy} here."


def _applying(
    planned: PlannedRecord,
    found: dmarc.Discovery,
    code: Code,
    sentence: str,
    fix: Fix | None = None,
) -> judgement.Judgement:
    """A parent's record does what the spec asks for; `sentence` says what is here instead."""
    so = _what_applies(found)
    message = f"{sentence} {so} It is at least as strict as spec.dmarc asks for."
    advice = list[Finding]()
    if fix is not None:
        message += (
            f" Take it out, or let it count: the fix keeps what the record of "
            f"{found.policy_domain} asks for."
        )
        new = dmarc.parse(fix.value or "").policy
        advice += _on_change(planned, new, found.policy)
    advice.insert(0, finding(code, planned.id, message, fix))
    differing = dmarc_advice.by_suffix_list(found.domain, found)
    if differing is not None:
        advice.append(finding(Code.DMARC_PSL_DISAGREES, planned.id, differing))
    # Whoever publishes a record of the domain's own takes nothing away with it.
    value = with_parents(planned.value, found) if fix is None else fix.value
    return judgement.valid(Reason.RECORD_VALID, so, (), value, tuple(advice))


def _missing(
    planned: PlannedRecord,
    wanted: DMARCWanted,
    seen: Seen,
    so: str,
    previous: DMARCPolicy | None = None,
) -> judgement.Judgement:
    """There is no record; what is there instead may be a CNAME that must go first."""
    answer = seen.at(planned.name, RecordType.TXT)
    judged = judgement.missing(
        planned, Code.DMARC_MISSING, Reason.RECORD_NOT_FOUND, answer.values, so
    )
    advice = _on_change(planned, wanted.policy, previous)
    if answer.aliases and judged.cause is not None:
        cause = changed(judged.cause, fix=replacing(planned, answer, ()))
        return changed(judged, cause=cause, advice=advice)
    return changed(judged, advice=advice)


def _on_change(
    planned: PlannedRecord, policy: DMARCPolicy, previous: DMARCPolicy | None
) -> tuple[Finding, ...]:
    """What to think of before a policy takes the place of what applied before."""
    hints = dmarc.on_change(policy, dmarc.Circumstances(previous=previous))
    return tuple(finding(hint.code, planned.id, hint.sentence) for hint in hints)


def _fault(records: Sequence[str], wanted: DMARCWanted) -> _Fault | None:
    """Find the worst fault: (code, reason, what the record does or is)."""
    if len(records) > 1:
        sentence = f"holds {len(records)} DMARC records, so receivers ignore all of them"
        return Code.DMARC_MULTIPLE, Reason.MULTIPLE_RECORDS, sentence
    record = dmarc.parse(records[0])
    if record.problem is not None:
        slip = dmarc.slip(records[0])
        code = slip.code if slip is not None else Code.DMARC_SYNTAX
        return code, Reason.INVALID_RECORD, f"cannot be applied: {record.problem}"
    absent = dmarc.missing_reports(record, wanted.rua)
    if not record.at_least(wanted.policy) or absent:
        slip = dmarc.slip(records[0])
        if slip is not None and dmarc.satisfies(
            dmarc.parse(dmarc.mended(records[0])), wanted.policy, wanted.rua
        ):
            # Undoing the slip gives what is wanted, so it is the cause of all else.
            return slip.code, Reason.INVALID_RECORD, slip.detail
        if record.p is None:
            sentence = "names no policy that exists in p=, so that it counts as p=none"
            return Code.DMARC_P_INVALID, Reason.INVALID_RECORD, sentence
    if not record.at_least(wanted.policy):
        sentence = (
            f"asks for p={record.policy.value} in effect, but spec.dmarc.policy is "
            f"{wanted.policy.value}"
        )
        return Code.DMARC_POLICY_WEAK, Reason.POLICY_TOO_WEAK, sentence
    if absent:
        sentence = f"does not report to {', '.join(absent)}"
        return Code.DMARC_RUA_MISSING, Reason.INVALID_RECORD, sentence
    return None


def _replaceable(
    planned: PlannedRecord,
    fault: _Fault,
    value: str,
    answer: Answer,
    observed: Sequence[str],
    seen: Seen,
) -> judgement.Judgement:
    code, reason, sentence = fault
    if len(value) > VALUE_LIMIT:
        # What is there is absurd: begin anew.
        value = planned.value
    fix = replacing(planned, answer, observed, value)
    message = f"The {judgement.where(planned)} {sentence}. {dmarc.left_out(observed, value)}"
    message = message.rstrip()
    cause = judgement.Cause(code, message, fix, judgement.Evidence.SHOWN)
    state = RecordState.CONFLICTING if len(observed) > 1 else RecordState.WRONG
    judged = judgement.faulty(state, reason, cause, observed, value)
    found = discover(domain_of(planned), seen)
    obeyed = found.source is dmarc.PolicySource.OWN and found.record and found.record.p
    if obeyed or found.source is dmarc.PolicySource.UNKNOWN:
        return judged
    # Receivers do not do what the record asks for: all of that begins with the fix.
    return changed(judged, advice=_on_change(planned, dmarc.parse(value).policy, found.policy))


def _reporting(
    planned: PlannedRecord,
    wanted: DMARCWanted,
    seen: Seen,
    context: judgement.Context,
    records: Sequence[str],
) -> judgement.Judgement:
    """Foreign report destinations must have agreed (RFC 9990 section 4)."""
    value = records[0] if len(records[0]) <= VALUE_LIMIT else None
    zone = context.zone.apex if context.zone else None
    verdict = dmarc_destinations.verdict(domain_of(planned), wanted, seen, zone)
    if verdict.cause is not None:
        reason = Reason.REPORT_DESTINATION_UNAUTHORIZED
        return judgement.faulty(RecordState.WRONG, reason, verdict.cause, records, value)
    if verdict.unseen is not None:
        return judgement.blind(planned, verdict.unseen, records)
    # What is there is the record to publish: it may be stricter than what is required.
    record = dmarc.parse(records[0])
    advice = [*dmarc_advice.advice(planned, seen, context, record)]
    unasked = dmarc_destinations.unasked(domain_of(planned), wanted, seen, record)
    if unasked:
        first, *others = unasked
        message = f"{first.clause}, or the address be taken out of the record."
        if others:
            message += f" The same goes for {', '.join(each.destination for each in others)}."
        # What is in the user's own hands: whoever does not agree gets nothing of it.
        alone = dmarc.without_destinations(records[0], [each.destination for each in unasked])
        if alone is not None and quoted(alone) == alone:
            message += f" Without it the TXT at {planned.name} is: {alone}"
        advice.append(finding(Code.DMARC_OTHER_RUA_UNAUTHORISED, planned.id, message, first.fix))
    for destination in verdict.apart:
        message = (
            f"By RFC 9990 {destination.destination} and {destination.policy_domain} count as two "
            "organisations, because there is no DMARC record at "
            f"_dmarc.{destination.destination}: publish one there, or TXT v=DMARC1 at "
            f"{destination.name}, so that all receivers send their reports."
        )
        advice.append(finding(Code.DMARC_RUA_APART, planned.id, message))
    sentence = "The DMARC record is valid."
    return judgement.valid(Reason.RECORD_VALID, sentence, records, value, tuple(advice))
