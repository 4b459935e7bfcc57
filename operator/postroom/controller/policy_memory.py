# SPDX-License-Identifier: Apache-2.0
"""What was fetched of MTA-STS policies, for a while, bounded in number and size."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from postroom.dns.mta_sts_host import FetchedPolicy, PolicyFetchOutcome

#: Seconds that a policy serves others, and a fault: who mends one wants to see it soon.
POLICY_TTL = 300.0
FAULT_TTL = 10.0
_ENTRIES_LIMIT = 10_000
_CHARACTERS_LIMIT = 8 * 1024 * 1024


class PolicyMemory:
    """Remembers policies by domain; the oldest go first when there are too many, or too large.

    `clock` is in seconds.
    """

    def __init__(
        self,
        *,
        policy_ttl: float = POLICY_TTL,
        fault_ttl: float = FAULT_TTL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy_ttl, self._fault_ttl, self._clock = policy_ttl, fault_ttl, clock
        self._known: OrderedDict[str, tuple[float, FetchedPolicy]] = OrderedDict()
        self._characters = 0

    def get(self, domain: str) -> FetchedPolicy | None:
        """Return what is known of a domain's policy."""
        ends, found = self._known.get(domain, (0.0, None))
        if found is not None and ends <= self._clock():
            self._forget(domain)
            return None
        return found

    def put(self, domain: str, found: FetchedPolicy) -> None:
        """Remember what was fetched."""
        self._forget(domain)
        fetched = found.outcome is PolicyFetchOutcome.FETCHED
        ttl = self._policy_ttl if fetched else self._fault_ttl
        self._known[domain] = (self._clock() + ttl, found)
        self._characters += len(found.text)
        while len(self._known) > _ENTRIES_LIMIT or self._characters > _CHARACTERS_LIMIT:
            self._forget(next(iter(self._known)))

    def _forget(self, domain: str) -> None:
        _, found = self._known.pop(domain, (0.0, None))
        if found is not None:
            self._characters -= len(found.text)
