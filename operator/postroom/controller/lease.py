# SPDX-License-Identifier: Apache-2.0
"""Leader election on a Lease (coordination.k8s.io/v1), for more than one replica.

Whether another holder is alive is judged by whether its record changes on our own clock, never by
the times in it, which come from another node's clock.

Whether we still hold it is asked before each write and each message (`LeaderElection.holds`): a
process that was stopped or suspended for longer than the lease lasts goes on where it stood, before
any task of its own notices.
"""

import asyncio
import hashlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from postroom.concurrency.shards import WHOLE, Shard
from postroom.controller.client import ApiError

logger = logging.getLogger(__name__)

_LEASE_NAME = "postroom"
#: By which the Leases of a scope are found in whatever namespace, as `installations` says.
SCOPE_LABEL = "postroom.dev/scope"


def lease_name(
    namespaces: Collection[str], program: str = _LEASE_NAME, shard: Shard = WHOLE
) -> str:
    """Name the Lease of those who serve the same namespaces; none stands for all of them.

    Processes of one namespace that serve others than each other must not wait for each other, be it
    by the namespaces that they are given or by their shard of these.
    """
    name = program
    if namespaces:
        scope = "/".join(sorted(set(namespaces)))
        name = f"{program}-{hashlib.sha256(scope.encode()).hexdigest()[:16]}"
    return name if shard == WHOLE else f"{name}-{shard.index}-of-{shard.of}"


#: Seconds, as in client-go: a record that stands still for so long has lost its holder; a holder
#: that could not renew for so long gives up; the pause between attempts.
LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD = 15.0, 10.0, 2.0


def steady() -> float:
    """Return seconds on a clock that nobody sets, and that goes on while the machine is suspended.

    The monotonic clock of Linux stands still then, while another node takes the lease over.
    """
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):
        return time.monotonic()


class LeaseLost(Exception):
    """We hold the lease no longer: the process must end before the next holder starts."""


class LeaseClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that leader election needs."""

    async def lease(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...

    async def create_lease(self, namespace: str, lease: Mapping[str, Any]) -> Mapping[str, Any]: ...

    async def replace_lease(
        self, namespace: str, name: str, lease: Mapping[str, Any]
    ) -> Mapping[str, Any]: ...


async def tried_until_done(attempt: Callable[[], Awaitable[bool]], retry_period: float) -> None:
    """Make attempts so many seconds apart until one succeeds."""
    while True:
        if await attempt():
            return
        await asyncio.sleep(retry_period)


def own_identity() -> str:
    """Return a name for this process that no other has: the Pod's name and a random part."""
    return f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{secrets.token_hex(4)}"


class Observed:
    """What we have seen of one Lease, and since when on our own clock."""

    def __init__(self, clock: Callable[[], float] = steady) -> None:
        self._clock = clock
        self._record: tuple[object, ...] | None = None
        self._since = 0.0

    @property
    def holder(self) -> str:
        """Who held it when we last saw it; empty: nobody, or we never did."""
        return str(self._record[0] or "") if self._record is not None else ""

    def is_free(self, lease: Mapping[str, Any] | None, asked_at: float) -> bool:
        """Whether nobody holds it, as it was when it was asked for: it was given back, or stood
        still for long by then.

        What was answered before we were stopped for a while tells nothing of that while.
        """
        if lease is None:
            return True
        spec = _spec(lease)
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        still_for = self.still_for(record, asked_at)
        if not self.holder:
            return True
        duration = spec.get("leaseDurationSeconds")
        patience = float(duration) if isinstance(duration, int) else LEASE_DURATION
        return still_for >= patience

    def still_for(self, record: tuple[object, ...], asked_at: float) -> float:
        """How long it had stood as this record says when it was asked for; its holder comes
        first."""
        if record != self._record:
            self._record, self._since = record, self._clock()
        return asked_at - self._since


class LeaderElection:
    """Acquires, renews and releases one Lease."""

    def __init__(
        self,
        client: LeaseClient,
        namespace: str,
        identity: str,
        clock: Callable[[], float] = steady,
        retry_period: float = RETRY_PERIOD,
        name: str = _LEASE_NAME,
        scope: str | None = None,
    ) -> None:
        self._client = client
        self._labels = {SCOPE_LABEL: scope} if scope is not None else {}
        #: Annotations that the Lease is to have, or with None is not to have.
        self.annotations: dict[str, str | None] = {}
        self.namespace = namespace
        self._name = name
        #: The name of this process, as the Lease has it.
        self.identity = identity
        self._clock = clock
        self._retry_period = retry_period
        self._observed = Observed(clock)
        #: When we asked for what was granted last: the API server counts from later on.
        self._renewed_at = 0.0
        #: When the API server was last heard; None: never yet.
        self._heard_at: float | None = None
        self.leading = False
        #: What keeps us from taking the lease over; None: nothing, or that is not known yet.
        self.obstacle: str | None = None

    def holds(self) -> bool:
        """Whether the lease is ours at this moment, beyond doubt."""
        return self.leading and self._left() > 0.0

    def _left(self) -> float:
        return self._renewed_at + RENEW_DEADLINE - self._clock()

    async def acquire(self) -> None:
        """Wait until we hold the lease."""
        await tried_until_done(self._attempt, self._retry_period)
        self.leading = True
        logger.info("holding lease %s/%s as %s", self.namespace, self._name, self.identity)

    async def hold(self) -> None:
        """Renew until cancelled; raises `LeaseLost`."""
        while True:
            await asyncio.sleep(self._retry_period)
            held = False
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._left())):
                    # Too late is too late, though nobody has taken it yet: we do not know.
                    held = self._left() > 0.0 and await self._attempt()
            taken = self._observed.holder not in ("", self.identity)
            if not held and (taken or self._left() <= 0.0):
                self.leading = False
                raise LeaseLost(f"lost lease {self.namespace}/{self._name}")

    async def release(self) -> None:
        """Give the lease back, so that the next one need not wait for it to expire."""
        if not self.leading:
            return
        self.leading = False
        try:
            lease = await self._client.lease(self.namespace, self._name)
            if lease is not None and _holder(lease) == self.identity:
                spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace_lease(
                    self.namespace, self._name, {**lease, "spec": spec}
                )
        except ApiError as error:
            logger.warning("lease not released, it expires by itself: %s", error)

    async def renewed(self) -> bool:
        """Write the Lease at once, where it is ours beyond doubt; whether that was done."""
        return self.holds() and await self._attempt()

    async def _attempt(self) -> bool:
        """Try once to get or renew the lease; False if another holds it or nobody answers."""
        asked_at = self._clock()
        try:
            lease = await self._client.lease(self.namespace, self._name)
            self._heard_at = self._clock()
            if lease is None:
                await self._client.create_lease(self.namespace, self._fresh())
            elif self._observed.is_free(lease, asked_at) or _holder(lease) == self.identity:
                await self._client.replace_lease(self.namespace, self._name, self._ours(lease))
            else:
                # Whether we may also write it is seen when there is cause to.
                self.obstacle = None
                return False
        except ApiError as error:
            found = obstacle(error, self.namespace, self._name) or self._silence(error)
            self.obstacle = found or self.obstacle
            return False
        self.obstacle, self._renewed_at = None, asked_at
        return True

    def _silence(self, error: ApiError) -> str | None:
        """Whom we wait for who was never heard, or not for as long as a holder would be given."""
        now = self._clock()
        if not error.transient:
            self._heard_at = now
            return None
        heard_at = self._heard_at
        return error.awaited if heard_at is None or now - heard_at >= LEASE_DURATION else None

    def _fresh(self) -> dict[str, Any]:
        now = micro_time()
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(LEASE_DURATION),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        return self._told(new_lease(self.namespace, self._name, spec))

    def _ours(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Return the lease with us as holder; its resourceVersion makes the replacement safe."""
        spec = dict(_spec(lease))
        now = micro_time()
        if _holder(lease) != self.identity:
            transitions = spec.get("leaseTransitions")
            spec["leaseTransitions"] = (transitions if isinstance(transitions, int) else 0) + 1
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(LEASE_DURATION),
            "renewTime": now,
        }
        return self._told({**lease, "spec": spec})

    def _told(self, lease: dict[str, Any]) -> dict[str, Any]:
        """The Lease with our label and annotations."""
        metadata = dict(lease["metadata"])
        if self._labels:
            metadata["labels"] = {**(metadata.get("labels") or {}), **self._labels}
        if self.annotations:
            told = {**(metadata.get("annotations") or {}), **self.annotations}
            metadata["annotations"] = {
                name: value for name, value in told.items() if value is not None
            }
        return {**lease, "metadata": metadata}


def obstacle(error: ApiError, namespace: str, name: str) -> str | None:
    """What a failure means: who may not use a lease is no standby, however long.

    None where it may pass.
    """
    place = f"{namespace}/{name}"
    if error.status == 403:
        found = (
            f"the right to use the lease {place}: grant get, create and update on leases of "
            f"coordination.k8s.io in namespace {namespace}"
        )
    elif error.status == 404:
        found = (
            f"the lease {place}: namespace {namespace} does not exist, or the API server "
            "serves no leases"
        )
    else:
        if error.status != 409:
            logger.warning("lease not renewed: %s", error)
        return None
    logger.warning("waiting for %s (%s)", found, error)
    return found


def new_lease(namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Lease to create."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def _spec(lease: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = lease.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _holder(lease: Mapping[str, Any]) -> str:
    return str(_spec(lease).get("holderIdentity") or "")


def micro_time() -> str:
    """Return the current time as metav1.MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
