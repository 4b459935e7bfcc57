# SPDX-License-Identifier: Apache-2.0
"""Names of addresses in reverse DNS: which lead back, and which are made from the address."""

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

_GROUPS_LEAST = 3


def addresses_in(values: Iterable[str]) -> frozenset[IPv4Address | IPv6Address]:
    """Return the addresses among the values of an answer."""
    found = set[IPv4Address | IPv6Address]()
    for value in values:
        with suppress(ValueError):
            found.add(ipaddress.ip_address(value))
    return frozenset(found)


def is_generic(name: str, address: str) -> bool:
    """Whether a name is made from the address, as those of dial-up lines are.

    Found are the parts of an IPv4 address in either order, decimal or padded, with or without
    something between them, and its eight hex digits; of an IPv6 address all digits, or the groups
    of its short form if they are not too few to tell anything.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, IPv6Address):
        digits = parsed.exploded.replace(":", "")
        plain = re.sub(r"[^0-9a-f]", "", name.lower())
        groups = [group for group in str(parsed).split(":") if group]
        short = len(groups) >= _GROUPS_LEAST and _between("-".join(groups), name)
        return short or digits in plain or digits[::-1] in plain
    parts = str(parsed).split(".")
    padded = [part.zfill(3) for part in parts]
    found = [
        between.join(order)
        for numbers in (parts, padded)
        for order in (numbers, numbers[::-1])
        for between in ("-", "")
        if between or numbers is padded
    ]
    return any(_between(form, name) for form in (*found, f"{int(parsed):08x}"))


def _between(text: str, name: str) -> bool:
    """Whether a text stands in a name, not as a part of longer numbers."""
    plain = re.sub(r"[._-]+", "-", name.lower())
    return re.search(rf"(?<![0-9a-f]){re.escape(text)}(?![0-9a-f])", plain) is not None
