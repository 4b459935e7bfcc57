# SPDX-License-Identifier: Apache-2.0
"""Whether the way to authoritative servers is open at all: port 53 is often blocked."""

from __future__ import annotations

import asyncio

#: Zones of which all servers were silent, and nobody else answered, before the way is blocked.
_ZONES = 2
#: Seconds for which that is believed, and for which one look may try the way again.
_BLOCKED, _TRIAL = 300.0, 15.0


class Reach:
    """Concludes from silence that the way is blocked, and from any reply that it is open."""

    def __init__(self) -> None:
        self._silent: set[str] = set()
        self._blocked_until: float | None = None

    @property
    def blocked(self) -> bool:
        """Whether the way is known to be blocked."""
        return self._blocked_until is not None

    def may_ask(self) -> bool:
        """Tell whether authoritative servers should be asked now.

        Once the verdict is old, one look in a while is let through to try the way again.
        """
        if self._blocked_until is None:
            return True
        now = asyncio.get_running_loop().time()
        if now < self._blocked_until:
            return False
        self._blocked_until = now + _TRIAL
        return True

    def heard(self) -> None:
        """A server of some zone answered something."""
        self._silent.clear()
        self._blocked_until = None

    def silent(self, apex: str) -> None:
        """All servers of a zone were silent."""
        self._silent.add(apex)
        if len(self._silent) >= _ZONES:
            self._blocked_until = asyncio.get_running_loop().time() + _BLOCKED
            self._silent = set(sorted(self._silent)[:_ZONES])
