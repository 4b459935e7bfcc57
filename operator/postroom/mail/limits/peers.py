# SPDX-License-Identifier: Apache-2.0
"""Refused logins by the address that answered, whatever names it was found under.

What a host may be refused is counted by its name, as accounts name it, and before anything is
dialled. But names cost nothing: whoever runs a zone has as many as they like for the address of
somebody else's server, with that one's own name in `tls.serverName`, and that server punishes the
address that all tenants come from. So the address counts, too, for all of its names together.
"""

from __future__ import annotations

from collections.abc import Callable

from postroom.mail.limits.hosts import REFUSALS, WINDOW

#: Refusals of one namespace by one address within the window. It may stand for several hosts, such
#: as those for SMTP and IMAP, and for those of many domains.
REFUSALS_OF_ADDRESS = 4 * REFUSALS


class RefusingPeers:
    """Which addresses have refused logins of a namespace within the window.

    What is remembered is bounded by how many hosts may refuse a namespace
    (`postroom.mail.limits.hosts.Refusing`).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: When, by namespace and address; whoever was refused last stands last.
        self._refused: dict[tuple[str, str], list[float]] = {}

    def note(self, namespace: str, address: str | None) -> None:
        """A login of a namespace was refused at an address."""
        if address is None:
            return
        now, place = self._clock(), (namespace, address)
        self._refused[place] = [*self._refused.pop(place, ()), now][-REFUSALS_OF_ADDRESS:]
        # Also of namespaces that are gone.
        while self._refused[oldest := next(iter(self._refused))][-1] + WINDOW <= now:
            del self._refused[oldest]

    def frees_in(self, namespace: str, address: str | None) -> float:
        """Seconds until a namespace may sign in at an address again; 0 where it may now."""
        moments = self._refused.get((namespace, address or ""), [])
        if len(moments) < REFUSALS_OF_ADDRESS:
            return 0.0
        return max(0.0, moments[0] + WINDOW - self._clock())
