# SPDX-License-Identifier: Apache-2.0
"""The data of a record in the form of zone files, which most tools borrow."""

from postroom.dns.answers import RecordType
from postroom.dns.texts.presentation import CannotPublish, presentation

#: Types whose value is a name.
NAMED = frozenset({RecordType.CNAME, RecordType.NS, RecordType.PTR})


def rdata(kind: RecordType, value: str) -> str:
    """Write a value as zone files do, every name absolute; raises `CannotPublish`."""
    if kind is RecordType.TXT:
        return presentation(value)
    if kind is RecordType.MX:
        preference, host = exchange(value)
        return f"{preference} {absolute(host)}"
    return absolute(value) if kind in NAMED else value


def exchange(value: str) -> tuple[int, str]:
    """Take an MX value apart: preference, and host without trailing dot (``.``: the null MX).

    Raises `CannotPublish`.
    """
    preference, _, host = value.partition(" ")
    if not (preference.isascii() and preference.isdecimal() and host):
        raise CannotPublish(f"An MX record needs a preference and a host, not {value!r}.")
    return int(preference), relative_to_root(host)


def absolute(name: str) -> str:
    """Write a name with its trailing dot."""
    return name if name.endswith(".") else f"{name}."


def relative_to_root(name: str) -> str:
    """Write a name without its trailing dot, except the root itself."""
    return name if name == "." else name.removesuffix(".")


def tlsa(value: str) -> tuple[int, int, int, str]:
    """Take a TLSA value apart: usage, selector, matching type and the data in hexadecimal.

    Raises `CannotPublish`.
    """
    parts = value.split()
    numbers = [int(part) for part in parts[:3] if part.isascii() and part.isdecimal()]
    if len(parts) < 4 or len(numbers) != 3:
        raise CannotPublish(f"A TLSA record needs three numbers and data, not {value!r}.")
    return numbers[0], numbers[1], numbers[2], "".join(parts[3:])
