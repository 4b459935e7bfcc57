# SPDX-License-Identifier: Apache-2.0
"""The limiter of probes: bounds, and that those that stall keep nobody out for long.

On a virtual clock, so that times are exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.clock import VirtualLoop, run
from postroom.mail.limits.limiter import (
    PATIENCE,
    SLOTS,
    SLOW_SLOTS,
    BeforeLogin,
    HostSpeed,
    ProbeLimiter,
)

#: What a silent server holds a probe for: until its deadlines end.
DEADLINE = 23.0
#: What a healthy server takes.
QUICK = 0.1
#: Evaluations of one namespace at a time.
OF_ONE = 32
#: Seconds that a healthy server may wait behind any number of silent ones.
PROMISED = 3.0
ROUNDING = 1e-6


@dataclass
class Probe:
    """One probe: its host answers after `silence`, then takes the login, and ends after `rest`."""

    namespace: str = "x"
    silence: float = DEADLINE
    rest: float = 0.0
    speed: HostSpeed = field(default_factory=HostSpeed)
    begun: list[float] = field(default_factory=list)
    logins: int = 0
    #: Seconds from the wish to the end, and those that were spent on the attempt that ended.
    took: float = 0.0
    spent: float = 0.0


class Room:
    """A limiter in use; `most` is how many probes were under way at once."""

    def __init__(
        self, slots: int = SLOTS, slow: int = SLOW_SLOTS, patience: float = PATIENCE
    ) -> None:
        self.limiter = ProbeLimiter(slots, slow, patience)
        self.under_way = self.most = 0
        self.now = asyncio.get_running_loop().time

    async def run(self, probe: Probe) -> Probe:
        async def session(before_login: BeforeLogin) -> None:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            begun = self.now()
            probe.begun.append(begun)
            try:
                await asyncio.sleep(probe.silence)
                before_login()
                probe.logins += 1
                await asyncio.sleep(probe.rest)
            finally:
                self.under_way -= 1
                probe.spent = self.now() - begun

        wished = self.now()
        await self.limiter.run(probe.speed, probe.namespace, session)
        probe.took = self.now() - wished
        return probe

    def start(self, probes: Sequence[Probe]) -> list[asyncio.Task[Probe]]:
        return [asyncio.create_task(self.run(probe)) for probe in probes]


def play(scene: Callable[[Room], Awaitable[None]], *sizes: int) -> None:
    async def perform() -> None:
        await scene(Room(*sizes))

    run(perform())


def silent(number: int, known: bool = False) -> list[Probe]:
    """As many silent servers, no namespace having more of them than it may look at at a time."""
    made = [Probe(f"neighbour{at // OF_ONE}") for at in range(number)]
    for probe in made:
        probe.speed.slow = known
    return made


def test_no_more_than_the_places_are_under_way() -> None:
    async def scene(room: Room) -> None:
        probes = [Probe(f"n{at}") for at in range(30)]
        await asyncio.gather(*room.start(probes))
        assert room.most == 5
        assert {probe.logins for probe in probes} == {1}

    play(scene, 2, 3)


def test_those_that_stall_make_room() -> None:
    async def scene(room: Room) -> None:
        stalled = [Probe("a"), Probe("b")]
        tasks = room.start(stalled)
        await asyncio.sleep(0)
        healthy = await room.run(Probe("healthy", QUICK))
        assert healthy.took <= PATIENCE + 2 * QUICK
        await asyncio.gather(*tasks)
        assert [len(probe.begun) for probe in stalled] == [1, 1], "none had to begin anew"

    play(scene, 2, 2)


def test_a_healthy_server_behind_a_thousand_silent_ones_waits_for_three_seconds() -> None:
    """Whatever moment it comes in, and were it never seen before."""

    async def scene(room: Room) -> None:
        stalled = silent(1000)
        tasks = room.start(stalled)
        await asyncio.sleep(0)
        waits = list[float]()
        while not all(task.done() for task in tasks):
            waits.append((await room.run(Probe("healthy", QUICK))).took)
            await asyncio.sleep(0.37)
        assert len(waits) > 100
        assert max(waits) <= PROMISED
        assert room.most <= SLOTS + SLOW_SLOTS
        assert all(
            len(probe.begun) <= 2 and probe.spent >= DEADLINE - ROUNDING for probe in stalled
        )

    play(scene)


def test_a_healthy_server_behind_silent_ones_that_are_known_waits_for_nothing() -> None:
    async def scene(room: Room) -> None:
        tasks = room.start(silent(1000, known=True))
        await asyncio.sleep(0)
        assert (await room.run(Probe("healthy", QUICK))).took <= 2 * QUICK
        await asyncio.gather(*tasks)

    play(scene)


def test_a_server_that_is_slow_is_found_well_among_silent_ones() -> None:
    """It greets late, and has all its time for that although it made room before."""

    async def scene(room: Room) -> None:
        tasks = room.start([*silent(400, known=True), *silent(600)])
        await asyncio.sleep(0)
        late = Probe("late", silence=6.0, rest=1.0)
        tasks += room.start([late])
        while not tasks[-1].done():
            await room.run(Probe("healthy", QUICK))
        await asyncio.gather(*tasks)
        assert len(late.begun) == 2
        assert late.logins == 1
        assert late.spent >= 7.0 - ROUNDING

    play(scene)


def test_one_that_sent_its_login_stays() -> None:
    async def scene(room: Room) -> None:
        known = Probe("known")
        known.speed.slow = True
        tasks = room.start([known])
        await asyncio.sleep(0)
        refusing = Probe("a", silence=QUICK, rest=DEADLINE)
        tasks += room.start([refusing])
        await asyncio.sleep(2 * PATIENCE)
        await room.run(Probe("healthy", QUICK))
        await asyncio.gather(*tasks)
        assert (len(refusing.begun), refusing.logins) == (1, 1)

    play(scene, 1, 1)


def test_a_host_that_is_known_to_stall_takes_no_place() -> None:
    async def scene(room: Room) -> None:
        known = Probe("x")
        known.speed.slow = True
        tasks = room.start([known])
        await asyncio.sleep(0)
        assert (await room.run(Probe("x", QUICK))).took < 2 * QUICK
        assert not tasks[0].done()
        await asyncio.gather(*tasks)

    play(scene, 1, 1)


def test_a_host_that_answers_again_is_no_longer_slow() -> None:
    async def scene(room: Room) -> None:
        probe = await room.run(Probe(silence=PATIENCE))
        assert probe.speed.slow
        probe.silence = QUICK
        await room.run(probe)
        assert not probe.speed.slow

    play(scene)


def test_a_host_is_not_called_slow_where_we_were_busy() -> None:
    """The event loop stands still for longer than the patience, and the answer lies there."""

    async def scene(room: Room) -> None:
        probe = Probe(silence=1.0)
        tasks = room.start([probe])
        await asyncio.sleep(0.5)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop._patient.now += 3 * PATIENCE
        await asyncio.gather(*tasks)
        assert not probe.speed.slow
        silent = Probe()
        await room.run(silent)
        assert silent.speed.slow

    play(scene)


def test_whoever_gives_up_leaves_its_place() -> None:
    async def scene(room: Room) -> None:
        tasks = room.start([Probe("a"), Probe("b"), Probe("c")])
        for later in (0, PATIENCE, 3 * PATIENCE):
            await asyncio.sleep(later)
            tasks += room.start([Probe(f"at {later}")])
        await asyncio.sleep(QUICK)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        fresh, known = Probe("x", QUICK), Probe("x", QUICK)
        known.speed.slow = True
        assert all([(await room.run(probe)).took < 2 * QUICK for probe in (fresh, known)])
        assert room.limiter._leaving == 0

    play(scene, 1, 1)


def test_what_a_probe_runs_into_is_its_own() -> None:
    """A deadline of the probe itself is not taken for being turned out."""

    async def scene(room: Room) -> None:
        async def impatient(_: BeforeLogin) -> None:
            async with asyncio.timeout(QUICK):
                await asyncio.sleep(DEADLINE)

        try:
            await room.limiter.run(HostSpeed(), "x", impatient)
        except TimeoutError:
            return
        raise AssertionError("its own deadline was lost")

    play(scene)


def test_stalled_probes_of_one_namespace_turn_out_no_other() -> None:
    """Even where they are more than all slots of either kind."""

    async def scene(room: Room) -> None:
        late = Probe("late", silence=3 * PATIENCE)
        tasks = room.start([late, *(Probe("silent") for _ in range(100))])
        for _ in range(3):
            assert (await room.run(Probe("healthy", QUICK))).took <= 2 * QUICK
            await asyncio.sleep(PATIENCE)
        await asyncio.gather(*tasks)
        assert len(late.begun) == 1

    play(scene, 10, 10)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.floats(0, 30),
            st.sampled_from([0.0, QUICK, 1.9, 2.0, 2.1, 5.0, DEADLINE]),
            st.sampled_from([0.0, 1.0, 2.0, 20.0]),
        ),
        max_size=40,
    ),
    st.integers(1, 4),
    st.integers(1, 4),
)
@settings(max_examples=150)
def test_every_login_goes_out_once_and_every_probe_has_its_time(
    wishes: list[tuple[str, float, float, float]], slots: int, slow: int
) -> None:
    async def scene(room: Room) -> None:
        async def wish(namespace: str, moment: float, silence: float, rest: float) -> Probe:
            await asyncio.sleep(moment)
            return await room.run(Probe(namespace, silence, rest))

        for probe in await asyncio.gather(*(wish(*one) for one in wishes)):
            assert probe.logins == 1
            assert 1 <= len(probe.begun) <= 2
            assert probe.spent >= probe.silence + probe.rest - ROUNDING
        assert room.most <= slots + slow
        assert room.limiter._leaving == 0
        assert not room.limiter._overdue

    play(scene, slots, slow)
