# SPDX-License-Identifier: Apache-2.0
"""EmailAccount: find the server and the domain behind it, sign in, and look at the mailbox."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict
from postroom.api.emailaccount import EmailAccountSpec, MailboxFacts, ProtocolProbes
from postroom.api.findings import Finding
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.api.status import ResolvedReference
from postroom.mail.report import Mailbox
from postroom.reconcile import backing, grants, indexes, mailserver, prechecks, probing
from postroom.reconcile.account_legs import Leg, imap_leg, probed, smtp_leg
from postroom.reconcile.assessment import Assessment, failed, passed, unknown, worst_first
from postroom.reconcile.mailserver import CONFIRM_AFTER
from postroom.reconcile.outcome import Memory
from postroom.reconcile.prechecks import NOTHING
from postroom.reconcile.references import reference_to
from postroom.reconcile.world import World


async def assess(
    resource: EmailAccount, world: World, memory: Memory, confirm_after: timedelta
) -> Assessment:
    """Look at an email account; raises `InvalidSpec` for what its provider does not allow."""
    spec = resource.spec
    behind = await backing.find_backing(resource, world)
    if spec.at_provider:
        behind = _without_server(spec, behind)
    smtp = await smtp_leg(resource, behind.server, world)
    imap = await imap_leg(resource, world)
    if spec.at_provider or behind.server_state is ConditionStatus.TRUE:
        smtp, imap = await asyncio.gather(probed(smtp, world, memory), probed(imap, world, memory))
    else:
        # A second failure at the same server would say nothing new.
        smtp, imap = replace(smtp, checked=NOTHING), await probed(imap, world, memory)
    problems = [one for one in (behind.problem, smtp.problem, imap.problem) if one is not None]
    verdicts = (
        *_references_verdict(problems),
        *backing.dependency_verdicts(spec, behind),
        *_leg_verdicts(spec, smtp, imap),
    )
    refs = behind.references | _references_of(spec)
    if behind.server is not None and spec.signs_in:
        refs |= mailserver.references_of(behind.server.spec)
    return Assessment(
        verdicts=verdicts,
        ready_message=_ready_message(spec, behind),
        confirm_after=min(confirm_after, CONFIRM_AFTER),
        interval=spec.sync.interval,
        deadline=spec.progress_deadline,
        fields=_fields(resource, behind, smtp, imap, world),
        references=refs,
    )


def _without_server(spec: EmailAccountSpec, behind: backing.Backing) -> backing.Backing:
    """An account of a provider does not care for the namespace's default MailServer."""
    problem = behind.problem
    if problem is not None and problem.reason in (Reason.NO_DEFAULT, Reason.AMBIGUOUS_DEFAULT):
        problem = None
        if behind.domain is None and spec.fallback_sender is not None:
            problem = failed(
                ConditionType.REFERENCES_RESOLVED,
                Reason.SENDING_DOMAIN_NOT_FOUND,
                "spec.fallbackSender is set, but no SendingDomain of this namespace is for "
                f"{spec.domain}: create one.",
            )
    refs = behind.references - {reference_to(Kind.MAIL_SERVER, indexes.DEFAULT)}
    return replace(behind, server=None, problem=problem, references=refs)


def _references_of(spec: EmailAccountSpec) -> frozenset[str]:
    refs = set(grants.references_of(spec.oauth))
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
            verdicts = (*(one for one in verdicts if one.type is not available), *failures)
        found.extend(verdicts)
    return tuple(_worse_of_each(found))


def _smtp_unavailable(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """Let a server that fails during the account's probe show where it would else be hidden."""
    return [one for one in verdicts if one.type is ConditionType.SMTP_AVAILABLE and one.failed]


_BADNESS = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN, ConditionStatus.TRUE)


def _worse_of_each(verdicts: list[Verdict]) -> list[Verdict]:
    worst: dict[ConditionType, Verdict] = {}
    for verdict in verdicts:
        known = worst.get(verdict.type)
        if known is None or _BADNESS.index(verdict.status) < _BADNESS.index(known.status):
            worst[verdict.type] = verdict
    return list(worst.values())


def _ready_message(spec: EmailAccountSpec, behind: backing.Backing) -> str:
    uses = f" through MailServer {behind.server.metadata.name}" if behind.server else ""
    if spec.at_provider and spec.provider is not None:
        uses = f" through {spec.provider.value}"
    reads = f" and reads {spec.imap.mailbox}" if spec.imap else ""
    return f"{spec.address} sends{uses}{reads}."


def _fields(
    resource: EmailAccount, behind: backing.Backing, smtp: Leg, imap: Leg, world: World
) -> dict[str, object]:
    spec, before = resource.spec, resource.status
    findings: tuple[Finding, ...] = behind.findings
    for leg, protocol in ((smtp, probing.SMTP), (imap, probing.IMAP)):
        if leg.report is not None:
            findings += probing.findings_of(leg.report, protocol, world.now())
        findings += prechecks.findings_of(leg.checked, protocol)
    read = imap.report
    mailbox = _mailbox_facts(read.mailbox) if read and read.mailbox else before.mailbox
    probes = ProtocolProbes(
        smtp=probing.facts_of(smtp.report) if smtp.report else None,
        imap=probing.facts_of(read) if read else None,
    )
    return {
        "effective_sender": backing.effective_sender(spec, behind),
        "server_name": behind.server.metadata.name if behind.server else None,
        "resolved_refs": list(_unique((*behind.resolved, *smtp.resolved, *imap.resolved))),
        "mailbox": mailbox if spec.imap else None,
        "imap_server": (read and read.server) or (before.imap_server if spec.imap else None),
        "imap_tls": (read and read.tls) or (before.imap_tls if spec.imap else None),
        "last_probe": probes if smtp.report or read else before.last_probe,
        "is_default": spec.default and len(behind.default_accounts) == 1,
        "findings": worst_first(findings),
    }


def _mailbox_facts(mailbox: Mailbox) -> MailboxFacts:
    return MailboxFacts(
        name=mailbox.name,
        messages=mailbox.messages,
        unseen=mailbox.unseen,
        uid_next=mailbox.uid_next,
        uid_validity=mailbox.uid_validity,
    )


def _unique(resolved: tuple[ResolvedReference, ...]) -> tuple[ResolvedReference, ...]:
    return tuple(dict.fromkeys(resolved))
