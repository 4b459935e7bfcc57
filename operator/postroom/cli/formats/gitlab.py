# SPDX-License-Identifier: Apache-2.0
"""GitLab's Code Quality report: a list of issues, of which it reads some fields of Code Climate's
format."""

from typing import Any

from postroom.cli.formats.remarks import Level, Remark
from postroom.cli.formats.results import CheckResult, path_of

_SEVERITIES = {Level.ERROR: "major", Level.WARNING: "minor", Level.NOTE: "info"}


def code_quality(result: CheckResult) -> list[dict[str, Any]]:
    """An issue for each remark."""
    return [_issue(remark) for remark in result.remarks]


def _issue(remark: Remark) -> dict[str, Any]:
    """Every issue has a line, the first where none is known: GitLab drops what has none."""
    begin, end = {"line": 1, "column": 1}, {"line": 1, "column": 1}
    if remark.region is not None:
        start, stop = remark.region.start, remark.region.end or remark.region.start
        begin = {"line": start.line, "column": start.column}
        end = {"line": stop.line, "column": stop.column}
    place = f"{remark.place}: " if remark.place else ""
    return {
        "description": f"{place}{remark.sentence}".replace("\n", " "),
        "check_name": remark.code,
        "fingerprint": remark.fingerprint,
        "severity": _SEVERITIES[remark.level],
        "location": {
            "path": path_of(remark.file),
            "lines": {"begin": begin["line"], "end": end["line"]},
            "positions": {"begin": begin, "end": end},
        },
    }
