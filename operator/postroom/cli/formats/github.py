# SPDX-License-Identifier: Apache-2.0
"""Annotations of GitHub, as the commands that its runner reads on standard output."""

from postroom.cli.formats.remarks import Level, Remark
from postroom.cli.formats.results import CheckResult, path_of
from postroom.log import without_commands

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def commands(result: CheckResult) -> str:
    """A line for each remark."""
    return "".join(f"{command(remark)}\n" for remark in result.remarks)


def command(remark: Remark) -> str:
    """One annotation. Columns count characters; of a remark on several lines there are none, as
    GitHub takes them of one line only."""
    about: dict[str, object] = {"file": path_of(remark.file)} if remark.file else {}
    if remark.region is not None:
        start, end = remark.region.start, remark.region.end
        about["line"] = start.line
        if end is None or end.line == start.line:
            about["col"] = start.column
        if end is not None:
            about["endLine"] = end.line
        if end is not None and end.line == start.line:
            about["endColumn"] = end.column
    place = remark.place
    about["title"] = f"{remark.code}: {place}" if place else remark.code
    said = ",".join(f"{name}={escaped_property(str(value))}" for name, value in about.items())
    # Others read the older form of a command in the midst of a line, too.
    text = without_commands(f"{said}::{escaped(remark.sentence)}")
    return f"::{_COMMANDS[remark.level]} {text}"


def escaped(text: str) -> str:
    """A message as the runner reads it back: it unescapes these alone, the percent sign last."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """A property, in which colons and commas are escaped, too."""
    return escaped(text).replace(":", "%3A").replace(",", "%2C")
