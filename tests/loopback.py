# SPDX-License-Identifier: Apache-2.0
"""Loopback addresses of this test process alone, so that two runs do not meet on fixed ports."""

from __future__ import annotations

import os


def own_address(number: int = 1) -> str:
    """An address in 127.0.0.0/8 that depends on the process; `number` tells its uses apart.

    Processes that were started one after the other never share one.
    """
    rest, last = divmod(os.getpid(), 254)
    return f"127.{64 + number}.{rest % 256}.{last + 1}"
