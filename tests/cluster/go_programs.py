# SPDX-License-Identifier: Apache-2.0
"""Programs of tests that are written in Go, because they are made of what others ship: each built
once, and cached by its sources."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

#: What the modules of external-dns, Flux and Argo CD ask for.
TOOLCHAIN = "go1.27.3"


class Unavailable(Exception):
    """The program cannot be had; the text is a sentence."""


def built_or_skip(sources: Path, make: Callable[[Path], None], version: str = "") -> Path:
    """The directory that `make` filled; where it cannot be had, skip, or fail in CI.

    `version` stands for what is made besides the sources.
    """
    try:
        return _built(sources, make, version)
    except Unavailable as error:
        if os.environ.get("POSTROOM_REQUIRE_CLUSTER"):
            pytest.fail(f"POSTROOM_REQUIRE_CLUSTER is set, but: {error}", pytrace=False)
        pytest.skip(f"NO TEST WITH {sources.name}: {error}")


def _built(sources: Path, make: Callable[[Path], None], version: str) -> Path:
    digest = hashlib.sha256(f"{TOOLCHAIN}{version}".encode())
    for path in sorted(sources.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    root = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser() / sources.name
    target = root / digest.hexdigest()[:24]
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            print(f"Building {sources.name}: one to two minutes, once.", file=sys.__stderr__)
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                make(made)
                made.rename(target)
    return target


def go(sources: Path, *args: str) -> str:
    """What ``go`` says; raises `Unavailable`."""
    program = shutil.which("go")
    if program is None:
        raise Unavailable("it needs Go to be built.")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": TOOLCHAIN}
    done = subprocess.run(
        [program, *args], cwd=sources, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-5:])
        raise Unavailable(f"go {args[0]} failed: {tail}")
    return done.stdout


def build(sources: Path, program: Path) -> None:
    """Build the program of a module; raises `Unavailable`."""
    go(sources, "build", "-trimpath", "-ldflags=-s -w", f"-o={program}", ".")
