# SPDX-License-Identifier: Apache-2.0
"""EmailAccount: find the server and the domain behind it, sign in, and look at the mailbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, find
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import ProtocolProbes
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.api.status import ResolvedReference
from postroom.reconcile.account import (
    both_protocols,
    dependencies,
    identities,
    rotation_step,
    sender,
    sync,
)
from postroom.reconcile.account.messages import forwarding, requested, round_trips, spending
from postroom.reconcile.account.protocols import Leg, both_probed, imap_leg, probed, smtp_leg
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.signing_in import prechecks, probing, token_credentials
from postroom.reconcile.signing_in.connection import server_references
from postroom.reconcile.signing_in.prechecks import NOTHING
from postroom.reconcile.signing_in.probing import CONFIRM_AFTER
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.status.assessment import Assessment, Evidence, passed, unknown, worst_first
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import World

Step = Callable[[AccountView], Awaitable[Contribution]]


async def assess(
    resource: EmailAccount, world: World, memory: Memory, confirm_after: timedelta
) -> Assessment:
    """Look at an email account; raises `InvalidSpec` for what its provider does not allow."""
    spec = resource.spec
    behind = await dependencies.find_backing(resource, world)
    smtp = await smtp_leg(resource, behind.server, world)
    imap = await imap_leg(resource, world)
    if spec.at_provider or behind.server_state is ConditionStatus.TRUE:
        smtp, imap = await both_probed(smtp, imap, world, memory)
    else:
        # A second failure at the same server would say nothing new.
        smtp, imap = replace(smtp, checked=NOTHING), await probed(imap, world, memory)
    view = AccountView(resource, behind, smtp, imap, world, memory)
    if world.messages is not None:
        spending.learn(world.messages.budgets, resource, behind.server, world.now())
    added = [await step(view) for step in _steps(view)]
    problems = [one for one in (behind.problem, smtp.problem, imap.problem) if one is not None]
    verdicts = (
        *_references_verdict(problems),
        *sender.dependency_verdicts(spec, behind),
        *_leg_verdicts(spec, smtp, imap),
        *(verdict for one in added for verdict in one.verdicts),
    )
    refs = behind.references.union(_references_of(spec), *(one.references for one in added))
    if behind.server is not None and (spec.signs_in or spec.sends_messages):
        refs |= server_references(behind.server.spec)
    return Assessment(
        verdicts=both_protocols.ranked(verdicts),
        ready_message=sender.ready_message(spec, behind),
        confirm_after=min(confirm_after, CONFIRM_AFTER),
        interval=spec.sync.interval,
        deadline=spec.progress_deadline,
        advisory=frozenset().union(*(one.advisory for one in added)),
        fields=_fields(view, added),
        references=refs,
        evidence=Evidence(withdrawn=_withdrawn(smtp, imap) | _unfounded(resource)),
        conclude=sender.concluding(sender.effective_sender(spec, behind)),
        look_again=min((one.look_again for one in added if one.look_again), default=None),
    )


def _withdrawn(smtp: Leg, imap: Leg) -> frozenset[ConditionType]:
    """What was seen good before, and stands on credentials that the other protocol has refused."""
    if smtp.report is None or imap.report is None:
        return frozenset()
    left_out = imap.report.reason is Reason.NOT_ATTEMPTED and smtp.report.authenticated is False
    return frozenset({ConditionType.IMAP_AUTHENTICATED}) if left_out else frozenset()


def _unfounded(resource: EmailAccount) -> frozenset[ConditionType]:
    """What was said good of fewer objects than there are: what was missing is back, unjudged."""
    before = find(resource.status.conditions, ConditionType.REFERENCES_RESOLVED)
    missed = before is not None and before.status is ConditionStatus.FALSE
    return frozenset({ConditionType.DEPENDENCIES_READY}) if missed else frozenset()


def _steps(view: AccountView) -> tuple[Step, ...]:
    """What there is to do besides looking at both protocols, in this order.

    Without a policy on messages none is sent, and nothing is said of them.
    """
    always = (sync.step, _identities, rotation_step.step)
    if view.world.messages is None:
        return always
    return (*always, requested.step, round_trips.step, forwarding.step)


async def _identities(view: AccountView) -> Contribution:
    return await identities.step(view, view.world.identities)


def _references_of(spec: EmailAccountSpec) -> frozenset[str]:
    refs = set(token_credentials.references_of(spec.oauth))
    for credentials in (spec.credentials_ref, spec.imap.credentials_ref if spec.imap else None):
        if credentials is not None:
            refs.add(reference_to("Secret", credentials.name))
    if spec.imap and spec.imap.tls.ca_bundle_ref:
        bundle = spec.imap.tls.ca_bundle_ref
        refs.add(reference_to(bundle.kind, bundle.name))
    return frozenset(refs)


def _references_verdict(problems: list[Verdict]) -> tuple[Verdict, ...]:
    if problems:
        return (problems[0],)
    return (
        passed(
            ConditionType.REFERENCES_RESOLVED, Reason.RESOLVED, "Every referenced object was found."
        ),
    )


def _leg_verdicts(spec: EmailAccountSpec, smtp: Leg, imap: Leg) -> tuple[Verdict, ...]:
    """The verdicts of both legs; TLS and the guard are reported once, the worse of the two."""
    found: list[Verdict] = []
    for leg, protocol in ((smtp, probing.SMTP), (imap, probing.IMAP)):
        if leg.report is not None:
            verdicts = probing.verdicts_of(leg.report, protocol, tls=True, auth=True)
        elif leg.checked.blocking is not None:
            verdicts = prechecks.verdicts_of(leg.checked.blocking, protocol, tls=True, auth=True)
        elif leg.attempt is not None:
            message = "Signing in waits until the MailServer is ready."
            verdicts = (unknown(protocol.authenticated, Reason.NOT_ATTEMPTED, message),)
        else:
            continue
        if protocol is probing.SMTP and not spec.at_provider:
            # Whether the SMTP server answers is the MailServer's verdict, not the account's.
            failures = _smtp_unavailable(verdicts)
            available = ConditionType.SMTP_AVAILABLE
            verdicts = (
                *(verdict for verdict in verdicts if verdict.type is not available),
                *failures,
            )
        found.extend(verdicts)
    return tuple(_worse_of_each(found))


def _smtp_unavailable(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """Let a server that fails during the account's probe show where it would else be hidden."""
    return [
        verdict
        for verdict in verdicts
        if verdict.type is ConditionType.SMTP_AVAILABLE and verdict.failed
    ]


_BADNESS = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN, ConditionStatus.TRUE)


def _worse_of_each(verdicts: list[Verdict]) -> list[Verdict]:
    worst: dict[ConditionType, Verdict] = {}
    for verdict in verdicts:
        known = worst.get(verdict.type)
        if known is None or _BADNESS.index(verdict.status) < _BADNESS.index(known.status):
            worst[verdict.type] = verdict
    return list(worst.values())


def _fields(view: AccountView, added: Sequence[Contribution]) -> dict[str, object]:
    resource, behind = view.resource, view.behind
    smtp, imap = view.smtp, view.imap
    spec, before = resource.spec, resource.status
    findings = behind.findings + both_protocols.findings_of(smtp.side, imap.side, view.world.now())
    for leg, protocol in ((smtp, probing.SMTP), (imap, probing.IMAP)):
        findings += prechecks.findings_of(leg.checked, protocol)
    read = imap.report
    resolved = list(_unique((*behind.resolved, *smtp.resolved, *imap.resolved)))
    # What was said to other credentials was not looked at for what is secret of these.
    told = (resolved == before.resolved_refs and before.last_probe) or ProtocolProbes()
    probes = ProtocolProbes(
        smtp=probing.facts_of(smtp.report, told.smtp) if smtp.report else None,
        imap=probing.facts_of(read, told.imap) if read else None,
    )
    fields: dict[str, object] = {
        "server_name": behind.server.metadata.name if behind.server else None,
        "resolved_refs": resolved,
        "imap_server": (read and read.server) or (before.imap_server if spec.imap else None),
        "imap_tls": (read and read.tls) or (before.imap_tls if spec.imap else None),
        "last_probe": probes if smtp.report or read else before.last_probe,
        "is_default": spec.default and len(behind.default_accounts) == 1,
        "last_message_time": before.last_message_time,
        "recent_messages": before.recent_messages,
        "last_test": before.last_test,
    }
    for one in added:
        fields |= one.fields
        findings += one.findings
    return {**fields, "findings": worst_first(findings)}


def _unique(resolved: tuple[ResolvedReference, ...]) -> tuple[ResolvedReference, ...]:
    return tuple(dict.fromkeys(resolved))
