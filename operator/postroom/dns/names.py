# SPDX-License-Identifier: Apache-2.0
"""Names: relative to a zone, the way up, and what can be a name at all."""

import re
from collections.abc import Iterator

#: What most DNS hosts take as the name of the zone itself.
APEX = "@"

#: RFC 1035 section 3.1, for names as text without the trailing dot.
NAME_LIMIT = 253
#: Labels of what is visible in ASCII and needs no escape (RFC 1035 section 2.3.4: 63 octets).
_LABEL = r"[!-\-/-\[\]-~]{1,63}"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: One octet of a label that is a space or beyond ASCII, as presentation form writes it.
_OCTET = re.compile(r"\\(?:032|12[89]|1[3-9][0-9]|2[0-4][0-9]|25[0-5])")


def host_label(name: str, zone: str | None) -> str:
    """Return what to type as name at the DNS host: relative to the zone, ``@`` for the zone itself.

    Without a known zone it is the full name, which every DNS host takes in some form.
    """
    if zone is None or not is_within(name, zone):
        return name
    return APEX if name == zone else name.removesuffix(f".{zone}")


def is_within(name: str, zone: str) -> bool:
    """Whether a name is the zone's apex or below it."""
    return name == zone or name.endswith(f".{zone}")


def and_ancestors(name: str) -> Iterator[str]:
    """Yield the name, its parent, and so on, down to the top-level domain."""
    labels = name.split(".")
    for index in range(len(labels)):
        yield ".".join(labels[index:])


def canonical(name: str) -> str:
    """Write a name the way postroom compares it: lowercase, without the trailing dot.

    Only one dot is taken away: a second one belongs to an escaped label.
    """
    return name.removesuffix(".").lower()


def can_be_asked(name: str) -> bool:
    """Whether a text is a name in A-label form that fits into a query.

    Nothing can exist at any other (RFC 7208 section 4.3 treats it so): U-labels belong to user
    interfaces, and no mail record stands at a name that needs escapes.
    """
    return len(name) <= NAME_LIMIT and _NAME.fullmatch(name) is not None


def fits_into_query(name: str) -> bool:
    r"""Whether a text is a name to ask for, be it one that only a slip can have made.

    Octets beyond ASCII (``b\195\188cher``) are what a DNS host makes of a U-label, and a space
    (``\032_dmarc``) is what it makes of one that was copied along.
    """
    return can_be_asked(_OCTET.sub("x", name))
