# SPDX-License-Identifier: Apache-2.0
"""``postroom crds``: the CustomResourceDefinitions, made from the models."""

from pathlib import Path
from typing import Annotated

import typer

from postroom.api import crd


def crds(
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Write one file per kind into this directory instead of printing."),
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions, ready for `kubectl apply -f -`."""
    rendered = crd.render()
    if output_dir is None:
        typer.echo("---\n".join(rendered.values()), nl=False)
        return
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        for name, text in rendered.items():
            (output_dir / name).write_text(text, encoding="utf-8")
            typer.echo(output_dir / name, err=True)
    except OSError as error:
        typer.echo(
            f"postroom crds: cannot write {error.filename or output_dir}: {error.strerror}; name "
            "another directory with --output-dir.",
            err=True,
        )
        raise typer.Exit(2) from None
