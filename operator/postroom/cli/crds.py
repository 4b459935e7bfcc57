# SPDX-License-Identifier: Apache-2.0
"""``postroom crds``: the CustomResourceDefinitions, made from the models."""

from pathlib import Path
from typing import Annotated

import typer

from postroom.api import crd
from postroom.cli import options


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
        where = error.filename or output_dir
        sentence = f"cannot write {where}: {error.strerror}; name another with --output-dir."
        raise options.fail("crds", sentence) from None
