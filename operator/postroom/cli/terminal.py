# SPDX-License-Identifier: Apache-2.0
"""Colours and widths of all that both programs print: every console is made here.

Colours follow NO_COLOR (no-color.org), then FORCE_COLOR (force-color.org) and CLICOLOR_FORCE, then
CLICOLOR (bixense.com/clicolors) and TERM. Whether something moves depends on the terminal alone: a
log that may have colours must not get a spinner.
"""

import os
import sys
from collections.abc import Iterable
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from postroom.log import visible

#: Columns where nobody looks yet: what is cut there is lost.
OF_PIPE = 200
#: Columns and lines of a terminal that does not tell.
OF_TERMINAL, _LINES = 80, 25


class _VisibleConsole(Console):
    """Writes what others chose so that it can be seen: the library lets escape sequences through.

    What the library itself says to a terminal, colours and the movements of a spinner, it keeps
    apart from text.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield segment._replace(text=visible(segment.text, kept="\n"))


def output() -> Console:
    """Standard output, for tables and text."""
    return _console(errors=False)


def errors() -> Console:
    """Standard error, for progress and what is told to a person."""
    return _console(errors=True)


def _console(*, errors: bool) -> Console:
    stream = sys.stderr if errors else sys.stdout
    is_terminal = stream.isatty()
    try:
        told = os.get_terminal_size(stream.fileno()).columns if is_terminal else OF_PIPE
    except (OSError, ValueError):
        told = 0
    columns = os.environ.get("COLUMNS", "")
    wished = int(columns) if columns.isdecimal() else 0
    # All of it is given, as the library looks at fewer variables, and takes a dumb terminal for
    # one of 80 columns.
    return _VisibleConsole(
        stderr=errors,
        highlight=False,
        width=wished or told or OF_TERMINAL,
        height=_LINES,
        force_terminal=is_terminal,
        color_system=colours(is_terminal=is_terminal),
    )


def colours(*, is_terminal: bool) -> Literal["auto", "standard"] | None:
    """Which colours there are, as the library calls them; None: plain text."""
    said = {name: os.environ.get(name, "") for name in ("NO_COLOR", "CLICOLOR", "TERM")}
    if said["NO_COLOR"]:
        return None
    forced = [os.environ.get(name, "") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")]
    if any(value not in ("", "0") for value in forced):
        return "standard"
    # Many take FORCE_COLOR=0 for a refusal.
    refused = forced[0] == "0" or said["CLICOLOR"] == "0" or said["TERM"] == "dumb"
    return "auto" if is_terminal and not refused else None
