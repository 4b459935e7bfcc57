# SPDX-License-Identifier: Apache-2.0
"""What CI reads our files with, from Go modules: kubeconform, built once and cached, and OASIS'
schema of SARIF, which a module carries as a text.

With POSTROOM_REQUIRE_CLUSTER, which demands Go anyway, their absence is a failure.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
SARIF = "github.com/owenrumney/go-sarif/v3@v3.3.1"


def kubeconform() -> Path:
    """The program."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    root = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser() / "kubeconform"
    folder = root / KUBECONFORM.rpartition("@")[2]
    folder.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "kubeconform").exists():
            _go("install", KUBECONFORM, GOBIN=str(folder))
    return folder / "kubeconform"


def sarif_schema() -> dict[str, Any]:
    """The schema of SARIF 2.1.0 with errata 01."""
    module = json.loads(_go("mod", "download", "-json", SARIF))["Dir"]
    text = (Path(module) / "pkg/report/v210/sarif/schema.go").read_text()
    schema: dict[str, Any] = json.loads(text.split("`", 1)[1].rpartition("`")[0])
    return schema


def _go(*arguments: str, **environment: str) -> str:
    go = shutil.which("go")
    if go is None:
        _absent("there is no Go")
    done = subprocess.run(
        [go, *arguments],
        cwd="/",
        env={**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    if done.returncode:
        _absent(f"go {arguments[0]} failed: {done.stderr[-500:]}")
    return done.stdout


def _absent(why: str) -> NoReturn:
    if os.environ.get("POSTROOM_REQUIRE_CLUSTER"):
        pytest.fail(f"POSTROOM_REQUIRE_CLUSTER is set, but {why}", pytrace=False)
    pytest.skip(f"NO TEST WITH tools of Go: {why}")
