# SPDX-License-Identifier: Apache-2.0
"""How much any one server gets to do for us: a rate, a burst, and queries in flight.

What must wait passes by turns of the parties that we work for, and none has so many queries in
flight that another finds no room: what one of them asks, or silence that it meets, keeps no other
from the same server.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial

from postroom.concurrency.acting import party
from postroom.concurrency.bounded import BoundedMap
from postroom.concurrency.shards import Shard
from postroom.concurrency.shares import Line, Shares

#: Limiters that are remembered; one whose burst is full again can be forgotten.
_LIMITERS_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Queries per second, queries at once after a rest, and unanswered ones of a party at a time.

    All parties together have at most twice as many unanswered.
    No `burst` / `rate` seconds ever see more than `burst` queries: not only on average.
    """

    rate: float
    burst: int
    in_flight: int

    def of_shard(self, shard: Shard) -> "QueryLimits":
        """What one of several processes has of it, which the same servers bear together."""
        burst, in_flight = shard.share(self.burst), shard.share(self.in_flight)
        return QueryLimits(self.rate / shard.of, burst, in_flight)


#: Anybody's server: many domains stand behind the same few addresses of a large DNS host.
NAMESERVER_LIMITS = QueryLimits(rate=50.0, burst=50, in_flight=16)
#: Our own resolver serves that view for all domains, and is asked to by whoever configured it.
RESOLVER_LIMITS = QueryLimits(rate=1000.0, burst=1000, in_flight=128)
#: All servers together. In flight, each may hold a socket.
OVERALL_LIMITS = QueryLimits(rate=2000.0, burst=1000, in_flight=256)


class Overloaded(Exception):
    """A server has more queries waiting than it may be sent in the time that is left."""


#: Seconds by which passes that came late, because this process was busy, may be made up for.
_MADE_UP = 0.1


class QueryLimiter:
    """Lets queries pass as its limits allow, those of one party in the order of their coming.

    A burst is for who comes after a rest. From the line they pass one by one: a party with many
    would take all of each burst, and have another wait for the next one at every question.
    """

    def __init__(self, limits: QueryLimits) -> None:
        self._limits = limits
        self._next = float("-inf")  # when the line may move on
        self._passes: deque[float] = deque(maxlen=limits.burst)
        self._in_flight = Shares(2 * limits.in_flight, limits.in_flight)
        self._line: Line[asyncio.Future[None]] = Line(self._in_flight)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a query that comes now would have to wait: nobody overtakes who waits already."""
        return (
            not self._in_flight.may_take(party())
            or self._wait() > 0
            or self._line.next_party() is not None
        )

    @property
    def idle(self) -> bool:
        """Whether forgetting this limiter would change nothing."""
        now = asyncio.get_running_loop().time()
        rested = not self._passes or self._passes[-1] + self._window <= now
        return not self._line and not self._in_flight.taken and rested

    def try_acquire(self) -> bool:
        """Pass if that is possible at once."""
        if self.busy:
            return False
        self._passes.append(asyncio.get_running_loop().time())
        self._in_flight.take(party())
        return True

    async def acquire(self, patience: float) -> None:
        """Pass, or raise `Overloaded` where that would take longer than `patience` seconds."""
        if self.try_acquire():
            return
        whose = party()
        if self._wait() + self._line.ahead_of(whose) / self._limits.rate > patience:
            raise Overloaded
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.push(whose, waiter)
        self._pump()
        try:
            async with asyncio.timeout(patience):
                await waiter
        except TimeoutError:
            self._give_up(whose, waiter)
            raise Overloaded from None
        except asyncio.CancelledError:
            self._give_up(whose, waiter)
            raise

    def release(self) -> None:
        """A query that passed is answered, or given up."""
        self._release(party())

    def _release(self, whose: str) -> None:
        self._in_flight.give_back(whose)
        self._pump()

    def _give_up(self, whose: str, waiter: asyncio.Future[None]) -> None:
        if waiter.done() and not waiter.cancelled():
            self._release(whose)  # it was let pass in the moment in which it gave up
        else:
            self._line.remove(whose, waiter)

    @property
    def _window(self) -> float:
        return self._limits.burst / self._limits.rate

    def _wait(self) -> float:
        """Seconds until the oldest of a full window's queries is out of it."""
        if len(self._passes) < self._limits.burst:
            return 0.0
        return max(0.0, self._passes[0] + self._window - asyncio.get_running_loop().time())

    def _pump(self) -> None:
        """Let pass whom the limits allow, and come again when more may."""
        while self._line.next_party() is not None:
            now = asyncio.get_running_loop().time()
            wait = max(self._wait(), self._next - now)
            if wait > 0:
                if self._timer is None:
                    # A shorter wait may be none for the clock, and be waited again and again.
                    delay = max(wait, 1e-6)
                    self._timer = asyncio.get_running_loop().call_later(delay, self._ring)
                return
            popped = self._line.pop()
            if popped is None:
                return
            whose, waiter = popped
            if waiter.done():  # it has been given up, and did not get to say so yet
                self._in_flight.give_back(whose)
                continue
            self._passes.append(now)
            self._next = max(self._next, now - _MADE_UP) + 1 / self._limits.rate
            waiter.set_result(None)

    def _ring(self) -> None:
        self._timer = None
        self._pump()


class QueryLimiters:
    """The limiters of all servers, by IP address, and the one that all queries have to pass."""

    def __init__(
        self,
        nameservers: QueryLimits = NAMESERVER_LIMITS,
        resolvers: QueryLimits = RESOLVER_LIMITS,
        overall: QueryLimits = OVERALL_LIMITS,
    ) -> None:
        self._nameservers, self._resolvers = nameservers, resolvers
        self._overall = QueryLimiter(overall)
        self._limiters: BoundedMap[tuple[str, bool], QueryLimiter] = BoundedMap(
            _LIMITERS_LIMIT, in_use=lambda limiter: not limiter.idle
        )

    def busy(self, address: str, *, resolver: bool) -> bool:
        """Whether a query to this server would have to wait for others to it."""
        return self._limiter(address, resolver).busy

    def try_acquire(self, address: str, *, resolver: bool) -> bool:
        """Pass both limiters if that is possible at once."""
        limiter = self._limiter(address, resolver)
        if limiter.busy or not self._overall.try_acquire():
            return False
        return limiter.try_acquire()

    async def acquire(self, address: str, *, resolver: bool, patience: float) -> None:
        """Pass both limiters, or raise `Overloaded` where one takes longer than `patience`."""
        limiter = self._limiter(address, resolver)
        await limiter.acquire(patience)
        try:
            await self._overall.acquire(patience)
        except BaseException:
            limiter.release()
            raise

    def release(self, address: str, *, resolver: bool) -> None:
        """A query that passed is answered, or given up."""
        self._limiter(address, resolver).release()
        self._overall.release()

    def _limiter(self, address: str, resolver: bool) -> QueryLimiter:
        limits = self._resolvers if resolver else self._nameservers
        return self._limiters.use_or_make((address, resolver), partial(QueryLimiter, limits))
