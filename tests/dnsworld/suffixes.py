# SPDX-License-Identifier: Apache-2.0
"""Public suffixes as far as the world knows them: every top label, and a few of two labels."""

from __future__ import annotations

from dnsworld.names import Name, and_ancestors, name_of, text_of

_DEEP = frozenset(map(name_of, ("co.uk", "com.au", "co.jp")))


def suffixes(name: Name) -> list[Name]:
    """The public suffixes that a name ends in, the top one first; the root has none."""
    above = list(and_ancestors(name))[-2::-1]
    return above[:1] + [one for one in above[1:2] if one in _DEEP]


def registrable(name: Name) -> str:
    """The domain that is registered for a name. Raises `LookupError` for a public suffix."""
    depth = len(suffixes(name))
    above = list(and_ancestors(name))[-2::-1]
    if len(above) <= depth:
        raise LookupError(f"{text_of(name)} is a public suffix.")
    return text_of(above[depth])
