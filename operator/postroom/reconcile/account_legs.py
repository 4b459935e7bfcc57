# SPDX-License-Identifier: Apache-2.0
"""The two protocols of an account: where each leads, as whom, and what a look at it found."""

from __future__ import annotations

from dataclasses import dataclass, replace

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.mailserver import TLSMode
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, InvalidSpec, MailServer
from postroom.api.status import ResolvedReference
from postroom.mail.report import Login, ProbeReport
from postroom.reconcile import mailserver, prechecks, probing
from postroom.reconcile.assessment import failed
from postroom.reconcile.mailserver import Identity
from postroom.reconcile.outcome import Memory
from postroom.reconcile.prechecks import NOTHING, Checked
from postroom.reconcile.targets import Target, imap_target, own_smtp_target, smtp_target
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class Leg:
    """One protocol of an account: where to connect and as whom, or why that cannot be known."""

    attempt: probing.Attempt | None
    problem: Verdict | None = None
    resolved: tuple[ResolvedReference, ...] = ()
    checked: Checked = NOTHING
    report: ProbeReport | None = None


async def smtp_leg(resource: EmailAccount, server: MailServer | None, world: World) -> Leg:
    """Prepare signing in as the account; without credentials of its own there is nothing to do.

    Raises `InvalidSpec` for parameters that the account's provider does not take.
    """
    spec = resource.spec
    if not spec.signs_in:
        return Leg(None)
    if spec.at_provider:
        target = own_smtp_target(spec)
    elif server is None:
        return Leg(None)
    else:
        try:
            target = smtp_target(server.spec, spec.address)
        except InvalidSpec:
            # The server's own status says so, and it is not Ready.
            return Leg(None)
        if target.tls is TLSMode.NONE:
            return Leg(None, problem=_unencrypted(server))
    identity = Identity(spec.credentials_ref, spec.oauth, spec.address)
    return await _leg(probing.SMTP, target, identity, resource, world)


async def imap_leg(resource: EmailAccount, world: World) -> Leg:
    """Prepare reading the mailbox; raises `InvalidSpec` as `smtp_leg` does."""
    spec = resource.spec
    if spec.imap is None:
        return Leg(None)
    own = spec.imap.credentials_ref
    identity = Identity(spec.credentials_ref, spec.oauth, spec.address)
    if own is not None:
        identity = Identity(own, None, spec.address, "spec.imap.credentialsRef")
    target = imap_target(spec, spec.imap)
    return await _leg(probing.IMAP, target, identity, resource, world, spec.imap.mailbox)


async def _leg(
    protocol: probing.Protocol,
    target: Target,
    identity: Identity,
    resource: EmailAccount,
    world: World,
    mailbox: str = "",
) -> Leg:
    namespace, request = resource.metadata.namespace, resource.metadata.requested_at
    connection = await mailserver.connection_of(target, identity, namespace, world)
    if isinstance(connection, Verdict):
        return Leg(None, problem=connection)
    attempt = probing.Attempt(
        protocol, connection.endpoint, connection.credentials, request, mailbox, target.provider
    )
    return Leg(attempt, resolved=connection.resolved, checked=prechecks.check(attempt))


def _unencrypted(server: MailServer) -> Verdict:
    return failed(
        ConditionType.REFERENCES_RESOLVED,
        Reason.ENCRYPTION_REQUIRED,
        f"MailServer {server.metadata.name} has tls.mode None: credentials are only sent over "
        "TLS. Set its tls.mode to StartTLS or Implicit.",
    )


async def probed(leg: Leg, world: World, memory: Memory) -> Leg:
    """Look, unless there is nothing to look at, or something forbids it."""
    attempt = leg.attempt
    if attempt is None or attempt.credentials is None or leg.checked.blocking is not None:
        return leg

    async def probe(login: Login | None) -> ProbeReport:
        if attempt.protocol is probing.SMTP:
            return await world.mail.smtp(attempt.endpoint, login)
        return await world.mail.imap(attempt.endpoint, login, attempt.extra)

    return replace(leg, report=await probing.probe_once(attempt, probe, memory, world))
