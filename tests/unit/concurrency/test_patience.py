# SPDX-License-Identifier: Apache-2.0
"""Limits that count only while answers are awaited, also where several wait for the same work.

In virtual time.
"""

import asyncio
import gc
import time
import weakref
from contextlib import ExitStack
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dnsworld.clock import VirtualLoop, run
from postroom.concurrency.patience import PeerDeadline, awaiting_answer, limited
from postroom.dns.asking.cache import SingleFlightCache


def now() -> float:
    return asyncio.get_running_loop().time()


async def waits(seconds: float) -> None:
    """Wait for a server that takes so long."""
    with awaiting_answer():
        await asyncio.sleep(seconds)


async def ends_after(seconds: float, patience: float, *steps: tuple[str, float]) -> float | None:
    """Return when work with these limits was ended; None: it came to its own end."""
    started = now()
    try:
        async with limited(seconds, patience):
            for step, length in steps:
                await (waits(length) if step == "server" else asyncio.sleep(length))
    except TimeoutError:
        return now() - started
    return None


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        ([("server", 9.0)], None),
        ([("server", 11.0)], 10.0),
        ([("server", 6.0), ("own", 50.0), ("server", 6.0)], 60.0),
        ([("own", 99.0)], None),
        ([("own", 101.0)], 100.0),
        ([("own", 60.0), ("server", 5.0), ("own", 60.0)], 105.0),
        ([("own", 30.0), ("server", 3.0)] * 3, None),
    ],
)
def test_servers_and_we_have_a_limit_each(
    steps: list[tuple[str, float]], ends: float | None
) -> None:
    assert run(ends_after(10.0, 100.0, *steps)) == (None if ends is None else pytest.approx(ends))


def test_what_is_over_is_not_left_to_the_garbage_collector() -> None:
    """The timer knows the work, and must not be known by it in what was running when it was set."""

    def left() -> int:
        return sum(type(each).__name__ == "_Limited" for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = left()
        assert run(ends_after(10.0, 100.0, ("server", 6.0), ("own", 3.0), ("server", 1.0))) is None
        assert run(ends_after(10.0, 100.0, ("server", 6.0), ("own", 3.0), ("server", 9.0))) == 13.0
        assert left() == before
    finally:
        gc.enable()


def test_many_questions_at_a_time_are_one_wait() -> None:
    async def scene() -> None:
        async with limited(10.0, 100.0):
            await asyncio.gather(*(waits(9.0) for _ in range(50)))
            await waits(0.9)

    run(scene())


def test_an_inner_wait_counts_for_the_outer_limit() -> None:
    async def scene() -> float:
        started = now()
        with pytest.raises(TimeoutError):
            async with limited(5.0, 100.0), limited(50.0, 100.0):
                await waits(60.0)
        return now() - started

    assert run(scene()) == pytest.approx(5.0)


def test_who_shares_a_look_waits_for_servers_as_long_as_it_does() -> None:
    async def scene() -> None:
        cache: SingleFlightCache[str, str] = SingleFlightCache()

        async def fetch() -> tuple[str, float]:
            await asyncio.sleep(50)  # in the line before our own limits
            await waits(4.0)
            return "found", 0

        async def look(after: float) -> str:
            await asyncio.sleep(after)
            async with limited(5.0, 100.0):
                return await cache.get("name", fetch)

        assert await asyncio.gather(look(0), look(0), look(52)) == ["found"] * 3

    run(scene())


def test_who_gives_up_is_told_nothing_more() -> None:
    async def scene() -> None:
        cache: SingleFlightCache[str, str] = SingleFlightCache()

        async def fetch() -> tuple[str, float]:
            await waits(3.0)
            return "found", 0

        async def gives_up() -> None:
            with pytest.raises(TimeoutError):
                async with limited(1.0, 100.0):
                    await cache.get("name", fetch)

        async def stays() -> str:
            return await cache.get("name", fetch)

        assert (await asyncio.gather(gives_up(), stays()))[1] == "found"

    run(scene())


def test_what_a_busy_process_notices_late_does_not_count() -> None:
    """On a loop whose clock goes on meanwhile, as that of the other tests does not."""

    async def busy() -> None:
        for _ in range(4):
            time.sleep(0.3)  # noqa: ASYNC251 - the loop is to stand still
            await asyncio.sleep(0)

    async def scene() -> None:
        async with limited(1.1, 60.0):
            with awaiting_answer():
                await busy()

    asyncio.run(scene())


def test_questions_one_after_the_other_share_a_timer() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        call_at, armed = loop.call_at, []

        def count(when: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
            armed.append(when)
            return call_at(when, *rest, **named)

        async with limited(10.0, 100.0):
            with mock.patch.object(loop, "call_at", count):
                for _ in range(500):
                    await waits(0.001)
        # One for each sleep, and two for each tick of a quarter of a second.
        assert 500 <= len(armed) <= 500 + 6

    run(scene())


async def stands_still(seconds: float) -> None:
    """Something else has the processor, and the timers of the loop come that late."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._patient.now += seconds
    await asyncio.sleep(0.0)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.25, 9.9, 10.0, 61.0, 1_740.0])
def test_a_peer_has_its_time_and_no_more(seconds: float) -> None:
    async def scene() -> None:
        begun = now()
        with pytest.raises(TimeoutError):
            async with PeerDeadline(seconds) as deadline:
                await asyncio.sleep(seconds + 1.0)
        assert deadline.expired()
        assert now() - begun == pytest.approx(seconds)
        async with PeerDeadline(seconds + 0.5) as deadline:
            await asyncio.sleep(seconds)
        assert not deadline.expired()

    run(scene())


def test_a_peer_has_its_time_where_the_loop_stands_still() -> None:
    async def scene() -> None:
        async with PeerDeadline(10.0) as deadline:
            for _ in range(20):
                await stands_still(30.0)
            await asyncio.sleep(4.0)
        assert not deadline.expired()
        with pytest.raises(TimeoutError):
            async with PeerDeadline(10.0):
                await stands_still(30.0)
                await asyncio.sleep(10.0)

    run(scene())


def test_a_time_that_is_far_from_over_is_not_looked_at() -> None:
    """A mailbox that waits for mail costs nothing meanwhile, however many there are."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        call_later, armed = loop.call_later, list[float]()

        def count(delay: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
            armed.append(delay)
            return call_later(delay, *rest, **named)

        with mock.patch.object(loop, "call_later", count):
            async with PeerDeadline(1_800.0):
                await asyncio.sleep(1_000.0)
            assert sorted(armed)[:-1] == [1_000.0]
            # Towards its end as ever: where the loop stands still then, that is not the peer's.
            async with PeerDeadline(1_800.0) as deadline:
                await asyncio.sleep(1_741.0)
                for _ in range(20):
                    await stands_still(30.0)
                await asyncio.sleep(50.0)
            assert not deadline.expired()

    run(scene())


def test_times_of_peers_share_a_timer() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        call_at, armed = loop.call_at, []

        def count(when: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
            armed.append(when)
            return call_at(when, *rest, **named)

        with mock.patch.object(loop, "call_at", count):
            for _ in range(500):
                async with PeerDeadline(10.0) as deadline, PeerDeadline(20.0):
                    deadline.begin_anew(5.0)
                    with deadline.left_out():
                        pass
                    await asyncio.sleep(0.001)
            # One for each sleep, and one for each tick of a quarter of a second.
            assert 500 <= len(armed) <= 500 + 3
            await asyncio.sleep(1.0)
            armed.clear()
            # Nobody is looked at any more.
            await asyncio.sleep(99.0)
        assert len(armed) == 1

    run(scene())


def test_whoever_begins_while_others_are_looked_at_has_its_own_time() -> None:
    async def scene() -> None:
        async def has(seconds: float, after: float) -> float:
            await asyncio.sleep(after)
            begun = now()
            with pytest.raises(TimeoutError):
                async with PeerDeadline(seconds):
                    await asyncio.sleep(99.0)
            return now() - begun

        wanted = [0.5 + number * 0.07 for number in range(60)]
        had = await asyncio.gather(*(has(each, each * 3 % 1.3) for each in wanted))
        assert had == pytest.approx(wanted)

    run(scene())


def test_a_common_timer_knows_nothing_of_who_set_it() -> None:
    told = ContextVar[object]("told")

    class Told:
        """Something that a context may hold."""

    async def scene() -> None:
        async def begins() -> weakref.ref[Told]:
            told.set(held := Told())
            async with PeerDeadline(10.0):
                await asyncio.sleep(0.1)
                return weakref.ref(held)

        first = asyncio.create_task(begins(), context=Context())
        await asyncio.sleep(0.05)
        async with PeerDeadline(50.0):
            kept = await first
            del first
            await asyncio.sleep(1.0)
            assert kept() is None

    run(scene())


def test_what_came_while_the_loop_stood_still_is_not_too_late() -> None:
    """The answer lies in its socket when the last of the time is over."""

    async def scene() -> None:
        answer = asyncio.get_running_loop().create_future()
        async with PeerDeadline(0.2):
            asyncio.get_running_loop().call_soon(answer.set_result, "here")
            await stands_still(30.0)
            assert await answer == "here"

    run(scene())


def test_the_time_of_a_peer_begins_anew_unless_it_is_over() -> None:
    async def scene() -> None:
        async with PeerDeadline(1.0) as deadline:
            await asyncio.sleep(0.9)
            deadline.begin_anew(5.0)
            await asyncio.sleep(4.9)
        with pytest.raises(TimeoutError):
            async with PeerDeadline(1.0) as deadline:
                try:
                    await asyncio.sleep(2.0)
                finally:
                    deadline.begin_anew(5.0)

    run(scene())


@pytest.mark.parametrize("before", [0.0, 0.1, 3.0, 8.9])
def test_what_is_left_out_is_no_time_of_the_peers(before: float) -> None:
    async def scene() -> None:
        async with PeerDeadline(10.0) as deadline:
            await asyncio.sleep(before)
            for _ in range(3):
                with deadline.left_out():
                    await asyncio.sleep(99.0)
            await asyncio.sleep(9.9 - before)
        begun = now()
        with pytest.raises(TimeoutError):
            async with PeerDeadline(10.0) as deadline:
                await asyncio.sleep(before)
                with deadline.left_out():
                    await asyncio.sleep(99.0)
                await asyncio.sleep(99.0)
        assert now() - begun == pytest.approx(109.0)

    run(scene())


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("anew", [None, 5.0])
def test_what_is_left_out_within_what_is_left_out_counts_once(
    depth: int, anew: float | None
) -> None:
    """And what begins anew in there begins when all of it is over, with one timer."""

    async def scene() -> None:
        begun = now()
        with pytest.raises(TimeoutError):
            async with PeerDeadline(10.0) as deadline:
                await asyncio.sleep(0.2)
                with ExitStack() as out:
                    for _ in range(depth):
                        out.enter_context(deadline.left_out())
                        await asyncio.sleep(20.0)
                    if anew is not None:
                        deadline.begin_anew(anew)
                    await asyncio.sleep(20.0)
                await asyncio.sleep(99.0)
        left = 9.8 if anew is None else anew
        assert now() - begun == pytest.approx(0.2 + 20.0 * (depth + 1) + left)
        await asyncio.sleep(99.0)  # in which a second timer would end what is over
        async with PeerDeadline(10.0) as deadline:
            with deadline.left_out():
                deadline.begin_anew(1.0)
                deadline.begin_anew(30.0)
            await asyncio.sleep(29.0)

    run(scene())


def test_to_leave_out_what_is_over_prolongs_nothing() -> None:
    async def scene() -> None:
        with pytest.raises(TimeoutError):
            async with PeerDeadline(1.0) as deadline:
                try:
                    await asyncio.sleep(2.0)
                finally:
                    with deadline.left_out():
                        pass
        assert deadline.expired()
        with pytest.raises(ValueError, match="ours"):
            async with PeerDeadline(1.0) as deadline:
                with deadline.left_out():
                    raise ValueError("ours")
        await asyncio.sleep(5.0)

    run(scene())


#: What is waited for there is no peer of a probe: a turn of our own, or a person.
_NO_PEER = {
    "dns/asking/limiter.py",
    "dns/spf/driving.py",
    "mail/identities/asking.py",
    "mail/limits/hosts.py",
    "mail/limits/limiter.py",
    "mail/limits/peers.py",
    "mail/oauth/loopback.py",
}


def test_no_probe_counts_our_own_lateness_for_its_peer() -> None:
    here = Path(PeerDeadline.__init__.__code__.co_filename).parents[1]
    plain = {
        str(file.relative_to(here))
        for room in ("dns", "mail")
        for file in (here / room).rglob("*.py")
        if "asyncio.timeout(" in file.read_text()
    }
    assert plain == _NO_PEER
