# SPDX-License-Identifier: Apache-2.0
"""The world of the reconcilers, as a cluster provides it."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeVar

from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource, InvalidSpec, parse
from postroom.concurrency.flights import Flights
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.intake import utc_now
from postroom.controller.raw_objects import metadata_of
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile import world
from postroom.reconcile.tenancy.addresses import AddressBook
from postroom.reconcile.tenancy.claims import ClaimBook

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds for which a Secret or ConfigMap that was read serves others: long enough for a burst of
#: accounts that share one, short enough that a rotation is never missed by a check.
_SHARED_FOR = 2.0
_REMEMBERED = 4096


class ReadingClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that the world needs."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


class SharedReads(Generic[T]):
    """Reads by namespace and name: one at a time for each, shared for a moment, then dropped."""

    def __init__(
        self, read: Callable[[str, str], Awaitable[T]], shared_for: float = _SHARED_FOR
    ) -> None:
        self._read = read
        self._reads: Flights[tuple[str, str], T] = Flights(linger=shared_for)

    async def get(self, namespace: str, name: str) -> T:
        """Return what was read, or raise what the read raised."""
        return await self._reads.join((namespace, name), lambda: self._read(namespace, name))

    def forget(self, namespace: str, name: str | None = None) -> None:
        """Have the next one read afresh: one name, or all of a namespace."""
        for place in self._reads:
            if place[0] == namespace and name in (None, place[1]):
                self._reads.forget(place)


class ClusterWorld:
    """Implements `postroom.reconcile.world.World` on the cache and the API server."""

    def __init__(
        self,
        cache: Cache,
        client: ReadingClient,
        outbound: world.Outbound,
        ownership: OwnershipRules,
        now: Callable[[], datetime] = utc_now,
        *,
        require_consent: bool = False,
        namespaces: Sequence[str] = (),
    ) -> None:
        self._outbound = outbound
        self._cache = cache
        self._ownership = ownership
        self._now = now
        self._require_consent = require_consent
        self._namespaces = frozenset(namespaces)
        self._secrets = SharedReads(client.secret)
        self._config_maps = SharedReads(client.config_map)
        #: Kinds in namespaces of which a read was forbidden last.
        self._refused: set[tuple[str, str]] = set()

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        return self._now()

    @property
    def outbound(self) -> world.Outbound:
        """The clients of everything outside."""
        return self._outbound

    @property
    def ownership(self) -> OwnershipRules:
        """How control of domains is proven, and with which keys."""
        return self._ownership

    @property
    def addresses(self) -> AddressBook:
        """Who is for which address, in all namespaces."""
        return self._cache.addresses

    @property
    def claims(self) -> ClaimBook:
        """Who claims which domain, in all namespaces."""
        return self._cache.claims

    async def get(self, kind: Kind, namespace: str, name: str) -> AnyResource | None:
        """Return one object, None if there is none (or its spec is invalid)."""
        raw = self._cache.get(Key(kind, namespace, name))
        if raw is None:
            return None
        try:
            return parse(kind, raw)
        except InvalidSpec:
            return None

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Whether there is an object of a name, be its spec invalid."""
        return Key(kind, namespace, name) in self._cache

    def names_under(self, kind: Kind, namespace: str, index: str) -> Sequence[str]:
        """Return the names of the objects that stand under an index, be their specs invalid."""
        return self._cache.names_under(kind, namespace, index)

    async def find(self, kind: Kind, namespace: str, index: str) -> Sequence[AnyResource]:
        """Return the objects of a namespace that stand under an index, sorted by name."""
        names = self._cache.names_under(kind, namespace, index)
        found = [await self.get(kind, namespace, name) for name in names]
        return [resource for resource in found if resource is not None]

    async def find_everywhere(self, kind: Kind, index: str) -> Sequence[AnyResource]:
        """Return the objects of all namespaces that stand under an index that names one."""
        found = [await self.get(*key) for key in self._cache.keys_under(kind, index)]
        return [resource for resource in found if resource is not None]

    def watches(self, namespace: str) -> bool:
        """Whether objects of a namespace are seen at all; without a list all are."""
        return not self._namespaces or namespace in self._namespaces

    async def secret(self, namespace: str, name: str) -> world.SecretContent | None:
        """Return a Secret, None if there is none; raises `LookupUnavailable`."""
        raw = await self._source("Secret", self._secrets, namespace, name)
        content = None if raw is None else world.secret_content(raw)
        if content is not None and self._require_consent:
            # An owner who names no host has agreed to none, and so it is with uses.
            hosts = content.allowed_hosts or ()
            return replace(content, allowed_hosts=hosts, silence_consents=False)
        return content

    async def config_map(self, namespace: str, name: str) -> world.ConfigMapContent | None:
        """Return a ConfigMap, None if there is none; raises `LookupUnavailable`."""
        raw = await self._source("ConfigMap", self._config_maps, namespace, name)
        return None if raw is None else config_map_content(raw)

    async def _source(self, kind: str, reads: SharedReads[T], namespace: str, name: str) -> T:
        """Read what an object refers to; raises `LookupUnavailable`."""
        try:
            raw = await reads.get(namespace, name)
        except ApiError as error:
            if error.status == HTTPStatus.FORBIDDEN and (kind, namespace) not in self._refused:
                # The status of what was Ready tells of it much later.
                logger.error(  # noqa: TRY400 - one sentence, no traceback
                    "not allowed to read what objects of namespace %s refer to: grant this service "
                    "account get on %ss (%s)",
                    namespace,
                    kind.lower(),
                    error,
                )
                if len(self._refused) >= _REMEMBERED:
                    self._refused.clear()
                self._refused.add((kind, namespace))
            raise unavailable(error, kind, namespace, name) from None
        self._refused.discard((kind, namespace))
        return raw

    def forget_sources(self, namespace: str, name: str | None = None) -> None:
        """Have Secrets and ConfigMaps of a namespace read afresh."""
        self._secrets.forget(namespace, name)
        self._config_maps.forget(namespace, name)


def config_map_content(raw: Mapping[str, Any]) -> world.ConfigMapContent:
    """Read a ConfigMap's text entries."""
    metadata, data = metadata_of(raw), raw.get("data")
    return world.ConfigMapContent(
        name=str(metadata.get("name") or ""),
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        data={
            str(key): str(value)
            for key, value in (data.items() if isinstance(data, Mapping) else ())
        },
    )


def unavailable(error: ApiError, kind: str, namespace: str, name: str) -> world.LookupUnavailable:
    """Why something could not be looked up: the same sentence every time."""
    if error.status == 403:
        return world.LookupUnavailable(
            f"{kind} {name} could not be read: postroom lacks the permission to get "
            f"{kind.lower()}s in namespace {namespace}; bind its role there.",
            Reason.READ_FORBIDDEN,
        )
    return world.LookupUnavailable(
        f"{kind} {name} could not be read: the API server did not answer; it is asked again."
    )
