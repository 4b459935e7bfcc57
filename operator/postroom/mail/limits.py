# SPDX-License-Identifier: Apache-2.0
"""What may happen at one host at a time, so that no probe harms another account behind it."""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from postroom.mail.gate import Pace
from postroom.mail.presets import identify
from postroom.mail.report import Login, ProbeReport

#: Probes of one host at a time.
HOST_LIMIT = 3
#: Refusals that one host may answer within the window, over all accounts, before we stop signing
#: in there: servers punish the source address, and with it every other account behind us.
REFUSALS = 3
#: Seconds.
WINDOW = 600.0
#: Seconds for which nobody signs in at a host after it refused somebody: Dovecot holds every login
#: from the same address, whoever's it is, for 4 to 15 s, until the last refusal is 15 s old.
QUIET = 16.0
#: Hosts to remember; those that are idle and have refused nothing lately are forgotten first.
_HOSTS_LIMIT = 1024
#: Implementations that hold nothing against the address of whoever was refused.
_APART = frozenset({"Gmail", "Microsoft Exchange", "Amazon SES", "SendGrid", "postroom lab"})
#: Accepted logins to remember of one host.
_PROVEN_LIMIT = 4096

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class RefusalBudget:
    """Bounds the refused logins of one host to `REFUSALS` per `WINDOW`.

    A login under way may still be refused and counts as such: whoever comes after it waits for its
    outcome, and for `quiet` seconds after a refusal, until the host holds it against nobody.
    `clock` returns seconds, and `sleep` waits for some.
    """

    def __init__(self, clock: Clock, quiet: float = QUIET, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._quiet = quiet
        self._quiet_until = -math.inf
        self._sleep = sleep
        self._entry = asyncio.Lock()
        self._alone = False
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

    @property
    def frees_in(self) -> float:
        """Seconds until a spent budget lets somebody sign in again; 0 where it does now."""
        if self.refused < REFUSALS:
            return 0.0
        return self._refused[0] + WINDOW - self._clock()

    async def reserve(self, *, alone: bool = False) -> bool:
        """Tell whether a login may be tried now; if so, `settle` must follow.

        One that goes `alone` has no other beside it, which would suffer if it were refused. Logins
        are let in as they came.
        """
        await self._entry.acquire()
        try:
            allowed = await self._allowed(alone=alone)
            self._alone = allowed and alone
            return allowed
        finally:
            if not self._alone:
                self._entry.release()

    async def _allowed(self, *, alone: bool) -> bool:
        while True:
            while self._under_way and (alone or self._under_way + self.refused >= REFUSALS):
                await self._settled.wait()
            if self.refused >= REFUSALS:
                return False
            quiet = self._quiet_for()
            if quiet <= 0:
                self._under_way += 1
                return True
            await self._sleep(quiet)

    def _quiet_for(self) -> float:
        """Seconds until the host holds the last refusal against nobody any more."""
        return self._quiet_until - self._clock()

    def settle(self, *, refused: bool, resentful: bool = True) -> None:
        """Note how a reserved login ended; `resentful`: others may suffer for its refusal."""
        self._under_way -= 1
        if refused:
            self._refused.append(self._clock())
            if resentful:
                self._quiet_until = self._refused[-1] + self._quiet
        self._settled.set()
        self._settled = asyncio.Event()
        if self._alone:
            self._alone = False
            self._entry.release()


class Proven:
    """The logins that a host has accepted, by a digest whose key ends with this process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def note(self, login: Login, report: ProbeReport) -> None:
        """Remember what a probe said of a login."""
        digest = self._digest(login)
        self._known.pop(digest, None)
        if report.authenticated:
            self._known[digest] = None
        while len(self._known) > _PROVEN_LIMIT:
            self._known.popitem(last=False)

    def __contains__(self, login: Login) -> bool:
        return self._digest(login) in self._known

    def _digest(self, login: Login) -> bytes:
        told = "\0".join((login.username, login.password.reveal()))
        return hmac.digest(self._key, told.encode("utf-8", "surrogatepass"), "sha256")


class Host:
    """The limits of one host."""

    def __init__(self, clock: Clock, quiet: float = QUIET) -> None:
        self.proven = Proven()
        self.pace = Pace()
        self.turns = asyncio.Semaphore(HOST_LIMIT)
        self.budget = RefusalBudget(clock, quiet)
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

    def __init__(self, clock: Clock, quiet: float = QUIET) -> None:
        self._clock = clock
        self._quiet = quiet
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
            host = self._hosts[name] = Host(
                self._clock, self._quiet if holds_refusals_against_all(name) else 0.0
            )
        return host


def holds_refusals_against_all(host: str) -> bool:
    """Tell whether a refusal may harm other accounts: the large providers know accounts apart."""
    return identify(host) is None


def is_resentful(report: ProbeReport | None) -> bool:
    """Tell whether what answered may hold a refusal against others than the one who was refused."""
    server = report.server if report is not None else None
    return server is None or server.implementation not in _APART


def was_refused(report: ProbeReport | None) -> bool:
    """Tell whether a probe ended with the server's refusal of the credentials."""
    return report is not None and report.authenticated is False
