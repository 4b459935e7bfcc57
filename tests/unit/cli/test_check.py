# SPDX-License-Identifier: Apache-2.0
"""The exit code of ``postroom check``: the worst of what there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from postroom.api.names import Key, Kind
from postroom.api.resource import parse_status
from postroom.api.status import CommonStatus
from postroom.cli.check import CheckInput, CheckRun, exit_code
from postroom.cli.directory import DirectoryWorld
from postroom.cli.formats.writing import Format
from postroom.cli.main import main
from postroom.cli.manifests import Manifests
from postroom.cli.options import ExitCode
from postroom.cli.yaml_documents import Complaint, Manifest
from postroom.settings import load

SINCE = {"lastTransitionTime": "2026-11-21T10:00:00Z", "observedGeneration": 1, "message": ""}
READY = {"type": "Ready", "status": "True", "reason": "Succeeded", **SINCE}
BROKEN = {**READY, "status": "False", "reason": "RecordNotFound"}
UNKNOWN = {**READY, "status": "Unknown", "reason": "DNSUnavailable"}
SUSPENDED = {"type": "Suspended", "status": "True", "reason": "Suspended", **SINCE}


class World:
    """Holds one status per list of conditions."""

    def __init__(self, *statuses: list[dict[str, Any]]) -> None:
        self._statuses = statuses

    def statuses(self) -> list[tuple[Key, CommonStatus]]:
        kind = Kind.SENDING_DOMAIN
        return [
            (Key(kind, "mail", str(number)), parse_status(kind, {"conditions": conditions}))
            for number, conditions in enumerate(self._statuses)
        ]


def code(*statuses: list[dict[str, Any]], found: Manifests | None = None) -> int:
    some = Manifests({Key(Kind.SENDING_DOMAIN, "mail", "0"): Manifest("file", {}, {})})
    return exit_code(found or some, cast("DirectoryWorld", World(*statuses)))


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ([[READY], [READY]], ExitCode.READY),
        ([[READY], [UNKNOWN], [BROKEN]], ExitCode.NOT_READY),
        ([[READY], [UNKNOWN]], ExitCode.COULD_NOT_LOOK),
        ([[READY], []], ExitCode.COULD_NOT_LOOK),
        ([[READY], [BROKEN, SUSPENDED]], ExitCode.READY),
        ([[SUSPENDED]], ExitCode.READY),
    ],
)
def test_the_worst_counts(statuses: list[list[dict[str, Any]]], worst: int) -> None:
    assert code(*statuses) == worst


@pytest.mark.parametrize("form", list(Format))
async def test_offline_files_are_read_and_nobody_is_asked(
    form: Format,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def asked(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(DirectoryWorld, "check", asked)
    text = """\
apiVersion: postroom.dev/v1alpha1
kind: List
items:
- apiVersion: postroom.dev/v1alpha1
  kind: SendingDomain
  metadata: {name: a}
  spec: {domain: a.example}
"""
    (tmp_path / "a.yaml").write_text(text)
    source = CheckInput([str(tmp_path / "a.yaml")], "default")
    run = CheckRun(source, load({}, {}), form, quiet=False, offline=True)
    assert await run.once(timedelta()) == ExitCode.READY
    assert ("1 object: 1 not looked at yet." in capsys.readouterr().out) is (form == "table")
    (tmp_path / "a.yaml").write_text(text.replace("{domain", "{domian"))
    assert await run.once(timedelta()) == ExitCode.BAD_INPUT
    printed = capsys.readouterr()
    assert "domian: is not a field" in (printed.out if form == "github" else printed.err)


def test_bad_input_is_worse_than_anything() -> None:
    assert code([BROKEN], found=Manifests()) == ExitCode.BAD_INPUT
    some = {Key(Kind.SENDING_DOMAIN, "mail", "0"): Manifest("file", {}, {})}
    odd = Manifests(some, complaints=[Complaint("file", 1, "is odd")])
    assert code([READY], found=odd) == ExitCode.BAD_INPUT


def test_what_was_not_read_is_not_known() -> None:
    some = {Key(Kind.SENDING_DOMAIN, "mail", "0"): Manifest("file", {}, {})}
    patched = Complaint("kustomization.yaml", 1, "says patches", unread=True)
    found = Manifests(some, complaints=[patched], only_folders=True)
    assert code([READY], found=found) == ExitCode.COULD_NOT_LOOK
    assert code([BROKEN], found=found) == ExitCode.NOT_READY
    assert code(found=replace(found, resources={})) == ExitCode.COULD_NOT_LOOK
    odd = Complaint("file", 1, "is odd")
    assert code([READY], found=replace(found, complaints=[patched, odd])) == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("target", "unknown_is_ok", "code"),
    [
        (".", False, ExitCode.COULD_NOT_LOOK),
        (".", True, ExitCode.READY),
        ("prod", False, ExitCode.BAD_INPUT),
        ("prod", True, ExitCode.BAD_INPUT),
    ],
)
async def test_a_kustomization_with_patches_is_told_and_counts(
    target: str,
    unknown_is_ok: bool,
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod" / "kustomization.yaml").write_text("namePrefix: postroom-\n")
    source = CheckInput([str(tmp_path / target)], "default")
    settings, table = load({}, {}), Format.TABLE
    run = CheckRun(source, settings, table, quiet=False, unknown_is_ok=unknown_is_ok, offline=True)
    assert await run.once(timedelta()) == code
    printed = capsys.readouterr()
    assert printed.err.count(f"kubectl kustomize {tmp_path}/prod") == 1
    assert printed.out.strip() == "0 objects."


def test_what_is_typed_wrong_of_a_domain_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "a.example", "--provider", "Fastmai", "--offline"])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.count("did you mean Fastmail?") == 1
