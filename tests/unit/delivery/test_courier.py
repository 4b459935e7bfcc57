# SPDX-License-Identifier: Apache-2.0
"""The courier: nothing is lost, in order, under one key, whatever mailboxes and applications do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from dnsworld.clock import run
from postroom.api.reasons import Reason
from postroom.concurrency.places import Places
from postroom.concurrency.shortage import Shortage
from postroom.delivery.answers import Answer
from postroom.delivery.contract import Progress
from postroom.delivery.cursors import Start
from postroom.delivery.events import OVERSIZED
from postroom.delivery.holds import NO_SESSION
from postroom.delivery.spool import Spool
from unit.delivery.courier_world import MAX_SIZE, OK, Worker, World

HOUR = 3600.0


def play(scene: Callable[[World, Worker], Awaitable[Any]], *names: str, **more: Any) -> None:
    """Play a scene in a world with these mailboxes."""

    async def perform() -> None:
        world = World(names or ("INBOX",), **more)
        worker = Worker(world)
        await worker.works(1)
        await scene(world, worker)

    coroutine: Coroutine[Any, Any, None] = perform()
    run(coroutine)


def refuses(poison: bytes, status: int = 422) -> Callable[[bytes | None, Any], Answer]:
    return lambda content, told: Answer(status) if content == poison else OK


def test_what_comes_is_handed_over_in_order_and_the_cursor_goes_behind_it() -> None:
    async def scene(world: World, worker: Worker) -> None:
        came = [world.arrive() for _ in range(8)]
        await worker.works(10)
        assert world.received() == came
        assert worker.progress.cursors["INBOX"].uid == 8 and worker.progress.delivered == 8
        assert (worker.progress.waiting, worker.progress.reason) == (0, None)
        assert worker.spool.used == 0 and world.sessions == 0

    play(scene)


@pytest.mark.parametrize("moment", range(1, 60))
def test_whoever_ends_it_at_any_moment_finds_how_many_wait(moment: int) -> None:
    async def scene(world: World, worker: Worker) -> None:
        def end() -> None:
            raise RuntimeError("ended")

        came = [world.arrive() for _ in range(5)]
        world.at[world.steps + moment] = end
        await worker.works(10)
        found = worker.progress
        left = len(came) - found.cursors["INBOX"].uid
        assert found.waiting in (left, 0) and (found.waiting or not left or not found.delivered)
        assert (found.waiting_since is None) == (found.waiting == 0)

    play(scene)


def test_what_was_there_before_is_left_unless_it_is_asked_for() -> None:
    async def perform(start: Start) -> list[bytes]:
        world = World()
        world.arrive()
        await Worker(world, start=start).works(10)
        return world.received()

    assert run(perform(Start.NOW)) == [] and len(run(perform(Start.BACKFILL))) == 1


@pytest.mark.parametrize("moment", range(1, 40))
def test_a_message_that_comes_at_any_moment_is_handed_over_within_seconds(moment: int) -> None:
    """Also while others are fetched: a server tells of it then, and not again once IDLE begins."""

    async def scene(world: World, worker: Worker) -> None:
        world.arrive()
        world.at[world.steps + moment] = lambda: world.arrive() and None
        await worker.works(10)
        assert len(world.received()) == len(world.came)

    play(scene)
    play(scene, "INBOX", "Junk")


def test_a_first_refusal_of_seconds_is_no_news_and_a_second_one_is() -> None:
    async def scene(world: World, worker: Worker) -> None:
        answers = iter([Answer(500), OK, Answer(503), Answer(503), OK])
        world.answer = lambda *_: next(answers)
        world.arrive()
        await worker.works(30)
        assert {told.reason for told in worker.told} == {None}
        world.arrive()
        await worker.works(30)
        assert {told.reason for told in worker.told} == {None, Reason.CONSUMER_UNAVAILABLE}
        assert worker.progress.reason is None and len(world.taken) == 2

    play(scene)


@pytest.mark.parametrize(
    "answer",
    [Answer(None, trouble="is silent"), Answer(500), Answer(429), Answer(302), Answer(422)],
)
def test_whoever_waits_long_gives_room_and_session_back(answer: Answer) -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.answer = lambda *_: answer
        world.arrive(), world.arrive()
        task = asyncio.ensure_future(worker.courier.run())
        await asyncio.sleep(HOUR)
        assert (worker.spool.used, world.sessions) == (0, 0)
        assert worker.progress.waiting == 2 and worker.progress.reason is not None
        # Hardly ever within five minutes of each other; never hot.
        assert 8 < len(world.offers) < 40
        assert len({uid for _, uid in world.offers}) == 1, "those after it wait"
        world.answer = lambda *_: OK
        await asyncio.sleep(HOUR)
        task.cancel()
        assert world.received() == [content for _, content in world.came]
        assert worker.progress.reason is None

    play(scene)


def test_a_pause_that_is_asked_for_is_kept_and_none_is_no_leave_to_hurry() -> None:
    async def scene(world: World, worker: Worker) -> None:
        for asked, least in ((timedelta(minutes=20), 1200.0), (timedelta(), 1.0)):
            world.answer = lambda *_, asked=asked: Answer(503, asked)  # type: ignore[misc]
            world.arrive()
            world.offers.clear()
            await worker.works(2 * HOUR)
            times = [time for time, _ in world.offers]
            pauses = [later - earlier for earlier, later in pairwise(times)]
            assert pauses and min(pauses) >= least
            assert max(pauses) <= max(301.0, least + 1)

    play(scene)


def test_a_message_that_is_refused_for_48_hours_is_recorded_and_passed_by() -> None:
    async def scene(world: World, worker: Worker) -> None:
        poison, after = world.arrive(), world.arrive()
        world.answer = refuses(poison)
        await worker.works(47 * HOUR)
        assert world.received() == []
        assert worker.progress.reason is Reason.CONSUMER_REJECTS
        refused = worker.progress.cursors["INBOX"].refused
        assert refused is not None and (refused.uid, refused.status) == (1, 422)
        await worker.works(3 * HOUR)
        assert world.received() == [after]
        assert worker.progress.rejected == 1
        assert worker.progress.last_rejected == ("INBOX", 1, 422)
        assert worker.progress.reason is None

    play(scene)


def test_two_days_without_an_offer_are_no_two_days_of_refusal() -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.answer = refuses(world.arrive())
        await worker.works(60)
        await asyncio.sleep(60 * HOUR)
        later = Worker(world, stored=worker.progress)
        await later.works(60)
        assert later.progress.rejected == 0

    play(scene)


@pytest.mark.parametrize("hours", [-72, 72])
def test_a_clock_that_is_set_passes_nothing_by_and_holds_nothing_up(hours: int) -> None:
    async def scene(world: World, worker: Worker) -> None:
        poison, after = world.arrive(), world.arrive()
        world.answer = refuses(poison)
        await worker.works(60)
        world.off = timedelta(hours=hours)
        await worker.works(60)
        assert world.received() == []
        await worker.works(60 * HOUR)
        assert world.received() == [after]

    play(scene)


def test_times_of_arrival_in_the_future_hide_nothing_from_a_mailbox_that_is_made_anew() -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.arrive()
        world.boxes["INBOX"].messages[-1].dated += timedelta(days=9000)
        await worker.works(10)
        second = world.arrive()
        world.make_anew("INBOX")
        await worker.works(10)
        assert second in world.received()

    play(scene)


def test_gone_means_that_nothing_more_is_sent_until_somebody_asks() -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.answer = lambda *_: Answer(410)
        world.arrive("INBOX"), world.arrive("Junk")
        assert await worker.works(100 * HOUR) is None
        assert len(world.offers) == 1 and world.sessions == 0
        assert worker.progress.reason is Reason.CONSUMER_GONE

    play(scene, "INBOX", "Junk")


def test_a_refused_message_of_one_mailbox_is_in_no_other_mailboxs_way() -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.answer = refuses(world.arrive("INBOX"))
        task = asyncio.ensure_future(worker.courier.run())
        await asyncio.sleep(30 * HOUR)
        assert world.sessions == 1 and worker.progress.reason is Reason.CONSUMER_REJECTS
        junk = world.arrive("Junk")
        await asyncio.sleep(5)
        assert junk in world.received(), "IDLE is on the mailbox that does not wait"
        assert worker.progress.reason is Reason.CONSUMER_REJECTS
        task.cancel()

    play(scene, "INBOX", "Junk")


def test_a_mailbox_that_does_not_open_is_in_no_other_mailboxs_way() -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.breaks = lambda what, name: (what, name) == ("open", "Gone")
        world.arrive("INBOX")
        await worker.works(HOUR)
        assert len(world.received()) == 1
        assert worker.progress.reason is Reason.CONNECTION_REFUSED
        assert world.logins < 40

    play(scene, "Gone", "INBOX")


@pytest.mark.parametrize("what", ["sign in", "token", "open", "following", "piece", "news", "idle"])
def test_a_server_that_breaks_off_is_not_asked_hot_and_believed_once_it_works(what: str) -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.arrive()
        if what == "idle":
            await worker.works(60)  # with a mailbox that is empty
        world.idle_step = 100.0
        world.breaks = lambda step, name: step == what
        await worker.works(2 * HOUR)
        assert world.steps > 4 and world.logins < 130
        if what != "idle":
            assert worker.progress.reason is Reason.CONNECTION_REFUSED
        world.breaks = lambda step, name: False
        await worker.works(10 * 60)
        assert world.received() == [content for _, content in world.came]
        assert worker.progress.reason is None

    play(scene)


@pytest.mark.parametrize("idles", [True, False])
def test_sessions_that_a_server_ends_after_a_while_make_nobody_wait(idles: bool) -> None:
    async def scene(world: World, worker: Worker) -> None:
        loop, world.idle_step = asyncio.get_running_loop(), 100.0
        world.breaks = lambda what, name: what == "idle" and loop.time() % 600 < 101
        await worker.works(40 * HOUR)
        assert {told.reason for told in worker.told} == {None}
        assert world.logins >= 100, "begun anew each time, without growing pauses"

    play(scene, idles=idles)


@pytest.mark.parametrize(
    "size,says",
    [(900, 10), (900, 0), (200, 900), (MAX_SIZE, MAX_SIZE), (300, 300), (600, 299), (50, 50)],
)
def test_a_size_that_is_not_true_costs_nothing_of_the_message(size: int, says: int) -> None:
    async def scene(world: World, worker: Worker) -> None:
        content = world.arrive(size=size, says=says)
        await worker.works(10)
        assert world.received() == [content] and world.taken[0].told["size"] == str(size)

    play(scene)


@pytest.mark.parametrize("size,says", [(MAX_SIZE + 1,) * 2, (5000, 10), (100, MAX_SIZE + 1)])
def test_of_a_message_that_is_too_large_the_application_hears_without_it(
    size: int, says: int
) -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.arrive(size=size, says=says)
        after = world.arrive()
        await worker.works(10)
        assert world.taken[0].content is None
        assert world.taken[0].told["type"] == OVERSIZED
        assert world.received() == [after] and worker.spool.used == 0
        # Nor is it counted as taken, whatever a server says of its size.
        assert worker.observed == [
            ("HandedOver", 0),
            ("HandedOver", len(world.taken[1].content or b"")),
        ]

    play(scene)


@pytest.mark.parametrize("begins", [b"", b"\r\n", b"\r\n\r\n"])
def test_a_message_has_the_id_that_it_has_where_it_is_too_large(begins: bytes) -> None:
    """Also one that begins with an empty line, and so has no header: `maxSize` may change between
    two offers."""

    async def told(says: int) -> dict[str, str]:
        world = World()
        worker = Worker(world)
        await worker.works(1)
        content = begins + world.arrive(size=200)
        box = world.boxes["INBOX"]
        box.messages[-1] = replace(box.messages[-1], content=content, says=says or len(content))
        await worker.works(10)
        return world.taken[0].told

    whole, apart = run(told(0)), run(told(MAX_SIZE + 1))
    assert apart["type"] == OVERSIZED != whole["type"]
    assert whole["id"] == apart["id"]
    assert ("messageid" in whole) is (begins == b"")


@pytest.mark.parametrize("says", [MAX_SIZE + 1, 10**9, 10**17])
def test_what_is_told_without_its_message_comes_soon_once_it_is_taken_however_large_it_is(
    says: int,
) -> None:
    """Nothing of it is fetched again, so that nobody need be spared."""

    async def scene(world: World, worker: Worker) -> None:
        world.answer = lambda *_: Answer(503)
        world.arrive(says=says)
        task = asyncio.ensure_future(worker.courier.run())
        await asyncio.sleep(48 * HOUR)
        times = [at for at, _ in world.offers]
        assert max(after - at for at, after in pairwise(times)) <= 302.0
        world.answer = lambda *_: OK
        await asyncio.sleep(302.0)
        task.cancel()
        assert [taken.content for taken in world.taken] == [None]

    play(scene)


def test_a_spool_that_is_full_has_messages_wait_and_loses_none() -> None:
    async def perform() -> None:
        spool = Spool(2 * MAX_SIZE)
        worlds = [World() for _ in range(6)]
        workers = [
            Worker(world, spool, namespace=f"n{number % 2}") for number, world in enumerate(worlds)
        ]
        for worker in workers:
            await worker.works(1)
        for world in worlds:
            for _ in range(5):
                world.arrive(size=900)
        worlds[0].answer = lambda *_: Answer(503)
        await asyncio.gather(*(worker.works(HOUR) for worker in workers))
        assert [len(world.received()) for world in worlds] == [0, 5, 5, 5, 5, 5]
        assert spool.used == 0

    run(perform())


def test_our_own_messages_and_those_that_are_gone_are_passed_over() -> None:
    async def perform() -> None:
        world = World()
        worker = Worker(world, is_ours=lambda header: header.first("Message-ID").startswith("<0@"))
        await worker.works(1)
        world.arrive(), world.arrive()
        kept = world.arrive()
        # Gone once its facts are known.
        world.breaks = lambda what, name: (
            what == "piece" and bool(world.expunge("INBOX", 1))
            if len(world.expunged) < 1
            else False
        )
        await worker.works(10)
        assert world.received() == [kept]
        assert worker.progress.cursors["INBOX"].uid == 3

    run(perform())


def test_a_refused_message_that_is_expunged_holds_nothing_up() -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.answer = refuses(world.arrive())
        after = world.arrive()
        task = asyncio.ensure_future(worker.courier.run())
        await asyncio.sleep(5 * HOUR)
        world.expunge("INBOX", 0)
        await asyncio.sleep(2 * HOUR)
        task.cancel()
        assert world.received() == [after] and worker.progress.reason is None
        assert worker.progress.rejected == 0

    play(scene)


def test_what_is_told_of_a_repetition_is_what_was_told_before() -> None:
    async def scene(world: World, worker: Worker) -> None:
        begun = worker.progress
        world.arrive()
        await worker.works(10)
        await Worker(world, stored=begun).works(10)
        first, again = world.taken
        assert first == again
        world.make_anew("INBOX")
        await Worker(world, stored=worker.progress).works(10)
        told: Mapping[str, str] = world.taken[-1].told
        assert told["mayberepeated"] == "true" and told["id"] != first.uid

    play(scene)


@pytest.mark.parametrize("before", [None, Reason.CONSUMER_UNAVAILABLE])
def test_who_waits_long_for_room_says_so_until_it_has_some(before: Reason | None) -> None:
    async def scene(world: World, worker: Worker) -> None:
        stored = replace(worker.progress, reason=before)
        spool = Spool(2 * MAX_SIZE)
        worker = Worker(world, spool, stored)
        content = world.arrive()
        working = asyncio.ensure_future(worker.works(300))
        async with spool.message("others", 2 * MAX_SIZE):
            await asyncio.sleep(50)
            assert worker.progress.reason == before
            await asyncio.sleep(50)
            told = worker.progress
            assert (told.reason, told.sure) == (Reason.AWAITING_DEPENDENCY, False)
            assert "--spool" in told.message
        await working
        assert worker.progress.reason is None and world.received() == [content]

    play(scene)


@pytest.mark.parametrize("restored", [True, False])
def test_a_mailbox_that_is_another_under_the_same_uidvalidity_loses_nothing(restored: bool) -> None:
    async def scene(world: World, worker: Worker) -> None:
        for _ in range(6):
            world.arrive()
        await worker.works(10)
        if restored:
            world.snapshot("INBOX")
        else:
            world.exchange()
            world.boxes["INBOX"].messages.clear()
            world.boxes["INBOX"].uid_next = 1
        second = Worker(world, stored=worker.progress)
        await second.works(10)
        written = second.progress
        await asyncio.sleep(60)
        came = [world.arrive() for _ in range(5)]
        await second.works(10)
        assert world.received()[-5:] == came
        told = [taken.told for taken in world.taken]
        by_id = {(taken.uid, taken.content) for taken in world.taken}
        assert len({uid for uid, _ in by_id}) == len(by_id), "no id is of two messages"
        assert not any("mayberepeated" in each for each in told[-5:])
        # The same over restarts, and where it is written otherwise.
        world.username = world.username.upper()
        await Worker(world, stored=written).works(10)
        assert {(taken.uid, taken.content) for taken in world.taken} == by_id

    play(scene)


def test_uidnext_that_was_reckoned_goes_back_without_meaning_anything() -> None:
    async def scene(world: World, worker: Worker) -> None:
        world.promises = False
        world.arrive(), world.arrive()
        await worker.works(10)
        world.boxes["INBOX"].uid_next = 2
        await worker.works(10)
        assert len(world.taken) == 2

    play(scene)


def test_a_mailbox_whose_cursor_cannot_be_read_waits_and_is_in_no_others_way() -> None:
    async def scene(world: World, worker: Worker) -> None:
        stored = Progress(unreadable={"INBOX": {"mailbox": "INBOX"}})
        held = Worker(world, stored=stored)
        assert held.progress.reason is Reason.CURSOR_UNREADABLE
        await held.works(1)
        world.arrive("INBOX")
        junk = world.arrive("Junk")
        await held.works(HOUR)
        assert world.received() == [junk] and held.progress.unreadable == stored.unreadable
        assert held.progress.reason is Reason.CURSOR_UNREADABLE and held.progress.sure

    play(scene, "INBOX", "Junk")


def test_what_was_in_the_way_before_is_over_once_a_mailbox_was_read_be_it_empty() -> None:
    async def perform() -> None:
        world = World()
        before = Progress(reason=Reason.PROGRESSING, message="It is about to be read.", sure=False)
        worker = Worker(world, stored=before)
        await worker.works(1)
        assert (worker.progress.reason, worker.progress.message) == (None, "")

    run(perform())


def test_what_this_process_lacks_is_no_fault_of_the_application_and_passes() -> None:
    async def perform() -> None:
        world = World()
        worker = Worker(world)
        await worker.works(1)
        world.arrive()

        def lacks(*_: object) -> Answer:
            raise Shortage("descriptors")

        world.answer = lacks
        await worker.works(HOUR)
        assert worker.progress.reason is Reason.RESOURCES_EXHAUSTED
        assert not worker.progress.sure and world.taken == []
        world.answer = lambda *_: Answer(200)
        await worker.works(HOUR)
        assert world.received() == [content for _, content in world.came]
        assert worker.progress.reason is None

    run(perform())


def test_more_accounts_than_sessions_are_read_in_turn_and_nothing_is_lost() -> None:
    """Also where one has mail without end, and one an application that takes nothing."""

    async def perform() -> None:
        places = Places(2, 2)
        worlds = [World() for _ in range(6)]
        workers = [Worker(world, places=places) for world in worlds]
        tasks = [asyncio.ensure_future(worker.courier.run()) for worker in workers]
        await asyncio.sleep(HOUR)
        assert {worker.progress.reason for worker in workers} == {None}
        busy, refusing, *others = worlds

        async def slowly(what: str = "", mailbox: str = "") -> None:
            await asyncio.sleep(2)

        busy.step = slowly  # type: ignore[method-assign]
        refusing.answer = lambda *_: Answer(500)
        refusing.arrive()
        for _ in range(8):
            for _ in range(40):
                busy.arrive()
            for world in others:
                world.arrive()
            await asyncio.sleep(400)
            assert places.taken <= 2 and sum(world.sessions for world in worlds) <= 2
        await asyncio.sleep(HOUR)
        for world in (busy, *others):
            assert world.received() == [content for _, content in world.came]
        assert workers[1].progress.reason is Reason.CONSUMER_UNAVAILABLE
        # Who waits for long says why; and it is over once it is.
        said = {told.message for worker in workers for told in worker.told}
        assert {workers[number].progress.reason for number in (0, 2, 3, 4, 5)} == {None}
        assert all(worker.progress.message != NO_SESSION.message for worker in workers), said
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (places.taken, places.waiting) == (0, 0)

    run(perform())


def test_an_account_that_waits_long_for_a_session_says_so_and_is_not_looked_at_hotly() -> None:
    async def perform() -> None:
        places = Places(1, 1)
        world = World()
        worker = Worker(world, places=places)
        async with places.place("mail"):
            waiting = asyncio.ensure_future(worker.courier.run())
            await asyncio.sleep(50)
            assert worker.progress.reason is None
            await asyncio.sleep(20)
            assert worker.progress.reason is Reason.AWAITING_DEPENDENCY
            assert worker.progress.message == NO_SESSION.message and not worker.progress.sure
            assert world.logins == 0
        await asyncio.sleep(30)
        assert worker.progress.reason is None and world.logins == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        world.logins = 0
        other = Worker(World(), places=places)
        both = [asyncio.ensure_future(each.courier.run()) for each in (worker, other)]
        await asyncio.sleep(HOUR)
        # Every interval of five minutes, or one that is begun, and no oftener.
        assert 5 <= world.logins <= 13
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)

    run(perform())
