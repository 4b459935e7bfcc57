# SPDX-License-Identifier: Apache-2.0
"""The result for programs, in the form that schemas/check-report_v1.json describes.

Within a version fields are added, and none is removed or given another meaning.
"""

from collections import Counter
from typing import Any

import postroom
from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.cli.formats.remarks import Level, Remark
from postroom.cli.formats.results import CheckResult, path_of

API_VERSION = "check.postroom.dev/v1"
KIND = "CheckReport"


def report(result: CheckResult) -> dict[str, Any]:
    """The whole report."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "postroomVersion": postroom.__version__,
        "exitCode": result.exit_code,
        "summary": summary(result),
        "remarks": [_remark(remark) for remark in result.remarks],
        "items": [
            {name: raw.get(name) for name in ("apiVersion", "kind", "metadata", "status")}
            for raw in result.objects
        ],
    }


def summary(result: CheckResult) -> dict[str, int]:
    """How many objects there are and how they are, and how many remarks of each level."""
    ready: Counter[str] = Counter()
    for raw in result.objects:
        conditions = (raw.get("status") or {}).get("conditions", [])
        found = {each["type"]: each["status"] for each in conditions}
        suspended = found.get(ConditionType.SUSPENDED) == ConditionStatus.TRUE
        verdict = found.get(ConditionType.READY, ConditionStatus.UNKNOWN)
        ready["suspended" if suspended else str(verdict)] += 1
    levels = Counter(remark.level for remark in result.remarks)
    return {
        "objects": len(result.objects),
        "ready": ready[ConditionStatus.TRUE],
        "notReady": ready[ConditionStatus.FALSE],
        "unknown": ready[ConditionStatus.UNKNOWN],
        "suspended": ready["suspended"],
        "errors": levels[Level.ERROR],
        "warnings": levels[Level.WARNING],
        "notes": levels[Level.NOTE],
    }


def _remark(remark: Remark) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "code": remark.code,
        "level": remark.level.value,
        "message": remark.message,
        "fingerprint": remark.fingerprint,
    }
    if remark.fix:
        shown["fix"] = remark.fix
    if remark.key is not None:
        kind, namespace, name = remark.key
        shown["object"] = {"kind": kind.value, "namespace": namespace, "name": name}
        shown["field"] = remark.field
    if remark.subject:
        shown["subject"] = remark.subject
    if remark.file:
        location: dict[str, Any] = {"file": path_of(remark.file)}
        if remark.region is not None:
            start, end = remark.region.start, remark.region.end
            location |= {"line": start.line, "column": start.column}
            location |= {} if end is None else {"endLine": end.line, "endColumn": end.column}
        shown["location"] = location
    return shown
