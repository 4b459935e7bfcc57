# SPDX-License-Identifier: Apache-2.0
"""Namespaces share the queue: neighbours with silent servers, on a clock that only events move."""

from __future__ import annotations

import heapq
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.concurrency.shares import Shares
from postroom.controller.queue import KeyedQueue, Urgency

#: Seconds that a look takes at a healthy server, and at one that says nothing.
HEALTHY, SILENT = 0.2, 15.0


def keys(namespace: str, count: int) -> list[Key]:
    return [Key(Kind.MAIL_SERVER, namespace, f"n{number}") for number in range(count)]


class Simulation:
    """Runs what the queue hands out; a run lasts as long as `lasts` says of its namespace."""

    def __init__(self, lasts: dict[str, float], queue: KeyedQueue | None = None) -> None:
        self.now = 0.0
        self.queue = queue or KeyedQueue(clock=lambda: self.now)
        self._lasts = lasts
        self._ends: list[tuple[float, int, Key]] = []
        self._serial = 0
        self.ended: dict[Key, float] = {}
        self.most: Counter[str] = Counter()
        self._running: Counter[str] = Counter()

    def add(self, *added: Key) -> None:
        for key in added:
            self.queue.add(key)

    def step(self) -> None:
        """Begin what may begin, and let time pass until a run ends."""
        while (key := self.queue._pop()) is not None:
            assert key not in {one for _, _, one in self._ends}, "never twice at a time"
            self._serial += 1
            end = self.now + self._lasts[key.namespace]
            heapq.heappush(self._ends, (end, self._serial, key))
            self._running[key.namespace] += 1
            self.most[key.namespace] = max(self.most[key.namespace], self._running[key.namespace])
        self.now, _, key = heapq.heappop(self._ends)
        self._running[key.namespace] -= 1
        self.ended[key] = self.now
        self.queue.done(key)

    def run_until(self, done: set[Key]) -> float:
        """Let time pass until all of these have run; return the time."""
        while not done <= self.ended.keys():
            self.step()
        return self.now


def alone() -> float:
    simulation, own = Simulation({"a": HEALTHY}), keys("a", 60)
    simulation.add(*own)
    return simulation.run_until(set(own))


@pytest.mark.parametrize("silent", [200, 1000, 5000])
@pytest.mark.parametrize("before", [True, False])
def test_silent_servers_of_a_neighbour_cost_nothing(silent: int, before: bool) -> None:
    simulation = Simulation({"a": HEALTHY, "b": SILENT})
    own, theirs = keys("a", 60), keys("b", silent)
    simulation.add(*(theirs + own if before else own + theirs))
    assert simulation.run_until(set(own)) <= alone()


@pytest.mark.parametrize("tenants", [2, 8, 30, 100])
def test_nor_do_those_of_many_neighbours(tenants: int) -> None:
    lasts = {"a": HEALTHY} | {f"b{number}": SILENT for number in range(tenants)}
    simulation = Simulation(lasts)
    for number in range(tenants):
        simulation.add(*keys(f"b{number}", 200))
    own = keys("a", 60)
    simulation.add(*own)
    # With a hundred neighbours each gets a few places at a time, so A's go in more rounds.
    assert simulation.run_until(set(own)) <= (3 if tenants < 10 else 15) * alone()


def test_a_run_that_never_ends_leaves_room() -> None:
    """Also those who come when a neighbour has already taken all that it can get."""
    simulation = Simulation({"a": HEALTHY, "b": 1e9}, KeyedQueue(shares=Shares(16, 16)))
    simulation.add(*keys("b", 1000))
    probe = keys("a", 3)
    while simulation.queue._pop() is not None:
        pass
    simulation.add(*probe)
    assert simulation.run_until(set(probe)) == HEALTHY


def test_routine_checks_are_not_starved_by_changes_of_a_neighbour() -> None:
    simulation = Simulation({"a": HEALTHY, "b": HEALTHY}, KeyedQueue(shares=Shares(4, 2)))
    simulation.add(*keys("b", 500))
    (routine,) = keys("a", 1)
    simulation.queue.add(routine, Urgency.ROUTINE)
    assert simulation.run_until({routine}) <= 3 * HEALTHY


def test_what_someone_changed_waits_for_no_consequences_of_its_own_namespace() -> None:
    simulation = Simulation({"a": SILENT}, KeyedQueue(shares=Shares(512, 32)))
    (changed,) = keys("a", 1)
    for number in range(1000):
        key = Key(Kind.EMAIL_ACCOUNT, "a", f"n{number}")
        simulation.queue.add(key, Urgency.CONSEQUENCE)
    while simulation.queue._pop() is not None:
        pass
    assert simulation.queue.waiting > 900
    simulation.add(changed)
    assert simulation.queue._pop() == changed


def test_consequences_and_routine_checks_go_on_while_changes_come() -> None:
    simulation = Simulation({"a": HEALTHY}, KeyedQueue(shares=Shares(8, 4)))
    later = [Key(Kind.EMAIL_ACCOUNT, "a", name) for name in ("consequence", "routine")]
    simulation.add(*keys("a", 500))
    for key, urgency in zip(later, (Urgency.CONSEQUENCE, Urgency.ROUTINE), strict=True):
        simulation.queue.add(key, urgency)
    assert simulation.run_until(set(later)) <= 3 * HEALTHY


@given(
    st.integers(1, 24),
    st.integers(1, 12),
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.sampled_from(Urgency)),
        max_size=80,
    ),
)
def test_all_that_is_added_runs_and_no_namespace_exceeds_its_bound(
    total: int, each: int, added: list[tuple[str, int, Urgency]]
) -> None:
    lasts = {"a": 1.0, "b": 7.0, "c": 0.1, "d": 30.0}
    simulation = Simulation(lasts, KeyedQueue(shares=Shares(total, each)))
    wanted = set[Key]()
    for namespace, number, urgency in added:
        key = Key(Kind.MAIL_SERVER, namespace, f"n{number}")
        wanted.add(key)
        simulation.queue.add(key, urgency)
    simulation.run_until(wanted)
    assert all(count <= each for count in simulation.most.values())
    assert simulation.queue.waiting == 0


def test_a_backlog_that_is_worked_off_is_no_stall() -> None:
    simulation = Simulation({"b": SILENT})
    simulation.add(*keys("b", 5000))
    oldest = 0.0
    while len(simulation.ended) < 5000:
        simulation.step()
        assert simulation.queue.stalled_for() <= SILENT
        oldest = max(oldest, simulation.queue.oldest_wait())
    assert oldest > 600


def test_a_key_that_comes_after_a_long_rest_is_no_stall() -> None:
    now = 0.0
    queue = KeyedQueue(clock=lambda: now)
    now = 5000.0
    queue.add(keys("a", 1)[0])
    assert queue.stalled_for() == 0.0
    now = 5100.0
    assert queue.stalled_for() == 100.0


@pytest.mark.parametrize("urgency", Urgency)
@pytest.mark.parametrize("waits", list(Kind))
def test_objects_of_one_kind_that_all_wait_keep_none_of_another(
    urgency: Urgency, waits: Kind
) -> None:
    """As where a thousand domains of one namespace wait for a name server that is asked slowly."""
    queue = KeyedQueue()
    for number in range(1000):
        queue.add(Key(waits, "a", f"n{number}"), urgency)
    began = []
    while (key := queue._pop()) is not None:
        began.append(key)
    for other in set(Kind) - {waits}:
        queue.add(Key(other, "a", "quick"), urgency)
        got = queue._pop()
        assert got == Key(other, "a", "quick")
        queue.done(got)
    assert {key.kind for key in began} == {waits}
