# SPDX-License-Identifier: Apache-2.0
"""A Service that changes is noticed while nothing is handed over, and few questions are asked."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.names import Key, Kind
from postroom.controller.dependants import Dependants
from postroom.controller.inbound.services import SeenServices
from postroom.controller.queue import KeyedQueue
from postroom.reconcile.world import LookupUnavailable

PORTS = [{"port": 8080}]


class World:
    """Services by namespace and name, and who stands on them."""

    def __init__(self) -> None:
        self.there: dict[tuple[str, str], dict[str, Any] | None] = {}
        self.asked: list[tuple[str, str]] = []
        self.away = False
        self.dependants, self.queue = Dependants(), KeyedQueue()
        self.seen = SeenServices(self, self.dependants, self.queue)

    async def service(self, namespace: str, name: str) -> dict[str, Any] | None:
        self.asked.append((namespace, name))
        if self.away:
            raise LookupUnavailable("away")
        return self.there.get((namespace, name))

    async def names(self, namespace: str, name: str, account: str = "a") -> Key:
        """An account of a namespace hands its mail to a Service."""
        key = Key(Kind.EMAIL_ACCOUNT, namespace, account)
        self.dependants.update(key, frozenset({f"Service/{name}"}))
        await self.seen.service(namespace, name)
        return key

    def make(self, namespace: str, name: str, uid: str, **spec: Any) -> None:
        raw = {"metadata": {"uid": uid}, "spec": {"ports": PORTS, **spec}}
        self.there[namespace, name] = raw

    async def woken(self) -> list[Key]:
        """Whose turn it is to be looked at, once each Service was."""
        for _ in range(len(self.there) + 1):
            await self.seen.look()
        found = []
        while self.queue.waiting:
            found.append(await self.queue.take())
            self.queue.done(found[-1])
        return sorted(found)


def test_whoever_stands_on_what_came_went_or_changed_is_looked_at_once() -> None:
    async def perform() -> None:
        world = World()
        world.make("mail", "tickets", "1")
        first = await world.names("mail", "tickets")
        second = await world.names("mail", "tickets", "b")
        other = await world.names("mail", "other", "c")
        assert await world.woken() == []
        world.make("mail", "tickets", "1", ports=[{"port": 8081}])
        assert await world.woken() == [first, second]
        assert await world.woken() == []
        world.there.clear()
        assert await world.woken() == [first, second]
        world.make("mail", "tickets", "2")
        world.make("mail", "other", "3")
        assert await world.woken() == [first, second, other]
        # Whoever reads it for a message tells the others, too.
        world.make("mail", "tickets", "4")
        await world.seen.service("mail", "tickets")
        assert world.queue.waiting == 2

    run(perform())


def test_what_cannot_be_looked_at_is_no_news() -> None:
    async def perform() -> None:
        world = World()
        world.make("mail", "tickets", "1")
        key = await world.names("mail", "tickets")
        world.away = True
        assert await world.woken() == []
        world.away = False
        assert await world.woken() == []
        world.there.clear()
        assert await world.woken() == [key]

    run(perform())


def test_one_that_nobody_names_any_more_is_not_asked_for() -> None:
    async def perform() -> None:
        world = World()
        world.make("mail", "tickets", "1")
        key = await world.names("mail", "tickets")
        world.dependants.forget(key)
        await world.woken()
        assert world.asked == [("mail", "tickets")]

    run(perform())


def test_a_namespace_with_many_delays_no_other() -> None:
    async def perform() -> None:
        world = World()
        for number in range(50):
            await world.names("many", f"s{number}", f"a{number}")
        await world.names("mail", "tickets")
        world.asked.clear()
        for _ in range(10):
            await world.seen.look()
        assert world.asked.count(("mail", "tickets")) == 5

    run(perform())


@given(st.integers(0, 300))
def test_each_is_looked_at_within_its_period_and_few_a_second(count: int) -> None:
    async def perform() -> None:
        world = World()
        for number in range(count):
            await world.names(f"n{number % 7}", f"s{number}", f"a{number}")
        world.asked.clear()
        running = asyncio.ensure_future(world.seen.run())
        await asyncio.sleep(60)
        running.cancel()
        assert len(world.asked) <= 60 * 5
        if 0 < count <= 70:
            assert len(set(world.asked)) == count and len(world.asked) >= 3 * count
        assert count or not world.asked

    run(perform())
