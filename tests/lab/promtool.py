# SPDX-License-Identifier: Apache-2.0
"""Prometheus' own promtool: the installed one, or Debian's package unpacked once and cached.

Unpacked, not installed: the package would start a server. With POSTROOM_REQUIRE_PROMTOOL=1 its
absence is a failure.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

PACKAGE = "prometheus"


def promtool() -> str:
    """Find the program, or skip; a failure where the variable demands it."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    try:
        return str(_unpacked())
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"promtool cannot be had (Debian package {PACKAGE}): {error}"
        if os.environ.get("POSTROOM_REQUIRE_PROMTOOL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def each_alone(
    directory: Path, rules: str, cases: Iterable[Mapping[str, Any]], interval: str
) -> subprocess.CompletedProcess[str]:
    """Run cases, each with those rules alone that it names.

    promtool evaluates all rules that it is given for each minute of each case: with those of others
    a case takes ten times as long, and nothing that it asks of comes from them.
    """
    groups = yaml.load(rules, Loader=yaml.CSafeLoader)["groups"]
    files = []
    for number, case in enumerate(cases):
        text = json.dumps(case)
        named = [
            {**group, "rules": [rule for rule in group["rules"] if f'"{rule["alert"]}"' in text]}
            for group in groups
        ]
        assert any(group["rules"] for group in named), case
        own, test = f"rules-{number}.yaml", f"case-{number}.yaml"
        (directory / own).write_text(json.dumps({"groups": named}))
        asked = {"rule_files": [own], "evaluation_interval": interval, "tests": [case]}
        (directory / test).write_text(json.dumps(asked))
        files.append(test)
    return subprocess.run(
        [promtool(), "test", "rules", *files],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
    )


def _unpacked() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    root = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser() / "promtool"
    root.mkdir(parents=True, exist_ok=True)
    program = root / "promtool"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                _run("apt-get", "download", "-qq", PACKAGE, directory=scratch)
                (archive,) = (path.name for path in Path(scratch).glob("*.deb"))
                _run("dpkg", "-x", archive, "unpacked", directory=scratch)
                (Path(scratch) / "unpacked/usr/bin/promtool").rename(program)
    return program


def _run(*command: str, directory: str) -> None:
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=300)
