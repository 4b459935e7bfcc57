# SPDX-License-Identifier: Apache-2.0
"""Time that passes at once while nobody works: minutes of waiting for what is due take moments.

Import it before anything that reads the clock: it stands in for `time.monotonic`.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_monotonic = time.monotonic
_skipped = 0.0


def _virtual() -> float:
    return _monotonic() + _skipped


time.monotonic = _virtual


def now() -> datetime:
    """The current time, aware, UTC."""
    return datetime.now(UTC) + timedelta(seconds=_skipped)


class Skipping(selectors.DefaultSelector):
    """Skips waits for a timer wherever `idle` says that nobody waits for the network."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready within `timeout` seconds."""
        global _skipped
        if timeout and self._idle():
            ready = super().select(0)
            if not ready:
                _skipped += timeout
            return ready
        return super().select(timeout)


def loop(idle: Callable[[], bool]) -> asyncio.AbstractEventLoop:
    """An event loop that lives in virtual time."""
    return asyncio.SelectorEventLoop(Skipping(idle))
