# SPDX-License-Identifier: Apache-2.0
"""Lays out a table so that it fits a terminal, and never cuts what a reader came for.

Rich shares a lack of room among all columns, and would cut a verdict to ``Tr…``. Here names and
verdicts are whole at any width; what gives way is the longest free text, then whole columns, and
where even that is not enough, a line is longer than the terminal, which wraps it.
"""

import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from postroom.api.conditions import ConditionStatus

#: What is never cut nor left out: which object it is, and how it is.
KEPT = frozenset({"NAMESPACE", "NAME", "READY"})
#: Columns that may be shortened, in this order; the others hold a word or a number.
_FREE, _REASON = frozenset({"DOMAIN", "HOST", "ADDRESS", "SERVER"}), frozenset({"REASON"})
#: Columns that go, in this order: of the first READY tells most, of the others mostly NAME.
_SPARE, _NAMED = ("VERIFIED", "UNSEEN", "ACCOUNTS", "DEFAULT"), ("SERVER", *sorted(_FREE))
#: How short a free text gets before a column goes, and before others go than spare ones.
_READABLE, _SHORTEST = 16, 9
_GAP = 2

_MARKS = {
    ConditionStatus.TRUE: ("\u2713", "yes", "green"),
    ConditionStatus.FALSE: ("\u2717", "no", "red"),
    ConditionStatus.UNKNOWN: ("?", "?", "yellow"),
}


def mark(status: str, console: Console) -> Text:
    """A check's result as one character, or as a word where the output has no such character."""
    known = next((marks for key, marks in _MARKS.items() if key == status), None)
    if known is None:
        return Text(status or "-", style="dim")
    sign, word, colour = known
    return Text(sign if _has(console, sign) else word, style=colour)


def _has(console: Console, text: str) -> bool:
    """Whether the output can be given these characters."""
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Columns:
    """A table column by column; all of them have as many cells as there are rows."""

    cells: Mapping[str, Sequence[Text]]

    def print(self, console: Console, *, whole: bool = False) -> None:
        """Print a heading and the rows; a `whole` table has lines as long as they are."""
        widths = self.widths(sys.maxsize if whole else console.width)
        ellipsis = "\u2026" if _has(console, "\u2026") else "~"
        headings = {name: Text(name) for name in widths}
        rows = [
            {name: self.cells[name][row] for name in widths}
            for row in range(len(next(iter(self.cells.values()))))
        ]
        for style, row in (("bold", headings), *(("", row) for row in rows)):
            line = Text(style=style)
            for name, width in widths.items():
                line.append_text(_fitted(row[name], width, ellipsis))
                line.append(" " * _GAP)
            line.rstrip()
            console.print(line, soft_wrap=True)

    def widths(self, room: int) -> dict[str, int]:
        """The columns that are shown, and how wide each is."""
        widths = {
            name: max(cell_len(name), *(cell_len(cell.plain) for cell in cells))
            for name, cells in self.cells.items()
        }
        _shorten(widths, room, _FREE, _READABLE)
        _leave_out(widths, room, _SPARE)
        _shorten(widths, room, _FREE, _SHORTEST)
        _shorten(widths, room, _REASON, _READABLE)
        _leave_out(widths, room, _NAMED)
        _shorten(widths, room, _REASON, _SHORTEST)
        # From the right, where the details are.
        _leave_out(widths, room, [name for name in reversed(widths) if name not in KEPT])
        return widths


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _shorten(widths: dict[str, int], room: int, free: Set[str], shortest: int) -> None:
    """Take from the longest free text, character by character, what there is no room for."""
    while _total(widths) > room:
        longest = max(free & widths.keys(), key=lambda name: (widths[name], name), default=None)
        if longest is None or widths[longest] <= shortest:
            return
        widths[longest] -= 1


def _leave_out(widths: dict[str, int], room: int, names: Sequence[str]) -> None:
    """Leave out one column after the other until the rest fits."""
    for name in names:
        if _total(widths) > room:
            widths.pop(name, None)


def _fitted(cell: Text, width: int, ellipsis: str) -> Text:
    """The cell, exactly as wide; its style stays."""
    text = cell.plain
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + ellipsis
    return Text(set_cell_size(text, width), style=cell.style)
