# SPDX-License-Identifier: Apache-2.0
"""Summing a look up: two points of view, several servers, one report. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from postroom.api.findings import Finding, Fix, Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer, Question, RecordType, Zone
from postroom.dns.codes import Code
from postroom.dns.consequences import bound, what_follows
from postroom.dns.diagnosis import answering, receivers
from postroom.dns.diagnosis import zone as zone_diagnosis
from postroom.dns.diagnosis.diagnose import FAULTY
from postroom.dns.diagnosis.dkim_rotation import weighed
from postroom.dns.diagnosis.dns_hosts import DNSHost, host_of, label_for
from postroom.dns.diagnosis.zone import DOMAIN, Root, ZoneView
from postroom.dns.findings import MESSAGE_LIMIT, finding, question
from postroom.dns.judging.fixes import instruction, told, wait
from postroom.dns.judging.judge import judge, needs
from postroom.dns.judging.judgement import Cause, Context, Judgement, blind, named, where
from postroom.dns.judging.seen import Seen
from postroom.dns.names import host_label, is_within
from postroom.dns.quorum import Vote, coherent, is_certain, propagating
from postroom.dns.report import DomainReport, RecordReport
from postroom.dns.requirements import PlannedRecord

_SEVERITIES = list(Severity)
#: What only a resolver shows.
_OF_CACHES = frozenset({Code.STALE_NEGATIVE, Code.STALE_POSITIVE})
_OF_RESOLVERS = frozenset({Code.DNSSEC_BOGUS, Code.SERVFAIL_OTHER, Code.SPLIT_HORIZON})
_BOUNDS = ((3600, "at most an hour"), (86_400, "at most a day"))
#: Extended errors that say that an answer outlived its TTL (RFC 8914 sections 4.4 and 4.20).
_STALE = frozenset({3, 19})


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one record.

    Its judgement with the root cause, the codes of what else was found, how each name server's
    own answer is judged, where all were asked, the seconds until caches let go of what they have
    instead, and what follows for mail.
    """

    planned: PlannedRecord
    judgement: Judgement
    because: tuple[str, ...] = ()
    votes: tuple[Vote, ...] = ()
    wake_after: int | None = None
    follows: str = ""


def is_stale(answer: Answer) -> bool:
    """Tell whether a resolver answered from beyond the TTL, for want of anything better."""
    return not answer.authoritative and not _STALE.isdisjoint(answer.errors)


def across_views(
    planned: PlannedRecord, truth: Seen, cached: Seen | None, context: Context
) -> Judgement:
    """The authoritative view decides; where it is satisfied, the resolver's, if it was asked,
    decides between Valid and Propagating. What could not be looked at decides nothing."""
    if not truth.at(planned.name, planned.type).conclusive:
        return blind(planned)
    judged = judge(planned, coherent(planned, truth), context)
    if judged.state is not RecordState.VALID or cached is None:
        return judged
    answer = cached.at(planned.name, planned.type)
    if not answer.conclusive:
        return blind(planned, f"{where(planned)} through the resolver")
    seen = judge(planned, coherent(planned, cached), context)
    if seen.state in (RecordState.VALID, RecordState.UNKNOWN):
        return judged if seen.state is RecordState.VALID else seen
    if is_stale(answer):
        return blind(planned, f"{where(planned)} through the resolver")
    lagging = _lagging(planned, truth, cached, context)
    code, what = Code.STALE_NEGATIVE, "does not show it yet"
    if cached.at(lagging.name, lagging.type).values:
        code, what = Code.STALE_POSITIVE, "still shows the old value"
    message = (
        f"The zone has the {named(lagging)}, but the resolver {what}, and receivers may see it "
        f"as late: wait until the caches expire{_at_the_latest(cached, lagging)}."
    )
    return propagating(judged, Cause(code, message, wait()))


def _at_the_latest(cached: Seen, lagging: Question) -> str:
    """How long the resolver keeps what it has, in words that stay the same while it counts down."""
    left = cached.at(lagging.name, lagging.type).ttl
    if left is None:
        return ""
    return f", here in {bound(left, _BOUNDS)}"


def _lagging(planned: PlannedRecord, truth: Seen, cached: Seen, context: Context) -> Question:
    """The question that the resolver answers from an old state: of what is inherited, at a parent.

    The record's own, unless only another one differs.
    """
    mine = Question(planned.name, planned.type)
    others = sorted(needs(planned, truth, context).own - {mine})
    for one in (mine, *others):
        there = truth.at(one.name, one.type)
        if there.values and set(there.values) != set(cached.at(one.name, one.type).values):
            return one
    return mine


def wake_after(planned: PlannedRecord, truth: Seen, cached: Seen, context: Context) -> int | None:
    """Return the seconds until the resolver asks anew for all that it has otherwise."""
    left = [
        answer.ttl
        for one in needs(planned, cached, context).own
        if (answer := cached.at(one.name, one.type)).ttl is not None
        and set(answer.values) != set(truth.at(one.name, one.type).values)
    ]
    return max(max(one or 0 for one in left), 1) if left else None


def with_advice(told_of: Sequence[Told], advice: Mapping[str, Finding]) -> list[Told]:
    """Add to records what is advised about them, by their ids."""
    return [
        replace(one, judgement=replace(one.judgement, advice=(*one.judgement.advice, found)))
        if (found := advice.get(one.planned.id)) is not None
        else one
        for one in told_of
    ]


def report(
    context: Context,
    view: ZoneView,
    told_of: Sequence[Told],
    seen: Seen,
    single: Sequence[Answer] = (),
) -> DomainReport:
    """Sum a look at a domain up; `single` is what single servers answered."""
    domain = context.plan.domain
    inside = [one.planned for one in told_of if is_within(one.planned.name, domain)]
    root = zone_diagnosis.root_cause(view, {seen.at(one.name, one.type).outcome for one in inside})
    told_of = [_weighty(_settled(one, view, root, seen), seen) for one in told_of]
    zone = context.zone if root is None or root.finding.code != Code.DOMAIN_NXDOMAIN else None
    host = host_of(zone.nameservers) if zone else None
    resolver_only = _resolver_only(told_of, seen)
    found = [each for one in told_of for each in _findings(one, zone, host)]
    about = list(_about_the_domain(context, view, told_of, seen, single))
    if resolver_only and not view.open:
        about.append(_seen_through_the_resolver())
    return DomainReport(
        zone=zone.apex if zone else None,
        nameservers=zone.nameservers if zone else (),
        resolver_only=resolver_only,
        records=tuple(_record(one, zone, host) for one in told_of),
        findings=tuple(
            _with_question(one, zone, domain)
            for one in _ranked(root, found, about, _lost(told_of, seen))
        ),
        dns_host=host.name if host else None,
        wake_after=min(
            (
                one.wake_after
                for one in told_of
                if one.wake_after is not None and one.judgement.state is RecordState.PROPAGATING
            ),
            default=None,
        ),
    )


def _settled(one: Told, view: ZoneView, root: Root | None, seen: Seen) -> Told:
    """Take back what was concluded from something else than the public zone of now.

    Where its servers fail, but the way to them is open, the resolver may only have an old state.
    """
    answer = seen.at(one.planned.name, one.planned.type)
    # What stands behind an alias is another's, of whom the resolver knows as much as anyone.
    from_cache = view.open and answer.conclusive and not (answer.authoritative or answer.aliases)
    private = root is not None and root.blinds
    if private or (from_cache and one.judgement.state in FAULTY):
        return replace(one, judgement=blind(one.planned), because=(), wake_after=None)
    return one


def _weighty(one: Told, seen: Seen) -> Told:
    """Add what follows for mail from a record that is not as it must be."""
    cause, planned = one.judgement.cause, one.planned
    if cause is None or one.judgement.state not in FAULTY:
        return one
    answer = seen.at(planned.name, planned.type)
    return replace(one, follows=what_follows(planned, cause.code, answer))


def _about_the_domain(
    context: Context,
    view: ZoneView,
    told_of: Sequence[Told],
    seen: Seen,
    single: Sequence[Answer],
) -> Iterator[Finding]:
    states = {one.judgement.state for one in told_of}
    yield from zone_diagnosis.findings(view)
    yield from answering.findings(
        context.plan, seen, single, all_valid=states <= {RecordState.VALID}
    )
    judgements = {one.planned.id: one.judgement for one in told_of}
    yield from receivers.findings(context.plan, judgements, seen)


def _lost(told_of: Sequence[Told], seen: Seen) -> frozenset[str]:
    """The records whose answers got lost for a reason that is told of the domain."""
    return frozenset(
        one.planned.id
        for one in told_of
        if answering.cut_off(seen.at(one.planned.name, one.planned.type))
    )


def _ranked(
    root: Root | None, found: Sequence[Finding], about: Sequence[Finding], lost: frozenset[str]
) -> tuple[Finding, ...]:
    """The root cause first, then the worst; what follows from a cause is not said again."""
    codes = {one.code for one in about}
    kept = [one for one in found if not (one.code == Code.LOOKUP_FAILED and one.subject in lost)]
    if Code.NS_INCONSISTENT in codes:
        kept = [one for one in kept if one.code != Code.NS_INCONSISTENT]
    if root is not None:
        if root.moot is None:
            kept, about = [], []
        kept = [one for one in kept if root.moot is None or one.code not in root.moot]
        said = {root.finding.code, *(root.moot or ())}
        about = [one for one in about if one.code not in said]
    ranked = sorted([*kept, *about], key=lambda one: _SEVERITIES.index(one.severity))
    if root is not None:
        ranked.insert(0, root.finding)
    # In status, code and subject are the key of a list map: the first, which is the worst, stays.
    return tuple({(one.code, one.subject): one for one in reversed(ranked)}.values())[::-1]


def _fix(fix: Fix | None, zone: Zone | None, host: DNSHost | None) -> Fix | None:
    if fix is None:
        return None
    apex = zone.apex if zone else None
    label = label_for(fix.name, apex, host) if apex and host and fix.name else None
    # A cause that knows better to which zone the name belongs has said so.
    return told(fix, apex, fix.host_label or label)


def _sentence(cause: Cause, fix: Fix | None, follows: str = "") -> str:
    """What was seen, what follows, then what to do; a value stands last, without a full stop."""
    said = instruction(fix)
    room = MESSAGE_LIMIT - len(said) - 1
    told = cause.message if len(cause.message) <= room else f"{cause.message[: room - 3]}..."
    if follows and len(told) + len(follows) < room:
        told = f"{told} {follows}"
    return f"{told} {said}".rstrip()


def _findings(one: Told, zone: Zone | None, host: DNSHost | None) -> Iterator[Finding]:
    cause = one.judgement.cause
    if cause is not None:
        fix = _fix(cause.fix, zone, host)
        made = weighed(
            one.planned,
            finding(cause.code, one.planned.id, _sentence(cause, fix, one.follows), fix),
        )
        yield made.model_copy(update={"because": list(one.because), "ask": _question(one, zone)})
    for advised in one.judgement.advice:
        yield advised.model_copy(update={"ask": _question(one, zone)})


def _question(one: Told, zone: Zone | None) -> str:
    """What to ask DNS to see what is told of a record: where the fault stands, if elsewhere."""
    cause, planned = one.judgement.cause, one.planned
    if cause is not None and cause.code in _OF_CACHES:
        return question(planned.name, planned.type, cached=True)
    if cause is not None and cause.shown_by is not None:
        return question(cause.shown_by.name, cause.shown_by.type, zone)
    gone = cause.fix.remove if cause is not None and cause.fix is not None else []
    if gone and not any((each.name, each.type) == (planned.name, planned.type) for each in gone):
        return question(gone[0].name, RecordType(gone[0].type), zone)
    return question(planned.name, planned.type, zone)


def _with_question(made: Finding, zone: Zone | None, domain: str) -> Finding:
    """Add what to ask to a finding about the domain as a whole."""
    if made.ask:
        return made
    if zone is None:
        return made.model_copy(update={"ask": question(domain, RecordType.NS)})
    of_cache = made.code in _OF_RESOLVERS
    asked = question(zone.apex, RecordType.SOA, zone, cached=of_cache)
    return made.model_copy(update={"ask": asked})


def _record(one: Told, zone: Zone | None, host: DNSHost | None) -> RecordReport:
    planned, judged = one.planned, one.judgement
    message, label = judged.message, None
    if judged.cause is not None:
        fix = _fix(judged.cause.fix, zone, host)
        message = _sentence(judged.cause, fix, one.follows)
        label = fix.host_label if fix and fix.name == planned.name else None
    apex = zone.apex if zone else None
    if not label and label != "":
        label = label_for(planned.name, apex, host) if apex and host else None
    return RecordReport(
        id=planned.id,
        purpose=planned.purpose,
        name=planned.name,
        host_label=host_label(planned.name, apex) if label is None else label,
        type=planned.type,
        value=judged.value or planned.value,
        required=planned.required,
        state=judged.state,
        reason=judged.reason,
        message=message,
        observed=judged.observed,
        certain=is_certain(judged, one.votes),
    )


def _resolver_only(told_of: Sequence[Told], seen: Seen) -> bool:
    """Whether every answer that was to come from the zone's servers came from the resolver."""
    answers = [seen.at(one.planned.name, one.planned.type) for one in told_of]
    answers = [answer for answer in answers if answer.conclusive]
    return bool(answers) and not any(answer.authoritative for answer in answers)


def _seen_through_the_resolver() -> Finding:
    message = (
        "The zone's name servers cannot be asked from here; the resolver alone decides, with the "
        "delay of its cache."
    )
    return finding(Code.RESOLVER_ONLY, DOMAIN, message)
