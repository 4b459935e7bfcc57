# SPDX-License-Identifier: Apache-2.0
"""``postroom schemas``: JSON schemas of the kinds and of the report of `postroom check`."""

from pathlib import Path
from typing import Annotated

import typer

from postroom.api import json_schema
from postroom.cli import options
from postroom.cli.formats import report_schema


def schemas(
    output_dir: Annotated[Path, typer.Argument(help="Folder that they are written into.")],
) -> None:
    """Write JSON schemas for editors and kubeconform, and that of the report of check -o json."""
    try:
        for name, text in (json_schema.render() | report_schema.render()).items():
            file = output_dir / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            typer.echo(file, err=True)
    except OSError as error:
        sentence = f"cannot write {error.filename or output_dir}: {error.strerror}; name another."
        raise options.fail("schemas", sentence) from None
