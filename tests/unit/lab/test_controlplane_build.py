# SPDX-License-Identifier: Apache-2.0
"""The control plane is built once for each version of its sources and toolchain, and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.lab import controlplane_build

#: Writes what it was asked for, and a program of that name, as `go build -o FILE PACKAGE` does.
GO = """#!/bin/sh
if [ "$1" = version ]; then echo "go version $VERSION"; exit 0; fi
echo "$@" >> "$CALLS"
case "$*" in *$FAILS*) echo "cannot find module"; exit 1;; esac
while [ "$1" != -o ]; do shift; done
echo built > "$2"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toolchain that builds nothing, and sources of its own; returns where its calls stand."""
    programs, sources = tmp_path / "bin", tmp_path / "sources"
    for directory in (programs, sources):
        directory.mkdir()
    (programs / "go").write_text(GO)
    (programs / "go").chmod(0o755)
    (sources / "main.go").write_text("package main")
    (sources / "README").write_text("not a source")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("POSTROOM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("VERSION", "go1.26.1")
    monkeypatch.setenv("FAILS", "nothing-does")
    monkeypatch.setattr(controlplane_build, "SOURCES", sources)
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


def built() -> Path | str:
    return controlplane_build.find_or_build_binaries(lambda line: None)


def test_what_is_built_is_kept(calls: Path) -> None:
    target = built()
    assert isinstance(target, Path)
    assert {path.name for path in target.iterdir()} == {"controlplane", "kubectl"}
    assert len(calls.read_text().splitlines()) == 2
    assert built() == target
    assert len(calls.read_text().splitlines()) == 2


def test_another_source_or_toolchain_is_built_anew(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built()
    (controlplane_build.SOURCES / "README").write_text("read me")
    assert built() == first
    (controlplane_build.SOURCES / "main.go").write_text("package other")
    second = built()
    monkeypatch.setenv("VERSION", "go1.27.0")
    assert len({first, second, built()}) == 3


@pytest.mark.parametrize("fails", ["controlplane", "kubectl"])
def test_half_of_it_is_nothing_and_the_compiler_says_why(
    fails: str, calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAILS", f"{fails} .")
    told = built()
    assert told == f"Building {fails} failed:\ncannot find module"
    assert [path.name for path in (tmp_path / "cache" / "controlplane").iterdir()] == ["lock"]
    monkeypatch.setenv("FAILS", "nothing-does")
    assert isinstance(built(), Path)


def test_without_what_it_takes_a_sentence_says_what_to_do(
    calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = built()
    assert isinstance(told, str)
    assert "needs Go 1.26" in told
    monkeypatch.setattr(controlplane_build, "SOURCES", tmp_path / "nowhere")
    told = built()
    assert isinstance(told, str)
    assert "only in a checkout" in told
