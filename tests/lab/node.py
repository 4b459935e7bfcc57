# SPDX-License-Identifier: Apache-2.0
"""Node.js, and packages of npm, which are fetched once into the cache.

With POSTROOM_REQUIRE_NODE=1 their absence is a failure.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

#: The library of Standard Webhooks for JavaScript.
STANDARD_WEBHOOKS = "standardwebhooks@1.1.1"


def node() -> str:
    """The program; a failure or skip where there is none."""
    return shutil.which("node") or _refuse("Node.js is not here (Debian: npm)")


def modules(package: str) -> Path:
    """A directory node_modules with a package and what it needs, to be linked where it is used."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    root = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser() / "npm"
    place = root / package
    place.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "done").exists():
            command = ("npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund")
            try:
                subprocess.run(
                    [*command, "--prefix", str(place), package],
                    check=True,
                    capture_output=True,
                    timeout=300,
                )
            except (OSError, subprocess.SubprocessError) as error:
                _refuse(f"{package} cannot be had from npm: {error}")
            (place / "done").touch()
    return place / "node_modules"


def _refuse(reason: str) -> Any:
    if os.environ.get("POSTROOM_REQUIRE_NODE") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
