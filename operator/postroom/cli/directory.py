# SPDX-License-Identifier: Apache-2.0
"""A World made of manifests: the same reconcilers without a cluster."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from postroom.api import findings, resource
from postroom.api.conditions import ConditionType, is_true
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.names import Key, Kind
from postroom.api.status import CommonStatus
from postroom.api.times import timestamp
from postroom.cli.manifests import Manifests
from postroom.cli.secret_sources import why_elsewhere
from postroom.cli.secret_stores import SecretStore, not_at_hand
from postroom.cli.yaml_documents import Manifest
from postroom.delivery import routes
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile import world
from postroom.reconcile.account.messages.correspondents import Obstacle
from postroom.reconcile.engine import Policy, reconcile
from postroom.reconcile.indexes import indexes_in, indexes_of
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.wanted import ChildState, SecretBody, Wanted
from postroom.reconcile.tenancy.addresses import AddressBook
from postroom.reconcile.tenancy.claims import ClaimBook, claim_of

_CONCURRENCY = 16
Progress = Callable[[int, int], None]


class DirectoryWorld:
    """Implements `postroom.reconcile.world.World` over manifests.

    `check` evaluates every resource, what others depend on first; statuses are kept, so that a
    second check knows the first.
    """

    def __init__(
        self,
        manifests: Manifests,
        outbound: world.Outbound,
        ownership: OwnershipRules,
        secrets: SecretStore | None = None,
    ) -> None:
        self._outbound = outbound
        self._manifests = manifests
        self._ownership = ownership
        self._secrets = secrets
        self._raw: dict[Key, dict[str, Any]] = {}
        self._memories: dict[Key, Memory] = {}
        self._claims = ClaimBook(ownership.keys)
        self.replace(manifests)

    def replace(self, manifests: Manifests) -> None:
        """Take other manifests; what is unchanged keeps its status, what changed is a new
        generation."""
        before, read_at = self._raw, timestamp(self.now())
        self._manifests = manifests
        self._raw = {}
        for key, manifest in manifests.resources.items():
            old = before.get(key, {})
            metadata = dict(manifest.raw.get("metadata") or {})
            generation = old.get("metadata", {}).get("generation", 1)
            if old and old.get("spec") != manifest.raw.get("spec"):
                generation += 1
            created = old.get("metadata", {}).get("creationTimestamp") or read_at
            metadata |= {
                "namespace": key.namespace,
                "creationTimestamp": metadata.get("creationTimestamp") or created,
                "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, str(key))),
                "generation": generation,
            }
            self._raw[key] = {
                "metadata": metadata,
                "spec": manifest.raw.get("spec"),
                "status": old.get("status"),
            }
        self._claims = ClaimBook(self._ownership.keys)
        self._addresses = AddressBook()
        for key in sorted(self._raw):
            self._note_claim(key)
            if key.kind is Kind.EMAIL_ACCOUNT and (typed := self._typed(key)) is not None:
                account = cast("resource.EmailAccount", typed)
                created = account.metadata.creation_timestamp
                rests = account.spec.at_rest
                self._addresses.note(key, account.spec.address, created, at_rest=rests)

    def _note_claim(self, key: Key) -> None:
        if key.kind is Kind.SENDING_DOMAIN and (typed := self._typed(key)) is not None:
            self._claims.note(claim_of(cast("resource.SendingDomain", typed), self._claims.keys))

    async def check(self, policy: Policy, progress: Progress | None = None) -> bool:
        """Evaluate everything; return whether all is Ready."""
        if self._secrets is not None:
            self._secrets.begin_look()
        done = 0
        gate = asyncio.Semaphore(_CONCURRENCY)

        async def evaluate(key: Key) -> None:
            nonlocal done
            async with gate:
                # Once more where children come of it, which the status is to tell of.
                if await self._evaluated(key, policy):
                    await self._evaluated(key, policy)
            done += 1
            if progress is not None:
                progress(done, len(self._raw))

        keys = sorted(key for key in self._raw if key.kind is Kind.SENDING_DOMAIN)
        # What several namespaces claim is evaluated one by one, so that DNS's pace decides nothing.
        contested = [key for key in keys if self._claims.is_contested(key)]
        await asyncio.gather(*(evaluate(key) for key in keys if key not in contested))
        for key in contested:
            await evaluate(key)
        for key in contested:
            if self._claims.is_unsettled(key):
                await evaluate(key)
        for kind in (Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT):
            await asyncio.gather(*(evaluate(key) for key in sorted(self._raw) if key.kind is kind))
        # Which account has the default's Secret shows once all of them were judged.
        for key in sorted(self._raw):
            if self._memories[key].children:
                await self._evaluated(key, policy)
        for key in sorted(self._raw):
            await self._look_at_delivery(key)
        return all(is_true(status.conditions, ConditionType.READY) for _, status in self.statuses())

    async def _evaluated(self, key: Key, policy: Policy) -> bool:
        """Evaluate one resource; tell whether there is news of the children that it would have."""
        memory = self._memories.setdefault(key, Memory())
        outcome = await reconcile(key.kind, self._raw[key], self, memory, policy)
        if outcome.status is not None:
            self._raw[key]["status"] = outcome.status.as_stored()
            self._note_claim(key)
        before = memory.children
        memory.children = {
            each.child: self._would_be(key.namespace, each) for each in outcome.children or ()
        }
        return memory.children != before

    async def _look_at_delivery(self, key: Key) -> None:
        """Tell what is wrong with what incoming mail is to be signed with: nothing is handed over
        from here, so that there is no verdict on that."""
        typed = self._typed(key)
        spec = typed.spec if typed is not None else None
        inbound = spec.inbound if isinstance(spec, EmailAccountSpec) else None
        deliver = inbound.deliver if inbound is not None else None
        reference = deliver.signing_key_ref if deliver is not None else None
        if reference is None or "status" not in self._raw[key]:
            return
        try:
            found = await routes.signing_keys(self, key.namespace, reference.name)
        except world.LookupUnavailable:
            return
        if isinstance(found, Obstacle):
            told = findings.Finding(
                code=found.reason.name,
                severity=findings.Severity.WARNING,
                subject="inbound.deliver",
                field="spec.inbound.deliver.signingKeyRef",
                message=found.message,
            )
            listed = self._raw[key]["status"].setdefault("findings", [])
            listed.append(told.model_dump(mode="json", by_alias=True, exclude_none=True))

    def _would_be(self, namespace: str, wanted: Wanted) -> ChildState:
        """Return what an operator that may write would make of a child."""
        if not isinstance(wanted.content, SecretBody):
            return ChildState.GONE
        taken = (namespace, wanted.child.name) in self._manifests.secrets
        return ChildState.CONFLICT if taken else ChildState.APPLIED

    def statuses(self) -> list[tuple[Key, CommonStatus]]:
        """Every resource with its status, in the order of evaluation."""
        order = list(Kind)
        keys = sorted(self._raw, key=lambda key: (order.index(key.kind), key))
        return [
            (key, resource.parse_status(key.kind, self._raw[key].get("status"))) for key in keys
        ]

    def raw(self, key: Key) -> dict[str, Any]:
        """The object as the API server would hold it."""
        return self._raw[key]

    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def outbound(self) -> world.Outbound:
        return self._outbound

    @property
    def ownership(self) -> OwnershipRules:
        return self._ownership

    @property
    def addresses(self) -> AddressBook:
        return self._addresses

    @property
    def claims(self) -> ClaimBook:
        return self._claims

    async def get(self, kind: Kind, namespace: str, name: str) -> resource.AnyResource | None:
        return self._typed(Key(kind, namespace, name))

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        return Key(kind, namespace, name) in self._raw

    def names_under(self, kind: Kind, namespace: str, index: str) -> Sequence[str]:
        keys = sorted(key for key in self._raw if key[:2] == (kind, namespace))
        return [key.name for key in keys if index in indexes_in(kind, self._raw[key].get("spec"))]

    async def find(self, kind: Kind, namespace: str, index: str) -> Sequence[resource.AnyResource]:
        keys = sorted(key for key in self._raw if key[:2] == (kind, namespace))
        found = [typed for key in keys if (typed := self._typed(key)) is not None]
        return [typed for typed in found if index in indexes_of(typed.spec)]

    async def find_everywhere(self, kind: Kind, index: str) -> Sequence[resource.AnyResource]:
        typed = [self._typed(key) for key in sorted(self._raw) if key.kind is kind]
        return [each for each in typed if each is not None and index in indexes_of(each.spec)]

    def watches(self, namespace: str) -> bool:
        return True

    def _typed(self, key: Key) -> resource.AnyResource | None:
        if key not in self._raw:
            return None
        try:
            return resource.parse(key.kind, self._raw[key])
        except resource.InvalidSpec:
            return None

    async def secret(self, namespace: str, name: str) -> world.SecretContent | None:
        manifest = self._manifests.secrets.get((namespace, name))
        maker = self._manifests.made_secrets.get((namespace, name))
        why = f"is made by {maker}" if maker is not None else None
        if manifest is not None:
            why = why_elsewhere(manifest.raw)
            if why is None:
                content = world.secret_content(manifest.raw)
                return replace(content, name=name, uid=f"{namespace}/{name}", resource_version="")
        if self._secrets is not None:
            stored = await self._secrets.secret(namespace, name)
            if stored is not None or why is None:
                return _as_its_owner_allows(stored, manifest)
        if why is not None:
            raise _elsewhere(name, why)
        # Where the input brings Secrets of the namespace along, one of them may be missed.
        named = (*self._manifests.secrets, *self._manifests.made_secrets)
        if any(place == namespace for place, _ in named):
            return None
        raise not_at_hand(
            f"Secret {name} is not in the input, and neither is any other of namespace "
            f"{namespace}: its credentials come from elsewhere and are not tried."
        )

    async def config_map(self, namespace: str, name: str) -> world.ConfigMapContent | None:
        manifest = self._manifests.config_maps.get((namespace, name))
        if manifest is None:
            return None
        entries = manifest.raw.get("data")
        data = entries if isinstance(entries, dict) else {}
        texts = {key: str(value) for key, value in data.items()}
        return world.ConfigMapContent(name, f"{namespace}/{name}", "", texts)


def _as_its_owner_allows(
    stored: world.SecretContent | None, manifest: Manifest | None
) -> world.SecretContent | None:
    """Content that came without annotations, with those of the manifest that stands for it."""
    if stored is None or manifest is None or stored.allowed_hosts is not None:
        return stored
    said = world.secret_content(manifest.raw)
    uses = stored.allowed_uses | said.allowed_uses
    return replace(stored, allowed_hosts=said.allowed_hosts, allowed_uses=uses)


def _elsewhere(name: str, reason: str) -> world.LookupUnavailable:
    """Nothing that stands in for a credential is sent: a few refusals lock a mailbox."""
    return not_at_hand(
        f"Secret {name} has no content in the input, as it {reason}: its credentials come from "
        "elsewhere and are not tried."
    )
