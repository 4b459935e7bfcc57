# SPDX-License-Identifier: Apache-2.0
"""Building the report of an observation: two points of view, several servers, one report. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from postroom.api.finding_texts import joined
from postroom.api.findings import FINDING_LIMIT, Finding, Fix, FixAction, Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer, Question, RecordType, Zone
from postroom.dns.diagnosis import answering, receivers
from postroom.dns.diagnosis import zone as zone_diagnosis
from postroom.dns.diagnosis.diagnose import FAULTY
from postroom.dns.diagnosis.dkim_rotation import weighed
from postroom.dns.diagnosis.dns_hosts import DNSHost, host_of, label_for
from postroom.dns.diagnosis.zone import DOMAIN, Root, ZoneView
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding, question
from postroom.dns.judging.fixes import beyond, told, wait
from postroom.dns.judging.judge import judge, needs
from postroom.dns.judging.judgement import (
    Cause,
    Context,
    Judgement,
    blind,
    named,
    unanswered,
    where,
)
from postroom.dns.judging.seen import Seen
from postroom.dns.names import host_label, is_within
from postroom.dns.requirements import PlannedRecord
from postroom.dns.texts.quoting import quoted
from postroom.dns.verifying.consequences import bound, seconds_cached, what_follows
from postroom.dns.verifying.one_step import in_one_step
from postroom.dns.verifying.private_keys import with_strays
from postroom.dns.verifying.quorum import coherent, propagating
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.dns.verifying.standing import Answered

_SEVERITIES = list(Severity)
#: What only a resolver shows.
OF_CACHES = frozenset({Code.STALE_NEGATIVE, Code.STALE_POSITIVE})
_OF_RESOLVERS = frozenset({Code.DNSSEC_BOGUS, Code.SERVFAIL_OTHER, Code.SPLIT_HORIZON})
_BOUNDS = ((3600, "at most an hour"), (86_400, "at most a day"))
#: Extended errors that say that an answer outlived its TTL (RFC 8914 sections 4.4 and 4.20).
_STALE = frozenset({3, 19})
#: Most answers of a wildcard that a sentence names.
_ANSWERS_SHOWN = 3


def is_stale(answer: Answer) -> bool:
    """Whether a resolver answered from beyond the TTL, for want of anything better."""
    return not answer.authoritative and not _STALE.isdisjoint(answer.errors)


def across_views(
    planned: PlannedRecord,
    authoritative: Seen,
    recursive: Seen | None,
    context: Context,
    known: Judgement | None = None,
) -> Judgement:
    """The authoritative view decides; where it is satisfied, the resolver's, if it was asked,
    decides between Valid and Propagating. What could not be looked at decides nothing.

    `known` is how the authoritative view is judged, where that is known.
    """
    if not authoritative.at(planned.name, planned.type).conclusive:
        return unanswered(planned, authoritative.at(planned.name, planned.type))
    judged = known or judge(planned, coherent(planned, authoritative), context)
    if judged.state is not RecordState.VALID or recursive is None:
        return judged
    answer = recursive.at(planned.name, planned.type)
    if not answer.conclusive:
        return blind(planned, f"{where(planned)} through the resolver")
    seen = judge(planned, coherent(planned, recursive), context)
    if seen.state in (RecordState.VALID, RecordState.UNKNOWN):
        return judged if seen.state is RecordState.VALID else seen
    if is_stale(answer):
        return blind(planned, f"{where(planned)} through the resolver")
    lagging = _lagging(planned, authoritative, recursive, context)
    code, what = Code.STALE_NEGATIVE, "does not show it yet"
    if recursive.at(lagging.name, lagging.type).values:
        code, what = Code.STALE_POSITIVE, "still shows the old value"
    left = recursive.at(lagging.name, lagging.type).ttl
    # In words that stay the same while the resolver counts down.
    latest = "" if left is None else f", here in {bound(left, _BOUNDS)}"
    message = (
        f"The zone has the {named(lagging)}, but the resolver {what}, and receivers may see it "
        f"as late: wait until the caches expire{latest}."
    )
    return propagating(judged, Cause(code, message, wait()))


def _lagging(
    planned: PlannedRecord, authoritative: Seen, recursive: Seen, context: Context
) -> Question:
    """The question that the resolver answers from an old state: of what is inherited, at a parent.

    The record's own, unless only another one differs.
    """
    mine = Question(planned.name, planned.type)
    others = sorted(needs(planned, authoritative, context).own - {mine})
    for asked in (mine, *others):
        there = authoritative.at(asked.name, asked.type)
        cached = recursive.at(asked.name, asked.type)
        if there.values and set(there.values) != set(cached.values):
            return asked
    return mine


def wake_after(
    planned: PlannedRecord, authoritative: Seen, recursive: Seen, context: Context
) -> int | None:
    """Return the seconds until the resolver asks anew for all that it has otherwise."""
    left = [
        cached.ttl
        for asked in needs(planned, recursive, context).own
        if (cached := recursive.at(asked.name, asked.type)).ttl is not None
        and set(cached.values) != set(authoritative.at(asked.name, asked.type).values)
    ]
    return max(*left, 1) if left else None


def with_advice(
    judged: Sequence[RecordReport], advice: Mapping[str, Finding]
) -> list[RecordReport]:
    """Add to records what is advised about them, by their ids."""
    advised = list[RecordReport]()
    for record in judged:
        judgement = record.judgement
        if (made := advice.get(record.planned.id)) is not None:
            judgement = replace(judgement, advice=(*judgement.advice, made))
        advised.append(replace(record, judgement=judgement))
    return advised


def made_by(record: RecordReport) -> Iterator[Fix]:
    """What is to be done, or advised, about a record and makes one at a name."""
    cause, advice = record.judgement.cause, record.judgement.advice
    fixes = [cause.fix if cause is not None else None, *(each.fix for each in advice)]
    making = (FixAction.CREATE, FixAction.REPLACE, FixAction.MOVE)
    return (fix for fix in fixes if fix is not None and fix.action in making)


def endings(
    judged: Sequence[RecordReport], ended: Mapping[str, Sequence[Answered]]
) -> dict[str, Finding]:
    """Warn of what a wildcard answers no more once a record stands: once for each name where that
    is, at the first of the records that end it."""
    told = dict[str, Finding]()
    for owner, answers in ended.items():
        record, fix = next(
            (each, made) for each in judged for made in made_by(each) if is_within(made.name, owner)
        )
        # Of a text nothing is told: it may be a secret that stands there by mistake.
        texts = [
            kind.value if kind is RecordType.TXT else quoted(f"{kind.value} {value}")
            for kind, value in answers
        ]
        shown = ", ".join(dict.fromkeys(texts[:_ANSWERS_SHOWN]))
        message = (
            f"A wildcard answers {shown} at {owner}, and no more once {fix.type} at {fix.name} "
            "stands: a name that exists has no answers of a wildcard."
        )
        todo = (
            f"If anybody uses it, publish at {owner}, before or with the record, all that the "
            "wildcard answers there."
        )
        before = Fix(action=FixAction.EXTERNAL, instruction=todo)
        told.setdefault(
            record.planned.id, finding(Code.FIX_ENDS_WILDCARD, record.planned.id, message, before)
        )
    return told


def report(
    context: Context,
    view: ZoneView,
    judged: Sequence[RecordReport],
    seen: Seen,
    single: Sequence[Answer] = (),
) -> DomainReport:
    """Report on a domain; `single` is what single servers answered."""
    domain = context.plan.domain
    inside = [record.planned for record in judged if is_within(record.planned.name, domain)]
    heard = [seen.at(planned.name, planned.type) for planned in inside]
    kept = any(answer.values and not (answer.authoritative or answer.aliases) for answer in heard)
    outcomes = {answer.outcome for answer in heard}
    root = zone_diagnosis.root_cause(view, outcomes, kept=kept)
    judged = [_settled(record, view, root, seen) for record in with_strays(judged, seen)]
    answers = {
        record.planned.id: seen.at(record.planned.name, record.planned.type) for record in judged
    }
    zone = context.zone if root is None or root.finding.code != Code.DOMAIN_NXDOMAIN else None
    host = host_of(zone.nameservers) if zone else None
    conclusive = [answer for answer in answers.values() if answer.conclusive]
    # Nothing that was to come from the zone's servers came from there.
    resolver_only = bool(conclusive) and not any(answer.authoritative for answer in conclusive)
    # Their answers got lost for a reason that is told of the domain.
    lost = frozenset(id for id, answer in answers.items() if answering.cut_off(answer))
    reported = {record.id: _reported(record, zone, host) for record in in_one_step(judged)}
    found = [made for _, findings in reported.values() for made in findings]
    about = list(_about_the_domain(context, view, judged, seen, single))
    if resolver_only and not view.open:
        message = (
            "The zone's name servers cannot be asked from here; the resolver alone decides, with "
            "the delay of its cache."
        )
        about.append(finding(Code.RESOLVER_ONLY, DOMAIN, message))
    return DomainReport(
        zone=zone.apex if zone else None,
        nameservers=zone.nameservers if zone else (),
        resolver_only=resolver_only,
        records=tuple(reported[record.id][0] for record in judged),
        findings=tuple(
            _with_question(made, zone, domain) for made in _ranked(root, found, about, lost)
        ),
        dns_host=host.name if host else None,
        wake_after=min(
            (
                record.wake_after
                for record in judged
                if record.wake_after is not None
                and record.judgement.state is RecordState.PROPAGATING
            ),
            default=None,
        ),
    )


def _settled(record: RecordReport, view: ZoneView, root: Root | None, seen: Seen) -> RecordReport:
    """Take back what was concluded from something else than the public zone of now, and add what
    follows for mail from a record that is not as it must be.

    Where its servers fail, but the way to them is open, the resolver may only have an old state.
    """
    answer = seen.at(record.planned.name, record.planned.type)
    # What stands behind an alias is another's, of whom the resolver knows as much as anyone.
    from_cache = view.open and answer.conclusive and not (answer.authoritative or answer.aliases)
    private = root is not None and root.blinds
    if private or (from_cache and record.judgement.state in FAULTY):
        return replace(record, judgement=blind(record.planned), because=(), wake_after=None)
    cause = record.judgement.cause
    if cause is None or record.judgement.state not in FAULTY:
        return record
    follows = what_follows(record.planned, cause.code, answer)
    return replace(record, follows=follows, cached_seconds=seconds_cached(answer))


def _about_the_domain(
    context: Context,
    view: ZoneView,
    judged: Sequence[RecordReport],
    seen: Seen,
    single: Sequence[Answer],
) -> Iterator[Finding]:
    states = {record.judgement.state for record in judged}
    yield from zone_diagnosis.findings(view)
    yield from answering.findings(
        context.plan, seen, single, all_valid=states <= {RecordState.VALID}
    )
    judgements = {record.planned.id: record.judgement for record in judged}
    yield from receivers.findings(context.plan, judgements, seen)


def _ranked(
    root: Root | None, found: Sequence[Finding], about: Sequence[Finding], lost: frozenset[str]
) -> tuple[Finding, ...]:
    """The root cause first, then the worst; what follows from a cause is not said again."""
    of_records = [
        made for made in found if not (made.code == Code.LOOKUP_FAILED and made.subject in lost)
    ]
    if any(made.code == Code.NS_INCONSISTENT for made in about):
        of_records = [made for made in of_records if made.code != Code.NS_INCONSISTENT]
    if root is not None:
        moot = root.moot
        of_records = [made for made in of_records if moot is not None and made.code not in moot]
        about = [
            made
            for made in about
            if moot is not None and made.code not in {root.finding.code, *moot}
        ]
    ranked = sorted([*of_records, *about], key=lambda made: _SEVERITIES.index(made.severity))
    if root is not None:
        ranked.insert(0, root.finding)
    # In status, code and subject are the key of a list map: the first, which is the worst, stays.
    return tuple({(made.code, made.subject): made for made in reversed(ranked)}.values())[::-1]


def _question(record: RecordReport, zone: Zone | None) -> str:
    """What to ask DNS to see what is told of a record: where the fault stands, if elsewhere."""
    cause, planned = record.judgement.cause, record.planned
    if cause is not None and cause.code in OF_CACHES:
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


def _reported(
    judged: RecordReport, zone: Zone | None, host: DNSHost | None
) -> tuple[RecordReport, list[Finding]]:
    """A record with how it is told, and what was found about it."""
    planned, judgement, cause = judged.planned, judged.judgement, judged.judgement.cause
    apex = zone.apex if zone else None
    message, label, found = judgement.message, None, list[Finding]()
    if cause is not None:
        fix = _typed(cause.fix, apex, host)
        wrong = cause.message if cause.fix is None else _and_beyond(cause.message, cause.fix)
        message, summary = joined(wrong, fix, judged.follows)
        label = fix.host_label if fix and fix.name == planned.name else None
        made = weighed(planned, finding(cause.code, planned.id, message, fix, summary))
        more = {"because": judged.because, "cached_seconds": judged.cached_seconds}
        found.append(made.model_copy(update=more))
    if label is None and apex and host:
        label = label_for(planned.name, apex, host)
    label = host_label(planned.name, apex) if label is None else label
    told_record = replace(judged, host_label=label, message=message)
    shown_by = _question(judged, zone)
    found += (_advised(made, apex, host) for made in judgement.advice)
    return told_record, [made.model_copy(update={"ask": shown_by}) for made in found]


def _advised(made: Finding, apex: str | None, host: DNSHost | None) -> Finding:
    if made.fix is None:
        return made
    message = _and_beyond(made.message, made.fix)[:FINDING_LIMIT]
    return made.model_copy(update={"message": message, "fix": _typed(made.fix, apex, host)})


def _and_beyond(wrong: str, fix: Fix) -> str:
    """What is wrong, and, where there is no room for all that has to go, that there is more."""
    return f"{wrong} {beyond(fix)}".rstrip()


def _typed(fix: Fix | None, apex: str | None, host: DNSHost | None) -> Fix | None:
    """A fix with what to type at the DNS host; one that knows better to which zone its name belongs
    has said so."""
    if fix is None:
        return None
    typed = label_for(fix.name, apex, host) if apex and host and fix.name else None
    return told(fix, apex, fix.host_label or typed)
