# SPDX-License-Identifier: Apache-2.0
"""Full passes of Python's garbage collector, kept short however much a process keeps.

What refers to itself in a circle is freed by the collector alone. Its full pass goes through every
container of the process, of which there are some hundred for each object that is watched, and
nothing else runs meanwhile: with 10,000 objects that is more than half a second, again and again,
since statuses are replaced all the time, each new one counts as an addition, and CPython repeats
the pass once these are a quarter of what the last one left (`Modules/gcmodule.c`, to 3.13).

What a pass left that took long is alive, and most of it stays. It is set aside (`gc.freeze`), and
later passes go through what came since. What was set aside is freed as before when nobody refers to
it any more; only a circle that was in use at that moment, such as a connection, is not. So once
there is half as much again as after the last pass through all, there is another one, which frees
these circles: what is lost is bounded by that, and where as much is kept as before, there is none.

Between two full passes CPython lets 85,000 new containers come, 3.13 three times as many, and that
takes a tenth of a second on a busy machine. Here it is 15,000 on all of them.

Nothing of that is about a version: the collector of 3.12 and 3.13 is the same, begun between two
instructions. One that works in steps (3.14) begins no full pass by itself, so none is long, and
nothing is set aside.
"""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Self

logger = logging.getLogger(__name__)

#: Seconds of CPU time after which a full pass was a long one.
LONG = 0.01
#: How many times as much as after the last pass through all there must be for another one.
GROWTH = 1.5
#: After how many new containers, and how many passes of the younger, each generation has its turn.
_TURNS = 2_200, 1, 1
_OLDEST = 2


def set_aside() -> None:
    """Free what only refers to itself, and have no later pass go through the rest."""
    gc.collect()
    gc.freeze()
    # The size of what an earlier pass went through would put the next one off for too long.
    gc.collect()


class FullPasses:
    """Watches over them while a process works, in a `with` in its event loop.

    `clock` tells the CPU time of a thread, `size` how much there is, in whatever unit.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.thread_time,
        size: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._clock, self._size = clock, size
        self._begun = 0.0
        #: How much there was after the last pass through all; None: it is still coming.
        self._settled: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = gc.get_threshold()

    def __enter__(self) -> Self:
        # Where Python does not count what it allocates (PYTHONMALLOC), growth could not be seen.
        if self._size() > 0:
            self._loop = asyncio.get_running_loop()
            gc.callbacks.append(self._passed)
            gc.set_threshold(*_TURNS)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop = None
        if self._passed in gc.callbacks:
            gc.callbacks.remove(self._passed)
            gc.set_threshold(*self._turns)

    def settle(self) -> None:
        """All that is kept at first has come: from here on growth may be circles."""
        if self._loop is not None:
            set_aside()
            self._settled = self._size()

    def _passed(self, phase: str, info: dict[str, Any]) -> None:
        """Told by the collector, in whichever thread it works, before and after a pass."""
        if info["generation"] != _OLDEST:
            return
        if phase == "start":
            self._begun = self._clock()
        elif self._clock() - self._begun >= LONG:
            gc.freeze()
            if self._loop is not None and self._has_grown():
                self._loop.call_soon_threadsafe(self._go_through_all)

    def _has_grown(self) -> bool:
        return self._settled is not None and self._size() > GROWTH * self._settled

    def _go_through_all(self) -> None:
        if self._loop is None or not self._has_grown():
            return
        before, begun = self._size(), self._clock()
        gc.unfreeze()
        self.settle()
        freed = 100 * (before - self._size()) // before
        took = self._clock() - begun
        logger.info("a pass through all that is kept took %.1f s and freed %d %%", took, freed)
