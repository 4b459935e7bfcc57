# SPDX-License-Identifier: Apache-2.0
"""One installation for all namespaces: of two, one works, and the other stands by and says so.

Replicas share a Lease, and shards agree by theirs, within the namespace that they are installed in.
An installation in another namespace has Leases of its own there: both would write the same
statuses, and each would undo what the other wrote. So all Leases of a scope have a label by which
they are found in whatever namespace, and whoever works has marked its own with an annotation:

- Whoever is about to work waits while a Lease of another namespace has the mark, and for five
  minutes after that one was renewed last: an installation that is restarted or upgraded stays the
  one that works.
- Of those who begin at the same time the first by the name of its namespace goes ahead.
- Whoever may write Leases in a namespace of his own can label and mark one. So a Lease counts only
  if it names a ServiceAccount of its own namespace that may write statuses in all namespaces, which
  the API server is asked: only an administrator of the cluster can have given that right.
- The mark is written before others are looked at for the last time, and taken back where one of
  them has it, too. Of two who write theirs at once at least one sees that of the other: never do
  both work.

Whoever serves namespaces of its own may not look into others, and is not kept from overlapping. Nor
is anybody who lacks the right to look: that is said, and keeps nobody from working.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from postroom.concurrency.bounded import ExpiringMap
from postroom.controller import lease
from postroom.controller.client import ApiError

logger = logging.getLogger(__name__)

#: By which the holder of a Lease says that it works, and which ServiceAccount it is.
WORKS_ANNOTATION, ACCOUNT_ANNOTATION = "postroom.dev/works", "postroom.dev/service-account"
#: Seconds for which one that works may be away before another one takes its place.
GIVEN_UP_AFTER = 300.0
#: Seconds for which it is believed what a ServiceAccount may do, and of how many.
_HOLDS, _REMEMBERED = 60.0, 1000
_UNSEEN = (
    "it cannot be seen whether another installation works on the same objects: grant this service "
    "account list on leases of coordination.k8s.io in all namespaces, and create on "
    "subjectaccessreviews of authorization.k8s.io"
)


class ScopeClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that this needs."""

    async def leases(self, selector: str) -> Sequence[Mapping[str, Any]]: ...


class Rights(Protocol):
    """The part of `postroom.controller.reviews.Reviews` that this needs."""

    async def own_account(self, namespace: str) -> str | None: ...

    async def may_write_statuses(self, namespace: str, account: str) -> bool: ...


class Election(Protocol):
    """The part of `postroom.controller.lease.LeaderElection` that this needs."""

    @property
    def namespace(self) -> str: ...

    annotations: dict[str, str | None]

    async def renewed(self) -> bool: ...


@dataclass(slots=True)
class _Stood:
    """A Lease as it stood, and since when on our own clock."""

    record: tuple[object, ...]
    since: float


class Installations:
    """Whether one in another namespace works on what `election` is about, named by its scope."""

    def __init__(
        self,
        client: ScopeClient,
        rights: Rights,
        election: Election,
        scope: str,
        clock: Callable[[], float] = lease.steady,
        retry_period: float = lease.RETRY_PERIOD,
    ) -> None:
        self._client, self._rights = client, rights
        self._election, self._scope = election, scope
        self._clock, self._retry_period = clock, retry_period
        self._seen: dict[tuple[str, str], _Stood] = {}
        #: ServiceAccounts by namespace and name: whether they may write what we write.
        self._trusted: ExpiringMap[tuple[str, str], bool] = ExpiringMap(_REMEMBERED, clock)
        #: Whom we stand by for: a Lease of another namespace.
        self.waiting_for: str | None = None
        #: The same as a sentence, or what keeps us from ever knowing.
        self.obstacle: str | None = None

    async def join(self) -> None:
        """Wait until no other installation works, nor may begin to."""
        await lease.tried_until_done(self._attempt, self._retry_period)

    async def _attempt(self) -> bool:
        try:
            if ACCOUNT_ANNOTATION not in self._election.annotations:
                account = await self._rights.own_account(self._election.namespace)
                self._election.annotations[ACCOUNT_ANNOTATION] = account
                await self._election.renewed()
            works, before_us = await self._others()
            if works is None and before_us is None and await self._mark(True):
                works, _ = await self._others()
                if works is None:
                    self.waiting_for = self.obstacle = None
                    return True
            if works is not None or before_us is not None:
                self._stand_by_for(str(works or before_us))
                await self._mark(False)
        except ApiError as error:
            if error.status == 403:
                logger.warning("%s (%s)", _UNSEEN, error)
                self.waiting_for = self.obstacle = None
                return await self._mark(True)
            self.obstacle = error.awaited
            logger.warning("waiting for %s (%s)", self.obstacle, error)
        return False

    async def _mark(self, marked: bool) -> bool:
        """Have our Lease say that we work, or that we do not."""
        self._election.annotations[WORKS_ANNOTATION] = "true" if marked else None
        return await self._election.renewed()

    async def _others(self) -> tuple[str | None, str | None]:
        """Return a Lease by which another installation works, and one of those who begin now and go
        ahead of us."""
        own, now = self._election.namespace, self._clock()
        works: list[str] = []
        begin: list[str] = []
        was_ours = False
        accounts: dict[str, str] = {}
        for found in await self._client.leases(f"{lease.SCOPE_LABEL}={self._scope}"):
            metadata, spec = found.get("metadata") or {}, found.get("spec") or {}
            namespace, name = str(metadata.get("namespace")), str(metadata.get("name"))
            annotations = metadata.get("annotations") or {}
            marked = annotations.get(WORKS_ANNOTATION) == "true"
            if namespace == own:
                was_ours = was_ours or marked
                continue
            # One of a namespace, as whoever writes Leases there could name any number.
            account = accounts.get(namespace) or annotations.get(ACCOUNT_ANNOTATION)
            accounts[namespace] = account or ""
            if not account or not await self._is_installed(namespace, account):
                continue
            record = (spec.get("holderIdentity"), spec.get("renewTime"), marked)
            seen = self._seen.get((namespace, name))
            if seen is None or seen.record != record:
                seen = self._seen[namespace, name] = _Stood(record, now)
            still_for = now - seen.since
            if marked and still_for < GIVEN_UP_AFTER:
                works.append(f"{namespace}/{name}")
            elif namespace < own and record[0] and still_for < lease.LEASE_DURATION:
                begin.append(f"{namespace}/{name}")
        # Whoever worked before goes on, whatever its name is.
        return min(works, default=None), None if was_ours else min(begin, default=None)

    async def _is_installed(self, namespace: str, account: str) -> bool:
        """Whether a Lease is of an installation, and not of somebody who may write it there."""
        whose = namespace, account
        found = self._trusted.get(whose)
        if found is None:
            found = await self._rights.may_write_statuses(namespace, account)
            self._trusted.put(whose, found, _HOLDS)
        return found

    def _stand_by_for(self, other: str) -> None:
        namespace = other.partition("/")[0]
        self.obstacle = (
            f"another installation, in namespace {namespace}, which works on the same objects by "
            f"lease {other}: uninstall one of the two, or give each namespaces of its own; one "
            "that is away for five minutes, or whose lease is deleted, is waited for no longer"
        )
        if other != self.waiting_for:
            self.waiting_for = other
            logger.warning("standing by for %s", self.obstacle)
