# SPDX-License-Identifier: Apache-2.0
"""Domain names as the kit holds them: wire form (RFC 1035 section 3.1), lowercase, uncompressed.

As bytes they hash fast, take any octet in a label, and shed a label by slicing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import dns.name

Name = bytes

ROOT: Name = b"\x00"
#: Octets of a whole name (RFC 1035 section 2.3.4).
NAME_LIMIT = 255


@lru_cache(maxsize=65536)
def name_of(text: str) -> Name:
    """Read a name in presentation form, taken as absolute with or without its last dot.

    Characters beyond ASCII become their UTF-8 octets, as a careless DNS host stores them. Raises
    `dns.exception.DNSException` for an empty label, or one or a name that is too long.
    """
    name = dns.name.from_text(text.encode(), dns.name.root)
    return b"".join(bytes([len(label)]) + label.lower() for label in name.labels)


@lru_cache(maxsize=65536)
def text_of(name: Name) -> str:
    """Write a name in presentation form, lowercase, without last dot; the root is empty."""
    return dns.name.from_wire(name, 0)[0].to_text(omit_final_dot=True) if name != ROOT else ""


def parent(name: Name) -> Name:
    """The name without its first label; the root is above itself."""
    return name[1 + name[0] :] or ROOT


def and_ancestors(name: Name) -> Iterator[Name]:
    """Yield the name and all above it, the root last."""
    while name != ROOT:
        yield name
        name = parent(name)
    yield ROOT


def is_within(name: Name, zone: Name) -> bool:
    """Whether a name is the zone's apex or below it."""
    while len(name) > len(zone):
        name = parent(name)
    return name == zone
