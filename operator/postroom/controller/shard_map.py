# SPDX-License-Identifier: Apache-2.0
"""How many shards there are: those who count differently never work at the same time.

Each shard has a Lease of its own, by which it knows that nobody else has the same part. That does
not keep 0/2 from 0/3, who share namespaces under other names. So the Lease of the whole scope,
which is the one that 0/1 holds, has in an annotation how many there are. Whoever holds the Lease of
its shard reads there before it works. Where another number stands it waits until each Lease of that
number is free, which it judges on its own clock, and only then puts its own there.

Each who joins writes that Lease onto the version that it has read. So of one who begins to work by
the number that stands, and one who puts another there because it saw that nobody works, one is
refused and looks again: the first has its own Lease by then, and the second sees that.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from postroom.concurrency.shards import MOST, Shard
from postroom.controller import lease
from postroom.controller.client import ApiError

logger = logging.getLogger(__name__)

NUMBER_ANNOTATION = "postroom.dev/shards"


class ShardMap:
    """Agrees with all others of a scope on the number of shards; `name_of` names their Leases."""

    def __init__(
        self,
        client: lease.LeaseClient,
        namespace: str,
        shard: Shard,
        name_of: Callable[[Shard], str],
        clock: Callable[[], float] = lease.steady,
        retry_period: float = lease.RETRY_PERIOD,
    ) -> None:
        self._client, self._namespace = client, namespace
        self._shard, self._name_of = shard, name_of
        self._clock, self._retry_period = clock, retry_period
        #: What is seen of the Leases of those who work by another number.
        self._others: dict[str, lease.Observed] = {}
        #: What keeps us from ever joining, as in leader election.
        self.obstacle: str | None = None
        #: Whom we stand by for: the Lease of one who counts differently.
        self.waiting_for: str | None = None

    async def join(self) -> None:
        """Wait until nobody works who counts differently, nor may begin to."""
        await lease.tried_until_done(self._attempt, self._retry_period)

    async def _attempt(self) -> bool:
        name = self._name_of(Shard())
        try:
            stored = await self._client.lease(self._namespace, name)
            number = number_in(stored)
            if number != self._shard.of:
                if not await self._are_free(number):
                    return False
                logger.info("shards: %d from now on, instead of %d", self._shard.of, number)
            elif number == 1:
                # The Lease that we hold is the one that we would write.
                return True
            await self._put(name, stored)
        except ApiError as error:
            self.obstacle = lease.obstacle(error, self._namespace, name) or self.obstacle
            return False
        self.obstacle = None
        return True

    async def _are_free(self, number: int) -> bool:
        """Whether nobody works as one of so many."""
        held = []
        # All of them, each time: how long one has stood still is known only of what is looked at.
        for index in range(number):
            name, asked_at = self._name_of(Shard(index, number)), self._clock()
            observed = self._others.setdefault(name, lease.Observed(self._clock))
            if not observed.is_free(await self._client.lease(self._namespace, name), asked_at):
                held.append(name)
        if held and held[0] != self.waiting_for:
            logger.warning(
                "standing by: %s holds lease %s/%s as one of %d shards, and this is one of %d; it "
                "begins when all of those have ended",
                self._others[held[0]].holder,
                self._namespace,
                held[0],
                number,
                self._shard.of,
            )
        self.waiting_for, self.obstacle = next(iter(held), None), None
        return not held

    async def _put(self, name: str, stored: Mapping[str, Any] | None) -> None:
        """Have our number stand, in a version that is another than before in any case."""
        if stored is None:
            spec: dict[str, Any] = {"renewTime": lease.micro_time()}
            stored = lease.new_lease(self._namespace, name, spec)
        metadata, number = stored["metadata"], {NUMBER_ANNOTATION: str(self._shard.of)}
        annotations = {**(metadata.get("annotations") or {}), **number}
        made = {**stored, "metadata": {**metadata, "annotations": annotations}}
        made["spec"] = {**(stored.get("spec") or {}), "renewTime": lease.micro_time()}
        if "resourceVersion" in metadata:
            await self._client.replace_lease(self._namespace, name, made)
        else:
            await self._client.create_lease(self._namespace, made)


def number_in(stored: Mapping[str, Any] | None) -> int:
    """Return how many shards there are by the Lease of the whole scope; one, where it has none."""
    annotations = ((stored or {}).get("metadata") or {}).get("annotations") or {}
    text = str(annotations.get(NUMBER_ANNOTATION, "1"))
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) else 1
    return number if 1 <= number <= MOST else 1
