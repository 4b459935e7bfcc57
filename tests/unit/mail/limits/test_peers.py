# SPDX-License-Identifier: Apache-2.0
"""Refusals by address: how many, for how long, and of whom; and logins that may be refused yet."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert not peers._settled


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
