# SPDX-License-Identifier: Apache-2.0
"""EmailAccount: find the server and the domain behind it, sign in, and look at the mailbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict
from postroom.api.emailaccount import (
    IMAP,
    EmailAccountSpec,
    MailboxFacts,
    ProtocolProbes,
)
from postroom.api.findings import Finding
from postroom.api.mailserver import TLSMode
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, MailServer
from postroom.api.status import ResolvedReference
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport
from postroom.reconcile import backing, mailserver, probing, references
from postroom.reconcile.assessment import Assessment, failed, passed, unknown, worst_first
from postroom.reconcile.mailserver import CONFIRM_AFTER
from postroom.reconcile.outcome import Memory
from postroom.reconcile.references import reference_to
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class Leg:
    """One protocol of an account: where to connect and as whom, or why that cannot be known."""

    attempt: probing.Attempt | None
    problem: Verdict | None = None
    resolved: tuple[ResolvedReference, ...] = ()
    report: ProbeReport | None = None


async def assess(
    resource: EmailAccount, world: World, memory: Memory, confirm_after: timedelta
) -> Assessment:
    """Look at an email account."""
    spec = resource.spec
    behind = await backing.find_backing(resource, world)
    smtp = await _smtp_leg(resource, behind.server, world)
    imap = await _imap_leg(resource, world)
    smtp, imap = await asyncio.gather(
        _probe_smtp(smtp, behind, world, memory), _probe_imap(imap, spec, world, memory)
    )
    problems = [one for one in (behind.problem, smtp.problem, imap.problem) if one is not None]
    verdicts = (
        *_references_verdict(problems),
        *backing.dependency_verdicts(spec, behind),
        *_leg_verdicts(smtp, imap),
    )
    refs = behind.references | _references_of(spec)
    if behind.server is not None and spec.credentials_ref is not None:
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


def _references_of(spec: EmailAccountSpec) -> frozenset[str]:
    refs = set()
    for credentials in (spec.credentials_ref, spec.imap.credentials_ref if spec.imap else None):
        if credentials is not None:
            refs.add(reference_to("Secret", credentials.name))
    if spec.imap and spec.imap.tls.ca_bundle_ref:
        bundle = spec.imap.tls.ca_bundle_ref
        refs.add(reference_to(bundle.kind, bundle.name))
    return frozenset(refs)


async def _smtp_leg(resource: EmailAccount, server: MailServer | None, world: World) -> Leg:
    """Prepare signing in as the account; without credentials of its own there is nothing to do."""
    spec, namespace = resource.spec, resource.metadata.namespace
    if spec.credentials_ref is None or server is None:
        return Leg(None)
    own = server.spec.model_copy(update={"credentials_ref": spec.credentials_ref})
    connection = await mailserver.connection_of(own, namespace, world)
    if isinstance(connection, Verdict):
        return Leg(None, problem=connection)
    attempt = probing.Attempt(
        probing.SMTP, connection.endpoint, connection.credentials, resource.metadata.requested_at
    )
    if server.spec.tls.mode is TLSMode.NONE:
        problem = failed(
            ConditionType.REFERENCES_RESOLVED,
            Reason.ENCRYPTION_REQUIRED,
            f"MailServer {server.metadata.name} has tls.mode None: credentials are only sent over "
            "TLS. Set its tls.mode to StartTLS or Implicit.",
        )
        return Leg(None, problem=problem)
    return Leg(attempt, resolved=connection.resolved)


async def _imap_leg(resource: EmailAccount, world: World) -> Leg:
    """Prepare reading the mailbox."""
    spec, namespace = resource.spec, resource.metadata.namespace
    imap = spec.imap
    reference = (imap.credentials_ref or spec.credentials_ref) if imap else None
    if imap is None or reference is None:
        return Leg(None)
    field = "spec.imap.credentialsRef" if imap.credentials_ref else "spec.credentialsRef"
    credentials = await references.credentials(world, namespace, reference, field, imap.host)
    if isinstance(credentials, Verdict):
        return Leg(None, problem=credentials)
    resolved = [credentials.resolved]
    bundle = None
    if imap.tls.ca_bundle_ref is not None:
        text = await references.ca_bundle(
            world, namespace, imap.tls.ca_bundle_ref, "spec.imap.tls.caBundleRef"
        )
        if isinstance(text, Verdict):
            return Leg(None, problem=text)
        bundle = text.value
        resolved.append(text.resolved)
    endpoint = _imap_endpoint(imap, bundle, namespace)
    attempt = probing.Attempt(
        probing.IMAP, endpoint, credentials, resource.metadata.requested_at, imap.mailbox
    )
    return Leg(attempt, resolved=tuple(resolved))


def _imap_endpoint(imap: IMAP, bundle: str | None, namespace: str) -> Endpoint:
    return Endpoint(
        host=imap.host,
        port=imap.port,
        tls=TLSMode.IMPLICIT,
        server_name=imap.tls.server_name or imap.host,
        ca_bundle=bundle,
        namespace=namespace,
    )


async def _probe_smtp(leg: Leg, behind: backing.Backing, world: World, memory: Memory) -> Leg:
    """Sign in over SMTP, but only at a server that is known to work: a second failure at the same
    server would say nothing new."""
    attempt = leg.attempt
    if attempt is None or behind.server_state is not ConditionStatus.TRUE:
        return leg

    async def probe(login: Login | None) -> ProbeReport:
        return await world.mail.smtp(attempt.endpoint, login)

    report = await probing.probe_once(attempt, probe, memory, world.now())
    return Leg(attempt, resolved=leg.resolved, report=report)


async def _probe_imap(leg: Leg, spec: EmailAccountSpec, world: World, memory: Memory) -> Leg:
    attempt = leg.attempt
    if attempt is None or spec.imap is None or attempt.credentials is None:
        return leg
    mailbox = spec.imap.mailbox

    async def probe(login: Login | None) -> ProbeReport:
        return await world.mail.imap(attempt.endpoint, login, mailbox)

    report = await probing.probe_once(attempt, probe, memory, world.now())
    return Leg(attempt, resolved=leg.resolved, report=report)


def _references_verdict(problems: list[Verdict]) -> tuple[Verdict, ...]:
    if problems:
        return (problems[0],)
    return (
        passed(
            ConditionType.REFERENCES_RESOLVED, Reason.RESOLVED, "Every referenced object was found."
        ),
    )


def _leg_verdicts(smtp: Leg, imap: Leg) -> tuple[Verdict, ...]:
    """The verdicts of both legs; TLS and the guard are reported once, the worse of the two."""
    found: list[Verdict] = []
    for leg, protocol in ((smtp, probing.SMTP), (imap, probing.IMAP)):
        if leg.report is not None:
            verdicts = probing.verdicts_of(leg.report, protocol, tls=True, auth=True)
            # Whether the SMTP server answers is the MailServer's verdict, not the account's.
            found.extend(one for one in verdicts if one.type is not ConditionType.SMTP_AVAILABLE)
            if protocol is probing.SMTP:
                found.extend(_smtp_unavailable(verdicts))
        elif leg.attempt is not None:
            found.append(
                unknown(
                    protocol.authenticated,
                    Reason.NOT_ATTEMPTED,
                    "Signing in waits until the MailServer is ready.",
                )
            )
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
