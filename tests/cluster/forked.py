# SPDX-License-Identifier: Apache-2.0
"""Operators, workers and plugins that are forked: nearly all of what they take to start is
importing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import forking
import forking.typed
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, OperatorProcess, Process

#: What the verbs import when they run. Most of it is the same, so that each process of pytest needs
#: only one that has imported it, and has read the data files, which are a fifth of what is left.
_IMPORTED = (
    "postroom.cli.main",
    "postroom.cli.run",
    "postroom.controller.run",
    "postroom.cli.deliver",
    "postroom.controller.inbound.process",
    "postroom.cli.lab",
    "postroom.cli.plugin",
    "postroom.cli.check",
    "postroom.dns.*",
    "postroom.mail.*",
    "postroom.reconcile.*",
)
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
_spawned = OperatorProcess._spawned


def spawned(self: OperatorProcess, environment: dict[str, str], log: BinaryIO) -> Process:
    """In the place of `OperatorProcess._spawned`: by forking, if that is the same."""
    if not forking.is_forkable(self._command, environment):
        return _spawned(self, environment, log)
    with Path(os.devnull).open("rb") as nothing:
        return forking.Forked(
            self._command,
            _IMPORTED,
            environment=environment,
            streams=(nothing.fileno(), log.fileno(), log.fileno()),
        )


def plugin(plane: ControlPlane | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl-postroom on a control plane, or by a kubeconfig."""
    kubeconfig = plane.kubeconfig if isinstance(plane, ControlPlane) else plane
    code = "from postroom.cli.plugin import main; main()"
    return _ran(("-c", code, *arguments, f"--kubeconfig={kubeconfig}"), "")


def check(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `postroom check` on a text."""
    return _ran(("-m", "postroom", "check", "-", *arguments), text)


def lab(*arguments: str, told: IO[str]) -> forking.Forked:
    """Start `postroom lab`, which tells a file what it does, each line at once."""
    with Path(os.devnull).open("rb") as nothing:
        return forking.Forked(
            [sys.executable, "-m", "postroom", "lab", *arguments],
            _IMPORTED,
            environment={**_ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
            streams=(nothing.fileno(), told.fileno(), told.fileno()),
        )


@contextmanager
def typed() -> Iterator[Path]:
    """A folder for the PATH of shells, with our commands and python3."""
    # As pip makes them of pyproject.toml.
    scripts = {
        name: f"postroom.cli.entry:{name.replace('-', '_')}"
        for name in ("postroom", "kubectl-postroom")
    }
    with forking.typed.commands(scripts, "postroom", _run) as place:
        yield place


def _run(
    command: list[str],
    environment: dict[str, str],
    directory: str,
    streams: tuple[int, int, int],
) -> int:
    environment["PYTHONPATH"] = _ENVIRONMENT["PYTHONPATH"]
    assert forking.is_forkable(command, environment), command
    return forking.Forked(
        command, _IMPORTED, environment=environment, streams=streams, directory=directory
    ).wait()


def _ran(arguments: tuple[str, ...], input: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return forking.run(command, _IMPORTED, environment=_ENVIRONMENT, input=input)
