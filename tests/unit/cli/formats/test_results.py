# SPDX-License-Identifier: Apache-2.0
"""How files are called in reports: relative to where we are, with slashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.cli.formats.results import MEANINGS, path_of
from postroom.cli.options import ExitCode
from unit.cli.formats import made


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("mail/a.yaml", "mail/a.yaml"),
        ("./mail//a.yaml", "mail/a.yaml"),
        ("mail/../a.yaml", "a.yaml"),
        ("<stdin>", "stdin"),
        ("<command line>", "command-line"),
        ("/elsewhere/a.yaml", "/elsewhere/a.yaml"),
    ],
)
def test_paths(file: str, path: str) -> None:
    assert path_of(file) == path


def test_an_absolute_path_below_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_of(str(tmp_path / "mail" / "a.yaml")) == "mail/a.yaml"


def test_every_exit_code_has_its_meaning() -> None:
    codes = {value for name, value in vars(ExitCode).items() if name.isupper()}
    assert codes == set(MEANINGS)


def test_the_remarks_of_an_object() -> None:
    first, second = made.RESULT.objects[:2]
    assert made.RESULT.of(first) == [made.BROKEN, made.ADVICE]
    assert made.RESULT.of(second) == []
