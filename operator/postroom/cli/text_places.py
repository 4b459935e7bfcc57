# SPDX-License-Identifier: Apache-2.0
"""Where something stands in a text: from the index of a character to lines and columns as editors
and code hosts count them."""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property

_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place between two characters, counted from 1.

    A line ends with a line feed, as for Git and code hosts: YAML has more line ends. `column`
    counts characters, `utf16` the units of UTF-16, of which some characters have two.
    """

    line: int
    column: int
    utf16: int


@dataclass(frozen=True, slots=True)
class Region:
    """From one place to another, before which it ends; to the end of the line where there is
    none."""

    start: Spot
    end: Spot | None = None


class SourceText:
    """Answers where a character of a text stands, at once for however long lines."""

    def __init__(self, content: str) -> None:
        self.content = content

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.content))]

    @cached_property
    def _wide(self) -> list[int]:
        """The characters that UTF-16 writes as two units."""
        return [found.start() for found in _BEYOND_BMP.finditer(self.content)]

    def line(self, index: int) -> int:
        """The line of a character."""
        return bisect_right(self._starts, index)

    def start_of_line(self, index: int) -> int:
        """The index at which the line of a character begins."""
        return self._starts[self.line(index) - 1]

    def position(self, index: int) -> Spot:
        """Where a character stands."""
        start = self.start_of_line(index)
        column = index - start + 1
        wide = bisect_left(self._wide, index) - bisect_left(self._wide, start)
        return Spot(self.line(index), column, column + wide)

    def region(self, begin: int, end: int) -> Region:
        """The region between two indices; of nothing it is the rest of the line."""
        stop = self.position(end) if end > begin else None
        return Region(self.position(begin), stop)
