# SPDX-License-Identifier: Apache-2.0
"""On whose behalf the running task works: what is shared is counted per party.

A context variable, so that what is asked deep inside need not carry the party through every
signature; tasks inherit it from who starts them. Outside of any party it is empty, which is a party
like another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PARTY: ContextVar[str] = ContextVar("party", default="")


def party() -> str:
    """Return on whose behalf the running task works."""
    return _PARTY.get()


@contextmanager
def acting_for(name: str) -> Iterator[None]:
    """Work on behalf of a party while the block runs."""
    token = _PARTY.set(name)
    try:
        yield
    finally:
        _PARTY.reset(token)
