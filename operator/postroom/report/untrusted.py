# SPDX-License-Identifier: Apache-2.0
"""Reads what may be anything: a status may be somebody's edit, or that of another version.

Whatever it holds becomes bounded text in which every character can be seen. That it never becomes
markup is up to the page.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

#: Characters of a sentence, of a name, and of a value to paste: what status may hold, and no more.
SENTENCE, NAME, VALUE = 1024, 256, 8192
_LINES = "\n\t"
_CUT = "…"


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object, most: int) -> Iterator[Mapping[str, Any]]:
    """The first entries of a list that are mappings."""
    if isinstance(value, list | tuple):
        yield from [entry for entry in value[:most] if isinstance(entry, Mapping)]


def text(value: object, most: int = SENTENCE) -> str:
    """A text or number as text to be seen; "" for all else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        said = str(value)
    except ValueError:
        # A number of more digits than Python writes.
        return ""
    begun = said[: most + 1]
    seen = begun if begun.isascii() and begun.isprintable() else "".join(map(_seen, begun))
    return seen if len(seen) <= most else seen[: most - 1] + _CUT


def texts(value: object, most: int, longest: int = NAME) -> list[str]:
    """The first texts of a list."""
    entries = value[:most] if isinstance(value, list | tuple) else ()
    return [said for entry in entries if (said := text(entry, longest))]


def count(value: object) -> int | None:
    """A number of things; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**53 else None


def moment(value: object) -> datetime | None:
    """The time of a metav1.Time; None where it is none, or the zero that the API server sets."""
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC) if found.tzinfo and found.year > 1970 else None
    except (ValueError, OverflowError):
        return None


def _seen(character: str) -> str:
    """A character that can be seen: one that turns, hides or ends a text is told by its number.

    So does one that no file can hold, half of a surrogate pair.
    """
    if character.isprintable() or character in _LINES:
        return character
    return f"\\u{{{ord(character):x}}}"
