# SPDX-License-Identifier: Apache-2.0
"""Places that are held for long: bounds, even shares, a turn for everybody; on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.concurrency import places as module
from postroom.concurrency.places import GaveWay, Place, Places

INTERVAL = 300.0


class House:
    """Guests who come again and again; each works for some seconds and then rests."""

    def __init__(self, total: int, each: int) -> None:
        self.places = Places(total, each)
        self.held = Counter[str]()
        #: When each guest had its place, and how long it waited for it at most.
        self.came: dict[str, list[float]] = {}
        self.longest_wait = 0.0
        self.told: list[tuple[str, bool]] = []
        self.ceded = Counter[str]()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.places.ceded = lambda party: self.ceded.update([party])

    def comes(self, name: str, work: float = 1.0, piece: float = 1.0) -> None:
        """A guest, whose party is the first letter of its name."""
        self.tasks[name] = asyncio.ensure_future(self._live(name, work, piece))

    async def _live(self, name: str, work: float, piece: float) -> None:
        time = asyncio.get_running_loop().time
        while True:
            asked = time()
            try:
                async with self.places.place(
                    name[0], lambda waits: self.told.append((name, waits))
                ) as place:
                    self.longest_wait = max(self.longest_wait, time() - asked)
                    self.came.setdefault(name, []).append(time())
                    self.held[name[0]] += 1
                    assert self.held.total() <= self.places.total
                    try:
                        await self._stay(place, work, piece)
                    finally:
                        self.held[name[0]] -= 1
            except GaveWay as gave_way:
                await asyncio.sleep(INTERVAL * gave_way.rested)

    async def _stay(self, place: Place, work: float, piece: float) -> None:
        left = work
        while left > 0:
            await asyncio.sleep(piece)
            left -= piece
            place.pause()
        async with place.resting():
            await asyncio.sleep(1e9)

    async def ends(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert (self.places.taken, self.places.waiting) == (0, 0)
        assert not self.places._resting and not self.places._held


def play(scene: Callable[[House], Awaitable[None]], total: int, each: int) -> House:
    house = House(total, each)

    async def perform() -> None:
        try:
            await scene(house)
        finally:
            await house.ends()

    run(perform())
    return house


def test_where_there_is_room_for_all_nobody_leaves() -> None:
    async def scene(house: House) -> None:
        for number in range(6):
            house.comes(f"a{number}")
        house.comes("b")
        await asyncio.sleep(10 * INTERVAL)
        assert (house.places.taken, house.held["a"]) == (7, 6)

    house = play(scene, 8, 6)
    assert {len(moments) for moments in house.came.values()} == {1} and not house.ceded


def test_who_is_one_too_many_for_a_party_goes_round_in_it_alone() -> None:
    async def scene(house: House) -> None:
        for name in ("a0", "a1", "a2", "a3", "b0"):
            house.comes(name)
        await asyncio.sleep(20 * INTERVAL)
        assert house.held == {"a": 2, "b": 1}

    house = play(scene, 8, 2)
    assert len(house.came["b0"]) == 1 and house.ceded.keys() == {"a"}
    for name in ("a0", "a1", "a2", "a3"):
        gaps = [b - a for a, b in zip(house.came[name], house.came[name][1:], strict=False)]
        # As often as a mailbox without IDLE is looked at, and never hot.
        assert len(gaps) >= 8 and min(gaps) >= INTERVAL and max(gaps) < 2.1 * INTERVAL, gaps
    assert house.told == []


def test_who_has_rested_longest_leaves_first() -> None:
    async def scene(house: House) -> None:
        for name, work in (("a0", 30.0), ("a1", 10.0), ("a2", 20.0)):
            house.comes(name, work)
        await asyncio.sleep(50)
        house.comes("a3")
        await asyncio.sleep(50)
        assert house.held["a"] == 3 and len(house.came["a3"]) == 1
        await asyncio.sleep(INTERVAL)
        assert [len(house.came[name]) for name in ("a0", "a1", "a2")] == [1, 2, 1]

    play(scene, 3, 3)


def test_a_party_that_comes_later_gets_its_even_share_at_once() -> None:
    async def scene(house: House) -> None:
        for number in range(20):
            house.comes(f"a{number}")
        await asyncio.sleep(10)
        for number in range(20):
            house.comes(f"b{number}", work=50.0)
        await asyncio.sleep(10)
        assert house.held == {"a": 4, "b": 4}
        house.comes("c")
        await asyncio.sleep(2)
        assert house.held["c"] == 1
        assert house.ceded["b"] == 0, "who works is not interrupted before its turn is over"

    play(scene, 8, 8)


def test_who_works_without_end_has_turns_as_others_have() -> None:
    async def scene(house: House) -> None:
        for number in range(3):
            house.comes(f"a{number}", work=1e9, piece=7.0)
        await asyncio.sleep(1000)

    house = play(scene, 1, 1)
    counts = [len(moments) for moments in house.came.values()]
    assert min(counts) >= 4 and house.longest_wait <= 2 * (module.TURN + 7)
    # Who waits for longer than a minute tells of it, and that it is over.
    assert {waits for _, waits in house.told} == {True, False}


def test_who_gives_up_waiting_takes_nothing_with_it() -> None:
    async def scene(house: House) -> None:
        house.comes("a0", work=100.0)
        await asyncio.sleep(1)
        house.comes("a1")
        house.comes("a2")
        await asyncio.sleep(1)
        house.tasks["a1"].cancel()
        await asyncio.sleep(1)
        assert house.places.waiting == 1
        await asyncio.sleep(100)
        assert "a2" in house.came and "a1" not in house.came

    play(scene, 1, 1)


async def test_who_is_cancelled_as_its_turn_comes_lets_the_next_one_in() -> None:
    places, came = Places(1, 1), list[str]()

    async def guest(name: str) -> None:
        async with places.place("a"):
            came.append(name)

    async with places.place("a"):
        first, second = asyncio.ensure_future(guest("first")), asyncio.ensure_future(guest("next"))
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert came == ["next"] and (places.taken, places.waiting) == (0, 0)


async def test_what_fails_while_resting_is_told_as_it_is() -> None:
    places = Places(1, 1)
    async with places.place("a") as place:
        for error in (ValueError, TimeoutError):
            with pytest.raises(error):
                async with place.resting():
                    raise error
        place.pause()
        assert not places._resting


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 100), st.sampled_from([0.5, 30.0, 1e9])),
        max_size=14,
    ),
    st.integers(1, 5),
    st.integers(1, 5),
)
@example([*[("a", 0, 0.5)] * 6, ("b", 0, 1e9), ("c", 0, 1e9)], 1, 1)
def test_everybody_has_its_turn_and_shares_are_even(
    guests: list[tuple[str, int, float]], total: int, each: int
) -> None:
    async def scene(house: House) -> None:
        for number, (party, after, work) in enumerate(guests):
            await asyncio.sleep(after)
            house.comes(f"{party}{number}", work, piece=min(work, 5.0))
        await asyncio.sleep(2000)
        wants = Counter(party for party, _, _ in guests)
        assert house.came.keys() == house.tasks.keys()
        assert all(held <= each for held in house.held.values())
        if wants and all(wanted <= each for wanted in wants.values()) and len(guests) <= total:
            assert house.held == wants
        # Parties have their turns in a round, and the guests of one have its turns in a round.
        turns = len(wants) * max(wants.values(), default=0)
        assert house.longest_wait <= (turns + 1) * (module.TURN + 5)
        assert not any(task.done() for task in house.tasks.values())

    play(scene, total, each)
