# SPDX-License-Identifier: Apache-2.0
"""The two protocols of an account: where each leads, as whom, and how both are probed."""

import asyncio
from dataclasses import replace

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.mailserver import TLSMode
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, InvalidSpec, MailServer
from postroom.reconcile.account import both_protocols
from postroom.reconcile.account.server import called, lender_to
from postroom.reconcile.signing_in import token_credentials
from postroom.reconcile.signing_in.probing import IMAP, SMTP
from postroom.reconcile.signing_in.protocol_check import Identity, ProtocolCheck, prepare
from postroom.reconcile.signing_in.references import reference_to, unresolved
from postroom.reconcile.signing_in.targets import (
    Target,
    imap_target,
    own_smtp_target,
    smtp_target,
)
from postroom.reconcile.status.assessment import failed
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import World


async def smtp_check(
    resource: EmailAccount, server: MailServer | None, world: World
) -> ProtocolCheck:
    """Signing in as the account; without credentials for it there is nothing to try.

    Raises `InvalidSpec` for parameters that the account's provider does not take.
    """
    spec = resource.spec
    lender = lender_to(resource, server)
    if not spec.signs_in and lender is None:
        return ProtocolCheck()
    if spec.at_provider:
        target = own_smtp_target(spec)
    elif server is None:
        return ProtocolCheck()
    else:
        try:
            target = smtp_target(server.spec, spec.address)
        except InvalidSpec:
            # The server's own status says so, and it is not Ready.
            return ProtocolCheck()
        target = _written_by(server, target, resource)
        if target.tls is TLSMode.NONE:
            unencrypted = failed(
                ConditionType.REFERENCES_RESOLVED,
                Reason.ENCRYPTION_REQUIRED,
                f"{called(server, resource.metadata.namespace)} has tls.mode None: credentials are "
                "only sent over TLS. Set its tls.mode to StartTLS or Implicit.",
            )
            return ProtocolCheck(problem=unencrypted)
    return await prepare(SMTP, target, _identity(resource, lender), resource, world)


async def imap_check(
    resource: EmailAccount, server: MailServer | None, world: World
) -> ProtocolCheck:
    """Reading the mailbox; raises `InvalidSpec` as `smtp_check` does."""
    spec = resource.spec
    if spec.imap is None:
        return ProtocolCheck()
    target = imap_target(spec, spec.imap)
    if spec.imap.credentials_ref is not None:
        field = "spec.imap.credentialsRef"
        identity = Identity(spec.imap.credentials_ref, None, spec.address, field)
        return await prepare(IMAP, target, identity, resource, world)
    if spec.signs_in:
        return await prepare(IMAP, target, _identity(resource, None), resource, world)
    lender = lender_to(resource, server)
    if server is None:
        return ProtocolCheck()
    own = called(server, resource.metadata.namespace)
    if lender is None:
        message = (
            f"{own} opens no mailbox to this account: set spec.credentialsRef, spec.oauth or "
            f"spec.imap.credentialsRef, or have its spec.mailboxes name {spec.address}."
        )
        refused = unresolved(Reason.MAIL_SERVER_NOT_PERMITTED, message, "spec.imap")
        return ProtocolCheck(problem=refused)
    if spec.imap.tls.ca_bundle_ref is not None or spec.imap.tls.server_name is not None:
        message = (
            f"spec.imap.tls names whom to trust, but the token is that of {own}, whose spec.tls "
            "says it: remove caBundleRef and serverName here."
        )
        refused = unresolved(Reason.MAIL_SERVER_NOT_PERMITTED, message, "spec.imap.tls")
        return ProtocolCheck(problem=refused)
    try:
        smtp_target(lender.spec)
    except InvalidSpec:
        return ProtocolCheck()
    bundle = lender.spec.tls.ca_bundle_ref
    trusted = replace(target, bundle=bundle, bundle_field="spec.tls.caBundleRef")
    target = _written_by(lender, trusted, resource)
    return await prepare(IMAP, target, _identity(resource, lender), resource, world)


def _identity(resource: EmailAccount, lender: MailServer | None) -> Identity:
    """As whom an account signs in: with what is its own, or by the grant of its server."""
    spec, mine = resource.spec, resource.metadata.namespace
    if lender is None:
        return Identity(spec.credentials_ref, spec.oauth, spec.address)
    lent = lender.spec.grant_for(spec.address, mine, lender.metadata.namespace)
    return Identity(None, lent, spec.address, lent_by=lender)


def _written_by(server: MailServer, target: Target, resource: EmailAccount) -> Target:
    """A target whose host or authorities a server names, perhaps one of another namespace."""
    place, own = server.metadata.namespace, resource.metadata.namespace
    if place == own:
        return target
    return replace(target, namespace=place, owner=called(server, own))


async def both_probed(
    smtp: ProtocolCheck, imap: ProtocolCheck, world: World, memory: Memory
) -> tuple[ProtocolCheck, ProtocolCheck]:
    """Both protocols probed, and each judged in the light of the other.

    Where both lead to one provider SMTP comes first: what it refuses is not sent again.
    """
    to_smtp, to_imap = smtp.attempt, imap.attempt
    if to_smtp and to_imap and both_protocols.same_family(to_smtp.endpoint, to_imap.endpoint):
        smtp = await smtp.probed(world, memory)
        if both_protocols.depends(smtp, to_imap) and not imap.is_blocked:
            nobody = replace(imap, attempt=replace(to_imap, credentials=None))
            seen = (await nobody.probed(world, memory)).report
            left_out = seen and both_protocols.without_signing_in(seen, to_imap)
            imap = replace(imap, report=left_out)
        else:
            imap = await imap.probed(world, memory)
    elif to_smtp and to_imap:
        smtp, imap = await asyncio.gather(smtp.probed(world, memory), imap.probed(world, memory))
    else:
        # Most accounts have one of them or none, and a task for each costs more than that.
        smtp, imap = await smtp.probed(world, memory), await imap.probed(world, memory)
    report = both_protocols.smtp_report(smtp, imap.report)
    return smtp if report is smtp.report else replace(smtp, report=report), imap


def account_references(spec: EmailAccountSpec) -> frozenset[str]:
    """The Secrets and CA bundles that an account's spec names."""
    refs = set(token_credentials.references_of(spec.oauth))
    for credentials in (spec.credentials_ref, spec.imap.credentials_ref if spec.imap else None):
        if credentials is not None:
            refs.add(reference_to("Secret", credentials.name))
    if spec.imap and spec.imap.tls.ca_bundle_ref:
        bundle = spec.imap.tls.ca_bundle_ref
        refs.add(reference_to(bundle.kind, bundle.name))
    return frozenset(refs)
