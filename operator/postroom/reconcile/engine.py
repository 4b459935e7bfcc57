# SPDX-License-Identifier: Apache-2.0
"""The entry to the reconcilers: one raw object in, one outcome out, whatever the object holds."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, find, place
from postroom.api.emailaccount import Connection, EmailAccountSpec
from postroom.api.fields import Model
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import (
    AnyResource,
    EmailAccount,
    InvalidSpec,
    MailServer,
    Metadata,
    Resource,
    SendingDomain,
    parse_spec,
    parse_status,
)
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.api.status import CommonStatus
from postroom.api.times import timestamp
from postroom.concurrency.backoff import doubled
from postroom.concurrency.shortage import shortage_in
from postroom.reconcile import defaults, mailserver
from postroom.reconcile.account import binding, disconnection, emailaccount, launch, sync
from postroom.reconcile.account.reviews import USUAL, Thresholds
from postroom.reconcile.account.sender import nobody
from postroom.reconcile.account.used_by import told as with_users
from postroom.reconcile.domain import ownership, sendingdomain
from postroom.reconcile.domain.verification import without_look
from postroom.reconcile.status import schedule
from postroom.reconcile.status.assessment import OF_DNS, Assessment, failed, passed, unknown
from postroom.reconcile.status.explained import explained
from postroom.reconcile.status.finding_fields import placed
from postroom.reconcile.status.outcome import Memory, Outcome
from postroom.reconcile.status.rest import SUSPENDED, Rest
from postroom.reconcile.status.summarize import Moment, build_status, notices_of, summarize
from postroom.reconcile.world import LookupUnavailable, World

logger = logging.getLogger(__name__)

#: How soon a failure of postroom's way to the API is tried again: what lasted for a moment holds
#: nothing up for long, and an API server in trouble is asked ever less often.
_FIRST_RETRY, _RETRY = timedelta(seconds=3), timedelta(seconds=30)
_BUG_RETRY = timedelta(minutes=5)
_NO_SPEC = Model()


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of the operator that reach into verdicts.

    `regression_confirmation`: how long a verified domain must be seen failing before it counts.
    `dependency_patience`: how long a new spec waits, without a word in status, for the first
    verdict on what it stands on; both are usually applied together, and one write is enough.
    `reviews`: from when on something is worth a second look.
    """

    regression_confirmation: timedelta = timedelta(minutes=10)
    dependency_patience: timedelta = timedelta(seconds=10)
    reviews: Thresholds = USUAL


async def reconcile(
    kind: Kind, raw: Mapping[str, Any], world: World, memory: Memory, policy: Policy
) -> Outcome:
    """Evaluate one stored object.

    Never raises but for cancellation and where this process is too short of something to tell
    anything of the object: an invalid spec stalls the object, an unavailable lookup is retried, as
    is what we lacked the means for, and a bug of ours is logged with its traceback and shown as
    Unknown, all without effect on any other object.
    """
    try:
        outcome = await _evaluated(kind, raw, world, memory, policy)
        outcome = binding.at_rest(outcome, raw.get("spec"), memory, world.now())
        outcome = explained(await defaults.told(kind, raw, outcome, world))
    except Exception as error:
        if shortage_in(error) is not None:
            raise
        # The one boundary where a bug of ours must stop; the traceback goes to the log only.
        logger.exception("evaluating %s failed", _untyped(kind, raw).key)
        outcome = explained(_bug(_untyped(kind, raw), world.now()))
    finally:
        memory.tidy()
    outcome = placed(kind, raw, outcome)
    return sync.cleared(raw, outcome) if kind is Kind.EMAIL_ACCOUNT else outcome


async def _evaluated(
    kind: Kind, raw: Mapping[str, Any], world: World, memory: Memory, policy: Policy
) -> Outcome:
    """What becomes of an object, but for bugs of ours."""
    resource = _untyped(kind, raw)
    try:
        resource = _typed(kind, raw, parse_spec(kind, raw.get("spec")))
        if (rest := await _rest_of(resource, memory, world, policy)) is not None:
            return await with_users(resource, _at_rest(resource, memory, world, rest), world)
        memory.evaluated = raw.get("spec")
        assessment = await _assess(resource, world, memory, policy)
        memory.unasked = 0
        if _is_premature(resource, assessment, memory, policy, world.now()):
            outcome = Outcome(None, schedule.FIRST_VERDICT, references=assessment.references)
        else:
            outcome = summarize(resource, assessment, memory, world.now())
        return await with_users(resource, outcome, world)
    except InvalidSpec as error:
        return _invalid(_untyped(kind, raw), error, world.now())
    except LookupUnavailable as error:
        return _unasked(resource, error.sentence, memory, world.now(), error.reason)
    except MemoryError:
        raise
    except Exception as error:
        if (lack := shortage_in(error)) is None:
            raise
        logger.warning("evaluating %s: %s", resource.key, lack.sentence)
        exhausted = Reason.RESOURCES_EXHAUSTED
        return _unasked(resource, lack.sentence, memory, world.now(), exhausted)


def _is_premature(
    resource: AnyResource,
    assessment: Assessment,
    memory: Memory,
    policy: Policy,
    now: datetime,
) -> bool:
    """Whether a new spec should wait a little for the first verdict on its dependencies.

    Their verdict brings the object back at once; the patience only bounds the silence.
    """
    if resource.status.observed_generation == resource.metadata.generation or not any(
        verdict.reason is Reason.DEPENDENCY_UNKNOWN for verdict in assessment.verdicts
    ):
        memory.deferred_since = None
        return False
    since = memory.deferred_since = memory.deferred_since or now
    return now - since < policy.dependency_patience


def _typed(kind: Kind, raw: Mapping[str, Any], spec: Model) -> AnyResource:
    return Resource(
        kind, Metadata.of(raw.get("metadata") or {}), spec, parse_status(kind, raw.get("status"))
    )


def _untyped(kind: Kind, raw: Mapping[str, Any]) -> AnyResource:
    """The object without its spec, for outcomes that do not depend on it."""
    return _typed(kind, raw, _NO_SPEC)


async def _assess(
    resource: AnyResource, world: World, memory: Memory, policy: Policy
) -> Assessment:
    confirm_after = policy.regression_confirmation
    match resource.kind:
        case Kind.SENDING_DOMAIN:
            return await sendingdomain.assess(
                cast("SendingDomain", resource), world, memory, confirm_after
            )
        case Kind.MAIL_SERVER:
            return await mailserver.assess(
                cast("MailServer", resource), world, memory, confirm_after
            )
        case Kind.EMAIL_ACCOUNT:
            return await emailaccount.assess(
                cast("EmailAccount", resource), world, memory, confirm_after, policy.reviews
            )


def _outcome(
    resource: AnyResource,
    verdicts: tuple[Verdict, ...],
    now: datetime,
    next_check: timedelta | None,
    silenced: Reason | None = None,
    rest: Rest | None = None,
) -> Outcome:
    """Replace the lifecycle conditions by these; the rest of the status stays as it is.

    With `silenced`, an account that may not send for this reason says so; a domain says in its one
    word that it was not looked at. `rest` tells what else changes for an object that is at rest.
    """
    before = resource.status
    moment = Moment(now)
    conditions = place(verdicts, before.conditions, resource.metadata.generation, moment.text)
    concluded: dict[str, object] = dict(rest.fields) if rest is not None else {}
    if isinstance(before, SendingDomainStatus):
        concluded["verification"] = without_look(before.verification, conditions)
    if resource.kind is Kind.EMAIL_ACCOUNT:
        # What an earlier spec allowed an AI says nothing of this one.
        concluded["inbound"] = getattr(resource.spec, "inbound_settings", None)
    if silenced is not None and resource.kind is Kind.EMAIL_ACCOUNT:
        concluded["effective_sender"] = nobody(silenced)
    return Outcome(
        status=build_status(resource, conditions, None, moment, concluded),
        next_check=next_check,
        notices=notices_of(before.conditions, conditions) + (rest.notices if rest else ()),
        references=rest.references if rest else frozenset(),
    )


def _kept(resource: AnyResource) -> tuple[Verdict, ...]:
    """The dimension verdicts of the stored status, if they are about this generation."""
    lifecycle = {
        ConditionType.READY,
        ConditionType.RECONCILING,
        ConditionType.STALLED,
        ConditionType.SUSPENDED,
    }
    return tuple(
        Verdict.of(condition)
        for condition in resource.status.conditions
        if condition.type not in lifecycle
        and condition.observed_generation == resource.metadata.generation
    )


def _invalid(resource: AnyResource, error: InvalidSpec, now: datetime) -> Outcome:
    """A spec that cannot be understood waits for the next generation."""
    first, *rest = error.problems
    message = first.sentence
    if rest:
        more = "is 1 more problem" if len(rest) == 1 else f"are {len(rest)} more problems"
        message += f" There {more}."
    verdicts = (
        failed(ConditionType.READY, Reason.INVALID_SPEC, message),
        passed(ConditionType.STALLED, Reason.INVALID_SPEC, message),
    )
    outcome = _outcome(resource, verdicts, now, None, Reason.INVALID_SPEC)
    return replace(outcome, field=first.place)


async def _rest_of(
    resource: AnyResource, memory: Memory, world: World, policy: Policy
) -> Rest | None:
    """Why nothing is to be looked at; None: it is."""
    spec = resource.spec
    rest = SUSPENDED if getattr(spec, "suspend", False) else None
    if not isinstance(spec, EmailAccountSpec):
        return rest
    account = cast("EmailAccount", resource)
    if spec.disconnected:
        rest = await disconnection.rest_of(account, world, memory)
    if rest is None:
        return None
    checklist = launch.at_rest(account, policy.reviews.backfill_days, world.now())
    return replace(rest, fields={**rest.fields, "launch": checklist})


def _at_rest(resource: AnyResource, memory: Memory, world: World, rest: Rest) -> Outcome:
    """Keep the last verdict if only that changed; else nothing is known of this spec.

    The generation is advanced in either case, so that nobody waits for an object at rest.
    """
    before, now = resource.status, world.now()
    generation = resource.metadata.generation
    ready = find(before.conditions, ConditionType.READY)
    if world.claims.is_unsettled(resource.key):
        domain = cast("SendingDomain", resource)
        claimed, given_up = ownership.given_up(domain, world.ownership)
        ready_no_more = failed(ConditionType.READY, claimed.reason, claimed.message)
        lost = cast("AnyResource", replace(domain, status=given_up))
        return _outcome(lost, (ready_no_more, claimed, rest.suspended), now, None)
    only_that_changed = memory.evaluated is not None and (
        _without_rest(parse_spec(resource.kind, memory.evaluated)) == _without_rest(resource.spec)
    )
    known = before.observed_generation == generation or only_that_changed
    if ready is None or not known or ready.reason == Reason.PENDING.value:
        verdicts = (unknown(ConditionType.READY, Reason.SUSPENDED, rest.unknown), rest.suspended)
        return _outcome(resource, verdicts, now, None, rest.silenced, rest)
    kept = tuple(
        Verdict.of(condition)
        for condition in before.conditions
        if condition.type
        not in (ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.SUSPENDED)
    )
    return _outcome(resource, (*kept, rest.suspended), now, None, rest.silenced, rest)


def _without_rest(spec: Model) -> Model:
    """A spec but for the fields that put its object at rest."""
    changes: dict[str, object] = {"suspend": False}
    if isinstance(spec, EmailAccountSpec):
        changes["connection"] = Connection.CONNECTED
    return spec.model_copy(update=changes)


def _unasked(
    resource: AnyResource,
    sentence: str,
    memory: Memory,
    now: datetime,
    reason: Reason = Reason.PROGRESSING,
) -> Outcome:
    """What this object needs could not be had, from the API or of our own: it is tried again, and
    the last verdict stands until it is too old to count."""
    memory.unasked += 1
    wait = doubled(_FIRST_RETRY, _RETRY, memory.unasked)
    before = resource.status
    ready = find(before.conditions, ConditionType.READY)
    generation = resource.metadata.generation
    last_look = schedule.last_look(before, now)
    once_ready = before.last_ready_generation == generation
    # A domain that waits for its first success is looked at ever less often.
    counted = once_ready or resource.kind is Kind.EMAIL_ACCOUNT
    spacing = schedule.interval_of(resource.spec)
    if counted and last_look and schedule.is_stale(last_look, spacing, now):
        reason = Reason.OBSERVATION_STALE if once_ready else reason
        verdicts = (
            unknown(ConditionType.READY, reason, sentence),
            passed(ConditionType.RECONCILING, Reason.PROGRESSING_WITH_RETRY, sentence),
            # Nor does a status prove what is seen in DNS alone, such as whose a domain is.
            *(
                unknown(verdict.type, Reason.OBSERVATION_STALE, sentence)
                if verdict.type in OF_DNS
                else verdict
                for verdict in _kept(resource)
            ),
        )
        return _outcome(resource, verdicts, now, wait, Reason.OBSERVATION_STALE)
    if (
        ready is not None
        and ready.status is not ConditionStatus.UNKNOWN
        and (before.observed_generation == generation)
    ):
        return Outcome(status=None, next_check=wait)
    verdicts = (
        unknown(ConditionType.READY, reason, sentence),
        passed(ConditionType.RECONCILING, Reason.PROGRESSING_WITH_RETRY, sentence),
        *_kept(resource),
    )
    return _outcome(resource, verdicts, now, wait)


def _bug(resource: AnyResource, now: datetime) -> Outcome:
    """Show that postroom failed, not the object."""
    message = "postroom failed while evaluating this object; it is retried. See the operator's log."
    verdicts = (
        unknown(ConditionType.READY, Reason.INTERNAL_ERROR, message),
        passed(ConditionType.RECONCILING, Reason.PROGRESSING_WITH_RETRY, message),
        *_kept(resource),
    )
    return _outcome(resource, verdicts, now, _BUG_RETRY)


def syncing(
    kind: Kind, raw: Mapping[str, Any], memory: Memory, now: datetime
) -> CommonStatus | None:
    """Return the status that tells what a run is at for longer than a moment; None: nothing new."""
    return sync.under_way(raw, memory.at_mailbox, now) if kind is Kind.EMAIL_ACCOUNT else None


def progressing(kind: Kind, raw: Mapping[str, Any], now: datetime) -> CommonStatus:
    """Return the status that says "the current generation is being evaluated", for slow runs.

    The rest of the stored status stays: it tells what was known of the generation before.
    """
    resource = _untyped(kind, raw)
    message = "The current spec is being evaluated."
    verdicts = (
        unknown(ConditionType.READY, Reason.PROGRESSING, message),
        passed(ConditionType.RECONCILING, Reason.PROGRESSING, message),
    )
    generation = resource.metadata.generation
    previous = schedule.own_progress(resource.status.conditions, generation)
    conditions = place(verdicts, previous, generation, timestamp(now))
    told: dict[str, object] = {"observed_generation": generation, "conditions": conditions}
    if kind is Kind.EMAIL_ACCOUNT:
        told["inbound"] = _inbound_settings(kind, raw)
    status = resource.status.model_copy(update=told)
    return placed(kind, raw, explained(Outcome(status, None))).status or status


def _inbound_settings(kind: Kind, raw: Mapping[str, Any]) -> object:
    """What a spec says of incoming mail; nothing where it cannot be understood."""
    try:
        return getattr(parse_spec(kind, raw.get("spec")), "inbound_settings", None)
    except InvalidSpec:
        return None
