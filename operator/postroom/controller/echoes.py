# SPDX-License-Identifier: Apache-2.0
"""Echoes of our own writes in the watch: which of them are read all the same.

An echo shows what was written, so that it need not be decoded: unless admission of the cluster
changes statuses on their way, of which the answer to a write, which is metadata alone, tells
nothing. So some are read, and all of a kind as soon as one was another than what was written.

They are so many a second: at rest all, so that a policy that changes few objects is seen with the
next write to one of them, and few of those that come while thousands are written.
"""

import logging
import time
from collections.abc import Callable

from postroom.api.names import Key, Kind
from postroom.concurrency.bounded import BoundedMap
from postroom.concurrency.token_bucket import TokenBucket

logger = logging.getLogger(__name__)

#: Of the echoes of a kind in a namespace the first is read, and of all others together so many a
#: second, and at once.
_RATE, _AT_ONCE = 4.0, 16
_PLACES = 4096


class Echoes:
    """Which echoes are read, and of which kinds statuses are changed as they are written."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = TokenBucket(_RATE, _AT_ONCE, clock)
        self._places: BoundedMap[tuple[Kind, str], None] = BoundedMap(_PLACES)
        self._altered: set[Kind] = set()

    def is_read(self, kind: Kind, namespace: str) -> bool:
        """Whether an echo is to be decoded."""
        if kind in self._altered:
            return True
        place = (kind, namespace)
        if place in self._places:
            return self._pace.try_take()
        self._places.put(place, None)
        return True

    def altered(self, key: Key, fields: frozenset[str]) -> None:
        """A status stands otherwise than it was written, in these fields."""
        if key.kind in self._altered:
            return
        self._altered.add(key.kind)
        logger.warning(
            "an admission policy or webhook changes the status of %s as it is written (%s of %s): "
            "what stands is taken as it is, and not written again for that",
            key.kind.plural,
            ", ".join(sorted(fields)),
            key,
        )
