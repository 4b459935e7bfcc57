# SPDX-License-Identifier: Apache-2.0
"""``postroom crds``: one document per kind on standard output, or one file per kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
import yaml

from postroom.api import crd
from postroom.cli.crds import crds


def test_all_definitions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    crds()
    printed = tuple(yaml.load_all(capsys.readouterr().out, Loader=yaml.CSafeLoader))
    assert printed == crd.definitions()


def test_one_file_per_kind_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crds(tmp_path / "new")
    written = {path.name: path.read_text() for path in (tmp_path / "new").iterdir()}
    assert written == crd.render()
    assert capsys.readouterr().out == ""


def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(typer.Exit) as caught:
        crds(tmp_path / "file")
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err.endswith("name another with --output-dir.\n")
