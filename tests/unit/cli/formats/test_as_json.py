# SPDX-License-Identifier: Apache-2.0
"""The report for programs: its version, its figures, and what a remark has."""

from __future__ import annotations

from postroom.cli.formats.as_json import report, summary
from unit.cli.formats import made


def test_the_report_has_a_version_and_every_object() -> None:
    said = report(made.RESULT)
    assert (said["apiVersion"], said["kind"]) == ("check.postroom.dev/v1", "CheckReport")
    assert said["exitCode"] == 2
    assert [item["metadata"]["name"] for item in said["items"]] == [
        "example",
        "good",
        "unseen",
        "resting",
    ]
    assert all(set(item) == {"apiVersion", "kind", "metadata", "status"} for item in said["items"])


def test_the_figures() -> None:
    assert summary(made.RESULT) == {
        "objects": 4,
        "ready": 1,
        "notReady": 1,
        "unknown": 1,
        "suspended": 1,
        "errors": 2,
        "warnings": 0,
        "notes": 1,
    }


def test_a_remark_says_where_it_stands_in_characters() -> None:
    _, broken, advice = report(made.RESULT)["remarks"]
    assert broken == {
        "code": "SPF_MISSING",
        "level": "error",
        "message": "There is no TXT at example.com.",
        "fingerprint": "f00d",
        "fix": "Create: add TXT example.com v=spf1 -all",
        "object": {"kind": "SendingDomain", "namespace": "mail", "name": "example"},
        "field": "spec.spf",
        "subject": "spf",
        "location": {
            "file": "mail/domain.yaml",
            "line": 6,
            "column": 3,
            "endLine": 6,
            "endColumn": 20,
        },
    }
    assert advice["location"] == {"file": "stdin"}
