# SPDX-License-Identifier: Apache-2.0
"""What is remembered of servers: who is asked first, how long for, and who counts as dead."""

from __future__ import annotations

import asyncio

import pytest

from dnsworld.clock import run
from postroom.dns.asking.health import Health


async def test_servers_take_turns_and_the_silent_go_last() -> None:
    health: Health[str] = Health(0.1, 0.2)
    first = [health.in_turn(["a", "b", "c"])[0] for _ in range(6)]
    assert sorted(first) == ["a", "a", "b", "b", "c", "c"]
    health.silent("a")
    assert {health.in_turn(["a", "b", "c"])[-1] for _ in range(6)} == {"a"}
    assert health.in_order(["a", "b", "c"]) == ["b", "c", "a"]
    health.answered("a", 0.01)
    assert health.in_order(["a", "b", "c"]) == ["a", "b", "c"]


async def test_the_slow_go_after_the_fast() -> None:
    health: Health[str] = Health(0.1, 0.2)
    health.answered("slow", 0.3)
    health.answered("fast", 0.01)
    assert [health.in_turn(["slow", "new", "fast"])[-1] for _ in range(3)] == ["slow"] * 3


async def test_waits_follow_the_round_trip() -> None:
    health: Health[str] = Health(0.1, 0.2)
    assert health.wait("a") == 0.2
    health.answered("a", 0.01)
    assert health.wait("a") == 0.1
    for _ in range(100):
        health.answered("a", 0.4)
    assert 0.7 < health.wait("a") <= 0.8


async def test_memory_of_servers_is_bounded() -> None:
    health: Health[int] = Health(0.1, 0.2)
    health.answered(0, 0.01)
    assert health.wait(0) == 0.1
    for number in range(1, 20_000):
        health.silent(number)
    assert health.wait(0) == 0.2


async def moments(*waits: float) -> list[bool]:
    """Whether a server that was silent twice is dead: at once, and after each wait."""
    health: Health[str] = Health(0.1, 0.2)
    health.silent("a")
    assert not health.is_dead("a")
    health.silent("a")
    dead = [health.is_dead("a")]
    for wait in waits:
        await asyncio.sleep(wait)
        dead.append(health.is_dead("a"))
    return dead


def test_who_was_silent_twice_is_dead_for_a_minute() -> None:
    assert run(moments(59, 2)) == [True, True, False]


async def goes_last(silences: int, after: float) -> bool:
    health: Health[str] = Health(0.1, 0.2)
    for _ in range(silences):
        health.silent("a")
    await asyncio.sleep(after)
    return health.in_order(["a", "b"])[-1] == "a"


@pytest.mark.parametrize(
    ("silences", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 240), (5, 300), (99, 300)]
)
def test_each_silence_doubles_the_time_up_to_five_minutes(silences: int, seconds: int) -> None:
    assert run(goes_last(silences, seconds - 1))
    assert not run(goes_last(silences, seconds + 1))


async def test_who_was_silent_once_goes_before_the_dead() -> None:
    health: Health[str] = Health(0.1, 0.2)
    for name in ("dead", "dead", "once"):
        health.silent(name)
    assert health.in_turn(["dead", "once", "good"]) == ["good", "once", "dead"]
    assert health.wait("dead") == 0.1
    assert health.wait("once") == 0.2


async def edns() -> list[bool]:
    health: Health[str] = Health(0.1, 0.2)
    known = [health.knows_edns("a")]
    health.silent_to_edns("a")
    health.understood_edns("a")
    health.silent_to_edns("a")
    known.append(health.knows_edns("a"))  # once may be a loss
    health.silent_to_edns("a")
    known.append(health.knows_edns("a"))
    await asyncio.sleep(599)
    known.append(health.knows_edns("a"))
    await asyncio.sleep(2)
    known.append(health.knows_edns("a"))
    health.without_edns("a")
    return [*known, health.knows_edns("a")]


def test_who_does_not_understand_edns_is_asked_without_for_ten_minutes() -> None:
    assert run(edns()) == [True, True, False, False, True, False]


async def test_what_came_since_a_moment() -> None:
    health: Health[str] = Health(0.1, 0.2)
    now = asyncio.get_running_loop().time()
    health.silent("a")
    assert not health.heard_since("a", 0)
    health.answered("a", 0.01)
    assert health.heard_since("a", now)
    assert not health.heard_since("a", asyncio.get_running_loop().time() + 1)


async def test_an_answer_makes_up_for_earlier_silence() -> None:
    health: Health[str] = Health(0.1, 0.2)
    health.silent("a")
    health.answered("a", 0.01)
    health.silent("a")
    assert not health.is_dead("a")


async def test_twice_as_slow_as_the_fastest_is_fast_enough() -> None:
    health: Health[str] = Health(0.1, 0.2)
    for name, seconds in (("fastest", 0.5), ("bound", 1.05), ("slow", 1.06)):
        health.answered(name, seconds)
    turns = [health.in_turn(["bound", "slow", "fastest"]) for _ in range(2)]
    assert sorted(turns) == [["bound", "fastest", "slow"], ["fastest", "bound", "slow"]]
