# SPDX-License-Identifier: Apache-2.0
"""The schedule of the queue, to the second, on a clock that only the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from postroom.api.names import Key, Kind
from postroom.concurrency.backoff import Backoff
from postroom.controller.queue import KeyedQueue, QueueClosed, Urgency


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Timed(KeyedQueue):
    """A queue on such a clock."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.time = Clock()
        super().__init__(backoff, self.time)

    def at(self, seconds: float) -> list[str]:
        """Return what comes when this much time has passed since the beginning, having run it."""
        self.time.now = 1000.0 + seconds
        self._fire()
        names = []
        while (taken := self._pop()) is not None:
            names.append(taken.name)
            self.done(taken)
        return names


def key(name: str) -> Key:
    return Key(Kind.MAIL_SERVER, "one", name)


async def test_a_key_comes_at_its_second() -> None:
    queue = Timed()
    queue.add_after(key("a"), 10)
    assert queue.at(9.9) == []
    assert queue.at(10) == ["a"]
    assert queue.at(1000) == []


@pytest.mark.parametrize(("delay", "comes"), [(-1, True), (0, True), (0.5, False), (1, False)])
async def test_what_is_due_already_waits_at_once(delay: float, comes: bool) -> None:
    queue = Timed()
    queue.add_after(key("a"), delay)
    assert (queue.waiting, queue.scheduled) == ((1, 0) if comes else (0, 1))


async def test_keys_of_one_moment_come_in_the_order_of_their_coming() -> None:
    queue = Timed()
    for name in "cab":
        queue.add_after(key(name), 10)
    assert queue.at(10) == ["c", "a", "b"]


async def test_what_is_due_is_routine() -> None:
    queue = Timed()
    queue.add_after(key("routine"), 0)
    queue.add_after(key("scheduled"), 10)
    queue.time.now += 10
    queue._fire()
    queue.add(key("consequence"), Urgency.CONSEQUENCE)
    assert queue.at(10) == ["consequence", "routine", "scheduled"]


async def test_a_later_schedule_changes_nothing_and_a_sooner_one_counts() -> None:
    queue = Timed()
    queue.add_after(key("a"), 20)
    queue.add_after(key("a"), 30)
    queue.add_after(key("a"), 10)
    queue.add_after(key("a"), 11)
    assert queue.at(10) == ["a"]
    assert queue.at(100) == []


async def test_after_a_run_only_its_new_schedule_counts() -> None:
    queue = Timed()
    queue.add_after(key("a"), 10)
    queue.add(key("a"))
    assert queue.at(0) == ["a"]
    queue.add_after(key("a"), 30)
    assert queue.at(20) == []
    assert queue.at(30) == ["a"]


async def test_the_timer_is_that_of_the_first_key_to_come() -> None:
    queue = Timed()
    loop = asyncio.get_running_loop()
    for name, delay in (("late", 300), ("soon", 50), ("later", 900)):
        queue.add_after(key(name), delay)
    assert queue._timer is not None
    assert queue._timer.when() - loop.time() == pytest.approx(50, abs=1)
    queue.forget(key("soon"))
    queue.add_after(key("last"), 1000)
    assert queue._timer.when() - loop.time() == pytest.approx(300, abs=1)
    queue.close()


async def test_an_older_timer_is_stopped() -> None:
    queue = Timed()
    queue.add_after(key("a"), 300)
    first = queue._timer
    assert first is not None
    queue.add_after(key("b"), 50)
    second = queue._timer
    assert second is not None
    assert (first.cancelled(), second.cancelled()) == (True, False)
    queue.close()
    assert second.cancelled()


async def test_time_that_has_passed_is_not_waited_for_again() -> None:
    queue = Timed()
    queue.add_after(key("a"), 10)
    queue.time.now += 20
    queue.add_after(key("b"), 10)
    assert queue._timer is not None
    assert queue._timer.when() - asyncio.get_running_loop().time() < 0.5
    assert await asyncio.wait_for(queue.take(), 1) == key("a")
    queue.close()


def sooner(queue: Timed, number: int) -> None:
    queue.add_after(key(f"{number % 3}"), 20_000 - number)


def anew(queue: Timed, number: int) -> None:
    """Run a key, and schedule it for later than before."""
    again = key(f"{number % 3}")
    queue.add(again)
    assert queue._pop() == again
    queue.done(again)
    queue.add_after(again, 20_000 + number)


def forgotten(queue: Timed, number: int) -> None:
    queue.forget(key(f"{number}"))
    queue.add_after(key(f"{number + 3}"), 20_000 + number)


@pytest.mark.parametrize("change", [sooner, anew, forgotten])
async def test_what_counts_no_more_is_swept_out(change: Callable[[Timed, int], None]) -> None:
    queue = Timed()
    queue.add_after(key("first"), 1)
    for number in range(3):
        queue.add_after(key(f"{number}"), 20_000)
    lengths = []
    for number in range(1000):
        change(queue, number)
        lengths.append(len(queue._heap))
    assert max(lengths) == 2 * 4 + 64
    assert queue.scheduled == 4
    assert len(queue.at(40_000)) == 4


async def test_what_counts_is_not_swept() -> None:
    queue = Timed()
    heap = queue._heap
    for number in range(1000):
        queue.add_after(key(f"{number}"), 1000 - number)
    assert queue._heap is heap
    assert len(queue.at(1000)) == 1000


async def test_one_moment_takes_one_entry() -> None:
    queue = Timed()
    for _ in range(10):
        queue.add_after(key("a"), 10)
    assert len(queue._heap) == 1


async def test_failures_are_scheduled() -> None:
    queue = Timed(Backoff(draw=lambda: 1.0))
    assert queue.failed(key("a")) == 3.0
    assert queue.at(2.9) == []
    assert queue.at(3) == ["a"]
    queue.forget(key("a"))
    assert queue.failed(key("a")) == 3.0
    queue.close()


async def test_after_the_end_nothing_comes() -> None:
    queue = Timed()
    queue.add(key("waiting"))
    queue.close()
    queue.add_after(key("a"), 0.01)
    assert queue._timer is None
    with pytest.raises(QueueClosed):
        await queue.take()


async def test_keys_of_others_never_come_in() -> None:
    queue = KeyedQueue(admits=lambda key: key.name == "ours")
    ours, theirs = (Key(Kind.EMAIL_ACCOUNT, "mail", name) for name in ("ours", "theirs"))
    for key in (theirs, ours):
        queue.add(key)
        queue.add_after(key, 5)
        queue.failed(key)
    assert (queue.waiting, queue.scheduled) == (1, 1)
    assert await queue.take() == ours
