# SPDX-License-Identifier: Apache-2.0
"""The spool: a bound on all, a share for each namespace, room in the order of asking."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.reasons import Reason
from postroom.concurrency import places
from postroom.delivery.spool import Spool, SpoolFull
from postroom.mail.connect.dial import Failure

KI = 1024


@pytest.mark.parametrize("sizes", [[], [10], [200 * KI, 56 * KI], [256 * KI, 1, 256 * KI, 700]])
async def test_a_message_is_read_as_it_was_written_as_often_as_asked(
    sizes: list[int], tmp_path: Path
) -> None:
    spool = Spool(1024 * KI, tmp_path)
    async with spool.message("a", 600 * KI) as message:
        for number, size in enumerate(sizes):
            await message.add(bytes([65 + number]) * size)
        whole = b"".join(bytes([65 + number]) * size for number, size in enumerate(sizes))
        assert message.size == len(whole)
        assert message.in_memory == (len(whole) <= 256 * KI)
        # Nobody else can open it, and it is gone with the process.
        assert os.listdir(tmp_path) == []  # noqa: PTH208
        first, second = message.pieces(), message.pieces()
        begun = next(first, b"")
        assert b"".join(second) == whole and begun + b"".join(first) == whole
    assert spool.used == 0


async def test_more_than_there_was_room_for_is_refused() -> None:
    spool = Spool(1024 * KI)
    with pytest.raises(SpoolFull):
        async with spool.message("a", 2048 * KI):
            pass
    with pytest.raises(SpoolFull):
        async with spool.message("a", 300 * KI) as message:
            await message.add(b"." * 300 * KI)
            await message.add(b".")
    assert spool.used == 0


async def test_what_is_given_up_while_it_is_written_leaves_no_file_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, goes_on, made = threading.Event(), threading.Event(), list[IO[bytes]]()
    make = tempfile.TemporaryFile

    def slow(**where: Any) -> IO[bytes]:
        begun.set()
        goes_on.wait(10)
        made.append(make(**where))
        return made[0]

    monkeypatch.setattr(tempfile, "TemporaryFile", slow)
    spool = Spool(1024 * KI)

    async def write() -> None:
        async with spool.message("a", 300 * KI) as message:
            await message.add(b"." * 300 * KI)

    writing = asyncio.create_task(write())
    assert await asyncio.to_thread(begun.wait, 10)
    writing.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await asyncio.get_running_loop().shutdown_default_executor()
    assert [file.closed for file in made] == [True]


class Guests:
    """Who asks for room, and who got it."""

    def __init__(self, limit: int) -> None:
        self.spool = Spool(limit)
        self.inside: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, name: str, namespace: str, size: int) -> None:
        self.leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, namespace, size))
        await self.settle()

    async def _stay(self, name: str, namespace: str, size: int) -> None:
        async with self.spool.message(namespace, size):
            self.inside.append(name)
            try:
                await self.leave[name].wait()
            finally:
                self.inside.remove(name)

    async def go(self, name: str) -> None:
        self.leave[name].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert self.spool.used == 0


async def test_a_namespace_has_half_of_it_and_waits_for_itself_alone() -> None:
    guests = Guests(100)
    await guests.ask("a1", "a", 30)
    await guests.ask("a2", "a", 30)
    await guests.ask("b1", "b", 50)
    assert guests.inside == ["a1", "b1"]
    await guests.go("a1")
    assert guests.inside == ["b1", "a2"]
    await guests.close()


async def test_a_large_message_is_passed_while_others_keep_its_room_and_no_longer() -> None:
    guests = Guests(100)
    await guests.ask("a1", "a", 60)
    await guests.ask("big", "b", 100)
    await guests.ask("c1", "c", 10)
    assert guests.inside == ["a1", "c1"], "what fits does not wait for the one that cannot come"
    await guests.ask("b2", "b", 10)
    await guests.go("a1")
    await guests.ask("d1", "d", 10)
    assert guests.inside == ["c1"], "only who has passed is in its way now"
    await guests.go("c1")
    assert guests.inside == ["big"]
    await guests.go("big")
    assert guests.inside == ["b2", "d1"]
    await guests.close()


async def test_who_stays_for_ever_holds_up_none_that_fits() -> None:
    guests = Guests(100)
    await guests.ask("a1", "a", 70)
    await guests.ask("a2", "a", 40)
    await guests.ask("big", "b", 40)
    for number in range(20):
        await guests.ask(f"c{number}", "c", 30)
        assert guests.inside == ["a1", f"c{number}"]
        await guests.go(f"c{number}")
    await guests.close()


async def test_many_who_wait_are_cancelled_at_once() -> None:
    guests = Guests(100)
    for number, size in enumerate((60, 50, 90, 50, 100)):
        await guests.ask(str(number), f"n{number % 3}", size)
    for task in guests.tasks.values():
        task.cancel()
    ended = await asyncio.gather(*guests.tasks.values(), return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}
    assert guests.spool.used == 0 and not guests.spool._waiting


async def test_who_waits_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_LONG", 0.02)
    guests = Guests(100)
    await guests.ask("a1", "a", 100)
    told: list[bool] = []
    begun = asyncio.Event()

    async def wait() -> None:
        async with guests.spool.message("b", 10, lambda waits: (told.append(waits), begun.set())):  # type: ignore[func-returns-value]
            told.append(True)

    waiting = asyncio.create_task(wait())
    await begun.wait()
    assert told == [True]
    await guests.go("a1")
    await waiting
    assert told == [True, False, True]
    async with guests.spool.message("b", 10, told.append):
        assert told[3:] == []
    await guests.close()


async def test_who_no_longer_waits_holds_nobody_up() -> None:
    guests = Guests(100)
    await guests.ask("a1", "a", 60)
    await guests.ask("big", "b", 70)
    await guests.ask("c1", "c", 40)
    await guests.go("a1")
    await guests.ask("d1", "d", 10)
    assert guests.inside == ["c1"]
    guests.tasks["big"].cancel()
    await guests.settle()
    assert guests.inside == ["c1", "d1"]
    await guests.close()


async def test_who_is_let_in_and_cancelled_at_once_takes_no_room() -> None:
    guests = Guests(100)
    await guests.ask("a1", "a", 100)
    await guests.ask("b1", "b", 100)
    guests.leave["a1"].set()
    guests.tasks["a1"].add_done_callback(lambda _: guests.tasks["b1"].cancel())
    await guests.settle()
    await guests.settle()
    assert guests.spool.used == 0
    await guests.close()


@pytest.mark.parametrize("place", ["gone", "file"])
async def test_a_disk_that_takes_nothing_is_no_crash(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = Spool(1024 * KI, tmp_path / place)
    with pytest.raises(Failure) as raised:
        async with spool.message("a", 600 * KI) as message:
            await message.add(b"." * 300 * KI)
    assert raised.value.reason is Reason.AWAITING_DEPENDENCY
    assert "--spool-dir" in raised.value.message
    assert spool.used == 0
    async with spool.message("a", KI) as message:
        await message.add(b"small ones need no disk")


@pytest.mark.parametrize("last", [1, 5_000, 9_000, 300 * KI])
async def test_a_disk_that_fills_up_is_no_crash_whatever_it_does_not_take(
    last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is smaller than the buffer of the file is still in it when the file is closed.
    full = Path("/dev/full").open("r+b", buffering=8192)  # noqa: ASYNC230, SIM115
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: full)
    spool = Spool(1024 * KI)
    with pytest.raises(Failure) as raised:
        async with spool.message("a", 600 * KI) as message:
            message.size = 256 * KI  # beyond what memory keeps
            await message.add(b"." * last)
    assert "--spool-dir" in raised.value.message
    assert full.closed
    assert spool.used == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "go", "cancel"]),
            st.sampled_from("abc"),
            st.integers(1, 100),
            st.integers(0, 30),
        ),
        max_size=40,
    )
)
def test_whatever_comes_and_goes_the_bound_is_kept_and_nobody_waits_for_ever(
    steps: list[tuple[str, str, int, int]],
) -> None:
    async def play() -> None:
        guests = Guests(100)
        asked: dict[str, tuple[str, int]] = {}
        for number, (what, namespace, size, which) in enumerate(steps):
            present = [name for name in asked if not guests.tasks[name].done()]
            if what == "ask" or not present:
                asked[str(number)] = namespace, size
                await guests.ask(str(number), namespace, size)
            elif what == "go" and guests.inside:
                await guests.go(guests.inside[which % len(guests.inside)])
            elif what == "cancel":
                guests.tasks[present[which % len(present)]].cancel()
                await guests.settle()
            inside = [asked[name] for name in guests.inside]
            assert guests.spool.used == sum(size for _, size in inside) <= 100
            for own in "abc":
                sizes = [size for place, size in inside if place == own]
                assert len(sizes) < 2 or sum(sizes) <= 50
                # Of one namespace, in the order of asking.
                waiting = [
                    int(name)
                    for name, (place, _) in asked.items()
                    if place == own and not guests.tasks[name].done() and name not in guests.inside
                ]
                entered = [int(name) for name in guests.inside if asked[name][0] == own]
                assert not waiting or not entered or min(waiting) > max(entered)
        # Whoever is inside goes, one after the other: then all have been inside.
        while any(not task.done() for task in guests.tasks.values()):
            assert guests.inside, "all wait, and nobody is inside"
            await guests.go(guests.inside[0])
        await guests.close()

    asyncio.run(play())


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(1, 100), st.integers(1, 10)), max_size=40
    ),
    st.integers(1, 4),
)
def test_nobody_delays_another_for_longer_than_some_stay(
    asked: list[tuple[str, int, int]], each_step: int
) -> None:
    """Whoever waits is in after those before it have gone, and those who passed until then: of each
    that waits before it, and of itself, twice the longest stay."""

    async def play() -> None:
        guests = Guests(100)
        coming, since, leaving = list(enumerate(asked)), dict[str, int](), dict[str, int]()
        before, step = dict[str, int](), 0
        while coming or since or leaving:
            step += 1
            for name in [name for name, end in leaving.items() if end <= step]:
                del leaving[name]
                await guests.go(name)
            for number, (namespace, size, _) in coming[:each_step]:
                before[str(number)], since[str(number)] = len(since), step
                await guests.ask(str(number), namespace, size)
            del coming[:each_step]
            for name in [name for name in since if name in guests.inside]:
                leaving[name] = step + asked[int(name)][2]
                del since[name]
            for name, begun in since.items():
                assert step - begun <= 20 * (before[name] + 1)
        await guests.close()

    asyncio.run(play())
