# SPDX-License-Identifier: Apache-2.0
"""Foreign texts made fit for status: printable, bounded, and still telling versions apart."""

import hashlib
from collections.abc import Sequence

#: Longest quoted text, in characters.
QUOTE_LIMIT = 256
_SHOWN_LIMIT = 10


def quoted(value: str, limit: int = QUOTE_LIMIT) -> str:
    """Make a foreign text printable, and cut it with a hash that still tells versions apart."""
    printable = value[: limit + 1]
    if not (printable.isascii() and printable.isprintable()):  # as most texts are
        printable = "".join(
            char if " " <= char <= "~" else f"\\{ord(char):03d}" if ord(char) < 256 else "?"
            for char in printable
        )
    if len(value) <= limit and len(printable) <= limit:
        return printable
    digest = hashlib.sha256(value.encode(errors="replace")).hexdigest()[:12]
    return f"{printable[: limit - 24]}... (sha256 {digest})"


def shown(values: Sequence[str]) -> tuple[str, ...]:
    """Quote the values of an answer: sorted, and no more than a status lists."""
    return tuple(quoted(value) for value in sorted(values)[:_SHOWN_LIMIT])
