# SPDX-License-Identifier: Apache-2.0
"""Where a report goes: a page to a file, or its data to standard output."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.api.conditions import ConditionStatus
from postroom.cli import file_types
from postroom.cli.options import ExitCode, say
from postroom.log import without_commands
from postroom.report import page, reading, shape

HTMLOption = Annotated[
    Path | None, typer.Option("--html", help="File for the page; -: standard output.")
]
JSONOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="Exit as postroom check does, not 0.")
]
_STDOUT = Path("-")


class ReportNotWritten(Exception):
    """There is nothing to report on, or no place for the report; the text is one sentence."""


def refuse_places(html: Path | None, *, as_json: bool) -> None:
    """Raise `ReportNotWritten` where it is not known where to write, before anything is done."""
    if html is None and not as_json:
        raise ReportNotWritten("name a file with --html FILE, or print it with --json.")
    if html == _STDOUT and as_json:
        raise ReportNotWritten("standard output takes one of --html - and --json.")
    if (
        html is not None
        and html != _STDOUT
        and (file_types.is_folder(html) or not file_types.is_folder(html.parent))
    ):
        raise ReportNotWritten(f"{html} is no file that could be written.")


def write(
    objects: Iterable[Mapping[str, Any]],
    source: shape.ReportSource,
    html: Path | None,
    *,
    as_json: bool,
) -> shape.EmailReport:
    """Make the report of objects and write it; raises `ReportNotWritten`."""
    made = reading.report_of(objects, source, datetime.now(UTC))
    if as_json:
        say(made.model_dump_json(by_alias=True, indent=2))
    if html == _STDOUT:
        lines = page.render(made).split("\n")
        typer.echo("\n".join(without_commands(line, "&#{};") for line in lines), nl=False)
    elif html is not None:
        _replace(html, page.render(made))
        say(f"{page.headline(made)}: {html}", errors=True)
    return made


def _replace(file: Path, text: str) -> None:
    """Write a file as a whole: whoever reads it meanwhile has the one before.

    A link is followed, and what is no file (a pipe, /dev/stdout) is written to as it is.
    """
    try:
        if file.exists() and not file.is_file():
            file.write_text(text, encoding="utf-8")
            return
        _replace_file(Path(os.path.realpath(file)), text)
    except OSError as error:
        raise ReportNotWritten(f"{file} cannot be written: {error.strerror}.") from None


def _replace_file(file: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
    ) as scratch:
        made = Path(scratch.name)
        try:
            scratch.write(text)
            scratch.flush()
            # What a file made by the shell would have.
            mask = os.umask(0)
            os.umask(mask)
            made.chmod(0o666 & ~mask)
            made.replace(file)
        except BaseException:
            made.unlink(missing_ok=True)
            raise


def exit_code(report: shape.EmailReport) -> int:
    """The code that `postroom check` would end with."""
    told = {
        # What was found of an earlier spec says nothing.
        "" if each.turn is shape.Turn.UNSEEN else each.ready
        for each in report.objects
        if each.turn is not shape.Turn.RESTING
    }
    if ConditionStatus.FALSE in told:
        return ExitCode.NOT_READY
    return ExitCode.READY if told <= {ConditionStatus.TRUE} else ExitCode.COULD_NOT_LOOK
