# SPDX-License-Identifier: Apache-2.0
"""``make`` is not silent for minutes: each step of a set-up says what it does, and how long.

And it installs no more than is needed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[3] / "Makefile"
SLOW = re.compile(r"-m venv |-m pip install ")
SAYS = re.compile(r'echo ".+ It takes [a-z ]+\."')


def test_every_slow_step_of_a_set_up_says_so_first() -> None:
    lines = MAKEFILE.read_text(encoding="utf-8").splitlines()
    slow = [number for number, line in enumerate(lines) if SLOW.search(line)]
    assert len(slow) >= 4
    for number in slow:
        # One sentence may speak of a venv and of what is installed into it.
        before = [line for line in lines[max(number - 2, 0) : number] if not SLOW.search(line)]
        assert SAYS.search(before[-1]), lines[number]


def test_steps_are_counted() -> None:
    steps = re.findall(r"step ([0-9]) of ([0-9])", MAKEFILE.read_text(encoding="utf-8"))
    assert steps == [("1", "2"), ("2", "2")]


def commands(at: Path, *targets: str) -> str:
    """What `make` would do in a folder that has our Makefile, and nothing newer than a set-up."""
    (at / "Makefile").write_text(MAKEFILE.read_text(encoding="utf-8"), encoding="utf-8")
    (at / "pyproject.toml").touch()
    os.utime(at / "pyproject.toml", (0, 0))
    given = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    asked = ["make", "--dry-run", "--jobs=2", *targets]
    return subprocess.run(
        asked, cwd=at, env=given, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("targets", "extras"),
    [
        (["demo"], ["lab"]),
        (["demo-cluster"], ["lab"]),
        (["test-unit"], ["dev"]),
        # One after the other, in whatever order they are asked for: it is the same environment.
        (["test-unit", "demo"], ["lab", "dev"]),
    ],
)
def test_a_target_installs_what_it_needs(
    tmp_path: Path, targets: list[str], extras: list[str]
) -> None:
    assert re.findall(r"--editable '\.\[(\w+)]'", commands(tmp_path, *targets)) == extras


@pytest.mark.parametrize("ready", [".ready", ".ready-demo"])
def test_a_demo_installs_nothing_where_all_is_there(tmp_path: Path, ready: str) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ready).touch()
    assert "pip install" not in commands(tmp_path, "demo")
