# SPDX-License-Identifier: Apache-2.0
"""How many of the known objects a shard answers for: what tells that some have nobody.

Every shard knows all objects of its scope, and works on its own. So what one knows must be as much
as all work on together; where it is more, a shard is missing.
"""

from collections.abc import Callable, Container
from functools import partial

from postroom.api.names import Key
from postroom.concurrency.shards import Shard
from postroom.metrics import Metrics

OWN, OTHERS = "own", "others"


class ShardObjects:
    """Counts the stored objects that are ours and those that are not; `ours` tells which."""

    def __init__(self, stored: Container[Key], ours: Callable[[Key], bool]) -> None:
        self._stored, self._ours = stored, ours
        self._keys: dict[str, set[Key]] = {OWN: set(), OTHERS: set()}

    def changed(self, key: Key) -> None:
        """Note that an object is there, or is gone."""
        keys = self._keys[OWN if self._ours(key) else OTHERS]
        if key in self._stored:
            keys.add(key)
        else:
            keys.discard(key)

    def count(self, part: str) -> int:
        """How many there are of a part."""
        return len(self._keys[part])

    def tell(self, metrics: Metrics, scope: str, shard: Shard, works: Callable[[], bool]) -> None:
        """Have Prometheus told, of the shard of a scope that this process works on or stands by
        for."""
        info = metrics.shard_info.labels(scope=scope, shard=shard.index, shards=shard.of)
        info.set_function(lambda: float(works()))
        for part in self._keys:
            gauge = metrics.shard_objects.labels(scope=scope, part=part)
            gauge.set_function(partial(self.count, part))
