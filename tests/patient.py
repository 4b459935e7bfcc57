# SPDX-License-Identifier: Apache-2.0
"""An event loop whose clock stands still while its process waits for a processor.

Servers of tests and who asks them are in one process: what a bound of a part of a second ends is
then what the other one does, and never what else the machine has to do.
"""

from __future__ import annotations

import asyncio
import selectors
import time

#: Seconds that callbacks may take between two looks for events, and that an event may wait for its
#: look, before it is the machine that holds the process up.
_MOST = 0.05


class _Selector(selectors.DefaultSelector):
    """Knows how long the process was held up."""

    def __init__(self) -> None:
        super().__init__()
        self._lost, self._looked = 0.0, time.monotonic()

    def now(self) -> float:
        return min(time.monotonic(), self._looked + _MOST) - self._lost

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        self._lost += max(0.0, began - self._looked - _MOST)
        found = super().select(timeout)
        self._looked = time.monotonic()
        took, bound = self._looked - began, max(timeout or 0.0, 0.0)
        if timeout is not None and took > bound:
            # Of an event nobody knows when it came: it goes before what became due since.
            self._lost += took - (min(bound, _MOST) if found else bound)
        return found


class PatientLoop(asyncio.SelectorEventLoop):
    """Runs what becomes due by the time that its process has had."""

    def __init__(self) -> None:
        self._patient = _Selector()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.now()
