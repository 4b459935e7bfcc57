# SPDX-License-Identifier: Apache-2.0
"""The keyed queue: nothing lost, nothing twice at a time, namespaces in turn, schedule, backoff."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.concurrency.backoff import Backoff
from postroom.controller.queue import KeyedQueue, QueueClosed, Urgency


def key(name: str, namespace: str = "one") -> Key:
    return Key(Kind.MAIL_SERVER, namespace, name)


async def take_all(queue: KeyedQueue) -> list[Key]:
    """Run everything that waits now, one after the other."""
    taken = []
    while queue.waiting:
        taken.append(await queue.take())
        queue.done(taken[-1])
    return taken


async def test_a_key_that_waits_is_not_queued_again() -> None:
    queue = KeyedQueue()
    queue.add(key("a"))
    queue.add(key("a"))
    assert await take_all(queue) == [key("a")]


async def test_a_key_that_is_added_while_it_runs_runs_again_afterwards() -> None:
    queue = KeyedQueue()
    queue.add(key("a"))
    await queue.take()
    queue.add(key("a"))
    assert queue.waiting == 0
    queue.done(key("a"))
    assert await take_all(queue) == [key("a")]


async def test_within_a_namespace_first_in_is_first_out() -> None:
    queue = KeyedQueue()
    for name in "cab":
        queue.add(key(name))
    assert [one.name for one in await take_all(queue)] == ["c", "a", "b"]


async def test_a_busy_namespace_does_not_keep_another_waiting() -> None:
    queue = KeyedQueue()
    for number in range(100):
        queue.add(key(f"n{number}", "busy"))
    queue.add(key("a", "quiet"))
    await queue.take()
    assert await queue.take() == key("a", "quiet")


async def test_changes_go_before_their_consequences_and_those_before_routine() -> None:
    queue = KeyedQueue()
    queue.add(key("routine"), Urgency.ROUTINE)
    queue.add(key("consequence"), Urgency.CONSEQUENCE)
    queue.add(key("change"), Urgency.CHANGE)
    assert [taken.name for taken in await take_all(queue)] == ["change", "consequence", "routine"]


async def test_consequences_are_not_starved_by_changes_nor_routine_by_both() -> None:
    queue = KeyedQueue()
    for number in range(20):
        queue.add(key(f"change{number}"), Urgency.CHANGE)
        queue.add(key(f"consequence{number}"), Urgency.CONSEQUENCE)
        queue.add(key(f"routine{number}"), Urgency.ROUTINE)
    order = [taken.name.rstrip("0123456789") for taken in await take_all(queue)]
    assert order[:30] == [*["change"] * 4, "consequence", "routine"] * 5


async def test_routine_is_not_starved_by_changes() -> None:
    queue = KeyedQueue()
    queue.add(key("routine"), Urgency.ROUTINE)
    for number in range(20):
        queue.add(key(f"change{number}"), Urgency.CHANGE)
    assert (await take_all(queue)).index(key("routine")) == 4


async def test_a_waiting_key_becomes_urgent() -> None:
    queue = KeyedQueue()
    queue.add(key("a"), Urgency.ROUTINE)
    queue.add(key("b"), Urgency.ROUTINE)
    queue.add(key("b"), Urgency.CHANGE)
    assert await take_all(queue) == [key("b"), key("a")]


async def test_a_scheduled_key_comes_in_time_and_not_before() -> None:
    queue = KeyedQueue()
    queue.add_after(key("a"), 0.02)
    assert (queue.waiting, queue.scheduled) == (0, 1)
    assert await asyncio.wait_for(queue.take(), 1) == key("a")
    assert queue.scheduled == 0


async def test_schedules_fire_in_the_order_of_their_times() -> None:
    queue = KeyedQueue()
    queue.add_after(key("late"), 0.03)
    queue.add_after(key("soon"), 0.01)
    assert [await queue.take(), await queue.take()] == [key("soon"), key("late")]


async def test_the_earlier_of_two_schedules_counts() -> None:
    queue = KeyedQueue()
    queue.add_after(key("a"), 3600)
    queue.add_after(key("a"), 0.01)
    queue.add_after(key("a"), 3600)
    assert await asyncio.wait_for(queue.take(), 1) == key("a")


async def test_a_run_replaces_the_schedule() -> None:
    queue = KeyedQueue()
    queue.add_after(key("a"), 0.01)
    queue.add(key("a"))
    queue.done(await queue.take())
    await asyncio.sleep(0.03)
    assert queue.waiting == 0


async def test_replaced_schedules_do_not_pile_up() -> None:
    queue = KeyedQueue()
    for number in range(10_000):
        queue.add_after(key("a"), 20_000 - number)
    assert len(queue._heap) < 100
    queue.close()


async def test_a_forgotten_key_never_comes() -> None:
    queue = KeyedQueue()
    queue.add(key("a"))
    queue.add_after(key("b"), 0.01)
    queue.forget(key("a"))
    queue.forget(key("b"))
    queue.add(key("c"))
    assert await queue.take() == key("c")
    await asyncio.sleep(0.03)
    assert queue.waiting == 0


async def test_failures_back_off_further_each_time_and_success_resets_them() -> None:
    queue = KeyedQueue(Backoff(draw=lambda: 1.0))
    assert [queue.failed(key("a")) for _ in range(3)] == [3.0, 5.0, 9.0]
    queue.succeeded(key("a"))
    assert queue.failed(key("a")) == 3.0
    queue.close()


async def test_close_wakes_everyone_who_waits() -> None:
    queue = KeyedQueue()
    takers = [asyncio.ensure_future(queue.take()) for _ in range(5)]
    await asyncio.sleep(0)
    queue.close()
    results = await asyncio.gather(*takers, return_exceptions=True)
    assert all(isinstance(result, QueueClosed) for result in results)


async def test_settled_waits_for_running_keys() -> None:
    queue = KeyedQueue()
    queue.add(key("a"))
    taken = await queue.take()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.settled(), 0.01)
    queue.done(taken)
    await asyncio.wait_for(queue.settled(), 1)


async def test_a_cancelled_taker_loses_nothing() -> None:
    queue = KeyedQueue()
    taker = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.add(key("a"))
    taker.cancel()
    await asyncio.gather(taker, return_exceptions=True)
    if queue.running:  # the taker had got it before it was cancelled
        queue.done(key("a"))
        return
    assert await asyncio.wait_for(queue.take(), 1) == key("a")


async def test_ages_are_those_of_the_oldest() -> None:
    now = 100.0
    queue = KeyedQueue(clock=lambda: now)
    queue.add(key("a"))
    now = 105.0
    queue.add(key("b"))
    assert (queue.oldest_wait(), queue.oldest_run()) == (5.0, 0.0)
    await queue.take()
    now = 107.0
    assert (queue.oldest_wait(), queue.oldest_run()) == (2.0, 2.0)


def popped(queue: KeyedQueue) -> list[str]:
    """What may begin now, none of it ending."""
    names = []
    while (taken := queue._pop()) is not None:
        names.append(taken.name)
    return names


async def test_a_key_keeps_its_place_unless_it_becomes_more_urgent() -> None:
    queue = KeyedQueue()
    for name, urgency in (
        ("b", Urgency.CONSEQUENCE),
        ("c", Urgency.CONSEQUENCE),
        ("a", Urgency.CHANGE),
        ("a", Urgency.ROUTINE),
        ("b", Urgency.CONSEQUENCE),
        ("b", Urgency.ROUTINE),
    ):
        queue.add(key(name), urgency)
    assert popped(queue) == ["a", "b", "c"]


@pytest.mark.parametrize("order", [1, -1])
async def test_what_is_added_while_it_runs_is_as_urgent_as_the_most_urgent_of_it(
    order: int,
) -> None:
    queue = KeyedQueue()
    queue.add(key("a"))
    await queue.take()
    for urgency in (Urgency.ROUTINE, Urgency.CHANGE)[::order]:
        queue.add(key("a"), urgency)
    queue.add(key("b"), Urgency.CONSEQUENCE)
    queue.done(key("a"))
    assert popped(queue) == ["a", "b"]


async def test_what_was_passed_over_by_consequences_goes_before_a_change() -> None:
    queue = KeyedQueue()
    for number in range(5):
        queue.add(key(f"{number}"), Urgency.CONSEQUENCE)
    await take_all(queue)
    queue.add(key("change"))
    queue.add(key("routine"), Urgency.ROUTINE)
    assert popped(queue) == ["routine", "change"]


@pytest.mark.parametrize(
    ("urgency", "of_one", "most"),
    [(Urgency.CHANGE, 28, 32), (Urgency.CONSEQUENCE, 24, 28), (Urgency.ROUTINE, 24, 28)],
)
async def test_a_namespace_has_so_many_runs_and_spares_some_for_changes_and_other_kinds(
    urgency: Urgency, of_one: int, most: int
) -> None:
    queue = KeyedQueue()
    for number in range(40):
        queue.add(Key(Kind.SENDING_DOMAIN, "one", f"d{number}"), urgency)
    assert len(popped(queue)) == of_one
    for number in range(40):
        queue.add(key(f"s{number}"), urgency)
    assert popped(queue) == [f"s{number}" for number in range(most - of_one)]


async def test_of_several_kinds_the_one_that_has_least_is_next() -> None:
    queue = KeyedQueue()
    for number in range(40):
        queue.add(Key(Kind.SENDING_DOMAIN, "one", f"d{number}"))
    for number in range(40):
        queue.add(key(f"s{number}"))
    begun = popped(queue)
    assert [sum(name.startswith(kind) for name in begun) for kind in "ds"] == [16, 16]


async def test_all_namespaces_have_so_many_runs() -> None:
    queue = KeyedQueue()
    for number in range(600):
        queue.add(key("a", f"n{number}"))
    assert len(popped(queue)) == 512


@pytest.mark.parametrize("gone", [0, 1])
async def test_who_gave_up_is_passed_over(gone: int) -> None:
    queue = KeyedQueue()
    takers = [asyncio.ensure_future(queue.take()) for _ in range(2)]
    await asyncio.sleep(0)
    takers[gone].cancel()
    await asyncio.sleep(0)
    queue.add(key("a"))
    assert await asyncio.wait_for(takers[1 - gone], 1) == key("a")
    queue.add(key("b"))
    assert await asyncio.wait_for(queue.take(), 1) == key("b")


async def test_who_gives_up_when_served_hands_the_key_back() -> None:
    queue = KeyedQueue()
    taker = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.add(key("a"))
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    assert (queue.waiting, queue.running) == (1, 0)
    assert await asyncio.wait_for(queue.take(), 1) == key("a")


async def test_who_gives_up_at_the_end_has_given_up() -> None:
    queue = KeyedQueue()
    takers = [asyncio.ensure_future(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    takers[0].cancel()
    queue.close()
    takers[1].cancel()
    ended = await asyncio.gather(*takers, return_exceptions=True)
    assert [type(one) for one in ended] == [
        asyncio.CancelledError,
        asyncio.CancelledError,
        QueueClosed,
    ]
    assert queue.running == 0


async def test_it_is_settled_when_the_last_run_ends_and_nothing_begins() -> None:
    queue = KeyedQueue()
    await asyncio.wait_for(queue.settled(), 1)
    queue.add(key("a"))
    queue.add(key("b"))
    popped(queue)
    queue.done(key("a"))
    assert not queue._idle.is_set()
    taker = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.add(key("b"))
    queue.done(key("b"))
    assert not queue._idle.is_set()
    queue.done(await taker)
    assert queue._idle.is_set()


async def test_a_queue_at_rest_has_no_age() -> None:
    now = 100.0
    queue = KeyedQueue(clock=lambda: now)
    now = 160.0
    assert (queue.oldest_wait(), queue.stalled_for(), queue.oldest_run()) == (0.0, 0.0, 0.0)


async def test_a_stall_lasts_since_a_run_last_began_or_ended() -> None:
    now = 100.0
    queue = KeyedQueue(clock=lambda: now)
    queue.add(key("a"))
    queue.add(key("b"))
    now = 110.0
    assert queue.stalled_for() == 10.0
    await queue.take()
    now = 130.0
    assert (queue.oldest_wait(), queue.stalled_for(), queue.oldest_run()) == (30.0, 20.0, 20.0)
    queue.done(key("a"))
    now = 137.0
    assert (queue.oldest_wait(), queue.stalled_for(), queue.oldest_run()) == (37.0, 7.0, 0.0)


names = st.sampled_from("abcde")


async def work(queue: KeyedQueue, running: Counter[Key], runs: Counter[Key]) -> None:
    """A worker that asserts that nobody else works on its key."""
    while True:
        try:
            taken = await queue.take()
        except QueueClosed:
            return
        running[taken] += 1
        assert running[taken] == 1
        await asyncio.sleep(0)
        runs[taken] += 1
        running[taken] -= 1
        queue.done(taken)


@given(st.lists(st.tuples(names, st.sampled_from(Urgency), st.booleans()), max_size=60))
def test_every_added_key_runs_after_its_last_addition_and_never_twice_at_a_time(
    additions: list[tuple[str, Urgency, bool]],
) -> None:
    async def scenario() -> None:
        queue, runs = KeyedQueue(), Counter[Key]()
        running = Counter[Key]()
        workers = [asyncio.ensure_future(work(queue, running, runs)) for _ in range(3)]
        owed: dict[Key, int] = {}
        for name, urgency, pause in additions:
            owed[key(name)] = runs[key(name)] + 1
            queue.add(key(name), urgency)
            if pause:
                await asyncio.sleep(0)
        for _ in range(10 * len(additions)):
            await asyncio.sleep(0)
        assert (queue.waiting, queue.running) == (0, 0)
        queue.close()
        await asyncio.gather(*workers)
        assert all(runs[one] >= count for one, count in owed.items())
        assert sum(runs.values()) <= len(additions)

    asyncio.run(scenario())
