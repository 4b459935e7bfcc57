# SPDX-License-Identifier: Apache-2.0
"""Whose status the API server refuses at the moment, counted by namespace.

One object that is always refused (its definition became stricter than what stands in its spec, an
admission webhook has an objection) is the trouble of its namespace. Definitions that do not fit, or
a right that is missing, are the trouble of all: what tells the two apart is how many namespaces are
concerned.
"""

from collections import Counter

from prometheus_client import Gauge

from postroom.api.names import Key
from postroom.metrics import WriteResult

#: Results that no retry changes, and those that tell nothing of what comes next.
_REFUSALS = frozenset({WriteResult.FORBIDDEN, WriteResult.INVALID})
_UNDECIDED = frozenset({WriteResult.UNAVAILABLE, WriteResult.STALE})


class RefusedStatuses:
    """The objects whose last status was refused, told to a gauge."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._refused: dict[Key, WriteResult] = {}
        self._counts: Counter[tuple[str, WriteResult]] = Counter()

    def ended(self, key: Key, result: WriteResult) -> None:
        """Note how a write of an object's status ended."""
        if result not in _UNDECIDED and result is not self._refused.get(key):
            self.forget(key)
            if result in _REFUSALS:
                self._refused[key] = result
                self._count(key, result, 1)

    def forget(self, key: Key) -> None:
        """Count an object no longer: it is gone, or was written."""
        if (result := self._refused.pop(key, None)) is not None:
            self._count(key, result, -1)

    def _count(self, key: Key, result: WriteResult, change: int) -> None:
        """A namespace without any has no series, by which its alert ends."""
        counted = (key.namespace, result)
        self._counts[counted] += change
        if self._counts[counted]:
            self._gauge.labels(*counted).set(self._counts[counted])
        else:
            del self._counts[counted]
            self._gauge.remove(*counted)
