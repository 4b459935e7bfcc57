# SPDX-License-Identifier: Apache-2.0
"""The two protocols of an account: where each leads, as whom, and what a look at it found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.emailaccount_status import ProtocolProbes
from postroom.api.mailserver import TLSMode
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, InvalidSpec, MailServer
from postroom.api.status import ResolvedReference
from postroom.mail.report import Login, ProbeReport
from postroom.reconcile.account import both_protocols
from postroom.reconcile.account.both_protocols import Side
from postroom.reconcile.signing_in import prechecks, probing, retrying, token_credentials
from postroom.reconcile.signing_in.connection import Identity, connection_of
from postroom.reconcile.signing_in.prechecks import NOTHING, Checked
from postroom.reconcile.signing_in.targets import Target, imap_target, own_smtp_target, smtp_target
from postroom.reconcile.status.assessment import failed
from postroom.reconcile.status.outcome import Memory, Rejection
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class Leg:
    """One protocol of an account: where to connect and as whom, or why that cannot be known."""

    attempt: probing.Attempt | None
    problem: Verdict | None = None
    resolved: tuple[ResolvedReference, ...] = ()
    checked: Checked = NOTHING
    report: ProbeReport | None = None

    @property
    def side(self) -> Side | None:
        """What was tried and what came of it; None where nobody looked."""
        if self.attempt is None or self.report is None:
            return None
        return Side(self.attempt, self.report)


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
    identity = Identity(
        spec.credentials_ref, spec.oauth, spec.address, owner=token_credentials.owner_of(resource)
    )
    return await _leg(probing.SMTP, target, identity, resource, world)


async def imap_leg(resource: EmailAccount, world: World) -> Leg:
    """Prepare reading the mailbox; raises `InvalidSpec` as `smtp_leg` does."""
    spec = resource.spec
    if spec.imap is None:
        return Leg(None)
    own = spec.imap.credentials_ref
    identity = Identity(
        spec.credentials_ref, spec.oauth, spec.address, owner=token_credentials.owner_of(resource)
    )
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
    connection = await connection_of(target, identity, namespace, world)
    if isinstance(connection, Verdict):
        return Leg(None, problem=connection)
    stored = None
    if connection.credentials is not None:
        stored = _stored(protocol, resource, connection.credentials.resolved, world)
    attempt = probing.Attempt(
        protocol,
        connection.endpoint,
        connection.credentials,
        request,
        mailbox,
        target.provider,
        stored,
    )
    return Leg(attempt, resolved=connection.resolved, checked=prechecks.check(attempt))


def _stored(
    protocol: probing.Protocol,
    resource: EmailAccount,
    used: tuple[ResolvedReference, ...],
    world: World,
) -> Rejection | None:
    """What the status tells of a refusal of these credentials."""
    probes = resource.status.last_probe or ProtocolProbes()
    return retrying.restored(
        resource,
        protocol.authenticated,
        probes.smtp if protocol is probing.SMTP else probes.imap,
        used,
        world.now(),
    )


def _unencrypted(server: MailServer) -> Verdict:
    return failed(
        ConditionType.REFERENCES_RESOLVED,
        Reason.ENCRYPTION_REQUIRED,
        f"MailServer {server.metadata.name} has tls.mode None: credentials are only sent over "
        "TLS. Set its tls.mode to StartTLS or Implicit.",
    )


async def both_probed(smtp: Leg, imap: Leg, world: World, memory: Memory) -> tuple[Leg, Leg]:
    """Look at both protocols, and judge each in the light of the other.

    Where both lead to one provider SMTP comes first: what it refuses is not sent again.
    """
    if smtp.attempt and imap.attempt and _together(smtp.attempt, imap.attempt):
        smtp = await probed(smtp, world, memory)
        imap = await _probed_after(smtp, imap, world, memory)
    else:
        smtp, imap = await asyncio.gather(probed(smtp, world, memory), probed(imap, world, memory))
    if smtp.side is not None:
        smtp = replace(smtp, report=both_protocols.judged_by(smtp.side, imap.report))
    return smtp, imap


def _together(one: probing.Attempt, other: probing.Attempt) -> bool:
    return both_protocols.same_family(one.endpoint, other.endpoint)


async def _probed_after(smtp: Leg, imap: Leg, world: World, memory: Memory) -> Leg:
    """Look at IMAP, without signing in where SMTP has refused the same credentials."""
    if smtp.side is None or imap.attempt is None or imap.checked.blocking is not None:
        return await probed(imap, world, memory)
    if not both_protocols.depends(smtp.side, imap.attempt):
        return await probed(imap, world, memory)
    report = await _look(replace(imap.attempt, credentials=None), world, memory)
    return replace(imap, report=both_protocols.left_out(report, imap.attempt))


async def probed(leg: Leg, world: World, memory: Memory) -> Leg:
    """Look, unless there is nothing to look at, or something forbids it."""
    attempt = leg.attempt
    if attempt is None or attempt.credentials is None or leg.checked.blocking is not None:
        return leg
    return replace(leg, report=await _look(attempt, world, memory))


async def _look(attempt: probing.Attempt, world: World, memory: Memory) -> ProbeReport:
    async def probe(login: Login | None) -> ProbeReport:
        if attempt.protocol is probing.SMTP:
            return await world.mail.smtp(attempt.endpoint, login)
        return await world.mail.imap(attempt.endpoint, login, attempt.extra)

    return await probing.probe_once(attempt, probe, memory, world)
