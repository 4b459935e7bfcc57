# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions as data.

Covers: drift between crds/ and the models, bounds on every string and list, messages on every
rule, descriptions on every field, defaults in the form of the API, and columns that lead somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.api import crd
from postroom.api.fields import RULES
from postroom.api.names import Kind
from postroom.api.reasons import CATALOGUE, Reason
from postroom.api.status import DEFAULT_STATUS

ROOT = Path(__file__).resolve().parents[3]
Node = dict[str, Any]


def schema_of(kind: Kind) -> Node:
    version = crd.definition(kind)["spec"]["versions"][0]
    schema: Node = version["schema"]["openAPIV3Schema"]
    return schema


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node under spec and status, with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        if path or name in ("spec", "status"):
            yield from nodes(child, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


ALL = [
    pytest.param(node, id=f"{kind.value}{path}")
    for kind in Kind
    for path, node in nodes(schema_of(kind))
    if path
]


@pytest.mark.parametrize("name", sorted(crd.render()))
def test_the_committed_files_are_those_of_the_models(name: str) -> None:
    assert (ROOT / "crds" / name).read_text() == crd.render()[name], "run `make crds`"


@pytest.mark.parametrize("node", ALL)
def test_every_node_is_bounded(node: Node) -> None:
    match node["type"]:
        case "string":
            assert "maxLength" in node or "enum" in node
        case "array":
            assert node["maxItems"] <= 64
        case "object":
            assert "properties" in node
        case other:
            assert other in ("boolean", "integer")


@pytest.mark.parametrize("node", ALL)
def test_every_field_is_described(node: Node) -> None:
    for name, field in node.get("properties", {}).items():
        assert field.get("description", "").endswith("."), name


@pytest.mark.parametrize("node", ALL)
def test_every_rule_has_a_message(node: Node) -> None:
    for rule in node.get(RULES, []):
        assert rule["message"].startswith(("must ", "may not "))


@pytest.mark.parametrize("node", ALL)
def test_patterns_are_anchored(node: Node) -> None:
    pattern = node.get("pattern", "^$")
    assert (pattern[0], pattern[-1]) == ("^", "$")
    re.compile(pattern)


def test_nothing_untouched_counts_as_finished() -> None:
    for kind in Kind:
        assert schema_of(kind)["properties"]["status"]["default"] == DEFAULT_STATUS


def test_durations_default_in_the_form_users_write() -> None:
    spec = schema_of(Kind.SENDING_DOMAIN)["properties"]["spec"]["properties"]
    assert (spec["interval"]["default"], spec["propagationDeadline"]["default"]) == ("1h", "72h")


@pytest.mark.parametrize("kind", list(Kind))
def test_columns_lead_to_fields_of_the_schema(kind: Kind) -> None:
    schema = schema_of(kind)
    for column in crd.PRESENTATIONS[kind].columns:
        node = schema
        for part in re.sub(r"\[.*?\]", "", column.path).strip(".").split("."):
            if node is schema and part == "metadata":
                break
            node = node["properties"][part] if "properties" in node else node["items"]
            node = node.get("items", node)
        assert node


@pytest.mark.parametrize("kind", list(Kind))
def test_few_columns_in_the_narrow_view(kind: Kind) -> None:
    narrow = [one for one in crd.PRESENTATIONS[kind].columns if one.priority == 0]
    assert len(narrow) <= 7


def test_the_text_is_plain_yaml() -> None:
    for text in crd.render().values():
        assert yaml.safe_load(text)["kind"] == "CustomResourceDefinition"
        assert "&id" not in text


def test_every_reason_is_explained() -> None:
    assert set(CATALOGUE) == set(Reason)
    for entry in CATALOGUE.values():
        assert entry.meaning.endswith(".")
        assert entry.remedy.endswith(".")
