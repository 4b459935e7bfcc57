# SPDX-License-Identifier: Apache-2.0
"""What verbs share: the options that mean the same in each, and their exit codes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    YAML = "yaml"
    JSON = "json"


class ExitCode:
    """What the exit code says: all is well, it is not, it was not asked well, nobody knows."""

    READY, NOT_READY, BAD_INPUT, COULD_NOT_LOOK = 0, 1, 2, 3


def fail(verb: str, sentence: str, code: int = ExitCode.BAD_INPUT) -> typer.Exit:
    """Print what went wrong, as all verbs do, and return what ends the program."""
    typer.echo(f"postroom {verb}: {sentence}", err=True)
    return typer.Exit(code)


DNSResolverOption = Annotated[
    list[str] | None, typer.Option(help="Resolver (address:port); default: the system's.")
]
DNSAuthoritativePortOption = Annotated[
    str | None, typer.Option(help="Port of authoritative servers; only a lab needs this.")
]
OwnershipKeyFileOption = Annotated[
    Path | None, typer.Option(help="File with the operator's ownership key.")
]
