# SPDX-License-Identifier: Apache-2.0
"""The locks of the image cover what pyproject.toml asks for, with a hash for each file, and the
Dockerfile takes nothing else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = {
    "requirements.lock": [
        *PROJECT["project"]["dependencies"],
        # What a flag of a process in the image needs.
        *PROJECT["project"]["optional-dependencies"]["nats"],
    ],
    "build.lock": PROJECT["build-system"]["requires"],
}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def entries(name: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Each package of a lock, with its hashes."""
    text = (ROOT / "image" / name).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            stated, *hashes = re.split(r"\s+--hash=", line.strip())
            yield Requirement(stated), hashes


@pytest.mark.parametrize("name", WANTED)
def test_each_package_has_one_version_and_hashes(name: str) -> None:
    for requirement, hashes in entries(name):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), requirement


@pytest.mark.parametrize(
    ("name", "wanted"), [(name, text) for name, texts in WANTED.items() for text in texts]
)
def test_it_has_a_version_that_is_asked_for(name: str, wanted: str) -> None:
    """Change pyproject.toml, and this fails until `python image/lock.py` was run."""
    requirement = Requirement(wanted)
    locked = {canonicalize_name(each.name): each for each, _ in entries(name)}
    found = locked[canonicalize_name(requirement.name)]
    (version,) = found.specifier
    assert requirement.specifier.contains(Version(version.version), prereleases=True)
    linux = {**default_environment(), "sys_platform": "linux", "implementation_name": "cpython"}
    assert found.marker is None or found.marker.evaluate(linux)


def test_the_build_asks_for_what_the_project_asks_for() -> None:
    lines = (ROOT / "image" / "build.in").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == WANTED["build.lock"]


def test_nothing_is_installed_without_a_hash() -> None:
    steps = re.findall(r"pip install (.+?)(?: \\\n|\n)", DOCKERFILE)
    assert len(steps) == 3
    for step in steps:
        ours = step == "--no-build-isolation --no-deps --no-index --prefix /install ."
        assert ours or ("--require-hashes --no-deps --only-binary :all:" in step), step


def test_it_runs_as_nobody_on_a_base_that_is_pinned() -> None:
    assert re.search(
        r"^ARG PYTHON=python:[\d.]+-slim@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE
    )
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON}"}
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert "\nUSER 65532:65532\n" in last
    assert "RUN" not in last
    python = re.search(
        r"^PYTHON = \"([\d.]+)\"$", (ROOT / "image" / "lock.py").read_text(), re.MULTILINE
    )
    assert python is not None
    assert f"ARG PYTHON=python:{python[1]}-slim@" in DOCKERFILE


def test_what_is_copied_is_where_it_is_copied_from() -> None:
    """Of the stage before what it installed, of the repository what .dockerignore lets through."""
    let_through = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for stage, words in re.findall(r"^COPY (--from=build )?(.+)$", DOCKERFILE, re.MULTILINE):
        for source in words.split()[:-1]:
            if stage:
                assert source.startswith("/install/"), source
            else:
                assert (ROOT / source).exists(), source
                assert source.partition("/")[0] in let_through, source


def test_labels_are_those_of_the_open_containers() -> None:
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", DOCKERFILE))
    assert {
        "title",
        "description",
        "licenses",
        "version",
        "revision",
        "source",
        "created",
    } <= labels
