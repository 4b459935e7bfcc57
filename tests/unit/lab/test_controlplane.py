# SPDX-License-Identifier: Apache-2.0
"""kubectl for a control plane: what it does again, and what it does once."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.lab import controlplane
from postroom.lab.controlplane import ControlPlane

#: Fails as often as a file has lines left, in the words of its last one.
KUBECTL = """#!/bin/sh
cat > /dev/null
echo "$@" >> "{calls}"
[ -s "{failures}" ] || exit 0
tail -n 1 "{failures}" >&2
sed -i '$d' "{failures}"
exit 1
"""
LACKS = (
    'error: error validating "STDIN": error validating data: failed to download openapi: the '
    "server is currently unable to handle the request; turn validation off with --validate=false"
)


def plane(directory: Path, *failures: str) -> tuple[ControlPlane, Path]:
    """A control plane whose kubectl fails so first, and where it notes how it was called."""
    calls, left, program = (directory / name for name in ("calls", "failures", "kubectl"))
    calls.touch()
    left.write_text("".join(f"{failure}\n" for failure in failures))
    program.write_text(KUBECTL.format(calls=calls, failures=left))
    program.chmod(0o755)
    return ControlPlane(None, program), calls


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlplane, "_PAUSES", (0.0, 0.0))


def test_what_lacks_schemas_is_applied_again(tmp_path: Path) -> None:
    cluster, calls = plane(tmp_path, LACKS, LACKS)
    assert cluster.kubectl("apply", "-f", "-", input="{}").returncode == 0
    assert calls.read_text().count("apply -f -") == 3


def test_not_for_ever(tmp_path: Path) -> None:
    cluster, calls = plane(tmp_path, *[LACKS] * 9)
    with pytest.raises(AssertionError, match="failed to download openapi"):
        cluster.kubectl("apply", "-f", "-", input="{}")
    assert len(calls.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("command", "failure"), [("apply", "Forbidden: not for you"), ("create", LACKS)]
)
def test_what_failed_otherwise_or_may_have_been_done_is_not(
    command: str, failure: str, tmp_path: Path
) -> None:
    cluster, calls = plane(tmp_path, failure)
    assert cluster.kubectl(command, "-f", "-", input="{}", check=False).returncode == 1
    assert len(calls.read_text().splitlines()) == 1
