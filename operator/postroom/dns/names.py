# SPDX-License-Identifier: Apache-2.0
"""Names: relative to a zone, and the way up."""

from __future__ import annotations

from collections.abc import Iterator

#: What most DNS hosts take as the name of the zone itself.
APEX = "@"


def host_label(name: str, zone: str | None) -> str:
    """Return what to type as name at the DNS host: relative to the zone, ``@`` for the zone itself.

    Without a known zone it is the full name, which every DNS host takes in some form.
    """
    if zone is None or not is_within(name, zone):
        return name
    return APEX if name == zone else name.removesuffix(f".{zone}")


def is_within(name: str, zone: str) -> bool:
    """Tell whether a name is the zone's apex or below it."""
    return name == zone or name.endswith(f".{zone}")


def and_ancestors(name: str) -> Iterator[str]:
    """Yield the name, its parent, and so on, down to the top-level domain."""
    labels = name.split(".")
    for index in range(len(labels)):
        yield ".".join(labels[index:])


def canonical(name: str) -> str:
    """Write a name the way postroom compares it: lowercase, without trailing dot."""
    return name.rstrip(".").lower()
