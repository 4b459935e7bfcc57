# SPDX-License-Identifier: Apache-2.0
"""Waiting for what others do."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(
    check: Callable[[], bool], what: str | Callable[[], str], seconds: float = 120
) -> None:
    """Poll until `check` holds; `what` should, or tells in the end what is so instead.

    So long as a machine may need that has other things to do as well, and shorter than the five
    minutes after which what is not noticed is looked at by itself.
    """
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:.0f} s: {told}")
        time.sleep(0.1)
