# SPDX-License-Identifier: Apache-2.0
"""The JSON schema of the report of `postroom check -o json`."""

import json
from typing import Any

from postroom.api.conditions import ConditionStatus
from postroom.api.json_schema import DIALECT
from postroom.api.names import API_VERSION as OBJECTS
from postroom.api.names import Kind
from postroom.cli.formats import as_json
from postroom.cli.formats.remarks import Level
from postroom.cli.formats.results import MEANINGS, CheckResult

#: Where it stands.
FILE_NAME = "check-report_v1.json"
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_FROM_ONE = {"type": "integer", "minimum": 1}
_KIND = {"enum": [kind.value for kind in Kind]}


def _object(required: dict[str, Any], /, **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def report_schema() -> dict[str, Any]:
    """What stays within the version: fields may be added, none goes."""
    place = _object(
        {"file": _TEXT}, line=_FROM_ONE, column=_FROM_ONE, endLine=_FROM_ONE, endColumn=_FROM_ONE
    )
    place["description"] = "Where the field stands; columns count characters, the end is behind."
    remark = _object(
        {
            "code": {**_TEXT, "description": "What `postroom explain` takes."},
            "level": {"enum": [level.value for level in Level]},
            "message": _TEXT,
            "fingerprint": {**_TEXT, "description": "The same while lines move."},
        },
        fix={**_TEXT, "description": "What to do about it."},
        object=_object({"kind": _KIND, "namespace": _TEXT, "name": _TEXT}),
        field={**_TEXT, "description": "The field that it is about, such as spec.dkim[0]."},
        subject=_TEXT,
        location=place,
    )
    condition = _object(
        {
            "type": _TEXT,
            "status": {"enum": [status.value for status in ConditionStatus]},
            "reason": _TEXT,
            "message": _TEXT,
        }
    )
    status = _object(
        {"conditions": {"type": "array", "items": condition}},
        findings={"type": "array", "items": {"type": "object"}},
    )
    item = _object(
        {
            "apiVersion": {"const": OBJECTS},
            "kind": _KIND,
            "metadata": _object({"namespace": _TEXT, "name": _TEXT}),
            "status": {"anyOf": [status, {"type": "null"}]},
        }
    )
    figures = as_json.summary(CheckResult([], [], 0))
    report = _object(
        {
            "apiVersion": {"const": as_json.API_VERSION},
            "kind": {"const": as_json.KIND},
            "postroomVersion": _TEXT,
            "exitCode": {"enum": list(MEANINGS)},
            "summary": _object(dict.fromkeys(figures, _COUNT)),
            "remarks": {"type": "array", "items": remark},
            "items": {"type": "array", "items": item},
        }
    )
    return {"$schema": DIALECT, "title": "What postroom check found", **report}


def render() -> dict[str, str]:
    """The schema as a text, by the name of its file."""
    return {FILE_NAME: f"{json.dumps(report_schema(), indent=1)}\n"}
