# SPDX-License-Identifier: Apache-2.0
"""Loads what a process works with until its end: the operator, and `postroom deliver`."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

#: Where OpenSSL looks for the system's authorities: a file without any, and what is no directory.
_NO_AUTHORITIES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


@contextmanager
def for_good() -> Iterator[None]:
    """Import, within this, what stays, without two things that are for nothing.

    Modules are no garbage: the collector goes through none of them, neither while they become more
    nor later; what little they leave behind stays (0.6 MB). And aiohttp reads the system's
    authorities, twice, for requests that do not say whom they trust: 3 MB. Ours all say, and those
    contexts of its own trust nobody.
    """
    gc.disable()
    said = {name: os.environ.get(name) for name in _NO_AUTHORITIES}
    os.environ.update(_NO_AUTHORITIES)
    try:
        yield
        gc.freeze()
    finally:
        for name, value in said.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
        gc.enable()
