# SPDX-License-Identifier: Apache-2.0
"""Refusals by address: how many, for how long, and of whom."""

from __future__ import annotations

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
