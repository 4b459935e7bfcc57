# SPDX-License-Identifier: Apache-2.0
"""The options of `postroom check` that no other verb has, and what is read from several of them."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from postroom.api.fields import parse_duration
from postroom.cli.file_types import is_folder
from postroom.cli.formats.writing import Format
from postroom.cli.secret_stores import Credentialing, SecretsFrom

Targets = Annotated[
    list[str],
    typer.Argument(help="Files and directories of YAML, - for standard input; or a domain."),
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Namespace of objects that name none.")
]
OutputOption = Annotated[Format, typer.Option("--output", "-o", help="Form of the result.")]
Write = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORMAT=FILE", help="Write the result in a further form into a file as well."
    ),
]
Wait = Annotated[
    str | None,
    typer.Option(help="Look again until all is Ready, at most this long (such as 5m)."),
]
Watch = Annotated[
    bool, typer.Option("--watch", "-w", help="Look again when a file changes, and every 30 s.")
]
SourceRoot = Annotated[
    Path,
    typer.Option(
        help="Folder from which Helm or Kustomize names the sources of what is piped in.",
        show_default=False,
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Read the files alone: fields, values, names; ask nobody.")
]
WithoutCredentials = Annotated[
    bool,
    typer.Option(
        "--without-credentials", help="Check everything but signing in, which nobody tries."
    ),
]
SecretsFromOption = Annotated[
    SecretsFrom | None,
    typer.Option("--secrets-from", help="Where Secrets are that the input does not have."),
]
SecretsDir = Annotated[
    Path | None,
    typer.Option(help="Folder of --secrets-from dir: NAMESPACE/NAME/KEY.", file_okay=False),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(help="Kubeconfig of --secrets-from cluster; default: KUBECONFIG.", dir_okay=False),
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
UnknownIsOk = Annotated[
    bool,
    typer.Option("--unknown-is-ok", help="Exit 0, not 3, where something cannot be looked at."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the exit code.")]


class BadOption(ValueError):
    """An option is not as it must be; the text is one sentence."""


class Destination(NamedTuple):
    """A file, and the form in which the result is written into it."""

    form: Format
    file: Path


def destination(said: str) -> Destination:
    """Read a value of ``--write``; raises `BadOption`."""
    name, equals, file = said.partition("=")
    forms = [form.value for form in Format if form is not Format.TABLE]
    if not (equals and file and name in forms):
        raise BadOption(
            f"--write takes FORMAT=FILE with a format of {', '.join(forms)}, not {said[:80]!r}."
        )
    return Destination(Format(name), Path(file))


def credentials_of(
    without: bool,
    source: SecretsFrom | None,
    folder: Path | None,
    kubeconfig: Path | None,
    context: str | None,
) -> Credentialing:
    """How one signs in, by options that must fit together; raises `BadOption`."""
    if without and source is not None:
        raise BadOption("--without-credentials signs in nowhere: leave --secrets-from out.")
    if (source is SecretsFrom.DIR) != (folder is not None):
        raise BadOption("--secrets-from dir and --secrets-dir FOLDER go together.")
    if folder is not None and not is_folder(folder):
        raise BadOption(f"--secrets-dir {folder}: there is no such folder.")
    if source is not SecretsFrom.CLUSTER and (kubeconfig is not None or context is not None):
        raise BadOption("--kubeconfig and --context go with --secrets-from cluster.")
    return Credentialing(without, source, folder, kubeconfig, context)


def patience(wait: str | None) -> timedelta:
    """Read --wait; raises `ValueError` that names it."""
    try:
        return parse_duration(wait) if wait else timedelta()
    except ValueError as error:
        raise ValueError(f"--wait: {error}") from None
