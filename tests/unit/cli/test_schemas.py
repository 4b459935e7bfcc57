# SPDX-License-Identifier: Apache-2.0
"""``postroom schemas``: all of them into a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from postroom.cli.schemas import schemas

ROOT = Path(__file__).resolve().parents[3]


def test_what_is_written_is_what_is_shipped(tmp_path: Path) -> None:
    schemas(tmp_path / "new")
    written = {
        file.relative_to(tmp_path / "new"): file.read_text()
        for file in (tmp_path / "new").rglob("*.json")
    }
    shipped = ROOT / "schemas"
    assert written == {
        file.relative_to(shipped): file.read_text() for file in shipped.rglob("*.json")
    }


def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(typer.Exit) as caught:
        schemas(tmp_path / "file")
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err.startswith("postroom schemas: cannot write ")
