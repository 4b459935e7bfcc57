# SPDX-License-Identifier: Apache-2.0
"""From statuses and complaints to remarks: what is said, how loud, where, and under which mark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postroom.api.findings import Finding, Fix, FixAction, RecordToRemove, Severity
from postroom.api.names import Key, Kind
from postroom.api.resource import parse_status
from postroom.cli import manifests
from postroom.cli.formats.origins import Origins
from postroom.cli.formats.remarks import Level, Remark, fix_in_words, remarks_of
from unit.cli.formats.made import condition

KEY = Key(Kind.SENDING_DOMAIN, "mail", "example")
TEXT = """\
# 😀
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata: {name: example, namespace: mail}
spec:
  domain: example.com
  spf: {includes: [a.example]}
"""


def finding(
    code: str, severity: str = "Error", subject: str = "spf", field: str = "spec.spf"
) -> dict[str, Any]:
    said = {"subject": subject, "field": field, "message": f"It is {code}."}
    return {"code": code, "severity": severity, **said}


def remarks(folder: Path, text: str, status: dict[str, Any]) -> list[Remark]:
    (folder / "a.yaml").write_text(text)
    found = manifests.load([folder / "a.yaml"], "default")
    statuses = [(KEY, parse_status(KEY.kind, status))]
    return remarks_of(found, statuses, Origins(folder))


def test_findings_are_remarked_at_their_fields(tmp_path: Path) -> None:
    status = {
        "conditions": [condition("Ready", "False", "RecordNotFound")],
        "findings": [finding("SPF_MISSING"), finding("TTL_HIGH", "Info", "", "spec.domain")],
    }
    wrong, advice = remarks(tmp_path, TEXT, status)
    assert (wrong.code, wrong.level, wrong.field) == ("SPF_MISSING", Level.ERROR, "spec.spf")
    assert wrong.region is not None
    assert (wrong.region.start.line, wrong.region.start.column) == (7, 3)
    assert (advice.level, advice.field) == (Level.NOTE, "spec.domain")


@pytest.mark.parametrize(
    ("status", "level"),
    [("True", None), ("False", Level.ERROR), ("Unknown", Level.WARNING)],
)
def test_what_is_not_ready_is_never_silent(
    status: str, level: Level | None, tmp_path: Path
) -> None:
    ready = condition("Ready", status, "LookupFailed" if level else "Succeeded")
    said = remarks(tmp_path, TEXT, {"conditions": [ready]})
    assert [remark.level for remark in said] == ([level] if level else [])
    assert all(remark.code == "LOOKUP_FAILED" for remark in said)


def test_what_rests_is_not_remarked(tmp_path: Path) -> None:
    status = {
        "conditions": [condition("Ready", "True"), condition("Suspended", "True", "Suspended")],
        "findings": [finding("SPF_MISSING")],
    }
    assert remarks(tmp_path, TEXT, status) == []


def test_bad_input_is_said_once(tmp_path: Path) -> None:
    status = {
        "conditions": [condition("Ready", "False", "InvalidSpec")],
        "findings": [finding("INVALID_SPEC", subject="Ready")],
    }
    (said,) = remarks(tmp_path, TEXT.replace("  spf:", "  spff:"), status)
    assert (said.code, said.level, said.file) == (
        "INVALID_INPUT",
        Level.ERROR,
        str(tmp_path / "a.yaml"),
    )
    assert said.region is not None
    assert (said.region.start.line, said.region.start.column) == (7, 3)


def test_fingerprints_stay_while_lines_move_and_differ_otherwise(tmp_path: Path) -> None:
    status = {
        "conditions": [condition("Ready", "False", "RecordNotFound")],
        "findings": [
            finding("SPF_MISSING"),
            finding("SPF_MULTIPLE"),
            finding("SPF_MISSING", subject="return-path-spf"),
        ],
    }
    first = [remark.fingerprint for remark in remarks(tmp_path, TEXT, status)]
    moved = [remark.fingerprint for remark in remarks(tmp_path, "#\n\n" + TEXT, status)]
    assert first == moved
    assert len(set(first)) == 3


@pytest.mark.parametrize(
    ("fix", "summary", "says"),
    [
        (None, "", ""),
        (Fix(action=FixAction.WAIT), "", "Wait."),
        (Fix(action=FixAction.WAIT, instruction="Wait: postroom keeps looking."), "", "Wait."),
        (Fix(action=FixAction.WAIT, instruction="Wait; then ask."), "", "Wait; then ask."),
        (Fix(action=FixAction.EXTERNAL, instruction="set it."), "It is not.", ""),
        (Fix(action=FixAction.EXTERNAL, instruction="Set it."), "", "Set it."),
        (Fix(action=FixAction.EXTERNAL, instruction="It is not: set it."), "", ""),
        (
            Fix(action=FixAction.CREATE, name="a.example", type="TXT", value="v"),
            "",
            "Create: add TXT a.example v",
        ),
        (
            Fix(
                action=FixAction.DELETE,
                remove=[RecordToRemove(name="a.example", type="MX", value="")],
            ),
            "",
            "Delete: delete MX a.example",
        ),
    ],
)
def test_fixes_in_words(fix: Fix | None, summary: str, says: str) -> None:
    message = "It is not: set it."
    found = Finding(code="X", severity=Severity.ERROR, message=message, summary=summary, fix=fix)
    assert fix_in_words(found) == says
