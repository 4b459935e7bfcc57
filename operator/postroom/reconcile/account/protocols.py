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
from postroom.reconcile.account.server import called
from postroom.reconcile.signing_in import token_credentials
from postroom.reconcile.signing_in.probing import IMAP, SMTP
from postroom.reconcile.signing_in.protocol_check import Identity, ProtocolCheck, prepare
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.signing_in.targets import imap_target, own_smtp_target, smtp_target
from postroom.reconcile.status.assessment import failed
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import World


async def smtp_check(
    resource: EmailAccount, server: MailServer | None, world: World
) -> ProtocolCheck:
    """Signing in as the account; without credentials of its own there is nothing to try.

    Raises `InvalidSpec` for parameters that the account's provider does not take.
    """
    spec = resource.spec
    if not spec.signs_in:
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
        own = resource.metadata.namespace
        if server.metadata.namespace != own:
            place, owner = server.metadata.namespace, called(server, own)
            target = replace(target, namespace=place, owner=owner)
        if target.tls is TLSMode.NONE:
            unencrypted = failed(
                ConditionType.REFERENCES_RESOLVED,
                Reason.ENCRYPTION_REQUIRED,
                f"{called(server, own)} has tls.mode None: credentials are only sent "
                "over TLS. Set its tls.mode to StartTLS or Implicit.",
            )
            return ProtocolCheck(problem=unencrypted)
    identity = Identity(spec.credentials_ref, spec.oauth, spec.address)
    return await prepare(SMTP, target, identity, resource, world)


async def imap_check(resource: EmailAccount, world: World) -> ProtocolCheck:
    """Reading the mailbox; raises `InvalidSpec` as `smtp_check` does."""
    spec = resource.spec
    if spec.imap is None:
        return ProtocolCheck()
    identity = Identity(spec.credentials_ref, spec.oauth, spec.address)
    if spec.imap.credentials_ref is not None:
        field = "spec.imap.credentialsRef"
        identity = Identity(spec.imap.credentials_ref, None, spec.address, field)
    return await prepare(IMAP, imap_target(spec, spec.imap), identity, resource, world)


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
    else:
        smtp, imap = await asyncio.gather(smtp.probed(world, memory), imap.probed(world, memory))
    return replace(smtp, report=both_protocols.smtp_report(smtp, imap.report)), imap


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
