# SPDX-License-Identifier: Apache-2.0
"""Several namespaces with sending domains and accounts over one DNS, on a virtual clock.

Statuses go through JSON after every look, as they do through the API server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from postroom.api.conditions import ConditionType, find
from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.api.resource import AnyResource, InvalidSpec, SendingDomain, parse
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.api.status import CommonStatus
from postroom.dns import ownership
from postroom.dns.answers import Asker
from postroom.dns.ownership import OwnershipRules
from postroom.dns.tls.mta_sts_host import PolicyFetcher
from postroom.reconcile.engine import Policy, reconcile
from postroom.reconcile.indexes import indexes_in, indexes_of
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.tenancy.addresses import AddressBook
from postroom.reconcile.tenancy.claims import ClaimBook, claim_of
from postroom.reconcile.world import ConfigMapContent, Outbound, SecretContent
from unit.dns.fake_zone import FakeZone
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import Probes

KEY = b"the operator's present key"
AT_ONCE = Policy(regression_confirmation=timedelta(), dependency_patience=timedelta())


class Tenants:
    """Implements `postroom.reconcile.world.World`; `published` is what DNS holds."""

    def __init__(
        self, rules: OwnershipRules | None = None, records: Mapping[tuple[str, str], Any] = {}
    ) -> None:
        self.zone = FakeZone({key: list(values) for key, values in records.items()}, apex="example")
        nothing: Any = None
        self.outbound = Outbound(cast("Asker", self.zone), Probes(), cast("PolicyFetcher", nothing))
        self.rules = OwnershipRules((KEY,)) if rules is None else rules
        self.time = NOW
        self.objects: dict[Key, dict[str, Any]] = {}
        self.secrets: dict[tuple[str, str], SecretContent] = {}
        self.config_maps: dict[tuple[str, str], dict[str, str]] = {}
        self.memories: dict[Key, Memory] = {}
        self.leaving: set[Key] = set()
        self.created = 0
        self.book = ClaimBook(self.rules.keys)

    # -- what people do -----------------------------------------------------------------------

    def add(self, namespace: str, name: str = "d", **spec: Any) -> Key:
        """Create a SendingDomain, or change its spec."""
        return self.put(Key(Kind.SENDING_DOMAIN, namespace, name), spec)

    def put(self, key: Key, spec: dict[str, Any]) -> Key:
        """Create an object, or change its spec."""
        old = self.objects.get(key)
        metadata = dict(old["metadata"]) if old else self._born(key)
        metadata["generation"] += 1
        status = old["status"] if old else None
        self.objects[key] = {"metadata": metadata, "spec": spec, "status": status}
        self._note(key)
        return key

    def _note(self, key: Key) -> None:
        typed = self._typed(key) if key.kind is Kind.SENDING_DOMAIN else None
        if typed is None:
            self.book.forget(key)
        else:
            claim = claim_of(cast("SendingDomain", typed), self.rules.keys)
            self.book.note(claim.left() if key in self.leaving else claim)

    def _born(self, key: Key) -> dict[str, Any]:
        self.created += 1
        return {
            "namespace": key.namespace,
            "name": key.name,
            "uid": f"{key.namespace}-{key.name}-{self.created}",
            "generation": 0,
            "creationTimestamp": f"2026-11-01T00:00:{self.created % 60:02}Z",
        }

    def leave(self, key: Key) -> None:
        """Delete an object that a finalizer keeps: nobody looks at it any more."""
        self.leaving.add(key)
        self._note(key)

    def delete(self, key: Key) -> None:
        """Delete an object."""
        self.leaving.discard(key)
        self.objects.pop(key, None)
        self.memories.pop(key, None)
        self.book.forget(key)

    def restart(self) -> None:
        """Lose what only the process knows."""
        self.memories.clear()
        self.book = ClaimBook(self.rules.keys)
        for key in self.objects:
            self._note(key)

    def publish(self, name: str, value: str) -> None:
        """Put a TXT record into DNS."""
        self.zone.records.setdefault((name, "TXT"), []).append(value)

    def unpublish(self, name: str, value: str) -> None:
        """Take a TXT record out of DNS."""
        there = self.zone.records.get((name, "TXT"), [])
        self.zone.records[name, "TXT"] = [one for one in there if one != value]

    def prove(self, namespace: str, domain: str, key: bytes = KEY) -> None:
        """Publish a namespace's token."""
        self.publish(*ownership.challenge(key, namespace, domain))

    # -- what the operator does ---------------------------------------------------------------

    def look(self, key: Key, wait: timedelta = timedelta(minutes=5)) -> SendingDomainStatus:
        """Let time pass and reconcile a domain."""
        return cast("SendingDomainStatus", self.evaluate(key, wait))

    def evaluate(self, key: Key, wait: timedelta = timedelta(minutes=5)) -> CommonStatus:
        """Let time pass and reconcile; the status is stored as the API server would."""
        self.time += wait
        memory = self.memories.setdefault(key, Memory())
        made = asyncio.run(reconcile(key.kind, self.objects[key], self, memory, AT_ONCE))
        if made.status is not None:
            stored = made.status.model_dump(mode="json", by_alias=True, exclude_none=True)
            self.objects[key]["status"] = stored
            self._note(key)
        return parse(key.kind, self.objects[key]).status

    def status(self, key: Key) -> SendingDomainStatus:
        """What is stored."""
        return cast("SendingDomainStatus", parse(key.kind, self.objects[key]).status)

    # -- what the reconcilers ask -------------------------------------------------------------

    def now(self) -> Any:
        return self.time

    @property
    def ownership(self) -> OwnershipRules:
        return self.rules

    @property
    def addresses(self) -> AddressBook:
        book = AddressBook()
        for key, raw in self.objects.items():
            if key.kind is Kind.EMAIL_ACCOUNT:
                book.note(key, str(raw["spec"].get("address")))
        return book

    @property
    def claims(self) -> ClaimBook:
        return self.book

    async def get(self, kind: Kind, namespace: str, name: str) -> AnyResource | None:
        return self._typed(Key(kind, namespace, name))

    def _typed(self, key: Key) -> AnyResource | None:
        raw = self.objects.get(key)
        try:
            return parse(key.kind, raw) if raw else None
        except InvalidSpec:
            return None

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        return Key(kind, namespace, name) in self.objects

    def names_under(self, kind: Kind, namespace: str, index: str) -> Sequence[str]:
        keys = sorted(key for key in self.objects if key[:2] == (kind, namespace))
        return [
            key.name for key in keys if index in indexes_in(kind, self.objects[key].get("spec"))
        ]

    async def find(self, kind: Kind, namespace: str, index: str) -> Sequence[AnyResource]:
        keys = sorted(key for key in self.objects if key[:2] == (kind, namespace))
        found = [one for key in keys if (one := self._typed(key)) is not None]
        return [one for one in found if index in indexes_of(one.spec)]

    async def find_everywhere(self, kind: Kind, index: str) -> Sequence[AnyResource]:
        spaces = sorted({key.namespace for key in self.objects})
        return [each for place in spaces for each in await self.find(kind, place, index)]

    def watches(self, namespace: str) -> bool:
        return namespace != "unwatched"

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        return self.secrets.get((namespace, name))

    async def config_map(self, namespace: str, name: str) -> ConfigMapContent | None:
        data = self.config_maps.get((namespace, name))
        return None if data is None else ConfigMapContent(name, f"uid-{name}", "1", data)

    def add_secret(self, namespace: str, name: str, **data: str) -> None:
        """Create a Secret that its owner declares nothing of."""
        masked = {key: Masked(value) for key, value in data.items()}
        self.secrets[namespace, name] = SecretContent(name, f"uid-{name}", "1", masked, None)


def verdict(status: CommonStatus, condition: ConditionType) -> tuple[str, str] | None:
    """(status, reason) of a condition."""
    found = find(status.conditions, condition)
    return (found.status.value, found.reason) if found else None


def said(status: CommonStatus) -> str:
    """Everything that a status says, as JSON."""
    return status.model_dump_json(by_alias=True)
