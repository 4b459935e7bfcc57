# SPDX-License-Identifier: Apache-2.0
"""From ``spec.oauth`` and its Secrets to the grant that a token is asked for with."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from postroom.api.conditions import Verdict
from postroom.api.fields import ObjectReference, SecretKeyReference
from postroom.api.masked import Masked
from postroom.api.names import Kind
from postroom.api.oauth import MicrosoftCloud, OAuth, Rotation
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource
from postroom.api.status import ResolvedReference
from postroom.mail.credentials import host_allowed
from postroom.mail.oauth.endpoints import mail_hosts_of, token_url_of
from postroom.mail.oauth.grant import BadGrant, Grant, KeptFor, OAuthSecrets, grant_of
from postroom.reconcile.signing_in import references
from postroom.reconcile.signing_in.references import reference_to, unresolved
from postroom.reconcile.world import World

#: The keys of a Secret of type kubernetes.io/tls.
_CERTIFICATE, _PRIVATE_KEY = "tls.crt", "tls.key"


@dataclass(frozen=True, slots=True)
class Owner:
    """The object whose spec asks for a token."""

    kind: Kind
    name: str
    uid: str


def owner_of(resource: AnyResource) -> Owner:
    """Return the object that a resource is."""
    return Owner(resource.kind, resource.metadata.name, resource.metadata.uid)


@dataclass(frozen=True, slots=True)
class TokenCredentials:
    """A grant, and the versions of the Secrets that it came from."""

    grant: Grant
    cloud: MicrosoftCloud | None
    resolved: tuple[ResolvedReference, ...]
    #: When the Secret's refresh token was written; None: there is none, or nobody tells.
    written: references.Written | None = None

    @property
    def version(self) -> str:
        """Identifies spec and Secrets: what was refused is not tried again."""
        return self.grant.key


async def grant_from(
    world: World,
    namespace: str,
    oauth: OAuth,
    address: str,
    mail_host: str,
    owner: Owner | None = None,
    *,
    expressly: bool = False,
) -> TokenCredentials | Verdict:
    """Read the Secrets of an object's ``spec.oauth`` and check that they may go where they would.

    Each Secret must agree to the host of the token endpoint and to `mail_host`; a token of Google
    or Microsoft is for their own mail servers only. New refresh tokens are kept for `owner`, where
    the spec asks for that. `expressly`: another namespace chooses `mail_host`, so that the Secrets
    behind any other token must name it.
    """
    known = mail_hosts_of(oauth)
    if known is not None and not host_allowed(mail_host, known):
        return unresolved(
            Reason.REFERENCE_NOT_PERMITTED,
            f"A token of {oauth.provider.value} (spec.oauth) may not be sent to {mail_host}, but "
            f"only to {', '.join(sorted(known))}: correct the host, or use credentialsRef.",
            "spec.oauth",
            f"Set the host to {' or '.join(sorted(known))}, or sign in with credentialsRef.",
        )
    hosts = (urlsplit(token_url_of(oauth)).hostname or "", mail_host)
    read = _Reading(world, namespace, hosts, expressly=expressly and known is None)
    secrets = await _secrets(oauth, read)
    if isinstance(secrets, Verdict):
        return secrets
    bundle = None
    if oauth.ca_bundle_ref is not None:
        text = await references.ca_bundle(
            world, namespace, oauth.ca_bundle_ref, "spec.oauth.caBundleRef"
        )
        if isinstance(text, Verdict):
            return text
        bundle = text.value
        read.resolved.append(text.resolved)
    kept_for = None
    if owner is not None and oauth.rotation is Rotation.WRITE_BACK:
        kept_for = KeptFor(owner.kind.value, owner.name, owner.uid, read.source)
    grant = grant_of(
        oauth,
        secrets,
        address=address,
        version=",".join(read.versions),
        namespace=namespace,
        ca_bundle=bundle,
        kept_for=kept_for,
    )
    if isinstance(grant, BadGrant):
        sentence = f"spec.oauth cannot be used: {grant.sentence}"
        return unresolved(Reason.SECRET_KEY_MISSING, sentence, "spec.oauth")
    names = dict.fromkeys(reference.name for reference in _named(oauth))
    grant = replace(grant, secret=", ".join(names))
    resolved = tuple(dict.fromkeys(read.resolved))
    return TokenCredentials(grant, oauth.cloud, resolved, read.refresh_token_written)


def references_of(oauth: OAuth | None, namespace: str | None = None) -> frozenset[str]:
    """The Secrets and the CA bundle that ``spec.oauth`` names, of another namespace if given."""
    if oauth is None:
        return frozenset()
    found = {reference_to("Secret", reference.name, namespace) for reference in _named(oauth)}
    if (bundle := oauth.ca_bundle_ref) is not None:
        found.add(reference_to(bundle.kind, bundle.name, namespace))
    return frozenset(found)


def _named(oauth: OAuth) -> Iterator[SecretKeyReference | ObjectReference]:
    for reference in (
        oauth.client_secret_ref,
        oauth.refresh_token_ref,
        oauth.service_account_key_ref,
        oauth.certificate_ref,
    ):
        if reference is not None:
            yield reference


class _Reading:
    """Reads keys of Secrets for some hosts, and notes what was read."""

    def __init__(
        self, world: World, namespace: str, hosts: tuple[str, ...], *, expressly: bool
    ) -> None:
        self._world, self._namespace, self._hosts = world, namespace, hosts
        self._expressly = expressly
        self.resolved: list[ResolvedReference] = []
        self.versions: list[str] = []
        #: The version of the Secret with the refresh token.
        self.source = ""
        self.refresh_token_written: references.Written | None = None

    async def key(self, reference: SecretKeyReference, field: str) -> Masked | Verdict:
        """Read one key."""
        found = await references.secret(self._world, self._namespace, reference.name, field)
        if isinstance(found, Verdict):
            return found
        content, resolved = found
        for host in self._hosts:
            refusal = references.not_permitted(content, field, host, expressly=self._expressly)
            if refusal is not None:
                return refusal
        value = content.data.get(reference.key)
        if not value:
            return unresolved(
                Reason.SECRET_KEY_MISSING,
                f"Secret {reference.name} ({field}) has no key {reference.key}, or its value is "
                "empty: set it.",
                field,
                f"Set key {reference.key} of Secret {reference.name}.",
            )
        if field.endswith(".refreshTokenRef"):
            self.refresh_token_written = references.written_in(content, reference.key)
        self.resolved.append(resolved)
        self.versions.append(f"{content.uid}/{content.resource_version}")
        return value


async def _secrets(oauth: OAuth, read: _Reading) -> OAuthSecrets | Verdict:
    wanted: list[tuple[str, SecretKeyReference | None, str]] = [
        ("client_secret", oauth.client_secret_ref, "clientSecretRef"),
        ("refresh_token", oauth.refresh_token_ref, "refreshTokenRef"),
        ("service_account_key", oauth.service_account_key_ref, "serviceAccountKeyRef"),
    ]
    if oauth.certificate_ref is not None:
        name = oauth.certificate_ref.name
        for part, key in (("certificate", _CERTIFICATE), ("private_key", _PRIVATE_KEY)):
            wanted.append((part, SecretKeyReference(name=name, key=key), "certificateRef"))
    values: dict[str, Masked] = {}
    for part, reference, field in wanted:
        if reference is None:
            continue
        value = await read.key(reference, f"spec.oauth.{field}")
        if isinstance(value, Verdict):
            return value
        values[part] = value
        if reference is oauth.refresh_token_ref:
            read.source = read.versions[-1]
    return OAuthSecrets(**values)
