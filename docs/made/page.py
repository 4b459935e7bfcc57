# SPDX-License-Identifier: Apache-2.0
"""What all made pages share: their head, tables and lists that GitHub and the site render alike."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import yaml

MADE = "<!-- Made by `make docs` from the code; edit that instead. -->\n"
_NOTES = Path(__file__).parent / "notes.yaml"


def page(title: str, lead: str, lines: Iterable[str]) -> str:
    """Write a page of a title, a paragraph and what follows."""
    return "\n".join([f"{MADE}# {title}", "", lead, "", *lines]).rstrip("\n") + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table, and an empty line after it."""
    return [_row(head), "|" + "---|" * len(head), *(_row(cells) for cells in rows), ""]


def codes(names: Iterable[object]) -> str:
    """Write names as code, one after the other."""
    return ", ".join(f"`{name}`" for name in names)


def notes(about: str) -> Mapping[str, str]:
    """Return what there is to say beyond the sentences of the code, by name."""
    return _all_notes()[about]


@cache
def _all_notes() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = yaml.load(_NOTES.read_text("utf-8"), Loader=yaml.CSafeLoader)
    return found


def prose(text: str) -> str:
    """Return a text in which no `<name>` is taken for HTML."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
