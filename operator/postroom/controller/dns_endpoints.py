# SPDX-License-Identifier: Apache-2.0
"""DNSEndpoints of the operator's own, from which external-dns publishes: read, applied, withdrawn.

Whoever may create one may publish any name in the zones of external-dns, so that an admission
policy must keep us to the zones of each namespace; where none does, nothing is written.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from postroom.api.names import Key, Kind
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import children
from postroom.controller.audit import Audit
from postroom.controller.children import Owner, is_controlled_by, metadata_for
from postroom.controller.client import ApiError, Cluster
from postroom.controller.endpoint_client import DNSEndpointClient
from postroom.controller.intake import utc_now
from postroom.controller.raw_objects import metadata_of
from postroom.controller.secret_guard import SecretGuard
from postroom.dns.publishing.dns_endpoint import API_VERSION, KIND, HandedSet, targets_in
from postroom.reconcile.status.wanted import ChildState, Wanted

#: Nobody has a zone of this name (RFC 6761).
_NOWHERE = "postroom-dry-run.invalid"


class EndpointClient(Protocol):
    """What `postroom.controller.endpoint_client.DNSEndpointClient` does."""

    async def dns_endpoint(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...

    async def create_dns_endpoint(
        self, namespace: str, endpoint: Mapping[str, Any], *, dry_run: bool = False
    ) -> None: ...

    async def apply_dns_endpoint(
        self, namespace: str, name: str, endpoint: Mapping[str, Any], *, force: bool
    ) -> None: ...

    async def delete_dns_endpoint(self, namespace: str, name: str, uid: str) -> None: ...


class NoEndpoints:
    """Implements `postroom.reconcile.world.EndpointReader` where the operator may not."""

    async def read(self, namespace: str, name: str, uid: str) -> tuple[HandedSet, ...] | ChildState:
        """It is not allowed."""
        return ChildState.NOT_ALLOWED


class OwnedEndpoints:
    """Implements `postroom.reconcile.world.EndpointReader` and
    `postroom.controller.children.ChildWriter` on the API server."""

    def __init__(
        self,
        client: EndpointClient,
        bucket: TokenBucket,
        is_there: children.IsThere,
        audit: Audit | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client, self._bucket, self._audit = client, bucket, audit or Audit()
        self._is_there = is_there
        self._guard = SecretGuard(self, now, _foreign)

    async def read(self, namespace: str, name: str, uid: str) -> tuple[HandedSet, ...] | ChildState:
        """Return what the DNSEndpoint of a SendingDomain has, nothing where there is none."""
        try:
            there = await self._client.dns_endpoint(namespace, name)
        except ApiError as error:
            return ChildState.FORBIDDEN if error.status == 403 else ChildState.UNAVAILABLE
        owner = Owner(Kind.SENDING_DOMAIN.value, "", uid)
        if there is None or not is_controlled_by(there, owner):
            return ()
        return tuple(targets_in(there.get("spec") or {}))

    async def apply(self, namespace: str, owner: Owner, wanted: Wanted) -> ChildState:
        """Create, change or withdraw a DNSEndpoint, if that is needed; raises `ApiError`."""
        name, content = wanted.child.name, wanted.content
        there = await self._client.dns_endpoint(namespace, name)
        if there is not None and not is_controlled_by(there, owner):
            return _in_the_way(there, owner) if isinstance(content, tuple) else ChildState.CONFLICT
        key = Key(Kind.SENDING_DOMAIN, namespace, owner.name)
        if not isinstance(content, tuple):
            return ChildState.GONE if there is None else await self._withdraw(key, name, there)
        if there is not None and children.is_ending(there):
            return ChildState.ENDING
        made = _manifest(owner, namespace, name, content)
        if there is not None and _has(there, made):
            return ChildState.APPLIED
        try:
            if not await self._guard.in_force(namespace, made):
                return ChildState.UNGUARDED
            await self._bucket.take(namespace)
            if there is not None:
                made["metadata"]["uid"] = metadata_of(there).get("uid")
            else:
                children.refuse_orphan(namespace, made, self._is_there)
            # Who comes first with a name keeps it: only what is ours is taken back from others.
            force = there is not None
            await self._client.apply_dns_endpoint(namespace, name, made, force=force)
        except ApiError as error:
            if error.status == 404:
                return ChildState.NOT_SERVED
            raise
        told = [f"{targets.type} {targets.name}" for targets in content]
        self._audit.records_published(key, name, told)
        return ChildState.APPLIED

    async def _withdraw(self, key: Key, name: str, there: Mapping[str, Any]) -> ChildState:
        """Delete a DNSEndpoint of ours; one that somebody holds has no records before."""
        namespace, uid = key.namespace, str(metadata_of(there).get("uid"))
        owner = children.controller_of(there)
        shows = children.is_held(there) and any(targets_in(there.get("spec") or {}))
        if shows and owner is not None:
            emptied = _manifest(owner, namespace, name, ())
            emptied["metadata"]["uid"] = uid
            await self._bucket.take(namespace)
            # external-dns goes on with what is deleted and stands.
            await self._client.apply_dns_endpoint(namespace, name, emptied, force=True)
        if not children.is_ending(there):
            await self._bucket.take(namespace)
            await self._client.delete_dns_endpoint(namespace, name, uid)
            self._audit.records_withdrawn(key, name)
        return ChildState.ENDING if children.is_held(there) else ChildState.GONE

    async def create(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        """Try what the policy must refuse; raises `ApiError`."""
        await self._bucket.take(namespace)
        await self._client.create_dns_endpoint(namespace, secret, dry_run=dry_run)


def of_cluster(
    cluster: Cluster, bucket: TokenBucket, is_there: children.IsThere, audit: Audit
) -> OwnedEndpoints:
    """The DNSEndpoints of a cluster, written within a rate."""
    return OwnedEndpoints(DNSEndpointClient(cluster), bucket, is_there, audit)


def _manifest(
    owner: Owner, namespace: str, name: str, content: tuple[HandedSet, ...]
) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata_for(owner, namespace, name),
        "spec": {"endpoints": [targets.manifest for targets in content]},
    }


def _in_the_way(there: Mapping[str, Any], owner: Owner) -> ChildState:
    """What a DNSEndpoint means that is not ours: that of an earlier domain of this name goes by
    itself, once whoever holds it lets it."""
    earlier = children.controller_of(there)
    if earlier is None or earlier[:2] != owner[:2]:
        return ChildState.CONFLICT
    return ChildState.ENDING if children.is_ending(there) else ChildState.UNAVAILABLE


def _has(there: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether an object has all of what would be applied, whatever else it has."""
    labels = metadata_of(there).get("labels") or {}
    return made["metadata"]["labels"].items() <= labels.items() and tuple(
        targets_in(there.get("spec") or {})
    ) == tuple(targets_in(made["spec"]))


def _foreign(own: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Make DNSEndpoints that differ from one of ours in a single respect."""
    metadata = {
        name: value for name, value in own["metadata"].items() if name not in ("name", "namespace")
    }
    metadata["generateName"] = "postroom-dry-run-"
    elsewhere = HandedSet(_NOWHERE, "CNAME", (_NOWHERE,))
    yield {**own, "metadata": metadata, "spec": {"endpoints": [elsewhere.manifest]}}
    yield {**own, "metadata": {**metadata, "ownerReferences": []}}
    yield {**own, "metadata": {**metadata, "labels": {}}}
