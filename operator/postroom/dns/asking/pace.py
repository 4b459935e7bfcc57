# SPDX-License-Identifier: Apache-2.0
"""How much any one server gets to do for us: a rate, a burst, and queries in flight.

What must wait is let pass in turns of the parties that we work for, and none has so many queries in
flight that another finds no room: what one of them asks, or silence that it meets, keeps no other
from the same server.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass

from postroom.concurrency.acting import party
from postroom.concurrency.shares import Line, Shares

#: Gates that are remembered; one that is idle long enough to be full again can be forgotten.
_GATES_LIMIT, _FORGET_AT_ONCE = 4096, 8


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """Queries per second, queries at once after a rest, and unanswered ones of a party at a time.

    All parties together have at most twice as many unanswered.
    No `burst` / `rate` seconds ever see more than `burst` queries: not only on average.
    """

    rate: float
    burst: int
    in_flight: int


#: Anybody's server: many domains stand behind the same few addresses of a large DNS host.
NAMESERVER_LIMITS = PaceLimits(rate=50.0, burst=50, in_flight=16)
#: Our own resolver serves that view for all domains, and is asked to by whoever configured it.
RESOLVER_LIMITS = PaceLimits(rate=1000.0, burst=1000, in_flight=128)
#: All servers together. In flight, each may hold a socket.
OVERALL_LIMITS = PaceLimits(rate=2000.0, burst=1000, in_flight=256)


class Overloaded(Exception):
    """A server has more queries waiting than it may be sent in the time that is left."""


class Gate:
    """Lets queries pass as its limits allow, those of one party in the order of their coming."""

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._passes: deque[float] = deque(maxlen=limits.burst)
        self._in_flight = Shares(2 * limits.in_flight, limits.in_flight)
        self._line: Line[asyncio.Future[None]] = Line(self._in_flight)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a query that comes now would have to wait."""
        return not self._in_flight.may_take(party()) or self._wait() > 0

    @property
    def idle(self) -> bool:
        """Whether forgetting this gate would change nothing."""
        now = asyncio.get_running_loop().time()
        rested = not self._passes or self._passes[-1] + self._window <= now
        return not self._line and not self._in_flight.taken and rested

    def try_enter(self) -> bool:
        """Pass if that is possible at once."""
        if self.busy:
            return False
        self._passes.append(asyncio.get_running_loop().time())
        self._in_flight.take(party())
        return True

    async def enter(self, patience: float) -> None:
        """Pass, or raise `Overloaded` where that would take longer than `patience` seconds."""
        if self.try_enter():
            return
        whose = party()
        if self._wait() + self._line.ahead_of(whose) / self._limits.rate > patience:
            raise Overloaded
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.push(whose, turn)
        self._pump()
        try:
            async with asyncio.timeout(patience):
                await turn
        except TimeoutError:
            self._give_up(whose, turn)
            raise Overloaded from None
        except asyncio.CancelledError:
            self._give_up(whose, turn)
            raise

    def leave(self) -> None:
        """A query that passed is answered, or given up."""
        self._leave(party())

    def _leave(self, whose: str) -> None:
        self._in_flight.give_back(whose)
        self._pump()

    def _give_up(self, whose: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._leave(whose)  # it was let pass in the moment in which it gave up
        else:
            self._line.remove(whose, turn)

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
            wait = self._wait()
            if wait > 0:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(wait, self._ring)
                return
            popped = self._line.pop()
            if popped is None:
                return
            whose, turn = popped
            if turn.done():  # it has been given up, and did not get to say so yet
                self._in_flight.give_back(whose)
                continue
            self._passes.append(asyncio.get_running_loop().time())
            turn.set_result(None)

    def _ring(self) -> None:
        self._timer = None
        self._pump()


class Pace:
    """The gates of all servers, by IP address, and the one that all have to pass."""

    def __init__(
        self,
        nameservers: PaceLimits = NAMESERVER_LIMITS,
        resolvers: PaceLimits = RESOLVER_LIMITS,
        overall: PaceLimits = OVERALL_LIMITS,
    ) -> None:
        self._nameservers, self._resolvers = nameservers, resolvers
        self._overall = Gate(overall)
        self._gates: OrderedDict[tuple[str, bool], Gate] = OrderedDict()

    def busy(self, address: str, *, resolver: bool) -> bool:
        """Whether a query to this server would have to wait for others to it."""
        return self._gate(address, resolver).busy

    def try_enter(self, address: str, *, resolver: bool) -> bool:
        """Pass both gates if that is possible at once."""
        gate = self._gate(address, resolver)
        if gate.busy or not self._overall.try_enter():
            return False
        return gate.try_enter()

    async def enter(self, address: str, *, resolver: bool, patience: float) -> None:
        """Pass both gates, or raise `Overloaded` where each would take longer than `patience`."""
        gate = self._gate(address, resolver)
        await gate.enter(patience)
        try:
            await self._overall.enter(patience)
        except BaseException:
            gate.leave()
            raise

    def leave(self, address: str, *, resolver: bool) -> None:
        """A query that passed is answered, or given up."""
        self._gate(address, resolver).leave()
        self._overall.leave()

    def _gate(self, address: str, resolver: bool) -> Gate:
        key = (address, resolver)
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(self._resolvers if resolver else self._nameservers)
            self._forget()
        else:
            self._gates.move_to_end(key)
        return gate

    def _forget(self) -> None:
        """Forget the gates that were not used for long; one in use is never forgotten."""
        for _ in range(min(len(self._gates) - _GATES_LIMIT, _FORGET_AT_ONCE)):
            oldest = next(iter(self._gates))
            if self._gates[oldest].idle:
                del self._gates[oldest]
            else:
                self._gates.move_to_end(oldest)
