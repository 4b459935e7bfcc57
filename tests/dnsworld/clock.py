# SPDX-License-Identifier: Apache-2.0
"""An event loop whose clock is virtual: waiting costs nothing, a week passes in microseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Real seconds without anything scheduled after which a waiting coroutine counts as stuck.
_STUCK = 5.0
_START = 1000.0


class _PatientSelector(selectors.DefaultSelector):
    """Never waits for time to pass: adds the wait to `now` instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            # Only another thread can wake the loop now.
            ready = super().select(_STUCK)
            if not ready:
                raise RuntimeError("Nothing is scheduled, and still somebody waits.")
            return ready
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs callbacks in the order of their times without waiting between them.

    `time()` is virtual, in seconds. Work of threads and real sockets takes no virtual time, so
    that timeouts around them fire at once: keep them out of a coroutine that runs here.
    """

    def __init__(self) -> None:
        self._patient = _PatientSelector()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.now


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a virtual clock of its own."""
    yielded: list[T] = []

    # What a task yields is printed whenever a runner takes its handler of interrupts away
    # (`signal.signal` looks its repr up among known handlers): worlds and reports take long.
    async def keep() -> None:
        yielded.append(await coroutine)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(keep())
    return yielded[0]
