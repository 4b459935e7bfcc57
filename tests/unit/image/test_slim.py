# SPDX-License-Identifier: Apache-2.0
"""What is taken out of the image is what nobody loads, and nothing else."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SLIM = runpy.run_path(str(ROOT / "image" / "slim.py"))


def test_generated_modules_go_but_for_those_that_are_loaded(tmp_path: Path) -> None:
    package = tmp_path / "kubernetes" / "aio" / "client"
    for name in ("api/__init__", "api/core_v1_api", "models/__init__", "models/v1_pod", "rest"):
        file = package / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("12345\n")
    kept = {(package / "models" / "v1_pod.py").resolve()}
    assert SLIM["removed"](tmp_path, kept) == 6
    assert {str(path.relative_to(package)) for path in package.rglob("*.py")} == {
        "api/__init__.py",
        "models/__init__.py",
        "models/v1_pod.py",
        "rest.py",
    }


def test_another_layout_is_noticed(tmp_path: Path) -> None:
    """Nothing to remove is no success: the image would be twice as large."""
    command = [sys.executable, str(ROOT / "image" / "slim.py"), str(tmp_path)]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": ""},
    )
    assert ran.returncode == 1
    assert "another layout" in ran.stderr
