# SPDX-License-Identifier: Apache-2.0
"""Prometheus' own promtool: the installed one, or Debian's package unpacked once and cached.

Unpacked, not installed: the package would start a server. With POSTROOM_REQUIRE_PROMTOOL=1 its
absence is a failure.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

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
