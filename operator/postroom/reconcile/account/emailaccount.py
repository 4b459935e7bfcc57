# SPDX-License-Identifier: Apache-2.0
"""EmailAccount: find the server and the domain behind it, sign in, and look at the mailbox."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from postroom.api.conditions import Condition, ConditionStatus, ConditionType, Verdict, find
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EffectiveSender, ProtocolProbes
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.api.status import CommonStatus
from postroom.reconcile.account import (
    binding,
    both_protocols,
    identities,
    launch,
    protocols,
    reviews,
    send_limits,
    sender,
    sync,
)
from postroom.reconcile.account.dependencies import Dependencies, find_dependencies
from postroom.reconcile.account.messages import (
    forwarding,
    requested,
    round_trips,
    spending,
    technical,
)
from postroom.reconcile.account.steps import AccountView, Contribution, refresh_token_step
from postroom.reconcile.signing_in.prechecks import NOTHING
from postroom.reconcile.signing_in.probing import CONFIRM_AFTER
from postroom.reconcile.signing_in.protocol_check import (
    LEFT_OUT,
    ProtocolCheck,
    server_references,
)
from postroom.reconcile.status import assessment
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import LookupUnavailable, World

Step = Callable[[AccountView], Awaitable[Contribution]]
#: What there is to do besides looking at both protocols, in this order.
_STEPS: tuple[Step, ...] = (
    sync.step,
    identities.step,
    refresh_token_step,
    send_limits.step,
    technical.step,
)
_MESSAGE_STEPS: tuple[Step, ...] = (requested.step, round_trips.step, forwarding.step)
_UNPROBED = ProtocolProbes()
_BADNESS = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN, ConditionStatus.TRUE)


async def assess(
    resource: EmailAccount,
    world: World,
    memory: Memory,
    confirm_after: timedelta,
    thresholds: reviews.Thresholds,
) -> assessment.Assessment:
    """The assessment of an email account; raises `InvalidSpec` for what its provider forbids."""
    spec = resource.spec
    dependencies = await find_dependencies(resource, world)
    smtp, imap = await _prepared(resource, dependencies, world)
    if spec.at_provider or dependencies.server_state is ConditionStatus.TRUE:
        smtp, imap = await protocols.both_probed(smtp, imap, world, memory)
    else:
        # A second failure at the same server would say nothing new.
        smtp, imap = replace(smtp, prechecked=NOTHING), await imap.probed(world, memory)
    view = AccountView(resource, dependencies, smtp, imap, world, memory)
    steps = _STEPS
    if world.outbound.messages is not None:
        # Without a policy on messages none is sent, and nothing is said of them.
        spending.learn(world.outbound.messages.budgets, resource, dependencies.server, world.now())
        steps += _MESSAGE_STEPS
    added: list[Contribution] = []
    for step in steps:
        contribution = await step(view)
        added.append(contribution)
        if contribution.announces_message:
            view = replace(view, message_announced=True)
    fields = _fields(view, added)
    effective = sender.effective_sender(spec, dependencies)
    bindings = await binding.planned(view, effective, fields)
    problem = dependencies.problem or smtp.problem or imap.problem
    verdicts = (
        problem or assessment.EVERY_REFERENCE_FOUND,
        *sender.dependency_verdicts(spec, dependencies),
        *_protocol_verdicts(spec, smtp, imap),
        *(verdict for contribution in added for verdict in contribution.verdicts),
    )
    waits = [bindings.look_again, *(each.look_again for each in added)]
    return assessment.Assessment(
        verdicts=both_protocols.ranked(verdicts),
        ready_message=sender.ready_message(spec, dependencies, effective)
        + ("" if world.outbound.signs_in else LEFT_OUT),
        confirm_after=min(confirm_after, CONFIRM_AFTER),
        interval=spec.sync.interval,
        deadline=spec.progress_deadline,
        advisory=frozenset().union(*(each.advisory for each in added)),
        fields=fields,
        references=_references(view, added),
        evidence=assessment.Evidence(
            withdrawn=frozenset(_withdrawn(resource, dependencies, smtp, imap)),
            repeated=smtp.evidence.repeated | imap.evidence.repeated,
        ),
        conclude=_concluding(view, effective, fields, thresholds),
        look_again=min((wait for wait in waits if wait), default=None),
        follow=bindings.follow,
    )


async def _prepared(
    resource: EmailAccount, dependencies: Dependencies, world: World
) -> tuple[ProtocolCheck, ProtocolCheck]:
    """What is to be tried over SMTP and IMAP.

    A Secret that cannot be read holds back no refusal that is known without it.
    """
    # Whoever may not have an address does not open its mailbox by the server's grant either.
    may_borrow = resource.spec.signs_in or dependencies.has_address
    server = dependencies.server if may_borrow else None
    try:
        return (
            await protocols.smtp_check(resource, server, world),
            await protocols.imap_check(resource, server, world),
        )
    except LookupUnavailable:
        if not sender.forbids(resource.spec, dependencies):
            raise
        return ProtocolCheck(), ProtocolCheck()


def _references(view: AccountView, added: Sequence[Contribution]) -> frozenset[str]:
    """What an account stands on."""
    spec, dependencies = view.resource.spec, view.dependencies
    refs = dependencies.references.union(
        protocols.account_references(spec),
        binding.references_of(view),
        *(each.references for each in added),
    )
    borrows = dependencies.server is not None and bool(dependencies.server.spec.mailboxes)
    if dependencies.server is not None and (spec.signs_in or spec.sends_messages or borrows):
        refs |= server_references(dependencies.server.spec, dependencies.server_namespace)
    return refs


def _withdrawn(
    resource: EmailAccount, dependencies: Dependencies, smtp: ProtocolCheck, imap: ProtocolCheck
) -> Iterator[ConditionType]:
    """What was seen before, and no longer stands on what was looked at."""
    yield from smtp.evidence.withdrawn | imap.evidence.withdrawn
    refused = smtp.report is not None and smtp.report.authenticated is False
    if refused and imap.report is not None and imap.report.reason is Reason.NOT_ATTEMPTED:
        # SMTP has refused the credentials that IMAP would send.
        yield ConditionType.IMAP_AUTHENTICATED
    before = find(resource.status.conditions, ConditionType.REFERENCES_RESOLVED)
    if before is not None and before.status is ConditionStatus.FALSE:
        # It was said of fewer objects than there are: what was missing is back, unjudged.
        yield ConditionType.DEPENDENCIES_READY
    if dependencies.out_of_sight:
        # They have waited as long as they do, and nothing is waited for on top of that.
        yield ConditionType.DEPENDENCIES_READY


def _protocol_verdicts(
    spec: EmailAccountSpec, smtp: ProtocolCheck, imap: ProtocolCheck
) -> tuple[Verdict, ...]:
    """The verdicts on both protocols; TLS and the guard are reported once, the worse of the two."""
    found: list[Verdict] = []
    for check in (smtp, imap):
        if check.attempt is None:
            continue
        message = "Signing in waits until the MailServer is ready."
        condition = check.attempt.protocol.authenticated
        verdicts = check.verdicts or (assessment.unknown(condition, Reason.NOT_ATTEMPTED, message),)
        if check is smtp and not spec.at_provider:
            # Whether the SMTP server answers is the MailServer's verdict, not the account's. One
            # that fails during the account's probe shows, though, where it would else be hidden.
            available = ConditionType.SMTP_AVAILABLE
            others = [verdict for verdict in verdicts if verdict.type is not available]
            failures = [each for each in verdicts if each.type is available and each.failed]
            verdicts = (*others, *failures)
        found.extend(verdicts)
    worst: dict[ConditionType, Verdict] = {}
    for verdict in found:
        known = worst.get(verdict.type)
        if known is None or _BADNESS.index(verdict.status) < _BADNESS.index(known.status):
            worst[verdict.type] = verdict
    return tuple(worst.values())


def _concluding(
    view: AccountView,
    effective: EffectiveSender,
    fields: Mapping[str, object],
    thresholds: reviews.Thresholds,
) -> assessment.Conclude:
    """Who sends, how far the account is from being used, and what is worth a second look, by the
    conditions that count."""
    spec, stored = view.resource.spec, view.resource.status
    decide = sender.concluding(effective)
    # What the steps found, as status will have it.
    status = stored.model_validate({**fields}, by_name=True)
    primary = next(iter(status.identities), None)
    results = launch.results_of(status)
    compared = results or (stored.launch is not None and stored.launch.basis is not None)
    basis = view.basis if compared else None

    def conclude(
        conditions: Sequence[Condition], before: CommonStatus, now: datetime
    ) -> assessment.Conclusion:
        known = launch.Known(
            conditions,
            effective,
            primary.display_name if primary is not None else None,
            results,
            status.forwarding,
            basis,
            may_send=view.world.outbound.messages is not None,
            under_way=status.last_test is not None and status.last_test.in_flight is not None,
        )
        facts = reviews.reviewed(view, status, conditions)
        found, due = reviews.told(reviews.reviews_of(spec, facts, thresholds), now)
        told = {
            "launch": launch.checklist(spec, known, thresholds.backfill_days, stored.launch, now),
            "findings": assessment.worst_first((*status.findings, *found)),
        }
        decided = decide(conditions, before, now)
        return replace(decided, fields={**decided.fields, **told}, look_again=due)

    return conclude


def _fields(view: AccountView, added: Sequence[Contribution]) -> dict[str, object]:
    resource, dependencies = view.resource, view.dependencies
    smtp, imap = view.smtp, view.imap
    spec, before = resource.spec, resource.status
    findings = dependencies.findings + both_protocols.findings_of(smtp, imap, view.world.now())
    read = imap.report
    resolved = list(view.resolved)
    # What was said to other credentials was not looked at for what is secret of these.
    reported = (resolved == before.resolved_refs and before.last_probe) or _UNPROBED
    probes = before.last_probe
    if smtp.report or read:
        probes = ProtocolProbes(smtp=smtp.facts(reported.smtp), imap=imap.facts(reported.imap))
    fields: dict[str, object] = {
        "address": spec.address,
        # Unless the spec asks to be it, which `defaults.told` tells the end of.
        "is_default": False,
        "inbound": spec.inbound_settings,
        "server_name": dependencies.server.metadata.name if dependencies.server else None,
        "server_namespace": dependencies.server_namespace,
        "resolved_refs": list(view.told),
        "imap_server": (read and read.server) or (before.imap_server if spec.imap else None),
        "imap_tls": (read and read.tls) or (before.imap_tls if spec.imap else None),
        "last_probe": probes,
        "consumer": spec.consumer.name if spec.consumer and dependencies.has_address else None,
        "last_message_time": before.last_message_time,
        "recent_messages": before.recent_messages,
        "last_test": before.last_test,
    }
    for contribution in added:
        fields |= contribution.fields
        findings += contribution.findings
    return {**fields, "findings": assessment.worst_first(findings)}
