# SPDX-License-Identifier: Apache-2.0
"""Builds the control plane and kubectl from Go modules, once for each version of their sources."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

#: In a checkout; absent where only the package is installed.
SOURCES = Path(__file__).resolve().parents[3] / "tests" / "cluster" / "controlplane"

_VERSION = "1.36.3"
_STAMP = "k8s.io/component-base/version"
_PROGRESS_SECONDS = 15


def find_or_build_binaries(progress: Callable[[str], None]) -> Path | str:
    """Return the directory with both binaries, or a sentence that says why there is none."""
    if not SOURCES.is_dir():
        return (
            "The control plane's sources are only in a checkout: run from one, or set "
            "KUBEBUILDER_ASSETS or POSTROOM_TEST_KUBECONFIG."
        )
    go = shutil.which("go")
    if go is None:
        return (
            "A real control plane needs Go 1.26 or newer to build it (or set KUBEBUILDER_ASSETS or "
            "POSTROOM_TEST_KUBECONFIG)."
        )
    target = _target(go)
    if _complete(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        # Somebody else may be building the same: wait for them rather than do it twice.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _complete(target):
            return target
        return _build(go, target, progress)


def _target(go: str) -> Path:
    """Where what is built is kept: a directory named by the hash of the sources and toolchain."""
    version = subprocess.run(  # noqa: S603 - the toolchain found on the PATH
        [go, "version"], capture_output=True, text=True, check=True
    ).stdout
    digest = hashlib.sha256(version.encode())
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix == ".go" or path.name in ("go.mod", "go.sum"):
            digest.update(str(path.relative_to(SOURCES)).encode() + b"\0" + path.read_bytes())
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    root = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser()
    return root / "controlplane" / digest.hexdigest()[:24]


def _complete(target: Path) -> bool:
    return (target / "controlplane").exists() and (target / "kubectl").exists()


def _build(go: str, target: Path, progress: Callable[[str], None]) -> Path | str:
    progress(
        "Building the control plane (etcd, kube-apiserver, kubectl): about ten minutes the first "
        "time on two cores, then cached."
    )
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        major, minor, _ = _VERSION.split(".")
        flags = (
            f"-s -w -X {_STAMP}.gitVersion=v{_VERSION} "
            f"-X {_STAMP}.gitMajor={major} -X {_STAMP}.gitMinor={minor}"
        )
        for package, name in ((".", "controlplane"), ("./cmd/kubectl", "kubectl")):
            failure = _compile(go, package, Path(scratch) / name, flags, progress)
            if failure is not None:
                return failure
        target.mkdir(exist_ok=True)
        for name in ("controlplane", "kubectl"):
            (Path(scratch) / name).rename(target / name)
    return target


def _compile(
    go: str, package: str, output: Path, flags: str, progress: Callable[[str], None]
) -> str | None:
    """Run the compiler, saying now and then that it still works; returns a sentence on failure."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603 - the toolchain found on the PATH
            [go, "build", "-trimpath", "-ldflags", flags, "-o", str(output), package],
            cwd=SOURCES,
            stdout=errors,
            stderr=errors,
            env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        )
        while True:
            try:
                process.wait(timeout=_PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                progress(f"  still building {output.name}: {time.monotonic() - began:.0f} s")
        if process.returncode == 0:
            return None
        errors.seek(0)
        tail = "\n".join(errors.read().splitlines()[-10:])
        return f"Building {output.name} failed:\n{tail}"
