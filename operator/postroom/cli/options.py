# SPDX-License-Identifier: Apache-2.0
"""What verbs share: the options that mean the same in each, and their exit codes."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.cli import usage
from postroom.log import on_one_line


class Output(StrEnum):
    """How objects of a cluster are printed: the forms of kubectl that they have."""

    TABLE = "table"
    WIDE = "wide"
    NAME = "name"
    YAML = "yaml"
    JSON = "json"


class ExitCode:
    """What the exit code says: all is well, it is not, it was not asked well, nobody knows."""

    READY, NOT_READY, BAD_INPUT, COULD_NOT_LOOK = 0, 1, 2, 3


#: Of several the one that counts, for all verbs that read manifests.
_LEAST_FIRST = (
    ExitCode.READY, ExitCode.COULD_NOT_LOOK, ExitCode.NOT_READY, ExitCode.BAD_INPUT
)  # fmt: skip


def worst(*codes: int) -> int:
    """The exit code of a run that ended in several ways: bad input, else broken, else not looked
    at."""
    return max(codes, key=_LEAST_FIRST.index)


def say(text: object, *, errors: bool = False) -> None:
    """Print lines; what others chose in them can be seen, and steers no terminal and no runner of
    CI."""
    typer.echo("\n".join(map(on_one_line, str(text).split("\n"))), err=errors)


def fail(verb: str, sentence: str, code: int = ExitCode.BAD_INPUT) -> typer.Exit:
    """Print what went wrong, as all verbs do, and return what ends the program."""
    say(on_one_line(f"{usage.said('postroom')} {verb}: {sentence}"), errors=True)
    return typer.Exit(code)


def _seconds(given: object) -> float:
    """Read a time to wait: a duration, or a number of seconds, which a default is, too."""
    from postroom.api.fields import parse_duration  # by pydantic, which --help would wait for

    text = str(given)
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def waiting(why: str, longest: float | None = None) -> Any:
    """The option that says how long something is waited for: from one second to `longest`, where
    that is given."""

    def bounded(given: object) -> float:
        seconds = _seconds(given)
        if longest is not None and not 1 <= seconds <= longest:
            raise typer.BadParameter(f"must be between 1s and {longest / 60:g}m")
        return seconds

    return typer.Option(help=why, parser=bounded, metavar="DURATION")


DNSResolverOption = Annotated[
    list[str] | None, typer.Option(help="Resolver (address:port); default: the system's.")
]
DNSAuthoritativePortOption = Annotated[
    str | None, typer.Option(help="Port of authoritative servers; only a lab needs this.")
]
OwnershipKeyFileOption = Annotated[
    Path | None, typer.Option(help="File with the operator's ownership key.")
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(help="What of a folder is left out, as a line of .gitignore says it."),
]
AllowCIDROption = Annotated[
    list[str] | None,
    typer.Option(help="Private network in which mail and name servers may be dialled."),
]
AllowPortOption = Annotated[
    list[str] | None, typer.Option(help="Further port that may be dialled.")
]
AllowTokenHostOption = Annotated[
    list[str] | None,
    typer.Option(help="Host of a token endpoint that is not built in."),
]
