# SPDX-License-Identifier: Apache-2.0
"""Who stands on what: reverse maps from a referenced thing to the objects that must be looked at.

A reference is a text, as in `postroom.reconcile.status.outcome.Outcome`:
``Secret/<name>``, ``ConfigMap/<name>``, ``<Kind>/<name>`` or ``<Kind>/<index>``; before it the
namespace and a colon, where it is another one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Key, Kind
from postroom.api.resource import InvalidSpec, Metadata, parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.concurrency.sets_of_few import SetsOfFew
from postroom.reconcile import indexes
from postroom.reconcile.account import binding, used_by
from postroom.reconcile.account.dependencies import references_of
from postroom.reconcile.account.protocols import account_references
from postroom.reconcile.signing_in.protocol_check import server_references
from postroom.reconcile.signing_in.references import reference_to

_KINDS = {kind.value: kind for kind in Kind}


class Dependants:
    """The reverse maps, kept in plain dicts."""

    def __init__(self) -> None:
        # No sets, which take five times as much room.
        self._references: dict[Key, tuple[str, ...]] = {}
        #: By namespace, and there by reference: pairs of both would take half as much again.
        self._dependants: dict[str, SetsOfFew[str, Key]] = {}

    def references(self, key: Key) -> frozenset[str]:
        """Return what an object stands on, as was noted last."""
        return frozenset(self._references.get(key, ()))

    def update(self, key: Key, references: frozenset[str]) -> None:
        """Note what an object stands on now; replaces what was noted before."""
        before = self.references(key)
        if before == references:
            return
        for gone in before - references:
            namespace, reference = _place(key.namespace, gone)
            there = self._dependants[namespace]
            there.discard(reference, key)
            if not there:
                del self._dependants[namespace]
        for new in references - before:
            namespace, reference = _place(key.namespace, new)
            if namespace not in self._dependants:
                self._dependants[namespace] = SetsOfFew()
            self._dependants[namespace].add(reference, key)
        if references:
            self._references[key] = tuple(references)
        else:
            self._references.pop(key, None)

    def extend(self, key: Key, references: frozenset[str]) -> None:
        """Note what an object stands on in addition."""
        self.update(key, self.references(key) | references)

    def forget(self, key: Key) -> None:
        """Drop an object that is gone."""
        self.update(key, frozenset())

    def of(self, namespace: str, references: Iterable[str]) -> list[Key]:
        """Return who stands on any of these of a namespace, in a stable order."""
        found: set[Key] = set()
        for reference in references:
            # An index may name the namespace where somebody waits for it.
            elsewhere = indexes.namespace_in(reference.partition("/")[2])
            for place in {namespace, elsewhere or namespace}:
                if (there := self._dependants.get(place)) is not None:
                    found.update(there.of(reference))
        return sorted(found)


def _place(namespace: str, reference: str) -> tuple[str, str]:
    """Where a reference of an object leads: to its own namespace, unless it names another."""
    kind, slash, name = reference.partition("/")
    elsewhere, colon, kind = kind.rpartition(":")
    # The same text where it can be: there are a dozen for each object.
    return (elsewhere, f"{kind}{slash}{name}") if colon else (namespace, reference)


def named(namespace: str, references: Iterable[str]) -> Iterator[Key]:
    """Yield the objects of ours that references of a namespace name, or the index in the place of
    a name."""
    for reference in references:
        place, told = _place(namespace, reference)
        kind, _, name = told.partition("/")
        if kind in _KINDS:
            yield Key(_KINDS[kind], place, name)


def declared(kind: Kind, raw: Mapping[str, Any]) -> frozenset[str]:
    """Return what an object stands on as far as its spec and stored status tell.

    It serves objects that have not run in this process yet, because their status is fresh; the
    outcome of a run replaces it.
    """
    status = raw.get("status")
    entries = status.get("resolvedRefs") if isinstance(status, Mapping) else None
    found = {
        reference_to(str(entry["kind"]), str(entry["name"]), str(entry.get("namespace") or ""))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and entry.get("kind") and entry.get("name")
    }
    try:
        spec = parse_spec(kind, raw.get("spec"))
    except InvalidSpec:
        return frozenset(found)
    metadata = raw.get("metadata")
    found |= used_by.references_of(spec, Metadata.of(metadata if metadata else {}))
    match spec:
        case SendingDomainSpec():
            found.add(reference_to(Kind.SENDING_DOMAIN, indexes.by_domain(spec.domain)))
            found.add(reference_to(Kind.EMAIL_ACCOUNT, indexes.by_bulk_of(spec.domain)))
            keys = [key.public_key_ref for key in spec.dkim if key.public_key_ref is not None]
            found |= {reference_to(key.kind, key.name) for key in keys}
        case MailServerSpec():
            found |= server_references(spec)
            if spec.default:
                found.add(reference_to(Kind.MAIL_SERVER, indexes.DEFAULT))
        case EmailAccountSpec():
            if not spec.at_provider:
                server = spec.server_ref
                name, place = (server.name, server.namespace) if server else (indexes.DEFAULT, None)
                found.add(reference_to(Kind.MAIL_SERVER, name, place))
            found |= references_of(spec) | account_references(spec)
            found |= binding.written_references(spec)
    return frozenset(found)
