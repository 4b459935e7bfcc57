# SPDX-License-Identifier: Apache-2.0
"""Asking servers in turn over a scripted transport, and what is remembered of them.

Covers: who is asked when, unusable and silent servers, repetition and its waits, queries without
EDNS, giving up, failures told in a fixed order, overload, and the order of the next question.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import pytest

from dnsworld.clock import run
from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.asking.exchange import Exchange, Server
from postroom.dns.asking.health import Health
from postroom.dns.asking.https import HttpsClient
from postroom.dns.asking.limiter import QueryLimiters, QueryLimits
from postroom.dns.asking.retrying import Found, RetryingClient, Timing
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import View

A, B, C = (ServerAddress(f"192.0.2.{n}") for n in (1, 2, 3))


ASKED = Question("x.example", RecordType.TXT)


QUICK = Timing(least=0.02, resolver=0.02, unknown=0.03, question=0.5, look=1.0, queue=0.3)


@dataclass
class Scripted:
    """A transport: after how many seconds each server says what; None: never."""

    says: dict[str, tuple[float, dns.rcode.Rcode] | None]
    drops_edns: bool = False
    asked: list[str] = field(default_factory=list)
    edns: list[bool] = field(default_factory=list)

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        parsed = dns.message.from_wire(query)
        self.asked.append(server.address)
        self.edns.append(parsed.edns >= 0)
        said = self.says[server.address]
        if said is None or (self.drops_edns and parsed.edns >= 0):
            await asyncio.sleep(timeout)
            raise TimeoutError
        await asyncio.sleep(said[0])
        reply = dns.message.make_response(parsed)
        reply.flags |= dns.flags.AA
        reply.set_rcode(said[1])
        return reply.to_wire()

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        raise ConnectionRefusedError


YES, NO = dns.rcode.NOERROR, dns.rcode.REFUSED


class Client:
    """A retrying client over a scripted transport."""

    def __init__(
        self, limiters: QueryLimiters | None = None, **says: tuple[float, dns.rcode.Rcode] | None
    ) -> None:
        by_address = {f"192.0.2.{'abc'.index(name) + 1}": said for name, said in says.items()}
        self.transport = Scripted(by_address)
        self.health: Health[Server] = Health(QUICK.least, QUICK.unknown)
        exchange = Exchange(self.transport, HttpsClient(), self.health)
        self.retrying = RetryingClient(exchange, self.health, limiters or QueryLimiters(), QUICK)

    async def ask(self, *servers: Server, view: View = View.RESOLVER) -> Found:
        return await self.retrying.ask(servers, ASKED, view, lambda one: one.answer.conclusive)


async def test_the_first_usable_reply_ends_it() -> None:
    client = Client(a=(0, YES), b=(0, YES))
    found = await client.ask(A, B)
    assert found.usable is not None and found.usable.server == A
    assert client.transport.asked == [A.address]


async def test_an_unusable_reply_leads_to_the_next_and_is_not_asked_again() -> None:
    client = Client(a=(0, NO), b=(0, NO), c=(0, YES))
    found = await client.ask(A, B, C)
    assert found.usable is not None
    assert [failure.server for failure in found.failures] == [A, B]
    assert client.transport.asked == [A.address, B.address, C.address]


async def test_the_next_is_asked_while_a_slow_one_is_waited_for() -> None:
    client = Client(a=(0.08, YES), b=None)
    found = await client.ask(A, B)
    assert found.usable is not None and found.usable.server == A
    assert client.transport.asked[:2] == [A.address, B.address]


def test_attempts_are_bounded_and_the_waits_doubled() -> None:
    client = Client(a=None)

    async def ask() -> tuple[Found, float]:
        started = asyncio.get_running_loop().time()
        found = await client.ask(A, view=View.NAMESERVER)
        return found, asyncio.get_running_loop().time() - started

    found, took = run(ask())  # on a clock that moves by what is waited for, and by nothing else
    assert found.answer(ASKED).outcome is Outcome.TIMEOUT
    assert len(client.transport.asked) == 3
    assert took == pytest.approx(7 * QUICK.unknown)


async def test_a_silent_resolver_gets_all_the_time_there_is() -> None:
    client = Client(a=(0.4, YES))
    assert (await client.ask(A)).usable is not None


async def test_whom_many_questions_found_silent_gets_one_attempt() -> None:
    client = Client(a=None)
    for _ in range(2):
        client.health.silent(A)
    await client.ask(A, view=View.NAMESERVER)
    assert client.transport.asked == [A.address]


async def test_the_last_attempt_is_without_edns_and_that_is_learnt() -> None:
    client = Client(a=(0, YES))
    client.transport.drops_edns = True
    for _ in range(2):  # once may be a loss
        assert (await client.ask(A, view=View.NAMESERVER)).usable is not None
    assert client.transport.edns == [True, True, False] * 2
    assert (await client.ask(A, view=View.NAMESERVER)).usable is not None
    assert client.transport.edns[6:] == [False]


async def test_giving_up_from_outside_leaves_nothing_in_flight() -> None:
    limiters = QueryLimiters(
        QueryLimits(1000.0, 1000, 1), QueryLimits(1000.0, 1000, 1), QueryLimits(1000.0, 1000, 10)
    )
    client = Client(limiters, a=None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.ask(A)
    await asyncio.sleep(0)
    assert not limiters.busy(A.address, resolver=True)


async def test_nobody_to_ask_is_no_reply() -> None:
    found = await Client().ask()
    assert (found.usable, found.failures, found.overloaded) == (None, (), False)


async def test_overload_is_not_silence() -> None:
    limiters = QueryLimiters(
        QueryLimits(1.0, 1, 1), QueryLimits(1.0, 1, 1), QueryLimits(1000.0, 1000, 10)
    )
    client = Client(limiters, a=(0, YES))
    assert (await client.ask(A)).usable is not None
    found = await client.ask(A)
    assert (found.usable, found.overloaded) == (None, True)
    assert client.transport.asked == [A.address]


@pytest.mark.parametrize("order", [(A, B, C), (C, B, A)])
async def test_the_failure_to_tell_does_not_depend_on_who_was_faster(
    order: tuple[ServerAddress, ...],
) -> None:
    client = Client(a=(0.01, NO), b=(0, dns.rcode.SERVFAIL), c=(0.005, dns.rcode.SERVFAIL))
    answer = (await client.ask(*order)).answer(ASKED)
    assert (answer.outcome, answer.server) == (Outcome.SERVER_FAILURE, B.address)


async def test_the_busy_are_asked_last() -> None:
    limiters = QueryLimiters(QueryLimits(1.0, 1, 1))
    client = Client(limiters, a=(0, YES), b=(0, YES))
    assert limiters.try_acquire(A.address, resolver=False)
    for _ in range(4):
        assert client.retrying.order([A, B], View.NAMESERVER) == [B, A]
