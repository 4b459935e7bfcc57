# SPDX-License-Identifier: Apache-2.0
"""What was fetched of MTA-STS policies, for a while, bounded in number and size."""

import time
from collections.abc import Callable

from postroom.concurrency.bounded import ExpiringMap
from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetchOutcome

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
        self._policy_ttl, self._fault_ttl = policy_ttl, fault_ttl
        self._known: ExpiringMap[str, FetchedPolicy] = ExpiringMap(
            _ENTRIES_LIMIT,
            clock,
            weigh=lambda policy: len(policy.text),
            heaviest=_CHARACTERS_LIMIT,
        )

    def get(self, domain: str) -> FetchedPolicy | None:
        """What is known of a domain's policy."""
        return self._known.get(domain)

    def put(self, domain: str, found: FetchedPolicy) -> None:
        """Remember what was fetched."""
        fetched = found.outcome is PolicyFetchOutcome.FETCHED
        self._known.put(domain, found, self._policy_ttl if fetched else self._fault_ttl)
