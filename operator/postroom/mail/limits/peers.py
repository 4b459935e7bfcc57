# SPDX-License-Identifier: Apache-2.0
"""Refused logins by the address that answered, whatever names it was found under.

What a host may be refused is counted by its name, as accounts name it, and before anything is
dialled. But names cost nothing: whoever runs a zone has as many as they like for the address of
somebody else's server, with that one's own name in `tls.serverName`, and that server punishes the
address that all tenants come from. So the address counts, too, for all of its names together. A
login that is under way may be refused yet: it counts as if it were, until its outcome is known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from postroom.mail.limits.hosts import REFUSALS, WINDOW

#: Refusals of one namespace by one address within the window. It may stand for several hosts, such
#: as those for SMTP and IMAP, and for those of many domains.
REFUSALS_OF_ADDRESS = 4 * REFUSALS
#: Seconds for which a login waits, connected, for the outcome of those before it.
_PATIENCE = 10.0


class RefusingPeers:
    """Which addresses have refused logins of a namespace within the window.

    What is remembered is bounded by how many hosts may refuse a namespace
    (`postroom.mail.limits.hosts.Refusing`).
    """

    def __init__(self, clock: Callable[[], float], patience: float = _PATIENCE) -> None:
        self._clock, self._patience = clock, patience
        #: When, by namespace and address; whoever was refused last stands last.
        self._refused: dict[tuple[str, str], list[float]] = {}
        #: Logins whose outcome is not known, and who waits for one of these, by the same. Whoever
        #: waits is handed the place itself, and a pause where there will be none.
        self._under_way: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], deque[asyncio.Future[float]]] = {}

    async def reserve(self, namespace: str, address: str | None) -> float | None:
        """Seconds until a namespace may sign in at an address.

        0: it may now, and `settle` must follow. None: as many as may be refused were under way for
        too long.
        """
        pause = self.reserve_at_once(namespace, address)
        return await self._turn((namespace, str(address))) if pause is None else pause

    def reserve_at_once(self, namespace: str, address: str | None) -> float | None:
        """The same without waiting. None: nothing is reserved, since one would have to wait."""
        if address is None:
            return 0.0
        place = (namespace, address)
        pause = self.frees_in(*place)
        if pause:
            return pause
        if place in self._waiting or self._is_full(place):
            return None
        self._begin(place)
        return 0.0

    async def _turn(self, place: tuple[str, str]) -> float | None:
        """Wait for an outcome that leaves a place, or none to anybody: as `reserve`."""
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(place, deque()).append(turn)
        self._admit(place)
        try:
            async with asyncio.timeout(self._patience):
                return await turn
        except TimeoutError:
            # Perhaps it came in the moment in which we gave up.
            return None if turn.cancelled() else turn.result()
        except asyncio.CancelledError:
            if not turn.cancelled() and not turn.result():
                self.settle(*place, refused=False)
            raise
        finally:
            # Whose turn came stands there no more.
            if turn.cancelled() and turn in (waiting := self._waiting.get(place, deque())):
                waiting.remove(turn)
                self._admit(place)

    def settle(self, namespace: str, address: str | None, *, refused: bool) -> None:
        """A login that was reserved for has ended; without a verdict it counts for nothing."""
        if address is None:
            return
        place = (namespace, address)
        if refused:
            self.note(namespace, address)
        left = self._under_way.pop(place) - 1
        if left:
            self._under_way[place] = left
        self._admit(place)

    def _begin(self, place: tuple[str, str]) -> None:
        self._under_way[place] = self._under_way.get(place, 0) + 1

    def _admit(self, place: tuple[str, str]) -> None:
        """Hand out what is free, in the order of coming: to wake all for one place costs more."""
        waiting = self._waiting.get(place, deque())
        while waiting:
            pause = self.frees_in(*place)
            if not pause and self._is_full(place):
                return
            if not (turn := waiting.popleft()).done():
                turn.set_result(pause)
                if not pause:
                    self._begin(place)
        self._waiting.pop(place, None)

    def _is_full(self, place: tuple[str, str]) -> bool:
        began = self._clock() - WINDOW
        refused = sum(moment > began for moment in self._refused.get(place, ()))
        return refused + self._under_way.get(place, 0) >= REFUSALS_OF_ADDRESS

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
