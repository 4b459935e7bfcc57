# SPDX-License-Identifier: Apache-2.0
"""From the references of a spec to an endpoint and the credentials for it."""

from __future__ import annotations

from dataclasses import dataclass

from postroom.api.conditions import Verdict
from postroom.api.fields import ObjectReference
from postroom.api.mailserver import MailServerSpec
from postroom.api.oauth import OAuth
from postroom.api.status import ResolvedReference
from postroom.mail.report import Endpoint
from postroom.reconcile.signing_in import probing, references, token_credentials
from postroom.reconcile.signing_in.targets import Target
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to connect and with what, after all references were followed."""

    endpoint: Endpoint
    credentials: probing.AnyCredentials | None
    resolved: tuple[ResolvedReference, ...]
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom to sign in: by the Secret or the OAuth that a spec names, or not at all.

    `address` is the mailbox that a token is for, unless `oauth` names another; new refresh tokens
    are kept for `owner`, where `oauth` asks for that.
    """

    credentials_ref: ObjectReference | None
    oauth: OAuth | None
    address: str = ""
    field: str = "spec.credentialsRef"
    owner: token_credentials.Owner | None = None


async def connection_of(
    target: Target, identity: Identity, namespace: str, world: World
) -> Connection | Verdict:
    """Follow the references of a spec."""
    resolved: tuple[ResolvedReference, ...] = ()
    bundle = None
    if target.bundle is not None:
        found = await references.ca_bundle(world, namespace, target.bundle, target.bundle_field)
        if isinstance(found, Verdict):
            return found
        bundle = found.value
        resolved += (found.resolved,)
    credentials = await _credentials(target, identity, namespace, world)
    if isinstance(credentials, Verdict):
        return credentials
    if credentials is not None:
        resolved += credentials.resolved
    return Connection(target.endpoint(bundle, namespace), credentials, resolved, target.provider)


async def _credentials(
    target: Target, identity: Identity, namespace: str, world: World
) -> probing.AnyCredentials | Verdict | None:
    if identity.credentials_ref is not None:
        reference, field = identity.credentials_ref, identity.field
        return await references.credentials(
            world, namespace, reference, field, target.host, target.username
        )
    if identity.oauth is not None:
        return await token_credentials.grant_from(
            world, namespace, identity.oauth, identity.address, target.host, identity.owner
        )
    return None


def server_references(spec: MailServerSpec) -> frozenset[str]:
    """The Secrets and CA bundles that a server's spec names."""
    refs = set(token_credentials.references_of(spec.oauth))
    if spec.credentials_ref is not None:
        refs.add(references.reference_to("Secret", spec.credentials_ref.name))
    if spec.tls.ca_bundle_ref is not None:
        refs.add(references.reference_to(spec.tls.ca_bundle_ref.kind, spec.tls.ca_bundle_ref.name))
    return frozenset(refs)
