# SPDX-License-Identifier: Apache-2.0
"""The workflow of releases: what a linter for security says of it, and that it runs nobody else's
action, so that there is nothing to pin. That GitHub accepts it is shown by its first run alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yaml"
JOBS: dict[str, Any] = yaml.load(WORKFLOW.read_text(), Loader=yaml.CSafeLoader)["jobs"]
ZIZMOR = Path(sys.executable).with_name("zizmor")


def audited(file: Path) -> subprocess.CompletedProcess[str]:
    command = [ZIZMOR, "--offline", "--persona=auditor", "--no-progress", file]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_zizmor_finds_nothing() -> None:
    ran = audited(WORKFLOW)
    assert ran.returncode == 0, ran.stdout


def test_zizmor_finds_what_is_wrong(tmp_path: Path) -> None:
    wrong = WORKFLOW.read_text().replace("permissions: {}", "permissions: write-all")
    (tmp_path / "release.yaml").write_text(wrong)
    ran = audited(tmp_path / "release.yaml")
    assert ran.returncode != 0
    assert "excessive-permissions" in ran.stdout


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_the_rights_that_it_needs_and_an_end(name: str) -> None:
    job = JOBS[name]
    assert job["permissions"]["contents"] == "read"
    assert job["timeout-minutes"] <= 60
    assert not any("uses" in step for step in job["steps"])


def test_files_that_it_names_are_there() -> None:
    text = WORKFLOW.read_text()
    for path in re.findall(r"\b((?:image|charts)/[\w./-]+\w)", text):
        assert (ROOT / path).exists() or path.startswith("charts/postroom@"), path
