# SPDX-License-Identifier: Apache-2.0
"""One installation for all namespaces: of two, one works, and the other stands by and says so.

Replicas share a Lease, and shards agree by theirs, within the namespace that they are installed in.
An installation in another namespace has Leases of its own there: both would write the same
statuses, and each would undo what the other wrote. So all Leases of a scope have a label by which
they are found in whatever namespace, and whoever works has marked its own with an annotation, whose
value is the name of the process:

- Whoever is about to work waits while a Lease of another namespace has the mark, and for five
  minutes after that one was renewed last: an installation that is restarted or upgraded stays the
  one that works. For one that took the place of another the mark that this left is none so long.
- A mark of another process than the one that holds the Lease is of one that has ended. It keeps the
  place for five minutes, however often the Lease is renewed.
- Of those who begin at the same time the first by the name of its namespace goes ahead.
- Whoever may write Leases in a namespace of his own can label and mark one. So a Lease counts only
  if its namespace's one that was renewed last names a ServiceAccount there that may write statuses
  in all namespaces, which the API server is asked: only an administrator of the cluster can have
  given that right. Leases of other names than ours have are passed over.
- The mark is written before others are looked at for the last time, and taken back where one of
  them has it, too. Of two who write theirs at once at least one sees that of the other: never do
  both work.
- Whoever works goes on looking, and ends when another one is at work, too. So it ends where rights
  that were missing at the beginning are granted later, or a Lease was deleted beneath its holder.

Whoever serves namespaces of its own may not look into others, and is not kept from overlapping. Nor
is anybody who lacks the right to look: that is said, and keeps nobody from working. An API server
that begins refuses everybody for a moment, so that is believed only after some time.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
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
#: Seconds for which the right to look must be missing before we do without it, where nobody is
#: known to work; where somebody is, that is as if it were away.
REFUSED_FOR = lease.LEASE_DURATION
#: Seconds between looks of one that works.
LOOK_PERIOD = lease.LEASE_DURATION
#: Seconds for which it is believed what a ServiceAccount may do, and of how many.
_HOLDS, _REMEMBERED = 60.0, 1000
#: Characters of names that a Lease of ours holds: of ServiceAccounts (RFC 1123) and of hosts.
_LONGEST = 253
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_UNSEEN = (
    "it cannot be seen whether another installation works on the same objects: grant this service "
    "account list on leases of coordination.k8s.io in all namespaces, and create on "
    "subjectaccessreviews of authorization.k8s.io"
)


class ScopeClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that this needs."""

    def leases(self, selector: str) -> AsyncIterator[Mapping[str, Any]]: ...


class Rights(Protocol):
    """The part of `postroom.controller.reviews.Reviews` that this needs."""

    async def own_account(self, namespace: str) -> str | None: ...

    async def may_write_statuses(self, namespace: str, account: str) -> bool: ...


class Election(Protocol):
    """The part of `postroom.controller.lease.LeaderElection` that this needs."""

    @property
    def namespace(self) -> str: ...

    @property
    def identity(self) -> str: ...

    annotations: dict[str, str | None]

    async def renewed(self) -> bool: ...


class OtherInstallation(Exception):
    """Another installation works, too: the process must end."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a Lease of another namespace says."""

    name: str
    account: str
    holder: str
    #: A time by another clock: only whether it changes tells something.
    renewed: str
    #: Which process said that it works; empty: none.
    mark: str

    @property
    def namespace(self) -> str:
        return self.name.partition("/")[0]

    @property
    def said(self) -> tuple[str, ...]:
        """What is as long as whoever writes it likes."""
        return self.account, self.holder, self.mark

    @property
    def is_at_work(self) -> bool:
        """Whether the very process that said so holds it."""
        return bool(self.mark) and self.mark == self.holder

    @property
    def record(self) -> tuple[str, str, str]:
        """What stands still when nobody is there: to renew it is no work, where the mark was left
        by another."""
        is_left = bool(self.mark) and not self.is_at_work
        return self.holder, "" if is_left else self.renewed, self.mark


def _found(raw: Mapping[str, Any]) -> _Found:
    metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return _Found(
        name=f"{metadata.get('namespace')}/{metadata.get('name')}",
        account=str(annotations.get(ACCOUNT_ANNOTATION) or ""),
        holder=str(spec.get("holderIdentity") or ""),
        renewed=str(spec.get("renewTime") or ""),
        mark=str(annotations.get(WORKS_ANNOTATION) or ""),
    )


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
        self._names = re.compile(rf"{re.escape(scope)}(-[0-9]{{1,2}}-of-[0-9]{{1,2}})?")
        self._seen: dict[str, lease.Observed] = {}
        #: Those who were at work when we looked last, while we work.
        self._beside: dict[str, _Found] = {}
        #: ServiceAccounts by namespace and name: whether they may write what we write.
        self._trusted: ExpiringMap[tuple[str, str], bool] = ExpiringMap(_REMEMBERED, clock)
        #: Whether we were marked when we looked first; None: we have not.
        self._worked_before: bool | None = None
        self._refused_since: float | None = None
        #: Whom we stand by for: a Lease of another namespace.
        self.waiting_for: str | None = None
        #: The same as a sentence, or what keeps us from ever knowing.
        self.obstacle: str | None = None

    async def join(self) -> None:
        """Wait until no other installation works, nor may begin to."""
        await lease.tried_until_done(self._attempt, self._retry_period)

    async def keep_watch(self) -> None:
        """Look on while we work; raises `OtherInstallation` where another one does, too."""
        while True:
            await asyncio.sleep(LOOK_PERIOD)
            await self._look_on()

    async def _look_on(self) -> None:
        """Look once; one that has renewed its Lease between two looks is no leftover."""
        try:
            _, others = await self._leases()
        except ApiError:
            return  # that it was missing was said before, and what is not answered may pass
        beside = {each.name: each for each in others if each.is_at_work}
        for name, found in beside.items():
            before = self._beside.get(name)
            if before and before.holder == found.holder and before.renewed != found.renewed:
                raise OtherInstallation(f"another installation works, too, by lease {name}")
        self._beside = beside

    async def _attempt(self) -> bool:
        try:
            if ACCOUNT_ANNOTATION not in self._election.annotations:
                account = await self._rights.own_account(self._election.namespace)
                self._election.annotations[ACCOUNT_ANNOTATION] = account
                await self._election.renewed()
            works, before_us = await self._others()
            self._refused_since = None
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
                return await self._without_the_right(error)
            self.obstacle = error.awaited
            logger.warning("waiting for %s (%s)", self.obstacle, error)
        return False

    async def _without_the_right(self, error: ApiError) -> bool:
        """Go on without a look once it is clear that we may not have one."""
        now = self._clock()
        if self._refused_since is None:
            self._refused_since, self.obstacle = now, _UNSEEN
            logger.warning("%s (%s)", _UNSEEN, error)
        patience = REFUSED_FOR if self.waiting_for is None else GIVEN_UP_AFTER
        if now - self._refused_since < patience:
            return False
        self.waiting_for = self.obstacle = None
        return await self._mark(True)

    async def _mark(self, marked: bool) -> bool:
        """Have our Lease say that we work, or that we do not."""
        self._election.annotations[WORKS_ANNOTATION] = self._election.identity if marked else None
        return await self._election.renewed()

    async def _others(self) -> tuple[str | None, str | None]:
        """Return a Lease by which another installation works, and one of those who begin now and go
        ahead of us."""
        own, asked_at = self._election.namespace, self._clock()
        was_ours, others = await self._leases()
        if self._worked_before is None:
            self._worked_before = was_ours
        # Whoever does not renew its Lease for as long as that lasts does not work. To wait longer
        # is to keep its place for it, which is ours where we have followed it already.
        kept_for = lease.LEASE_DURATION if self._worked_before else GIVEN_UP_AFTER
        works: list[str] = []
        begin: list[str] = []
        for found in others:
            seen = self._seen.setdefault(found.name, lease.Observed(self._clock))
            still_for = seen.still_for(found.record, asked_at)
            if found.mark and still_for < kept_for:
                works.append(found.name)
            elif found.namespace < own and found.holder and still_for < lease.LEASE_DURATION:
                begin.append(found.name)
        # Whoever worked before goes on, whatever its name is.
        return min(works, default=None), None if was_ours else min(begin, default=None)

    async def _leases(self) -> tuple[bool, list[_Found]]:
        """Return whether one of our own namespace is marked, and those of other installations."""
        namespaces: dict[str, list[_Found]] = {}
        async for raw in self._client.leases(f"{lease.SCOPE_LABEL}={self._scope}"):
            found = _found(raw)
            name = found.name.partition("/")[2]
            if self._names.fullmatch(name) and max(map(len, found.said)) <= _LONGEST:
                namespaces.setdefault(found.namespace, []).append(found)
        ours = namespaces.pop(self._election.namespace, [])
        installed: list[_Found] = []
        for namespace, leases in namespaces.items():
            # One of a namespace, as whoever writes Leases there could name any number; that of an
            # installation that was here before has not been renewed since.
            named = [each for each in leases if _ACCOUNT.fullmatch(each.account)]
            newest = max(named, key=lambda each: each.renewed, default=None)
            if newest is not None and await self._is_installed(namespace, newest.account):
                installed += leases
        return any(each.mark for each in ours), installed

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
