# SPDX-License-Identifier: Apache-2.0
"""Following references to Secrets, ConfigMaps and servers, always inside the object's namespace.

Each function returns what it found or the verdict that says why not; a reference that could not
be looked up now raises `LookupUnavailable`, which the engine turns into a retry.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from postroom.api.ca_bundle import CABundleReference
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.credentials_reference import CredentialsReference
from postroom.api.names import ALLOW_DKIM_PUBLIC_KEY, Kind
from postroom.api.reasons import Reason
from postroom.api.sendingdomain_records import PublicKeyReference
from postroom.api.status import ResolvedReference
from postroom.dns import dkim
from postroom.mail.credentials import BadCredentials, host_allowed, login_from
from postroom.mail.report import Login
from postroom.reconcile.status.assessment import failed
from postroom.reconcile.world import LookupUnavailable, SecretContent, World


@dataclass(frozen=True, slots=True)
class Written:
    """When a key of a Secret was written last, at the latest."""

    secret: str
    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login and the version of the Secret that it came from."""

    login: Login
    resolved: tuple[ResolvedReference, ...]
    #: Identifies the version of the credentials: a rejected one is not tried again.
    version: str
    #: When the password was written; None: nobody tells.
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text under a key of a Secret or ConfigMap."""

    value: str
    resolved: ResolvedReference


# The text is kept for as long as the object is there, and many name the same.
@functools.lru_cache(maxsize=1024)
def reference_to(kind: str, name: str, namespace: str | None = None) -> str:
    """Return the text by which `Outcome.references` names an object, of another namespace too."""
    return f"{namespace}:{kind}/{name}" if namespace else f"{kind}/{name}"


def unresolved(reason: Reason, message: str, field: str = "", fix: str = "") -> Verdict:
    """The verdict on a reference that leads nowhere; `field` holds it."""
    return failed(ConditionType.REFERENCES_RESOLVED, reason, message, field, fix)


def unusable(world: World, kind: Kind, namespace: str, name: str, field: str) -> Verdict | None:
    """The verdict where an object of the own namespace that a field names is there, but its spec
    cannot be understood; None: it is not there."""
    if not world.exists(kind, namespace, name):
        return None
    return unresolved(
        Reason.REFERENCE_INVALID,
        f"The spec of {kind.value} {name} ({field}) is invalid, so that it cannot be used: its "
        "status tells what to correct there.",
        field,
    )


@contextmanager
def unnamed(owner: str | None) -> Iterator[None]:
    """Name nothing of what `owner`, an object of another namespace, refers to, where it could not
    be looked up; None: it is of this one, whose objects may be named."""
    try:
        yield
    except LookupUnavailable:
        if owner is None:
            raise
        sentence = (
            f"What {owner} refers to could not be read, so that nothing was tried: it is read "
            "again. Read its status."
        )
        raise LookupUnavailable(sentence) from None


async def secret(
    world: World, namespace: str, name: str, field: str
) -> tuple[SecretContent, ResolvedReference] | Verdict:
    """Read a Secret that a field names."""
    content = await world.secret(namespace, name)
    if content is None:
        return unresolved(
            Reason.SECRET_NOT_FOUND,
            f"Secret {name} ({field}) does not exist in this namespace: create it or correct "
            "the name.",
            field,
        )
    resolved = ResolvedReference(
        kind="Secret", name=name, resource_version=content.resource_version or None
    )
    return content, resolved


async def credentials(
    world: World,
    namespace: str,
    reference: CredentialsReference,
    field: str,
    host: str,
    username: str | None = None,
    *,
    expressly: bool = False,
) -> Credentials | Verdict:
    """Read username and password, and check that the Secret agrees to be sent to `host`.

    `username` is the one that the provider fixes, for a Secret that has none. `expressly`: the
    Secret must name the host, which another namespace chooses.
    """
    found = await secret(world, namespace, reference.name, field)
    if isinstance(found, Verdict):
        return found
    content, resolved = found
    login = login_from(content.data, username, reference.keys)
    if isinstance(login, BadCredentials):
        return unresolved(
            Reason.SECRET_KEY_MISSING,
            f"Secret {reference.name} ({field}): {login.sentence}",
            field,
            f"{login.fix} of Secret {reference.name}.",
        )
    refusal = not_permitted(content, field, host, expressly=expressly)
    if refusal is not None:
        return refusal
    # Two logins of one Secret are two credentials; how the spec names the same keys is one.
    keys = "/".join(reference.keys)
    version = f"{content.uid}/{content.resource_version}/{keys}"
    login = replace(login, secret=reference.name)
    return Credentials(login, (resolved,), version, written_in(content, reference.keys[1]))


def written_in(content: SecretContent, key: str) -> Written | None:
    """When a key of a Secret was written; None where nobody tells."""
    at = content.written.get(key)
    return Written(content.name, key, at) if at is not None else None


def not_permitted(
    content: SecretContent, field: str, host: str, *, expressly: bool = False
) -> Verdict | None:
    """The verdict on a Secret that does not agree to be sent to a host; None where it does.

    `expressly`: one that names no host at all agrees to none.
    """
    if host_allowed(host, content.allowed_hosts or () if expressly else content.allowed_hosts):
        return None
    # Without the annotation it goes to all hosts, and with it to no other.
    others = "" if content.allowed_hosts else " and all others that it is for"
    return unresolved(
        Reason.REFERENCE_NOT_PERMITTED,
        f"Secret {content.name} ({field}) may not be sent to {host}: add the host to the "
        "Secret's annotation postroom.dev/allowed-hosts.",
        field,
        f"Add {host}{others} to the annotation postroom.dev/allowed-hosts of Secret "
        f"{content.name}.",
    )


async def _secret_text(
    world: World, namespace: str, name: str, key: str, field: str, use: str | None = None
) -> Text | Verdict:
    """Read the text under one key of a Secret; with `use`, only if its owner allows that use."""
    found = await secret(world, namespace, name, field)
    if isinstance(found, Verdict):
        return found
    content, resolved = found
    if use is not None and use not in content.allowed_uses:
        fix = (
            f"Put the public key into a ConfigMap and name that in {field}, or have the Secret's "
            f"owner annotate Secret {name} postroom.dev/allow: {use}."
        )
        return unresolved(Reason.REFERENCE_NOT_PERMITTED, not_public(name, field, use), field, fix)
    value = content.data.get(key)
    if not value:
        return unresolved(
            Reason.SECRET_KEY_MISSING,
            f"Secret {name} ({field}) has no key {key}, or its value is empty.",
            field,
            f"Set key {key} of Secret {name}.",
        )
    return Text(value.reveal(), resolved)


def not_public(name: str, field: str, use: str) -> str:
    """The sentence on a Secret whose owner has not declared it public."""
    return (
        f"Secret {name} ({field}) is not declared public, so nothing of it is read: put the public "
        f"key into a ConfigMap, or let the Secret's owner annotate it postroom.dev/allow: {use}."
    )


async def _config_map_text(
    world: World, namespace: str, name: str, key: str, field: str
) -> Text | Verdict:
    """Read the text under one key of a ConfigMap."""
    content = await world.config_map(namespace, name)
    if content is None:
        return unresolved(
            Reason.CONFIG_MAP_NOT_FOUND,
            f"ConfigMap {name} ({field}) does not exist in this namespace: create it "
            "or correct the name.",
            field,
        )
    value = content.data.get(key)
    if not value:
        return unresolved(
            Reason.CONFIG_MAP_KEY_MISSING,
            f"ConfigMap {name} ({field}) has no key {key}, or its value is empty.",
            field,
            f"Set key {key} of ConfigMap {name}.",
        )
    version = content.resource_version or None
    return Text(value, ResolvedReference(kind="ConfigMap", name=name, resource_version=version))


async def ca_bundle(
    world: World, namespace: str, reference: CABundleReference, field: str
) -> Text | Verdict:
    """Read the PEM bundle that a reference names."""
    if reference.kind == "Secret":
        return await _secret_text(world, namespace, reference.name, reference.key, field)
    return await _config_map_text(world, namespace, reference.name, reference.key, field)


async def public_key(
    world: World, namespace: str, reference: PublicKeyReference, field: str
) -> Text | Verdict:
    """Read a public key, which status shows to everyone: only what is public, and is a key.

    Nothing of what is no key is ever repeated.
    """
    name, key = reference.name, reference.key
    if reference.kind == "Secret":
        use = ALLOW_DKIM_PUBLIC_KEY
        found = await _secret_text(world, namespace, name, key, field, use)
    else:
        found = await _config_map_text(world, namespace, name, key, field)
    if isinstance(found, Verdict):
        return found
    problem = dkim.read_expected(found.value)
    if isinstance(problem, str):
        return unresolved(
            Reason.PUBLIC_KEY_INVALID,
            f"Key {key} of {reference.kind} {name} ({field}) does not parse as a public key: it "
            f"{problem}.",
            field,
            f"Put the public key (base64 or PEM) under key {key} of {reference.kind} {name}.",
        )
    return found
