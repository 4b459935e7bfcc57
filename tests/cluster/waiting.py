# SPDX-License-Identifier: Apache-2.0
"""Waiting for what others do."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two looks.
_LEAST, _MOST = 0.1, 0.5


def eventually(
    check: Callable[[], bool], what: str | Callable[[], str], seconds: float = 120
) -> None:
    """Poll until `check` holds; `what` should, or tells in the end what is so instead.

    So long as a machine may need that has other things to do as well, and shorter than the five
    minutes after which what is not noticed is looked at by itself.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if check():
            return
        now = time.monotonic()
        if now > deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:.0f} s: {told}")
        # A look at thousands of objects, made all the time, holds up what it waits for.
        time.sleep(min(max(_LEAST, 2 * (now - began)), _MOST))
