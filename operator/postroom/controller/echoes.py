# SPDX-License-Identifier: Apache-2.0
"""Echoes of our own writes in the watch: which of them are read all the same.

An echo shows what was written, so that it need not be decoded: unless admission of the cluster
changes statuses on their way, of which the answer to a write, which is metadata alone, tells
nothing. So some are read, and all of a kind as soon as one was another than what was written.
"""

import logging

from postroom.api.names import Key, Kind
from postroom.concurrency.bounded import BoundedMap

logger = logging.getLogger(__name__)

#: Of the echoes of a kind in a namespace the first is read, and of all together each so many.
_EVERY = 64
_PLACES = 4096


class Echoes:
    """Which echoes are read, and of which kinds statuses are changed as they are written."""

    def __init__(self) -> None:
        self._heard = 0
        self._places: BoundedMap[tuple[Kind, str], None] = BoundedMap(_PLACES)
        self._altered: set[Kind] = set()

    def is_read(self, kind: Kind, namespace: str) -> bool:
        """Whether an echo is to be decoded."""
        self._heard += 1
        place = (kind, namespace)
        if kind in self._altered or self._heard % _EVERY == 0:
            return True
        if place in self._places:
            return False
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
