# SPDX-License-Identifier: Apache-2.0
"""What krew installs: a manifest that krew accepts, an archive that fits it, a program that runs.

The rules are those of krew's own validation, the installation the steps that it takes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import postroom

ROOT = Path(__file__).resolve().parents[3]
MAKE = ROOT / "manifests" / "integrations" / "krew" / "make.py"
URI = "https://example.com/releases/{archive}"
_SEMVER = re.compile(r"v(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_OF_WINDOWS = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10)),
}


def problems(manifest: dict[str, Any], file_name: str) -> Iterator[str]:
    """What krew has against a manifest, and what its index asks for beside that."""
    if manifest.get("apiVersion") != "krew.googlecontainertools.github.com/v1alpha2":
        yield "apiVersion"
    if manifest.get("kind") != "Plugin":
        yield "kind"
    name, spec = manifest["metadata"].get("name", ""), manifest["spec"]
    if not re.fullmatch(r"[\w-]+", name) or name.lower() in _OF_WINDOWS or name != file_name:
        yield "name"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or name.startswith("kube"):
        yield "name of the index"
    short = spec.get("shortDescription", "")
    if not short or "\n" in short or "\r" in short or len(short) > 50 or short.endswith("."):
        yield "shortDescription"
    if not _SEMVER.fullmatch(spec.get("version", "")):
        yield "version"
    if not spec.get("platforms"):
        yield "platforms"
    for platform in spec.get("platforms", ()):
        yield from _of_platform(platform)


def _of_platform(platform: dict[str, Any]) -> Iterator[str]:
    for field in ("uri", "bin"):
        if not platform.get(field):
            yield field
    if not re.fullmatch(r"[a-f0-9]{64}", platform.get("sha256", "")):
        yield "sha256"
    files = platform.get("files")
    if files is not None and not (files and all(op.get("from") and op.get("to") for op in files)):
        yield "files"
    labels = (platform.get("selector") or {}).get("matchLabels")
    if not labels or set(labels) - {"os", "arch"}:
        yield "selector"


@pytest.fixture(scope="module")
def made() -> ModuleType:
    found = importlib.util.spec_from_file_location("krew_make", MAKE)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the script makes, as a release calls it."""
    folder = tmp_path_factory.mktemp("krew")
    words = [sys.executable, str(MAKE), "--uri", URI, "--out", str(folder)]
    subprocess.run(words, check=True, capture_output=True)
    return folder


def manifest_of(out: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.load((out / "postroom.yaml").read_text(), Loader=yaml.CSafeLoader)
    return read


def test_krew_accepts_the_manifest_and_the_archive_is_the_one_that_it_names(out: Path) -> None:
    manifest = manifest_of(out)
    assert list(problems(manifest, "postroom")) == []
    assert manifest["spec"]["version"] == f"v{postroom.__version__}"
    (archive,) = out.glob("*.tar.gz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    platforms = manifest["spec"]["platforms"]
    assert {platform["sha256"] for platform in platforms} == {digest}
    assert {platform["uri"] for platform in platforms} == {URI.replace("{archive}", archive.name)}
    served = [tuple(platform["selector"]["matchLabels"].values()) for platform in platforms]
    assert len(served) == len(set(served)) == 4


def _without(field: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        del manifest["spec"]["platforms"][0][field]

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda manifest: manifest.update(apiVersion="v1"), "apiVersion"),
        (lambda manifest: manifest.update(kind="Pluginn"), "kind"),
        (lambda manifest: manifest["metadata"].update(name="post room"), "name"),
        (lambda manifest: manifest["metadata"].update(name="kubepost"), "name of the index"),
        (lambda manifest: manifest["spec"].update(version="0.1.0"), "version"),
        (lambda manifest: manifest["spec"].update(shortDescription="a\nb"), "shortDescription"),
        (lambda manifest: manifest["spec"].update(platforms=[]), "platforms"),
        (_without("uri"), "uri"),
        (_without("sha256"), "sha256"),
        (_without("bin"), "bin"),
        (_without("selector"), "selector"),
        (lambda manifest: manifest["spec"]["platforms"][0].update(files=[]), "files"),
    ],
)
def test_what_krew_refuses_is_found(
    change: Callable[[dict[str, Any]], None], problem: str, out: Path
) -> None:
    manifest = manifest_of(out)
    change(manifest)
    assert problem in list(problems(manifest, "postroom"))


def test_the_archive_is_the_same_wherever_it_is_made(made: ModuleType) -> None:
    assert made.archive("1.2.3") == made.archive("1.2.3") != made.archive("1.2.4")


@pytest.fixture
def installed(out: Path, tmp_path: Path) -> Path:
    """The program where krew puts it."""
    (archive,) = out.glob("*.tar.gz")
    unpacked, target = tmp_path / "unpacked", tmp_path / "store"
    target.mkdir()
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", unpacked], check=True)
    platform = manifest_of(out)["spec"]["platforms"][0]
    for operation in platform["files"]:
        (unpacked / operation["from"]).rename(target / operation["to"] / operation["from"])
    assert (target / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    return target / str(platform["bin"])


@pytest.mark.parametrize(
    ("there", "called"),
    [
        (("uv", "pipx"), "uv tool run --quiet --from postroom=={} kubectl-postroom status -A"),
        (("pipx",), "pipx run --spec postroom=={} kubectl-postroom status -A"),
    ],
)
def test_the_program_runs_its_version_by_what_is_there(
    there: tuple[str, ...], called: str, installed: Path, tmp_path: Path
) -> None:
    assert os.access(installed, os.X_OK)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in there:
        (programs / name).write_text('#!/bin/sh\necho "${0##*/} $*"\nexit 7\n')
        (programs / name).chmod(0o755)
    ran = subprocess.run(
        ["/bin/sh", str(installed), "status", "-A"],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (7, called.format(postroom.__version__) + "\n")


def test_without_either_it_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["/bin/sh", str(installed)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == (
        f"kubectl-postroom: needs uv or pipx to run postroom {postroom.__version__}: "
        "install one of them.\n"
    )
