# SPDX-License-Identifier: Apache-2.0
"""Loads what a process works with until its end: the operator, and `postroom deliver`."""

import gc
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

#: Passes of Python's collector through what is young, before one through everything.
_NEVER = 1_000_000


@contextmanager
def for_good() -> Iterator[None]:
    """Import, within this, what stays, without two things that are for nothing.

    Modules are no garbage: the collector goes through none of them, neither while they become more
    nor later. And aiohttp reads the system's authorities, twice, for requests that do not say whom
    they trust: 3 MB. Ours all say, and those contexts of its own trust nobody.
    """
    young, middle, full = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    reads = ssl.SSLContext.set_default_verify_paths
    ssl.SSLContext.set_default_verify_paths = _trust_nobody  # type: ignore[assignment,method-assign]
    try:
        yield
        gc.freeze()
    finally:
        ssl.SSLContext.set_default_verify_paths = reads  # type: ignore[method-assign]
        gc.set_threshold(young, middle, full)


def _trust_nobody(context: ssl.SSLContext) -> None:
    """Leave a context as it is: without authorities, it takes no certificate for proven."""
