# SPDX-License-Identifier: Apache-2.0
"""The shape of the data is published: its version, its JSON schema, and what each turn means."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lab.report_gallery import gallery
from postroom.report import page
from postroom.report.shape import SCHEMA, Turn
from unit.report.samples import report_of

DOCS = Path(__file__).resolve().parents[3] / "docs"


def fields(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The fields that a schema allows, where it is one of an object."""
    if "$ref" in schema:
        return fields(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for each in schema.get("anyOf", ()):
        if found := fields(each, root):
            return found
    return dict(schema.get("properties", {}))


def unknown(told: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "") -> list[str]:
    """What data has, and its schema does not."""
    if isinstance(told, list):
        inner = schema.get("items", {})
        return [place for each in told for place in unknown(each, inner, root, f"{path}[]")]
    allowed = fields(schema, root)
    if not isinstance(told, dict) or not allowed:
        return []
    found = [f"{path}.{name}" for name in told if name not in allowed]
    for name, value in told.items():
        found += unknown(value, allowed.get(name, {}), root, f"{path}.{name}")
    return found


def test_the_published_schema_has_every_field_of_a_report() -> None:
    schema = json.loads((DOCS / "report.schema.json").read_text())
    told = json.loads(report_of(*gallery()).model_dump_json(by_alias=True))
    assert unknown(told, schema, schema) == []
    assert unknown({**told, "more": 1}, schema, schema) == [".more"]
    assert schema["$id"] == told["schema"] == SCHEMA
    assert set(schema["required"]) <= set(told)


def test_each_turn_is_explained_under_the_title_that_the_page_gives_it() -> None:
    rows = re.findall(r"^\| ([^|]+) \| `([A-Z]\w+)` \|", (DOCS / "report.md").read_text(), re.M)
    assert [turn for _, turn in rows] == [turn.value for turn in Turn]
    text = page.render(report_of(*gallery()))
    assert re.findall(r'<span class="label">([^<]+)</span>', text) == [title for title, _ in rows]
