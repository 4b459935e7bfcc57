# SPDX-License-Identifier: Apache-2.0
"""The whole client under load and loss, in virtual time: who waits, and what loss costs."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import dns.message
import pytest

from dnsworld.clock import run
from lab.scripted_dns import Script, resolves, serves, silent, zone
from postroom.concurrency.acting import acting_for
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.asking.limiter import NAMESERVER_LIMITS
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.retrying import Timing
from postroom.dns.asking.transport import ServerAddress

RESOLVER, ONLY, A, B, C = "192.0.2.53", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
ROUND_TRIP = 0.02
ONE = zone("one.test", f"@ NS ns\nns A {ONLY}\n")
THREE = zone("three.test", f"@ NS a\n@ NS b\n@ NS c\na A {A}\nb A {B}\nc A {C}\n")


class Net:
    """A transport to scripted servers; `loss` is the share of datagrams without an answer."""

    def __init__(self, loss: float = 0.0, **scripts: Script) -> None:
        self._scripts = {
            RESOLVER: resolves(ONE, THREE),
            ONLY: serves(ONE),
            A: serves(THREE),
            B: serves(THREE),
            C: serves(THREE),
        }
        self._scripts |= {globals()[name]: script for name, script in scripts.items()}
        self.loss, self.asked = loss, Counter[str]()
        self._chance = Random(7)  # noqa: S311

    def says(self, address: str, script: Script) -> None:
        self._scripts[address] = script

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        self.asked[server.address] += 1
        lost = server.address != RESOLVER and self._chance.random() < self.loss
        reply = None if lost else self._scripts[server.address](dns.message.from_wire(query))
        if reply is None:
            await asyncio.sleep(timeout)
            raise TimeoutError
        await asyncio.sleep(ROUND_TRIP)
        return reply.to_wire()

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        raise ConnectionRefusedError


def questions(apex: str, count: int, begin: int = 0) -> list[Question]:
    return [Question(f"n{n}.{apex}", RecordType.TXT) for n in range(begin, begin + count)]


def told(
    net: Net, scene: Callable[[DnsAsker], Coroutine[Any, Any, Any]], timing: Timing | None = None
) -> Any:
    """Run a scene with a client of its own in virtual time."""

    async def wired() -> Any:
        return await scene(DnsAsker([(RESOLVER, 53)], transport=net, timing=timing))

    return run(wired())


@pytest.mark.parametrize("count", [300, 1600])
def test_a_storm_ends_with_all_answered_in_the_time_that_its_pace_needs(count: int) -> None:
    async def scene(asker: DnsAsker) -> tuple[list[Answer], float]:
        await asker.zone_of("one.test")
        clock = asyncio.get_running_loop().time
        begun = clock()
        found = await asyncio.gather(*map(asker.authoritative, questions("one.test", count)))
        return found, clock() - begun

    net = Net()
    found, took = told(net, scene)
    assert {(answer.outcome, answer.authoritative) for answer in found} == {
        (Outcome.NX_DOMAIN, True)
    }
    assert net.asked[ONLY] == count
    limits = NAMESERVER_LIMITS
    assert took <= (count - limits.burst) / limits.rate + 1 + 2 * ROUND_TRIP


def test_the_line_has_an_end_and_who_finds_it_too_long_knows_nothing() -> None:
    async def scene(asker: DnsAsker) -> list[Answer]:
        await asker.zone_of("one.test")
        return await asyncio.gather(*map(asker.authoritative, questions("one.test", 600)))

    net = Net()
    found = told(net, scene, Timing(queue=4.0))
    outcomes = Counter(answer.outcome for answer in found)
    assert set(outcomes) == {Outcome.NX_DOMAIN, Outcome.TIMEOUT}
    assert outcomes[Outcome.NX_DOMAIN] >= NAMESERVER_LIMITS.rate * 4.0
    assert not any(answer.authoritative for answer in found if not answer.conclusive)


def test_questions_that_nobody_waits_for_any_more_leave_the_line() -> None:
    async def scene(asker: DnsAsker) -> int:
        await asker.zone_of("one.test")
        gone = [
            asyncio.ensure_future(asker.authoritative(each)) for each in questions("one.test", 1000)
        ]
        await asyncio.sleep(2.5)
        for look in gone:
            look.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        before = net.asked[ONLY]
        await asyncio.gather(*map(asker.authoritative, questions("one.test", 40, begin=5000)))
        return net.asked[ONLY] - before

    net = Net()
    assert told(net, scene) == 40


def test_a_storm_of_one_namespace_costs_another_its_turn() -> None:
    """Its answers come late by its share of the pace, not by the backlog of the neighbour."""

    async def scene(asker: DnsAsker) -> list[float]:
        clock = asyncio.get_running_loop().time
        await asker.zone_of("one.test")
        with acting_for("b"):
            storm = [
                asyncio.ensure_future(asker.authoritative(each))
                for each in questions("one.test", 1000)
            ]
        await asyncio.sleep(5)
        times = list[float]()
        for each in questions("one.test", 40, begin=9000):
            begun = clock()
            with acting_for("a"):
                assert (await asker.authoritative(each)).outcome is Outcome.NX_DOMAIN
            times.append(clock() - begun)
        for look in storm:
            look.cancel()
        await asyncio.gather(*storm, return_exceptions=True)
        return times

    net = Net()
    times = told(net, scene)
    # A window of the pace is full at worst; after it, every other pass is its own.
    assert sum(times) <= 40 * (2 / NAMESERVER_LIMITS.rate + ROUND_TRIP) + 1.0


@pytest.mark.parametrize("pause", [0.4, 45.0])
def test_loss_and_a_dead_server_cost_a_look_little_at_any_pace(pause: float) -> None:
    """Five questions and the serials of all three: what the slowest of a hundred looks takes."""

    async def scene(asker: DnsAsker) -> tuple[list[float], list[Answer], int]:
        times, found = list[float](), list[Answer]()
        clock = asyncio.get_running_loop().time
        await asker.serials("three.test")
        net.loss, sent = 0.02, 0
        for number in range(120):
            await asker.zone_of("three.test")  # what its TTL says is asked for anew
            begun, before = clock(), net.asked.total()
            answers, serials = await asyncio.gather(
                asyncio.gather(
                    *map(asker.authoritative, questions("three.test", 5, begin=5 * number))
                ),
                asker.serials("three.test"),
            )
            times.append(clock() - begun)
            sent += net.asked.total() - before
            found += answers
            assert len(serials) == 3
            await asyncio.sleep(pause)
        return times, found, sent

    net = Net(B=silent)
    times, found, sent = told(net, scene)
    assert {(answer.outcome, answer.authoritative) for answer in found} == {
        (Outcome.NX_DOMAIN, True)
    }
    assert sorted(times)[len(times) * 99 // 100] <= 3 * ROUND_TRIP + 0.3
    # Repeating what was lost must not become a second load.
    assert sent <= 1.1 * 120 * 8


def test_a_dead_server_that_comes_back_is_noticed_by_the_probe_of_one_look() -> None:
    async def scene(asker: DnsAsker) -> list[list[str]]:
        seen = list[list[str]]()
        for after in (0, 1, 400, 400, 1):
            await asyncio.sleep(after)
            if len(seen) == 3:
                net.says(B, serves(THREE))
            answers = await asker.serials("three.test")
            seen.append([each.answer.outcome.value for each in answers])
        return seen

    net = Net(B=silent)
    dead, alive = ["Found", "Timeout", "Found"], ["Found"] * 3
    assert told(net, scene) == [dead, dead, dead, alive, alive]
