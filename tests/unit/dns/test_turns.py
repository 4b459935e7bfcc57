# SPDX-License-Identifier: Apache-2.0
"""Asking servers in turn, and sharing one look among all who want it at the same time.

Covers: unusable and silent servers, retransmission, what is left behind, and the cache: single
flight, time to keep, capacity, failures and impatient waiters.
"""

from __future__ import annotations

import asyncio

import pytest

from postroom.dns.cache import SingleFlightCache
from postroom.dns.turns import ATTEMPTS_LIMIT, ask_in_turn

PATIENCE = 0.02


class Servers:
    """Named servers: what each says, None where it is silent."""

    def __init__(self, **says: str | None) -> None:
        self.says = says
        self.asked: list[str] = []
        self.given_up = 0

    async def ask(self, name: str) -> str:
        self.asked.append(name)
        said = self.says[name]
        try:
            await asyncio.sleep(10 * PATIENCE if said is None else 0)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return said or "nothing"

    async def turn(self) -> tuple[str | None, tuple[str, ...]]:
        return await ask_in_turn(list(self.says), self.ask, lambda one: one == "yes", PATIENCE)


async def test_the_first_usable_reply_ends_it() -> None:
    servers = Servers(a="yes", b="yes")
    assert await servers.turn() == ("yes", ())
    assert servers.asked == ["a"]


async def test_an_unusable_reply_leads_to_the_next_and_is_not_asked_again() -> None:
    servers = Servers(a="no", b="never", c="yes")
    assert await servers.turn() == ("yes", ("no", "never"))
    assert servers.asked == ["a", "b", "c"]


async def test_a_silent_server_is_given_up_when_another_answers() -> None:
    servers = Servers(a=None, b="yes")
    assert await servers.turn() == ("yes", ())
    assert (servers.asked, servers.given_up) == (["a", "b"], 1)


async def test_a_silent_server_is_asked_again() -> None:
    servers = Servers(a=None)
    assert await servers.turn() == (None, ("nothing",))
    assert servers.asked == ["a", "a"]


async def test_attempts_are_bounded() -> None:
    servers = Servers(**{f"s{n}": "no" for n in range(30)})
    found, failed = await servers.turn()
    assert (found, len(failed)) == (None, ATTEMPTS_LIMIT)


async def test_nobody_to_ask_is_no_reply() -> None:
    assert await Servers().turn() == (None, ())


async def test_giving_up_from_outside_leaves_nothing_running() -> None:
    servers = Servers(a=None, b=None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2 * PATIENCE):
            await servers.turn()
    assert servers.given_up == len(servers.asked)


class Source:
    """Counts how often it is fetched from; each fetch yields the count."""

    def __init__(self, keep: float) -> None:
        self.fetched, self.keep, self.fails = 0, keep, False

    async def __call__(self) -> tuple[int, float]:
        self.fetched += 1
        await asyncio.sleep(PATIENCE)
        if self.fails:
            raise RuntimeError("no source")
        return self.fetched, self.keep


async def test_concurrent_requests_share_one_fetch() -> None:
    cache, source = SingleFlightCache[str, int](), Source(0)
    found = await asyncio.gather(*(cache.get("a", source) for _ in range(10)))
    assert (set(found), source.fetched) == ({1}, 1)
    assert await cache.get("a", source) == 2


async def test_a_value_is_kept_as_long_as_it_may_be() -> None:
    cache, source = SingleFlightCache[str, int](), Source(2 * PATIENCE)
    assert [await cache.get("a", source) for _ in range(2)] == [1, 1]
    await asyncio.sleep(3 * PATIENCE)
    assert await cache.get("a", source) == 2


async def test_the_least_recently_used_value_goes_first() -> None:
    cache, source = SingleFlightCache[str, int](capacity=2), Source(60)
    for key in ("a", "b", "a", "c"):
        await cache.get(key, source)
    assert [await cache.get(key, source) for key in ("a", "c")] == [1, 3]
    assert await cache.get("b", source) == 4


async def test_a_failure_reaches_all_and_is_not_kept() -> None:
    cache, source = SingleFlightCache[str, int](), Source(60)
    source.fails = True
    found = await asyncio.gather(
        *(cache.get("a", source) for _ in range(2)), return_exceptions=True
    )
    assert [type(one) for one in found] == [RuntimeError, RuntimeError]
    source.fails = False
    assert await cache.get("a", source) == 2


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    cache, source = SingleFlightCache[str, int](), Source(0)
    patient = asyncio.ensure_future(cache.get("a", source))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PATIENCE / 4):
            await cache.get("a", source)
    assert await patient == 1
