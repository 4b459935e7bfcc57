# SPDX-License-Identifier: Apache-2.0
"""One namespace with a thousand objects that hang, dawdle or change all the time, and one with one.

Queue, shares, questions to a name server and the rate of writes together, in virtual time: what the
small tenant's change takes from its edit to its written status.
"""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.names import Key, Kind
from postroom.concurrency.acting import acting_for
from postroom.concurrency.shares import Shares
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.queue import KeyedQueue, QueueClosed
from postroom.dns.asking.limiter import QueryLimiter, QueryLimits

RUNS, RUNS_OF_ONE, WRITES, QUESTIONS = 64, 16, 20.0, 50.0
ROUND_TRIP, LONGEST = 0.02, 300.0
OWN = Key(Kind.SENDING_DOMAIN, "small", "d")


@dataclass
class Office:
    """Workers that ask a name server for each object, take their time, and write its status."""

    lasts: dict[Key, float]
    restless: frozenset[Key] = frozenset()
    own_written: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.queue = KeyedQueue(clock=clock, shares=Shares(RUNS, RUNS_OF_ONE))
        self.bucket = TokenBucket(WRITES, WRITES, clock)
        self.server = QueryLimiter(QueryLimits(QUESTIONS, int(QUESTIONS), 16))

    async def work(self) -> None:
        while True:
            try:
                key = await self.queue.take()
            except QueueClosed:
                return
            with acting_for(key.namespace):
                await self.server.acquire(1e6)
                await asyncio.sleep(ROUND_TRIP)
                self.server.release()
                await asyncio.sleep(self.lasts[key])
                await self.bucket.take(key.namespace)
            if key == OWN:
                self.own_written.set()
            if key in self.restless:
                self.queue.add(key)  # it was edited again meanwhile
            self.queue.done(key)

    async def latency(self) -> float:
        """Change the small tenant's object; return how long its status takes."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        self.queue.add(OWN)
        self.own_written.clear()
        await self.own_written.wait()
        return clock() - begun


async def latencies(hostile: list[float], restless: bool, tenants: int = 1) -> list[float]:
    """What ten changes of the small tenant take beside neighbours with so many objects each."""
    theirs = {
        Key(Kind.SENDING_DOMAIN, f"hostile{tenant}", f"d{number}"): seconds
        for tenant in range(tenants)
        for number, seconds in enumerate(hostile)
    }
    office = Office({**theirs, OWN: 0.0}, frozenset(theirs) if restless else frozenset())
    workers = [asyncio.ensure_future(office.work()) for _ in range(RUNS)]
    for key in theirs:
        office.queue.add(key)
    await asyncio.sleep(5)
    found = [await office.latency() for _ in range(10)]
    office.queue.close()
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return found


def bound(tenants: int) -> float:
    """Its turn at the name server and at the writes, each behind one of every neighbour."""
    turns = (tenants + 1) * (1 / QUESTIONS + 1 / WRITES)
    return turns + ROUND_TRIP + 0.02


@pytest.mark.parametrize("tenants", [1, 3])
@pytest.mark.parametrize("restless", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 2.0, LONGEST], ids=["quick", "slow", "hanging"])
def test_a_thousand_objects_of_a_neighbour_cost_a_turn_each(
    seconds: float, restless: bool, tenants: int
) -> None:
    found = run(latencies([seconds] * 1000, restless, tenants))
    assert max(found) <= bound(tenants)


@settings(max_examples=10)
@given(st.lists(st.sampled_from([0.0, 0.1, 5.0, LONGEST]), min_size=1, max_size=200), st.booleans())
def test_nor_does_any_mixture_of_them(hostile: list[float], restless: bool) -> None:
    assert max(run(latencies(hostile, restless))) <= bound(1)
