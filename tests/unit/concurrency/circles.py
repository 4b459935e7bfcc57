# SPDX-License-Identifier: Apache-2.0
"""Circles that are set aside while they are in use, in a process that has nothing else.

Run by `test_full_passes`: a pass through all goes through what the process holds, and a run of
tests holds millions of objects.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from postroom.concurrency import full_passes
from postroom.concurrency.full_passes import FullPasses

#: Lists that are kept, and containers that a pass may go through before it is a long one.
KEPT, FEW = 60_000, 20_000
#: Circles in all, some at a time.
_CIRCLES = 300_000
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
        """How much there is, besides what was there before."""
        return sys.getallocatedblocks() - self._base

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == _OLDEST and phase == "start":
            self.seen.append(len(gc.get_objects()))


@contextmanager
def watched() -> Iterator[Passes]:
    """Watch over passes in the running loop, and count them."""
    full_passes.set_aside()
    counted = Passes()
    with FullPasses(counted.clock, counted.size) as watching:
        # Told after the one that watches, for which time passes between its looks at the clock.
        gc.callbacks.append(counted)
        counted.settle = watching.settle
        counted.settle()
        yield counted
        gc.callbacks.remove(counted)


class InUse:
    """Refers to itself, as a connection does that is in use: the collector alone frees it."""

    there = 0

    def __init__(self) -> None:
        InUse.there += 1
        self.own = self

    def __del__(self) -> None:
        InUse.there -= 1


class _Told(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


async def _used(each: int) -> dict[str, Any]:
    """Have so many in use at a time; tell how many were there each time, and what was said."""
    told = _Told()
    full_passes.logger.setLevel(logging.INFO)
    full_passes.logger.addHandler(told)
    before = list(gc.callbacks), gc.get_threshold()
    with watched() as passes:
        there, settled = [], passes.size()
        for _ in range(_CIRCLES // each):
            used = [InUse() for _ in range(each)]
            gc.collect()
            used.clear()
            await asyncio.sleep(0)
            there.append(InUse.there)
            gc.collect()
            await asyncio.sleep(0)
    as_before = (gc.callbacks, gc.get_threshold()) == before
    return {"there": there, "settled": settled, "told": told.messages, "as before": as_before}


if __name__ == "__main__":
    json.dump(asyncio.run(_used(int(sys.argv[1]))), sys.stdout)
