# SPDX-License-Identifier: Apache-2.0
"""Operators with namespaces of their own that share one: of two, one works, and the other stands by
and says so.

Those who serve a, b and those who serve b, c have Leases of different names, so that these do not
keep them apart, and both would write what is in b. So whoever works has its namespaces in an
annotation of one more Lease, beside all of theirs. Whoever holds the Lease of its own scope reads
there before it works. Where another scope stands that has a namespace of ours, it waits until no
Lease of that is held, which it judges on its own clock, and only then puts its own in its place.

With that it takes out the scopes of which nobody holds a Lease, also those that share no namespace
with its own: they would stay there for ever.

Each who joins writes that Lease onto the version that it has read, also where its own scope stands
there already: as in `shard_map`, one of two who join at once is refused, and sees the Lease of the
other.

It is about those whose Leases are in one namespace. Others may not be looked at (`installations`).
"""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from postroom.concurrency.shards import WHOLE, Shard
from postroom.controller import lease
from postroom.controller.client import ApiError
from postroom.controller.shard_map import number_in

logger = logging.getLogger(__name__)

#: What the annotations begin with that tell the namespaces of a scope, which is named by its Lease.
_PREFIX = "scope.postroom.dev/"
_ALL = "*"


class Overlaps:
    """Keeps those processes of a program apart who serve one namespace under different scopes;
    whoever is given no namespaces serves all."""

    def __init__(
        self,
        client: lease.LeaseClient,
        namespace: str,
        program: str,
        served: Collection[str],
        clock: Callable[[], float] = lease.steady,
        retry_period: float = lease.RETRY_PERIOD,
    ) -> None:
        self._client, self._namespace, self._program = client, namespace, program
        self._served = frozenset(served)
        self._own = _PREFIX + lease.lease_name(served, program)
        self._clock, self._retry_period = clock, retry_period
        #: What is seen of the Leases of other scopes.
        self._others: dict[str, lease.Observed] = {}
        #: Whom we stand by for: a Lease of another scope.
        self.waiting_for: str | None = None
        #: The same as a sentence, or what keeps us from ever knowing.
        self.obstacle: str | None = None

    async def join(self) -> None:
        """Wait until nobody else works on a namespace of ours, nor may begin to."""
        await lease.tried_until_done(self._attempt, self._retry_period)

    async def _attempt(self) -> bool:
        name = f"{self._program}-scopes"
        try:
            stored = await self._client.lease(self._namespace, name)
            before = (stored or {}).get("metadata", {}).get("annotations") or {}
            after = {self._own: ",".join(sorted(self._served)) or _ALL}
            for other, text in before.items():
                shared = self._shared(str(text))
                if other == self._own or not other.startswith(_PREFIX) or shared is None:
                    after.setdefault(other, text)
                elif (held := await self._held(str(text))) is not None:
                    self._stand_by_for(held, shared)
                    return False
            kept = {
                scope: text for scope, text in after.items() if not await self._is_left(scope, text)
            }
            await self._put(name, stored, kept)
        except ApiError as error:
            self.obstacle = lease.obstacle(error, self._namespace, name) or self.obstacle
            return False
        self.waiting_for = self.obstacle = None
        return True

    async def _is_left(self, scope: str, text: object) -> bool:
        """Whether a scope that shares nothing with ours stands there for nobody: its Leases are
        gone or given back. Whoever comes to work on it puts it there again."""
        if scope == self._own or not scope.startswith(_PREFIX):
            return False
        try:
            return await self._held(str(text)) is None
        except ApiError:
            return False  # it is nothing of ours, and may be none that we may look at

    def _shared(self, text: str) -> str | None:
        """A namespace that a scope has in common with ours, or what both serve; None: they have
        none."""
        if text == _ALL or not self._served:
            return min(self._served, default="") or text.partition(",")[0]
        return min(self._served.intersection(text.split(",")), default=None)

    async def _held(self, text: str) -> str | None:
        """A Lease of another scope that is held; None where those of all its shards are free."""
        served = () if text == _ALL else text.split(",")

        def name_of(shard: Shard) -> str:
            return lease.lease_name(served, self._program, shard)

        number = number_in(await self._client.lease(self._namespace, name_of(WHOLE)))
        held = None
        # All of them, each time: how long one has stood still is known only of what is looked at.
        for index in range(number):
            name, asked_at = name_of(Shard(index, number)), self._clock()
            observed = self._others.setdefault(name, lease.Observed(self._clock))
            if not observed.is_free(await self._client.lease(self._namespace, name), asked_at):
                held = held or name
        return held

    def _stand_by_for(self, held: str, shared: str) -> None:
        where = "all namespaces" if shared == _ALL else f"namespace {shared}"
        self.obstacle = (
            f"another operator, which holds lease {self._namespace}/{held} and serves {where}, "
            "too: give each namespace to one of the two (--namespace)"
        )
        if held != self.waiting_for:
            self.waiting_for = held
            logger.warning("standing by for %s", self.obstacle)

    async def _put(
        self, name: str, stored: Mapping[str, Any] | None, annotations: Mapping[str, str]
    ) -> None:
        """Have our scope stand there, in a version that is another than before in any case."""
        made = dict(stored or lease.new_lease(self._namespace, name, {}))
        made["metadata"] = {**made["metadata"], "annotations": dict(annotations)}
        made["spec"] = {**(made.get("spec") or {}), "renewTime": lease.micro_time()}
        if stored is None:
            await self._client.create_lease(self._namespace, made)
        else:
            await self._client.replace_lease(self._namespace, name, made)
