# SPDX-License-Identifier: Apache-2.0
"""What may happen at one host at a time, so that no probe harms another account behind it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from postroom.mail.report import ProbeReport

#: Probes of one host at a time.
HOST_LIMIT = 3
#: Refusals that one host may answer within the window, over all accounts, before we stop signing
#: in there: servers punish the source address, and with it every other account behind us.
REFUSALS = 3
#: Seconds.
WINDOW = 600.0
#: Hosts to remember; those that are idle and have refused nothing lately are forgotten first.
_HOSTS_LIMIT = 1024

Clock = Callable[[], float]


class RefusalBudget:
    """Bounds the refused logins of one host to `REFUSALS` per `WINDOW`.

    A login under way may still be refused and counts as such: whoever comes after it waits for its
    outcome. `clock` returns seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: deque[float] = deque(maxlen=REFUSALS)
        self._under_way = 0
        self._settled = asyncio.Event()

    @property
    def refused(self) -> int:
        """How many logins were refused within the window."""
        now = self._clock()
        while self._refused and now - self._refused[0] >= WINDOW:
            self._refused.popleft()
        return len(self._refused)

    async def reserve(self) -> bool:
        """Tell whether a login may be tried now; if so, `settle` must follow."""
        while self._under_way and self._under_way + self.refused >= REFUSALS:
            await self._settled.wait()
        if self.refused >= REFUSALS:
            return False
        self._under_way += 1
        return True

    def settle(self, *, refused: bool) -> None:
        """Note how a reserved login ended."""
        self._under_way -= 1
        if refused:
            self._refused.append(self._clock())
        self._settled.set()
        self._settled = asyncio.Event()


class Host:
    """The limits of one host."""

    def __init__(self, clock: Clock) -> None:
        self.turns = asyncio.Semaphore(HOST_LIMIT)
        self.budget = RefusalBudget(clock)
        self.visitors = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn at this host."""
        self.visitors += 1
        try:
            async with self.turns:
                yield
        finally:
            self.visitors -= 1

    @property
    def forgettable(self) -> bool:
        return self.visitors == 0 and self.budget.refused == 0


class Hosts:
    """The hosts that were probed lately, by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hosts: dict[str, Host] = {}

    def __len__(self) -> int:
        return len(self._hosts)

    def of(self, name: str) -> Host:
        """Return the limits of a host; call `turn` of it before the next await."""
        name = name.lower().rstrip(".")
        host = self._hosts.get(name)
        if host is None:
            if len(self._hosts) >= _HOSTS_LIMIT:
                self._hosts = {key: one for key, one in self._hosts.items() if not one.forgettable}
            host = self._hosts[name] = Host(self._clock)
        return host


def was_refused(report: ProbeReport | None) -> bool:
    """Tell whether a probe ended with the server's refusal of the credentials."""
    return report is not None and report.authenticated is False
