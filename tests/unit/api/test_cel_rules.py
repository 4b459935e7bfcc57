# SPDX-License-Identifier: Apache-2.0
"""What JSON Schema says of a rule is what CEL says of it: over any object, with its defaults filled
in as the API server fills them in. And what it cannot say is a list that shrinks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import cel
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.api import crd
from postroom.api.cel_rules import NotSayable, clauses, conjuncts, pattern_of
from postroom.api.names import Kind

#: Rules of which nothing is said, by a word of theirs: they compare fields or entries.
UNSAID = (
    "self.require.all",
    "self.ownership.name.endsWith",
    "oldSelf",
    "self.passwordKey : 'password'",
    "identity.type != 'Primary'",
    "identity.enabled",
    "self.exists_one",
    "self.start < self.end",
)


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule with the schema that it stands at."""

    def walk(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for rule in node.get("x-kubernetes-validations", ()):
            yield rule["rule"], node
        for inner in (*node.get("properties", {}).values(), node.get("items")):
            yield from walk(inner) if inner else ()

    for kind in Kind:
        (version,) = crd.definition(kind)["spec"]["versions"]
        yield from walk(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


ALL = dict(rules())
OF_OBJECTS = {
    rule: node
    for rule, node in ALL.items()
    if "properties" in node and len(clauses(rule, node)) == len(conjuncts(rule))
}


def test_what_is_not_said_is_known() -> None:
    unsaid = [rule for rule, node in ALL.items() if not clauses(rule, node)]
    assert [word for word in UNSAID if not any(word in rule for rule in unsaid)] == []
    assert [rule for rule in unsaid if not any(word in rule for word in UNSAID)] == []


def values(schema: dict[str, Any], depth: int = 2) -> st.SearchStrategy[Any]:
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "array":
            return st.sampled_from([[], ["x"]])
        case "object" if depth and "properties" in schema:
            inner = {name: values(each, depth - 1) for name, each in schema["properties"].items()}
            return st.fixed_dictionaries({}, optional=inner)
        case "object":
            return st.just({})
        case "string":
            words = ["x", "default-mail", "common"]
            return st.sampled_from([*schema.get("enum", ()), *schema.get("enum", words)])
        case _:
            return st.just(7)


def filled(schema: dict[str, Any], value: Any) -> Any:
    """The value with defaults, as the API server fills them in from the outside to the inside."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                filled(inner, value[name])
    return value


def named_by(rule: str) -> dict[str, Any]:
    properties = OF_OBJECTS[rule]["properties"].items()
    return {name: each for name, each in properties if f"self.{name}" in rule}


# What is made of a rule is made once for all its examples.
@cache
def written_for(rule: str) -> st.SearchStrategy[dict[str, Any]]:
    return values({"type": "object", "properties": named_by(rule)})


@cache
def required_by(rule: str) -> dict[str, st.SearchStrategy[Any]]:
    named = named_by(rule)
    required = OF_OBJECTS[rule].get("required", ())
    return {name: values(named[name]) for name in required if name in named}


@cache
def validators(rule: str) -> list[jsonschema.Draft7Validator]:
    return [jsonschema.Draft7Validator(each) for each in clauses(rule, OF_OBJECTS[rule])]


@pytest.mark.parametrize("rule", OF_OBJECTS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_schema_says_what_the_rule_says(rule: str, data: st.DataObject) -> None:
    node = OF_OBJECTS[rule]
    written = data.draw(written_for(rule))
    for name, required in required_by(rule).items():
        if name not in written:
            written[name] = data.draw(required)
    says = [each.is_valid(written) for each in validators(rule)]
    judged = cel.evaluate(rule, {"self": filled(node, copy.deepcopy(written))})
    assert all(says) == judged, written


def test_most_rules_are_said() -> None:
    assert len(OF_OBJECTS) > 25


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("self != '' && duration(self) > duration('1m')", [{"not": {"const": ""}}]),
        ("self.matches(r\"^[\\x{200b}]$\") && self.contains('a')", [{"pattern": "^[\u200b]$"}]),
        ("has(self.a) && has(self.b)", [{"required": ["a"]}, {"required": ["b"]}]),
        ("has(self.a) || self.b < 3", []),
        ("has(self.a) ||", []),
        ("has(other.a)", []),
        ("has(self.unknown)", []),
        ("self.a.all(x, has(x.b))", []),
    ],
)
def test_of_a_rule_that_says_several_things_those_are_told_that_can_be(
    rule: str, said: list[dict[str, Any]]
) -> None:
    node = {"type": "object", "properties": {"a": {}, "b": {}}}
    assert clauses(rule, node) == said


@pytest.mark.parametrize("pattern", ["(?i)a", r"\A", r"\x{1f600}", "[[:alpha:]]"])
def test_a_pattern_of_re2_alone_is_no_pattern_for_an_editor(pattern: str) -> None:
    with pytest.raises(NotSayable):
        pattern_of(pattern)
