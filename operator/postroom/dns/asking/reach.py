# SPDX-License-Identifier: Apache-2.0
"""Whether the way to authoritative servers is open at all: port 53 is often blocked."""

import asyncio

from postroom.concurrency.acting import party
from postroom.concurrency.bounded import BoundedMap

#: Seconds for which that is believed, and for which one look may try the way again.
_BLOCKED, _TRIAL = 300.0, 15.0
#: Silent zones that are remembered.
_SILENT_LIMIT = 4096


class OpenWay:
    """Concludes from silence that the way is blocked, and from any reply that it is open.

    A party that has met no silence itself is not concerned by that of others: whoever has two
    domains at dead servers would otherwise keep all from asking theirs.
    """

    def __init__(self) -> None:
        self._silent: BoundedMap[tuple[str, str], None] = BoundedMap(_SILENT_LIMIT)
        self._blocked_until: dict[str, float] = {}

    @property
    def blocked(self) -> bool:
        """Whether the way is known to be blocked."""
        return party() in self._blocked_until

    def may_ask(self) -> bool:
        """Whether authoritative servers should be asked now.

        Once the verdict is old, one look in a while is let through to try the way again.
        """
        until = self._blocked_until.get(party())
        if until is None:
            return True
        now = asyncio.get_running_loop().time()
        if now < until:
            return False
        self._blocked_until[party()] = now + _TRIAL
        return True

    def heard(self) -> None:
        """A server of some zone answered something."""
        self._silent.clear()
        self._blocked_until.clear()

    def silent(self, apex: str) -> None:
        """All servers of a zone were silent; with another one's, and no answer of any, it is the
        way that is blocked."""
        if (party(), apex) not in self._silent:
            self._silent.put((party(), apex), None)
        if any(zone != apex for _, zone in self._silent):
            self._blocked_until[party()] = asyncio.get_running_loop().time() + _BLOCKED
