# SPDX-License-Identifier: Apache-2.0
"""Refusals by address: how many, for how long, and of whom; and logins that may be refused yet."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from postroom.mail.limits.hosts import WINDOW
from postroom.mail.limits.peers import REFUSALS_OF_ADDRESS, RefusingPeers


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    st.lists(
        st.tuples(st.floats(0, WINDOW), st.sampled_from("ab"), st.sampled_from("xyz")),
        max_size=60,
    )
)
def test_an_address_is_left_alone_while_it_has_refused_so_many(
    events: list[tuple[float, str, str]],
) -> None:
    clock = Clock()
    peers, told = RefusingPeers(clock), list[tuple[float, str, str]]()
    for pause, namespace, address in events:
        clock.now += pause
        peers.note(namespace, address)
        told.append((clock.now, namespace, address))
        for space in "ab":
            for place in "xyz":
                last = [at for at, *whose in told if whose == [space, place]]
                lately = [at for at in last if at + WINDOW > clock.now]
                paused = len(lately) >= REFUSALS_OF_ADDRESS
                assert (peers.frees_in(space, place) > 0) is paused
    clock.now += WINDOW
    assert not any(peers.frees_in(space, place) for space in "ab" for place in "xyz")


def test_what_has_no_address_counts_nowhere() -> None:
    peers = RefusingPeers(Clock())
    for _ in range(2 * REFUSALS_OF_ADDRESS):
        peers.note("a", None)
    assert peers.frees_in("a", None) == 0


def test_what_counts_no_more_is_forgotten() -> None:
    clock = Clock()
    peers = RefusingPeers(clock)
    for number in range(100):
        clock.now += WINDOW / 10
        peers.note("a", f"192.0.2.{number}")
        assert len(peers._refused) <= 11


def test_of_a_namespace_that_is_gone_nothing_is_left() -> None:
    clock = Clock()
    peers = RefusingPeers(clock)
    for number in range(100):
        clock.now += WINDOW / 10
        peers.note(f"n{number}", "192.0.2.1")
        assert len(peers._refused) <= 11


@given(outcomes=st.lists(st.booleans(), min_size=1, max_size=60))
def test_however_many_sign_in_at_once_no_more_are_refused(outcomes: list[bool]) -> None:
    clock = Clock()
    peers, sent = RefusingPeers(clock, patience=60), list[bool]()

    async def sign_in(refused: bool) -> None:
        if await peers.reserve("a", "x") != 0:
            return
        sent.append(refused)
        await asyncio.sleep(0)
        peers.settle("a", "x", refused=refused)

    async def all_at_once() -> None:
        await asyncio.gather(*map(sign_in, outcomes))

    asyncio.run(all_at_once())
    assert sent.count(True) <= REFUSALS_OF_ADDRESS
    # Who was not refused keeps nobody out.
    if outcomes.count(True) < REFUSALS_OF_ADDRESS:
        assert sent == outcomes
    assert not peers._under_way
    assert not peers._waiting


async def test_who_waits_too_long_for_others_does_not_sign_in() -> None:
    peers = RefusingPeers(Clock(), patience=0.01)
    for _ in range(REFUSALS_OF_ADDRESS):
        assert await peers.reserve("a", "x") == 0
    assert await peers.reserve("a", "x") is None
    # Neither another namespace, nor another address, nor none waits.
    for namespace, address in (("b", "x"), ("a", "y"), ("a", None)):
        assert await peers.reserve(namespace, address) == 0
    peers.settle("a", "x", refused=False)
    assert await peers.reserve("a", "x") == 0


async def test_what_ends_without_a_verdict_gives_its_place_back_at_once() -> None:
    peers = RefusingPeers(Clock(), patience=60)
    for _ in range(REFUSALS_OF_ADDRESS):
        await peers.reserve("a", "x")
    waiting = asyncio.create_task(peers.reserve("a", "x"))
    await asyncio.sleep(0)
    assert not waiting.done()
    peers.settle("a", "x", refused=False)
    assert await waiting == 0


async def test_who_waits_is_told_of_the_refusal_that_was_one_too_many() -> None:
    peers = RefusingPeers(Clock(), patience=60)
    for _ in range(REFUSALS_OF_ADDRESS):
        await peers.reserve("a", "x")
    waiting = asyncio.create_task(peers.reserve("a", "x"))
    await asyncio.sleep(0)
    for _ in range(REFUSALS_OF_ADDRESS):
        peers.settle("a", "x", refused=True)
    assert await waiting == pytest.approx(WINDOW)
    assert await peers.reserve("a", "x") == pytest.approx(WINDOW)


async def _full(patience: float = 60) -> RefusingPeers:
    """Peers of which one has as many logins under way as it may refuse."""
    peers = RefusingPeers(Clock(), patience)
    for _ in range(REFUSALS_OF_ADDRESS):
        assert await peers.reserve("a", "x") == 0
    return peers


async def test_places_are_handed_out_one_for_one_in_the_order_of_coming() -> None:
    peers, served = await _full(), list[int]()

    async def sign_in(number: int) -> None:
        assert await peers.reserve("a", "x") == 0
        served.append(number)

    waiting = [asyncio.create_task(sign_in(number)) for number in range(5)]
    await asyncio.sleep(0)
    for count in range(1, 4):
        peers.settle("a", "x", refused=False)
        # Who comes in that moment does not go before.
        late = asyncio.create_task(sign_in(9))
        await asyncio.sleep(0)
        assert served == list(range(count))
        waiting.append(late)
        assert peers._under_way["a", "x"] == REFUSALS_OF_ADDRESS
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not peers._waiting


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "as its turn comes"])
async def test_who_gives_up_passes_the_place_on(late: bool) -> None:
    peers = await _full()
    first, second = (asyncio.create_task(peers.reserve("a", "x")) for _ in range(2))
    await asyncio.sleep(0)
    if late:
        peers.settle("a", "x", refused=False)
        first.cancel()
    else:
        first.cancel()
        await asyncio.sleep(0)
        peers.settle("a", "x", refused=False)
    assert await second == 0
    assert first.cancelled()
    assert peers._under_way["a", "x"] == REFUSALS_OF_ADDRESS
    assert not peers._waiting


async def test_a_place_that_comes_in_the_moment_of_giving_up_is_taken() -> None:
    peers = await _full(patience=0)
    waiting = asyncio.create_task(peers.reserve("a", "x"))
    await asyncio.sleep(0)
    peers.settle("a", "x", refused=False)
    assert await waiting in (0, None)
    taken = 12 if waiting.result() == 0 else 11
    assert peers._under_way["a", "x"] == taken


async def test_what_the_window_sets_free_is_taken_by_who_came_first() -> None:
    clock = Clock()
    peers = RefusingPeers(clock, patience=60)
    for _ in range(REFUSALS_OF_ADDRESS - 1):
        peers.note("a", "x")
    assert await peers.reserve("a", "x") == 0
    first = asyncio.create_task(peers.reserve("a", "x"))
    await asyncio.sleep(0)
    assert not first.done()
    clock.now += 2 * WINDOW
    assert await peers.reserve("a", "x") == 0
    assert await first == 0


class WhoWaits(RuleBasedStateMachine):
    """Many sign in at once, give up, are refused or not, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.loop = Clock(), asyncio.new_event_loop()
        self.peers = RefusingPeers(self.clock, patience=1e9)
        self.asking: list[asyncio.Task[float | None]] = []
        self.signed_in = self.refused = 0

    def teardown(self) -> None:
        for task in self.asking:
            task.cancel()
        self._turn()
        self.loop.close()

    def _turn(self) -> None:
        async def some() -> None:
            for _ in range(4):
                await asyncio.sleep(0)

        self.loop.run_until_complete(some())
        for task in [task for task in self.asking if task.done()]:
            self.asking.remove(task)
            self.signed_in += not task.cancelled() and task.result() == 0

    @rule(count=st.integers(1, REFUSALS_OF_ADDRESS))
    def some_come(self, count: int) -> None:
        for _ in range(count):
            self.asking.append(self.loop.create_task(self.peers.reserve("a", "x")))

    @rule()
    def all_go_on(self) -> None:
        self._turn()
        assert self.signed_in == self.peers._under_way.get(("a", "x"), 0)
        if self.asking:  # nobody waits for nothing
            assert self.signed_in
            assert self.refused + self.signed_in == REFUSALS_OF_ADDRESS
        else:
            assert not self.peers._waiting

    @precondition(lambda self: self.asking)
    @rule(which=st.integers(0, 99))
    def one_gives_up(self, which: int) -> None:
        self.asking[which % len(self.asking)].cancel()

    @precondition(lambda self: self.signed_in)
    @rule(refused=st.booleans())
    def one_ends(self, refused: bool) -> None:
        self.signed_in -= 1
        self.refused += refused
        self.peers.settle("a", "x", refused=refused)

    @invariant()
    def no_more_are_refused_than_may_be(self) -> None:
        under_way = self.peers._under_way.get(("a", "x"), 0)
        assert self.refused + under_way <= REFUSALS_OF_ADDRESS


TestWhoWaits = WhoWaits.TestCase
