# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions as data.

Covers: drift between crds/ and the models, bounds on every string, list and number, messages on
every rule, patterns that Go reads the same, descriptions on every field, defaults in the form of
the API, names, and columns and selectable fields that lead somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.api import crd
from postroom.api.fields import RULES
from postroom.api.names import Kind
from postroom.api.reasons import CATALOGUE, Reason
from postroom.api.status import DEFAULT_STATUS
from rows import over

ROOT = Path(__file__).resolve().parents[3]
Node = dict[str, Any]

rendered = cache(crd.render)


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
    if "additionalProperties" in node:
        yield from nodes(node["additionalProperties"], f"{path}{{}}")


NODES = {
    f"{kind.value}{path}": node for kind in Kind for path, node in nodes(schema_of(kind)) if path
}


def test_the_committed_files_are_those_of_the_models() -> None:
    stale = [
        name for name, text in rendered().items() if (ROOT / "crds" / name).read_text() != text
    ]
    assert len(rendered()) == len(Kind)
    assert stale == [], "run `make crds`"


@over(NODES)
def test_every_node_is_bounded(place: str) -> None:
    node = NODES[place]
    match node["type"]:
        case "string":
            assert node.get("maxLength", 0) > 0 or node["enum"]
        case "array":
            assert node["maxItems"] <= 64
        case "object":
            assert node.get("properties") or 0 < node["maxProperties"] <= 64
        case "integer":
            assert "minimum" in node
        case other:
            assert other == "boolean"


@pytest.mark.parametrize("kind", list(Kind))
def test_numbers_of_users_are_bounded_above(kind: Kind) -> None:
    for path, node in nodes(schema_of(kind)["properties"]["spec"], "spec"):
        assert node["type"] != "integer" or "maximum" in node, path


@over(NODES)
def test_nothing_is_left_that_is_not_structural(place: str) -> None:
    node = NODES[place]
    assert not {"$ref", "anyOf", "allOf", "oneOf", "title", "nullable", "const"} & set(node)
    assert not isinstance(node.get("additionalProperties"), bool)


@over(NODES)
def test_every_field_is_described(place: str) -> None:
    for name, field in NODES[place].get("properties", {}).items():
        assert field.get("description", "").endswith("."), name


@over(NODES)
def test_every_rule_has_a_message(place: str) -> None:
    for rule in NODES[place].get(RULES, []):
        assert rule["message"].startswith(("must ", "may not "))


@pytest.mark.parametrize("kind", Kind)
def test_a_status_has_no_rules_and_is_owned_whole(kind: Kind) -> None:
    status = schema_of(kind)["properties"]["status"]
    assert [path for path, node in nodes(status, ".status") if RULES in node] == []
    assert status["x-kubernetes-map-type"] == "atomic"


def patterns_of(node: Node) -> list[str]:
    """The expressions that stand as ``pattern`` or in a rule."""
    inside = [re.findall(r'matches\(r"([^"]*)"\)', one["rule"]) for one in node.get(RULES, [])]
    return [*filter(None, [node.get("pattern")]), *(found for group in inside for found in group)]


PATTERNS = sorted({pattern for node in NODES.values() for pattern in patterns_of(node)})


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_anchored(pattern: str) -> None:
    assert (pattern[0], pattern[-1]) == ("^", "$")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mean_the_same_in_go(pattern: str) -> None:
    """RE2 knows no look-around, back-references or possessive repeats; \\s and \\d differ.

    It writes a code point beyond U+00FF in another way, which is translated from ours.
    """
    re.compile(re.sub(r"\\x\{([0-9a-f]{4})\}", r"\\u\1", pattern))
    assert r"\u" not in pattern
    outside = re.sub(r"\[[^]]*\]", "x", pattern)
    assert "(?" not in outside
    assert not re.search(r"\\[0-9sSdDwWbBAZ]", pattern)
    assert not re.search(r"[*+?}]\+", outside)
    assert all(int(number) <= 1000 for number in re.findall(r"[{,]([0-9]+)\}", outside))


def test_users_never_read_a_pattern() -> None:
    for kind in Kind:
        for path, node in nodes(schema_of(kind)["properties"]["spec"], "spec"):
            assert "pattern" not in node, path


def test_nothing_untouched_counts_as_finished() -> None:
    for kind in Kind:
        assert schema_of(kind)["properties"]["status"]["default"] == DEFAULT_STATUS


def test_durations_default_in_the_form_users_write() -> None:
    spec = schema_of(Kind.SENDING_DOMAIN)["properties"]["spec"]["properties"]
    assert (spec["interval"]["default"], spec["propagationDeadline"]["default"]) == ("1h", "72h")


def leads_somewhere(schema: Node, path: str) -> bool:
    """Whether a JSON path of the schema names a field of it."""
    node = schema
    for part in re.sub(r"\[.*?\]", "", path).strip(".").split("."):
        if node is schema and part == "metadata":
            return True
        node = node.get("items", node).get("properties", {}).get(part)
        if node is None:
            return False
    return True


@pytest.mark.parametrize("kind", list(Kind))
def test_columns_and_selectable_fields_lead_to_fields_of_the_schema(kind: Kind) -> None:
    shown = crd.PRESENTATIONS[kind]
    for path in (*(column.path for column in shown.columns), *shown.selectable):
        assert leads_somewhere(schema_of(kind), path), path
    assert not leads_somewhere(schema_of(kind), ".spec.absent")
    assert 1 <= len(shown.selectable) <= 8


@pytest.mark.parametrize(
    ("kind", "narrow"),
    [
        (Kind.SENDING_DOMAIN, "Domain Ready Reason Verification Verified DKIM SPF DMARC Age"),
        (Kind.MAIL_SERVER, "Endpoint Ready Reason SMTP TLS Accounts Default Age"),
        (Kind.EMAIL_ACCOUNT, "Address Server Ready Reason Unseen Default Age"),
    ],
)
def test_the_narrow_view(kind: Kind, narrow: str) -> None:
    columns = crd.PRESENTATIONS[kind].columns
    assert " ".join(column.name for column in columns if column.priority == 0) == narrow
    assert {"Last Check", "Message"} <= {column.name for column in columns if column.priority}


def test_no_item_of_a_list_of_a_spec_is_filled_in() -> None:
    """Whoever applies such a list would see a difference for ever; what it is, is said in words."""
    listed = {path: node for path, node in NODES.items() if ".spec." in path and "[]" in path}
    assert listed["EmailAccount.spec.identities[].enabled"]["description"].endswith(
        "Default: true."
    )
    assert listed["SendingDomain.spec.mx[].preference"]["description"].endswith("Default: 10.")
    assert listed["SendingDomain.spec.dkim[].role"]["description"].endswith("Default: Active.")
    assert [path for path, node in listed.items() if "default" in node] == []


def test_names_do_not_collide() -> None:
    names = [definition["spec"]["names"] for definition in crd.definitions()]
    assert [name["shortNames"] for name in names] == [["sdom"], ["msrv"], ["eacct"]]
    assert all(name["categories"] == ["postroom", "mail"] for name in names)


def test_definitions_bear_the_label_that_the_operator_looks_for() -> None:
    bindable = {"servicebinding.io/provisioned-service": "true"}
    for definition in crd.definitions():
        more = bindable if definition["spec"]["names"]["kind"] == Kind.EMAIL_ACCOUNT else {}
        labels = {"app.kubernetes.io/part-of": "postroom", **more}
        assert definition["metadata"]["labels"] == labels
        assert definition["spec"]["versions"][0]["subresources"] == {"status": {}}


def test_the_text_is_plain_yaml() -> None:
    for text in rendered().values():
        assert yaml.load(text, Loader=yaml.CSafeLoader)["kind"] == "CustomResourceDefinition"
        assert "&id" not in text


def test_every_reason_is_explained() -> None:
    assert set(CATALOGUE) == set(Reason)
    for entry in CATALOGUE.values():
        assert entry.meaning.endswith(".")
        assert entry.remedy.endswith(".")
