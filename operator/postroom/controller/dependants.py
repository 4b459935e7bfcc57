# SPDX-License-Identifier: Apache-2.0
"""Who stands on what: reverse maps from a referenced thing to the objects that must be looked at.

A reference is a text within one namespace, as in `postroom.reconcile.status.outcome.Outcome`:
``Secret/<name>``, ``ConfigMap/<name>``, ``<Kind>/<name>`` or ``<Kind>/<index>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from postroom.api.ca_bundle import CABundleReference
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.fields import Model
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Key, Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.reconcile import indexes
from postroom.reconcile.account.dependencies import references_of as backing_references
from postroom.reconcile.signing_in.token_credentials import references_of


def named(kind: str, name: str) -> str:
    """Return the reference to one object, or to an index of its kind."""
    return f"{kind}/{name}"


class Dependants:
    """The reverse maps, kept in plain dicts."""

    def __init__(self) -> None:
        self._references: dict[Key, frozenset[str]] = {}
        self._dependants: dict[tuple[str, str], set[Key]] = {}

    def update(self, key: Key, references: frozenset[str]) -> None:
        """Note what an object stands on now; replaces what was noted before."""
        before = self._references.get(key, frozenset())
        for gone in before - references:
            self._remove(key, gone)
        for new in references - before:
            self._dependants.setdefault((key.namespace, new), set()).add(key)
        if references:
            self._references[key] = references
        else:
            self._references.pop(key, None)

    def extend(self, key: Key, references: frozenset[str]) -> None:
        """Note what an object stands on in addition."""
        self.update(key, self._references.get(key, frozenset()) | references)

    def forget(self, key: Key) -> None:
        """Drop an object that is gone."""
        self.update(key, frozenset())

    def of(self, namespace: str, references: Iterable[str]) -> list[Key]:
        """Return the objects of a namespace that stand on any of these, in a stable order."""
        found: set[Key] = set()
        for reference in references:
            found |= self._dependants.get((namespace, reference), set())
        return sorted(found)

    def _remove(self, key: Key, reference: str) -> None:
        place = (key.namespace, reference)
        keys = self._dependants[place]
        keys.discard(key)
        if not keys:
            del self._dependants[place]


def declared(kind: Kind, raw: Mapping[str, Any]) -> frozenset[str]:
    """Return what an object stands on as far as its spec and stored status tell.

    It serves objects that have not run in this process yet, because their status is fresh; the
    outcome of a run replaces it.
    """
    found = set(_recorded(raw.get("status")))
    try:
        found |= set(_specified(parse_spec(kind, raw.get("spec"))))
    except InvalidSpec:
        pass
    return frozenset(found)


def _recorded(status: object) -> Iterator[str]:
    """Yield the references that an earlier run noted in status."""
    entries = status.get("resolvedRefs") if isinstance(status, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and entry.get("kind") and entry.get("name"):
            yield named(str(entry["kind"]), str(entry["name"]))


def _specified(spec: Model) -> Iterator[str]:
    match spec:
        case SendingDomainSpec():
            yield named(Kind.SENDING_DOMAIN, indexes.by_domain(spec.domain))
            for key in spec.dkim:
                if key.public_key_ref is not None:
                    yield named(key.public_key_ref.kind, key.public_key_ref.name)
        case MailServerSpec():
            yield from _secret(spec.credentials_ref)
            yield from references_of(spec.oauth)
            yield from _bundle(spec.tls.ca_bundle_ref)
        case EmailAccountSpec():
            yield from _account(spec)


def _account(spec: EmailAccountSpec) -> Iterator[str]:
    if not spec.at_provider:
        server = spec.server_ref.name if spec.server_ref else indexes.DEFAULT
        yield named(Kind.MAIL_SERVER, server)
    yield from backing_references(spec)
    yield from _secret(spec.credentials_ref)
    yield from references_of(spec.oauth)
    if spec.imap is not None:
        yield from _secret(spec.imap.credentials_ref)
        yield from _bundle(spec.imap.tls.ca_bundle_ref)


def _secret(reference: Any) -> Iterator[str]:
    if reference is not None:
        yield named("Secret", reference.name)


def _bundle(reference: CABundleReference | None) -> Iterator[str]:
    if reference is not None:
        yield named(reference.kind, reference.name)
