# SPDX-License-Identifier: Apache-2.0
"""Waiting for what others do, and what processes say that they wait for."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable

from postroom.lab.operator_process import OperatorProcess

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


def said_at(process: OperatorProcess, path: str) -> tuple[int, str]:
    """Status and text of an answer of the health server; (0, "") where there is none yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
