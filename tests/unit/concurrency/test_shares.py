# SPDX-License-Identifier: Apache-2.0
"""Places that parties share: bounds, max-min fairness, no starvation; all without a clock."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.shares import Line, Shares
from postroom.concurrency.slots import Slots

parties = st.sampled_from("abcde")


def fill(line: Line[int], wants: dict[str, int]) -> Counter[str]:
    """Let parties want places, and serve them; return who holds how many."""
    for name, count in wants.items():
        for number in range(count):
            line.push(name, hash((name, number)))
    held: Counter[str] = Counter()
    while (popped := line.pop()) is not None:
        held[popped[0]] += 1
    return held


def test_one_alone_gets_what_one_may_have() -> None:
    assert fill(Line(Shares(100, 30)), {"a": 60}) == {"a": 30}


def test_room_is_kept_for_who_comes() -> None:
    shares = Shares(8, 8)
    line: Line[int] = Line(shares)
    assert fill(line, {"a": 60}) == {"a": 4}
    assert fill(line, {"b": 60}) == {"b": 2}
    assert fill(line, {"c": 60}) == {"c": 2}
    assert shares.taken == 8


def test_who_holds_least_goes_first() -> None:
    shares = Shares(100, 10)
    line: Line[str] = Line(shares)
    for _ in range(3):
        shares.take("busy")
    line.push("busy", "busy")
    line.push("quiet", "quiet")
    assert line.pop() == ("quiet", "quiet")
    assert line.pop() == ("busy", "busy")
    assert line.pop() is None


def test_a_single_place_goes_round() -> None:
    shares = Shares(1, 1)
    line: Line[str] = Line(shares)
    for item in ("a0", "a1", "a2", "b0", "c0", "b1"):
        line.push(item[0], item)
    served = []
    while (popped := line.pop()) is not None:
        served.append(popped[1])
        shares.give_back(popped[0])
    assert served == ["a0", "b0", "c0", "a1", "b1", "a2"]


def test_what_is_removed_is_not_served() -> None:
    line: Line[str] = Line(Shares(9, 9))
    line.push("a", "a0")
    line.push("a", "a1")
    line.remove("a", "a0")
    line.remove("a", "a0")
    line.remove("b", "b0")
    assert (line.pop(), line.pop(), len(line)) == (("a", "a1"), None, 0)


@pytest.mark.parametrize(("total", "each"), [(0, 1), (1, 0)])
def test_no_place_for_anybody_is_refused(total: int, each: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Shares(total, each)


@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.lists(st.tuples(parties, st.sampled_from(["want", "end", "drop"])), max_size=200),
)
def test_the_bounds_hold_and_places_are_max_min_fair(
    total: int, each: int, steps: list[tuple[str, str]]
) -> None:
    """Whatever comes and ends: who waits holds no less than who was served, or is at its bound."""
    shares = Shares(total, each)
    line: Line[int] = Line(shares)
    held, waiting = Counter[str](), dict[str, list[int]]()
    for number, (name, step) in enumerate(steps):
        if step == "want":
            line.push(name, number)
            waiting.setdefault(name, []).append(number)
        elif step == "end" and held[name]:
            shares.give_back(name)
            held[name] -= 1
        elif step == "drop" and waiting.get(name):
            line.remove(name, waiting[name].pop())
        while (popped := line.pop()) is not None:
            who, item = popped
            assert waiting[who].pop(0) == item
            least = min(held[one] for one, items in waiting.items() if items or one == who)
            assert held[who] == least
            held[who] += 1
        assert shares.taken == sum(held.values()) <= total
        assert all(held[one] == shares.held(one) <= each for one in "abcde")
        for one, items in waiting.items():
            # Nobody is left waiting beside a free place that was its own to take.
            assert not items or not shares.may_take(one)
            # And who holds nothing only waits where every place is taken.
            assert not items or held[one] or shares.taken == total


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_nobody_starves(backlogs: list[int]) -> None:
    """While one party's work never ends, all that others want is done, each in its turn."""
    shares = Shares(8, 3)
    line: Line[int] = Line(shares)
    fill(line, {"silent": 1000})
    names = {f"p{number}": count for number, count in enumerate(backlogs)}
    for number, (name, count) in enumerate(names.items()):
        for item in range(count):
            line.push(name, 10_000 * (number + 1) + item)
    done: Counter[str] = Counter()
    while (popped := line.pop()) is not None:
        assert popped[0] != "silent"
        shares.give_back(popped[0])
        done[popped[0]] += 1
        behind = [done[one] for one, count in names.items() if done[one] < count]
        assert not behind or min(behind) >= done[popped[0]] - 1
    assert done == names


async def test_a_semaphore_of_shares_serves_and_forgets_who_gives_up() -> None:
    slots = Slots(2, 1)
    await slots.acquire("a")
    assert not slots.try_acquire("a")
    first, second = (asyncio.ensure_future(slots.acquire("a")) for _ in range(2))
    await asyncio.sleep(0)
    assert slots.try_acquire("b")
    first.cancel()
    slots.release("a")
    await asyncio.wait_for(second, 1)
    slots.release("a")
    slots.release("b")
    assert slots.idle


async def test_who_is_served_while_it_gives_up_returns_its_place() -> None:
    slots = Slots(1, 1)
    await slots.acquire("a")
    waiting = asyncio.ensure_future(slots.acquire("b"))
    await asyncio.sleep(0)
    slots.release("a")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert slots.idle
