# SPDX-License-Identifier: Apache-2.0
"""Full passes of the garbage collector: long ones are not repeated, circles are freed all the same.

By counts: how long a pass takes is told by a clock that counts what is gone through.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable

import pytest

from postroom.concurrency import full_passes
from postroom.concurrency.full_passes import GROWTH, FullPasses

#: Lists that are kept, and containers that a pass may go through before it is a long one.
KEPT, FEW = 60_000, 20_000
_OLDEST = 2


class Passes:
    """What full passes go through, one by one, counted; `clock` tells it as their time."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.settle: Callable[[], None] = gc.collect
        self._base = sys.getallocatedblocks() - 6 * KEPT

    def clock(self) -> float:
        """The CPU time of all passes."""
        return full_passes.LONG * sum(self.seen) / FEW

    def size(self) -> int:
        """How much there is, besides what the test run has."""
        return sys.getallocatedblocks() - self._base

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == _OLDEST and phase == "start":
            self.seen.append(len(gc.get_objects()))


@pytest.fixture
async def passes() -> AsyncIterator[Passes]:
    """Watched over, and counted."""
    full_passes.set_aside()
    before, counted = (list(gc.callbacks), gc.get_threshold()), Passes()
    with FullPasses(counted.clock, counted.size) as watching:
        # Told after the one that watches, for which time passes between its looks at the clock.
        gc.callbacks.append(counted)
        counted.settle = watching.settle
        counted.settle()
        yield counted
        gc.callbacks.remove(counted)
    assert (gc.callbacks, gc.get_threshold()) == before
    if InUse.there:
        # That takes long: all that the test run holds is gone through.
        gc.unfreeze()
        full_passes.set_aside()


class InUse:
    """Refers to itself, as a connection does that is in use: the collector alone frees it."""

    there = 0

    def __init__(self) -> None:
        InUse.there += 1
        self.own = self

    def __del__(self) -> None:
        InUse.there -= 1


async def test_what_is_kept_is_gone_through_until_a_pass_was_long(passes: Passes) -> None:
    kept = []
    for _ in range(12):
        kept += [[number] for number in range(KEPT // 12)]
        gc.collect()
    # Four parts are too much for one pass: there are three of them, and what else the process has.
    assert max(passes.seen) < 2 * FEW
    assert sum(passes.seen) < 4 * KEPT
    assert gc.get_freeze_count() > KEPT - FEW
    passes.seen.clear()
    gc.collect()
    assert max(passes.seen) < FEW


async def test_replacing_what_is_kept_brings_no_pass_through_all(passes: Passes) -> None:
    """As statuses are: each is new to the collector, and there are no more of them."""
    kept = [[number] for number in range(KEPT // 2)]
    passes.settle()
    aside = gc.get_freeze_count()
    passes.seen.clear()
    for turn in range(20):
        for number in range(0, KEPT // 2, 2):
            kept[number + turn % 2] = [number]
        gc.collect()
        await asyncio.sleep(0)
        assert gc.get_freeze_count() < aside + FEW
    assert max(passes.seen) < 2 * FEW


@pytest.mark.parametrize("each", [FEW, 2 * FEW])
async def test_circles_that_were_set_aside_do_not_pile_up(
    passes: Passes, each: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    passes.settle()
    there, settled = [], passes.size()
    for _ in range(300_000 // each):
        used = [InUse() for _ in range(each)]
        gc.collect()
        used.clear()
        await asyncio.sleep(0)
        there.append(InUse.there)
        gc.collect()
        await asyncio.sleep(0)
    # What was in use when it was set aside is lost, until it is too much: again and again.
    assert each < max(there) <= (GROWTH - 1) * settled + each
    assert there.count(0) > 1
    assert caplog.text.count("a pass through all that is kept took") == there.count(0)


async def test_nothing_is_set_aside_where_growth_cannot_be_seen() -> None:
    before = list(gc.callbacks)
    with FullPasses(size=lambda: 0) as watching:
        assert gc.callbacks == before
        watching.settle()
