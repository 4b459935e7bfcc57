# SPDX-License-Identifier: Apache-2.0
"""What may happen at one host at a time, so that no probe harms another account behind it.

Counted per namespace: what one tenant has refused, or how long its probes hold a host, must not
keep another from it. Where the host itself holds refusals against all that comes from our address,
logins that it never accepted go one at a time, and apart; even that delays nobody for more than
`LONGEST_WAIT` seconds, and a login that it accepted before not at all.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from postroom.concurrency.bounded import BoundedMap
from postroom.concurrency.shards import WHOLE, Shard
from postroom.concurrency.slots import Slots
from postroom.mail.limits.limiter import HostSpeed
from postroom.mail.presets import identify
from postroom.mail.report import Login, ProbeReport

#: Probes of one host at a time that a namespace may have, and how many times that all may have.
HOST_LIMIT, HOST_TOGETHER = 3, 4
#: Refusals that one host may answer within the window, over all accounts of a namespace, before it
#: signs in there no more: servers punish the source address, and every other account behind it.
REFUSALS = 3
#: Seconds.
WINDOW = 600.0
#: Seconds for which nobody signs in at a host after it refused somebody: Dovecot holds every login
#: from the same address, whoever's it is, for 4 to 15 s, until the last refusal is 15 s old.
QUIET = 16.0
#: Seconds for which a login may wait for what other namespaces are refused at its host; with the
#: wait for a slot there, that makes no more than 30.
LONGEST_WAIT = 25.0
#: Hosts to remember, besides those that are not idle or have refused somebody lately.
_HOSTS_LIMIT = 1024
#: Hosts that may have refused a namespace within the window before it signs in nowhere for the
#: first time: what is remembered of it must stay bounded, and must not be forgotten either.
REFUSING_HOSTS = 128
#: Namespaces of which accepted logins are remembered.
_NAMESPACES_LIMIT = 16_384
#: Implementations that hold nothing against the address of whoever was refused.
_APART = frozenset({"Gmail", "Microsoft Exchange", "Amazon SES", "SendGrid", "postroom lab"})
#: Accepted logins to remember of one namespace.
_PROVEN_LIMIT = 1024

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class RefusalBudget:
    """Bounds the refused logins of one namespace at one host to `REFUSALS` per `WINDOW`.

    A login under way may still be refused and counts as such: whoever comes after it waits for its
    outcome, and for `quiet` seconds after a refusal, until the host holds it against nobody.
    Logins that the host accepted before may go `together`, if that is more, until one is refused.
    `clock` returns seconds, and `sleep` waits for some.
    """

    def __init__(
        self,
        clock: Clock,
        quiet: float = QUIET,
        sleep: Sleep = asyncio.sleep,
        together: int = REFUSALS,
    ) -> None:
        #: Logins that may yet be reserved: forgetting the budget would give them one of their own.
        self.visitors = 0
        self._together = max(together, REFUSALS)
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

    async def reserve(self, *, alone: bool = False, accepted: bool = False) -> bool:
        """Whether a login may be tried now; if so, `settle` must follow.

        One that goes `alone` has no other beside it, which would suffer if it were refused; one
        that was `accepted` before is likely to be so again. Logins are let in as they came.
        """
        await self._entry.acquire()
        try:
            allowed = await self._allowed(alone=alone, accepted=accepted)
            self._alone = allowed and alone
            return allowed
        finally:
            if not self._alone:
                self._entry.release()

    async def _allowed(self, *, alone: bool, accepted: bool) -> bool:
        while True:
            while self._under_way:
                most = self._together if accepted and not self.refused else REFUSALS
                if not alone and self._under_way + self.refused < most:
                    break
                await self._settled.wait()
            if self.refused >= REFUSALS:
                return False
            # Until then the host holds the last refusal against others.
            quiet = self._quiet_until - self._clock()
            if quiet <= 0:
                self._under_way += 1
                return True
            await self._sleep(quiet)

    @property
    def idle(self) -> bool:
        """Whether forgetting this would change nothing."""
        return not (self.visitors or self._under_way or self._entry.locked() or self.refused)

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
    """The logins that hosts have accepted, by a digest whose key ends with this process.

    Kept per namespace, so that no tenant's logins crowd out another's.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: BoundedMap[str, BoundedMap[bytes, None]] = BoundedMap(_NAMESPACES_LIMIT)

    def note(self, namespace: str, host: str, login: Login, report: ProbeReport) -> None:
        """Remember what a host said of a login."""
        known = self._known.pop(namespace) or BoundedMap(_PROVEN_LIMIT)
        if report.authenticated:
            known.put(self._digest(host, login), None)
        else:
            known.pop(self._digest(host, login))
        if known:
            self._known.put(namespace, known)

    def has(self, namespace: str, host: str, login: Login) -> bool:
        """Whether a host accepted a login when it was last sent there."""
        known = self._known.get(namespace)
        return known is not None and self._digest(host, login) in known

    def _digest(self, host: str, login: Login) -> bytes:
        # Access tokens come and go; it is the account that stays.
        word = "token" if login.token else f"password\0{login.password.reveal()}"
        told = "\0".join((host, login.username, word))
        return hmac.digest(self._key, told.encode("utf-8", "surrogatepass"), "sha256")


class Refusing:
    """Which hosts have refused a namespace within the window; for bounds only.

    Whoever could have endless hosts refuse it would fill our memory, or have us forget what a host
    that others use has refused.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: When, by namespace and host; whoever was refused last stands last.
        self._since: dict[str, dict[str, float]] = {}

    def note(self, namespace: str, host: str) -> None:
        """A host has refused a login of a namespace."""
        now, hosts = self._clock(), self._since.pop(namespace, {})
        hosts[host] = now
        self._since[namespace] = hosts
        # Also of namespaces that are gone.
        since = self._since
        while max(since[oldest := next(iter(since))].values(), default=-math.inf) + WINDOW <= now:
            del since[oldest]

    def may_begin(self, namespace: str, host: str) -> bool:
        """Whether a namespace may send a host what that has not accepted before."""
        hosts = self._since.get(namespace, {})
        if host in hosts or len(hosts) < REFUSING_HOSTS:
            return True
        ended = self._clock() - WINDOW
        for name in [name for name, moment in hosts.items() if moment <= ended]:
            del hosts[name]
        return len(hosts) < REFUSING_HOSTS


class Known:
    """What is remembered of all hosts together, per namespace."""

    def __init__(self, clock: Clock) -> None:
        self.proven = Proven()
        self.refusing = Refusing(clock)


class Floor:
    """Where logins that a host never accepted go one at a time, whichever namespace they are of.

    Namespaces take turns. After a refusal that the host may hold against all, the next one waits
    for `quiet` seconds. Nobody waits here for longer than `LONGEST_WAIT` seconds.
    """

    def __init__(self, clock: Clock, quiet: float, sleep: Sleep = asyncio.sleep) -> None:
        self._clock, self._quiet, self._sleep = clock, quiet, sleep
        self._quiet_until = -math.inf
        self._slots = Slots(1, 1)

    async def enter(self, namespace: str) -> bool:
        """Wait for the slot; whether it came in time: then `leave` must follow."""
        deadline = self._clock() + LONGEST_WAIT
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._slots.acquire(namespace)
        except TimeoutError:
            return False
        try:
            while (now := self._clock()) < min(self._quiet_until, deadline):
                await self._sleep(min(self._quiet_until, deadline) - now)
        except BaseException:
            self._slots.release(namespace)
            raise
        return True

    def leave(self, namespace: str) -> None:
        """Give the slot back."""
        self._slots.release(namespace)

    def refused(self) -> None:
        """The host has refused a login, and may hold that against all."""
        self._quiet_until = self._clock() + self._quiet

    @property
    def idle(self) -> bool:
        """Whether forgetting this would change nothing."""
        return self._slots.idle and self._quiet_until <= self._clock()


class Host:
    """The limits of one host: so many `slots`, and `limit` of them for one namespace."""

    def __init__(
        self, name: str, clock: Clock, quiet: float, known: Known, limit: int, slots: int
    ) -> None:
        self.name = name
        self.speed = HostSpeed()
        self._clock, self._quiet, self._known, self._limit = clock, quiet, known, limit
        self._slots = Slots(slots, limit)
        self._floor = Floor(clock, quiet)
        self._budgets: dict[str, RefusalBudget] = {}
        self._visitors = 0

    def slot(self, namespace: str) -> AbstractAsyncContextManager[None]:
        """Wait for a slot of this host."""
        return self._slots.slot(namespace)

    def budget(self, namespace: str) -> RefusalBudget:
        """Return what a namespace may still be refused here."""
        budget = self._budgets.get(namespace)
        if budget is None:
            self._budgets = {
                key: earlier for key, earlier in self._budgets.items() if not earlier.idle
            }
            budget = RefusalBudget(self._clock, self._quiet, together=self._limit)
            self._budgets[namespace] = budget
        return budget

    @asynccontextmanager
    async def signing_in(self, namespace: str, login: Login) -> AsyncIterator[SigningIn]:
        """Wait until a login may be tried; `allowed` of what is given tells whether it may at all.

        One that was accepted before waits for nothing that other namespaces do. Any other goes
        alone, so that its refusal is held against nobody beside it; at the large providers, who
        know accounts apart, nobody waits for that.
        """
        budget = self.budget(namespace)
        new = not self._known.proven.has(namespace, self.name, login)
        alone = new and holds_refusals_against_all(self.name)
        entered, tried = False, SigningIn()
        self._visitors += 1
        budget.visitors += 1
        try:
            barred = new and not self._known.refusing.may_begin(namespace, self.name)
            if alone and not barred and budget.frees_in <= 0:
                entered = await self._floor.enter(namespace)
            tried.allowed = not barred and await budget.reserve(alone=alone, accepted=not new)
            if not tried.allowed:
                if entered:
                    self._floor.leave(namespace)
                    entered = False
                yield tried
                return
            try:
                yield tried
            finally:
                self._settle(namespace, login, budget, tried.report)
        finally:
            self._visitors -= 1
            budget.visitors -= 1
            if entered:
                self._floor.leave(namespace)

    def _settle(
        self, namespace: str, login: Login, budget: RefusalBudget, report: ProbeReport | None
    ) -> None:
        refused, resentful = was_refused(report), is_resentful(report)
        if report is not None:
            self._known.proven.note(namespace, self.name, login, report)
        if refused:
            self._known.refusing.note(namespace, self.name)
            if resentful:
                self._floor.refused()
        budget.settle(refused=refused, resentful=resentful)

    @property
    def forgettable(self) -> bool:
        """Whether forgetting this would change nothing but what is known of its speed."""
        unused = self._slots.idle and self._floor.idle and not self._visitors
        return unused and all(budget.idle for budget in self._budgets.values())


class SigningIn:
    """One login that may be tried or not; `report` is how it went, None: that is not known."""

    allowed = False
    report: ProbeReport | None = None


class Hosts:
    """The hosts that were probed lately, by name.

    What one host bears of all namespaces together is divided among the shards.
    """

    def __init__(
        self, clock: Clock, quiet: float = QUIET, limit: int = HOST_LIMIT, shard: Shard = WHOLE
    ) -> None:
        self._clock, self._quiet, self._limit = clock, quiet, limit
        self._slots = shard.share(HOST_TOGETHER * limit)
        self._known = Known(clock)
        # Forgetting one that is used, or was refused lately, would undo what it keeps.
        self._hosts: BoundedMap[str, Host] = BoundedMap(
            _HOSTS_LIMIT, in_use=lambda host: not host.forgettable
        )

    def __len__(self) -> int:
        return len(self._hosts)

    def of(self, name: str) -> Host:
        """Return the limits of a host; call `slot` of it before the next await."""
        name = name.lower().rstrip(".")
        return self._hosts.use_or_make(name, lambda: self._made(name))

    def _made(self, name: str) -> Host:
        quiet = self._quiet if holds_refusals_against_all(name) else 0.0
        return Host(name, self._clock, quiet, self._known, self._limit, self._slots)


def holds_refusals_against_all(host: str) -> bool:
    """Whether a refusal may harm other accounts: the large providers know accounts apart."""
    return identify(host) is None


def is_resentful(report: ProbeReport | None) -> bool:
    """Whether what answered may hold a refusal against others than the one who was refused."""
    server = report.server if report is not None else None
    return server is None or server.implementation not in _APART


def was_refused(report: ProbeReport | None) -> bool:
    """Whether a probe ended with the server's refusal of the credentials."""
    return report is not None and report.authenticated is False
