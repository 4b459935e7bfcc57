# SPDX-License-Identifier: Apache-2.0
"""SendingDomain: work out the records, ask DNS, and say what each purpose's records amount to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from postroom.api import sendingdomain
from postroom.api.conditions import Condition, ConditionType, Verdict
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import Metadata, SendingDomain
from postroom.api.status import CommonStatus
from postroom.api.times import parse_timestamp, timestamp
from postroom.dns import planning
from postroom.dns.ownership import OwnershipRules, challenge
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import Scope, verify
from postroom.reconcile import indexes
from postroom.reconcile.domain import (
    bulk,
    ownership,
    propagation,
    publishing,
    standing,
    verification,
)
from postroom.reconcile.domain.records import (
    CONDITIONS,
    compromised_keys,
    deciding,
    evidence_of,
    record_id,
    records_of,
    retired_since,
    status_fields,
    verdict_on,
)
from postroom.reconcile.signing_in import references
from postroom.reconcile.status import schedule
from postroom.reconcile.status.assessment import Assessment, Conclusion, Evidence
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.tenancy.claims import Claim, ClaimBook, claim_of, has_lapsed, with_proof
from postroom.reconcile.world import LookupUnavailable, World

_NO_RULES = OwnershipRules()


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: an object, its spec completed by the preset, and what it stands on.

    `keyless` tells that its ownership token cannot be known, for want of a key; `book` who else
    claims the domain; `wrong` that a required record stands wrong.
    """

    resource: SendingDomain
    spec: sendingdomain.SendingDomainSpec
    references: frozenset[str]
    regression_confirmation: timedelta
    rules: OwnershipRules = _NO_RULES
    keyless: bool = False
    book: ClaimBook = field(default_factory=ClaimBook)
    wrong: bool = False

    @property
    def failed_before(self) -> bool:
        """Whether status calls this generation Failed, which was never verified."""
        status, generation = self.resource.status, self.resource.metadata.generation
        return (
            status.verification is sendingdomain.Verification.FAILED
            and status.observed_generation == generation
            and status.last_ready_generation != generation
        )

    @property
    def claim(self) -> Claim:
        """The claim as the stored status has it."""
        return claim_of(self.resource, self.rules.keys)

    @property
    def required(self) -> frozenset[ConditionType]:
        """The conditions that gate Ready; what only another's key could show does not, unless it is
        all that there is: a domain of which nothing was looked at is not Ready."""
        required = {CONDITIONS[purpose] for purpose in self.spec.required}
        if self.keyless and self.rules.key_elsewhere and len(required) > 1:
            required.discard(ConditionType.OWNERSHIP_VERIFIED)
        return frozenset(required)


@dataclass(frozen=True, slots=True)
class _PublicKeys:
    """The keys that references led to, by selector, and why one of them could not be read."""

    texts: Mapping[str, str]
    problem: Verdict | None


@dataclass(frozen=True, slots=True)
class Contest:
    """The claim on the domain after the look, whether it must give way, and where it is noted."""

    claim: Claim
    lost: bool
    book: ClaimBook

    def note(self, verified_at: str | None, *, lapsed: bool = False) -> None:
        """Let others who are judged before the status is stored know how this one ended."""
        ended = replace(self.claim, verified_at=verified_at or "", refused=self.lost, lapsed=lapsed)
        self.book.hold(ended)


async def assess(
    resource: SendingDomain, world: World, memory: Memory, regression_confirmation: timedelta
) -> Assessment:
    """Look at a sending domain; raises `InvalidSpec` for what its preset or keys do not allow."""
    rules, namespace = world.ownership, resource.metadata.namespace
    spec = ownership.requiring(planning.complete(resource.spec), rules)
    keyless = not rules.keys and spec.ownership.value is None
    same_domain = references.reference_to(Kind.SENDING_DOMAIN, indexes.by_domain(spec.domain))
    bulk_mail = references.reference_to(Kind.EMAIL_ACCOUNT, indexes.by_bulk_of(spec.domain))
    confirm_after, refs = regression_confirmation, _key_references(spec) | {same_domain, bulk_mail}
    case = Case(resource, spec, refs, confirm_after, rules, keyless, world.claims)
    claim = case.claim
    duplicate = await _duplicate(resource, world)
    if duplicate is not None:
        contest = Contest(claim, world.claims.is_lost(claim), world.claims)
        memory.lag = None
        return _assessment(case, (duplicate,), None, Evidence(), contest)
    contest = Contest(claim, world.claims.is_lost(claim), world.claims)
    token = challenge(rules.keys[0], namespace, spec.domain) if rules.keys else None
    verdicts = (ownership.claimed(spec.domain, token),) if contest.lost else ()
    try:
        keys = await _public_keys(spec, namespace, world)
    except LookupUnavailable:
        # A key that cannot be read keeps nothing that is another namespace's now.
        if not contest.lost:
            raise
        memory.lag = None
        return _assessment(case, verdicts, None, Evidence(), contest)
    if keys.problem is not None:
        fields = _without_unread_keys(case, keys)
        memory.lag = None
        return _assessment(case, (*verdicts, keys.problem), fields, Evidence(), contest)
    # A token that settled a contest is looked for as long as it may be needed to keep it so.
    needed = rules.token_required or claim.proven or world.claims.is_lost(claim)
    plan = planning.plan(spec, namespace, rules.keys, keys.texts, token=needed)
    scope = scope_of(resource, memory, world.now())
    report = await verify(plan, world.outbound.dns, scope, policies=world.outbound.policies)
    advised = (*report.findings, *await bulk.advice(resource, world))
    report = replace(report, findings=advised)
    judged = judge(case, report, scope, memory, world.now())
    asked = publishing.Asked(resource, plan, report.compromised, world.outbound.dns, memory)
    return await publishing.with_publication(judged, asked, world.outbound.endpoints)


def judge(
    case: Case, report: DomainReport, scope: Scope, memory: Memory, now: datetime
) -> Assessment:
    """Judge what a look at DNS reported, and whether the domain may be had at all."""
    before, metadata = case.resource.status, case.resource.metadata
    same_generation = before.observed_generation == metadata.generation
    stale = schedule.is_stale(schedule.last_look(before, now), case.spec.interval, now)

    def fields_of(report: DomainReport) -> dict[str, object]:
        return status_fields(
            report, before, scope.retired_at, same_generation=same_generation, stale=stale
        )

    looked, fields = report, fields_of(report)
    claim = with_proof(case.claim, records_of(fields), case.rules.keys)
    lost = case.book.is_lost(claim)
    if not lost and not case.rules.token_required:
        report = ownership.without_needless_token(report)
    records = deciding(case.spec, report, token=case.rules.token_required)
    verdicts = tuple(verdict_on(purpose, records) for purpose in case.spec.declared)
    owned: Verdict | None = None
    if case.keyless:
        required = ConditionType.OWNERSHIP_VERIFIED in case.required
        owned = ownership.without_key(case.rules, required=required)
        told = ownership.finding_without_key(case.rules, required=required)
        report = replace(report, findings=(*report.findings, told))
    if lost:
        proof = ownership.token_of(report, case.rules)
        owned = ownership.claimed(case.spec.domain, (proof.name, proof.value) if proof else None)
        report = ownership.telling_of_claim(report, owned, proof)
    if owned is not None:
        verdicts = (owned, *(verdict for verdict in verdicts if verdict.type is not owned.type))
    contest = Contest(claim, lost, case.book)
    wrong = standing.stands_wrong(
        records, case.required, report, memory, now, known=case.failed_before
    )
    case = replace(case, wrong=wrong)
    fields = fields if report is looked else fields_of(report)
    assessment = _assessment(case, verdicts, fields, evidence_of(verdicts, records), contest)
    return replace(assessment, look_again=propagation.look_again_in(records, report, memory, now))


def scope_of(resource: SendingDomain, memory: Memory, now: datetime) -> Scope:
    """How much is observed now; that all is, is noted in `memory`."""
    uid, status = resource.metadata.uid, resource.status
    full = schedule.is_deep(uid, status.last_check_time, now, memory.deep_day)
    if full:
        memory.deep_day = schedule.deep_day(uid, now)
    known_valid, reported = frozenset[str](), frozenset[str]()
    if status.observed_generation == resource.metadata.generation:
        known_valid = frozenset(
            record.id
            for record in status.records
            if record.state is sendingdomain.RecordState.VALID
        )
        reported = frozenset(finding.code for finding in status.findings)
    retired_at = retired_since(resource.spec, status, now)
    asked = resource.metadata.requested_at not in (None, status.last_handled_reconcile_at)
    new = status.observed_generation != resource.metadata.generation
    search = full or asked or new
    return Scope(full, known_valid, reported, search, retired_at, now, status.compromised_keys)


async def _duplicate(resource: SendingDomain, world: World) -> Verdict | None:
    """The oldest SendingDomain of a namespace for a domain keeps it."""
    domain, metadata = resource.spec.domain, resource.metadata
    found = await world.find(Kind.SENDING_DOMAIN, metadata.namespace, indexes.by_domain(domain))
    older = [
        rival
        for rival in found
        if rival.metadata.name != metadata.name and indexes.age(rival) < indexes.age(resource)
    ]
    if not older:
        return None
    holder = min(older, key=indexes.age).metadata.name
    return references.unresolved(
        Reason.DUPLICATE_DOMAIN,
        f"SendingDomain {holder} already stands for {domain}: declare all that the domain needs in "
        "one of them, and remove the other.",
        "spec.domain",
    )


async def _public_keys(
    spec: sendingdomain.SendingDomainSpec, namespace: str, world: World
) -> _PublicKeys:
    """Read the public keys that the spec refers to."""
    keys: dict[str, str] = {}
    problems: list[Verdict] = []
    for index, selector in enumerate(spec.dkim):
        reference = selector.public_key_ref
        if reference is None:
            continue
        place = f"spec.dkim[{index}].publicKeyRef"
        text = await references.public_key(world, namespace, reference, place)
        if isinstance(text, Verdict):
            problems.append(text)
        else:
            keys[selector.selector] = text.value
    return _PublicKeys(keys, problems[0] if problems else None)


def _key_references(spec: sendingdomain.SendingDomainSpec) -> frozenset[str]:
    """What the public keys that the spec refers to stand in."""
    named = (selector.public_key_ref for selector in spec.dkim)
    return frozenset(
        references.reference_to(each.kind, each.name) for each in named if each is not None
    )


def _without_unread_keys(case: Case, keys: _PublicKeys) -> dict[str, object]:
    """Keep what the stored status has, but for the records of keys that may not be read now: what
    they show may be what a Secret held."""
    before = case.resource.status
    unread = {
        record_id(key.selector)
        for key in case.spec.dkim
        if key.public_key_ref is not None and key.selector not in keys.texts
    }
    return {
        "zone": before.zone,
        "nameservers": before.nameservers,
        "dns_host": before.dns_host,
        "compromised_keys": compromised_keys(before),
        "publication": before.publication,
        "records": [record for record in before.records if record.id not in unread],
        "findings": [finding for finding in before.findings if finding.subject not in unread],
    }


def _assessment(
    case: Case,
    verdicts: tuple[Verdict, ...],
    fields: dict[str, object] | None,
    evidence: Evidence,
    contest: Contest,
) -> Assessment:
    spec, required = case.spec, case.required
    if contest.lost:
        owned = frozenset({ConditionType.OWNERSHIP_VERIFIED})
        required, evidence = required | owned, replace(evidence, certain=evidence.certain | owned)
    bounds = verification.Bounds(spec.propagation_deadline, spec.grace_period)
    return Assessment(
        verdicts=verdicts,
        ready_message=f"{spec.domain} is verified.",
        confirm_after=case.regression_confirmation,
        interval=spec.interval,
        deadline=spec.propagation_deadline,
        advisory=frozenset(CONDITIONS.values()) - required,
        fields=fields,
        references=case.references,
        conclude=partial(
            conclude,
            case.resource.metadata,
            required,
            frozenset(verdict.type for verdict in verdicts if verdict.failed),
            bounds,
            contest,
            wrong=case.wrong,
            failed_before=case.failed_before,
        ),
        required=required,
        evidence=evidence,
        own_pace=True,
    )


def conclude(
    metadata: Metadata,
    required: Collection[ConditionType],
    seen_failing: Collection[ConditionType],
    bounds: verification.Bounds,
    contest: Contest,
    conditions: Sequence[Condition],
    before: CommonStatus,
    now: datetime,
    *,
    wrong: bool = False,
    failed_before: bool = False,
) -> Conclusion:
    """Put the verdict on a domain into one word and say since when it holds.

    `conditions` are those that count after the look, `seen_failing` which of them failed in the
    look itself, and `before` is the stored status. `wrong` tells that a required record stands
    wrong, `failed_before` that the stored status says Failed of what was never verified.
    """
    if contest.lost:
        contest.note(None)
        # Whoever gets the domain later begins anew: nothing of what was is worth a grace period.
        lost = {
            "verification": sendingdomain.Verification.FAILED,
            "verified_at": None,
            "degraded_at": None,
        }
        return Conclusion({**lost, "last_ready_generation": None})
    look = verification.sum_up(conditions, required, seen_failing)
    state = verification.advance(_previous(before, metadata), look, bounds, now)
    held = look is verification.Observation.HELD and failed_before
    state = verification.told_wrong(state, wrong=wrong or held)
    left: timedelta | None = None
    if state.verification is sendingdomain.Verification.DEGRADED and state.degraded_at is not None:
        left = verification.grace_left(state.degraded_at, bounds, now)
        if left is not None and left <= timedelta():
            left = None  # it ends with the next look that sees it fail
    verified_at = _written(state.verified_at)
    lapsed = has_lapsed(state.verification, bounds.grace_period, state.degraded_at, now)
    contest.note(verified_at, lapsed=lapsed)
    fields = {
        "verification": state.verification,
        "verified_at": verified_at,
        "degraded_at": _written(state.degraded_at),
    }
    return Conclusion(fields, look_again=left)


def _previous(before: CommonStatus, metadata: Metadata) -> verification.PreviousState:
    known = (
        before
        if isinstance(before, sendingdomain.SendingDomainStatus)
        else sendingdomain.SendingDomainStatus()
    )
    return verification.PreviousState(
        verification=known.verification,
        verified_at=_read(known.verified_at),
        degraded_at=_read(known.degraded_at),
        once_verified=known.last_ready_generation == metadata.generation,
        waiting=schedule.Waiting.of(known, metadata),
    )


def _read(time: str | None) -> datetime | None:
    return None if time is None else parse_timestamp(time)


def _written(time: datetime | None) -> str | None:
    return None if time is None else timestamp(time)
