# SPDX-License-Identifier: Apache-2.0
"""From models to structural schemas.

Covers: references and null inlined, rules of a type kept beside those of a field, defaults in the
form of the API, and the refusal of what would be lost in silence.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field

from postroom.api.fields import RULES, HostName, Model, rule, rules
from postroom.api.schema import structural

OF_TYPE = rule("size(self.text) > 0", "must not be empty")
OF_FIELD = rule("self == oldSelf", "may not be changed")
EXTRA: dict[str, Any] = {"x-kubernetes-map-type": "atomic"}


class Inner(Model):
    """An inner object."""

    model_config = ConfigDict(json_schema_extra=rules(OF_TYPE))

    text: Annotated[str, Field(max_length=9)] = "x"


class Outer(Model):
    """An outer object."""

    plain: Inner
    described: Inner = Field(
        default=Inner(), description="Mine.", json_schema_extra=rules(OF_FIELD)
    )
    optional: Inner | None = Field(default=None, json_schema_extra=EXTRA)
    host: HostName = Field(json_schema_extra=rules(OF_FIELD))
    hosts: Annotated[list[HostName], Field(max_length=3)] = Field(
        default=[], json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    choice: Literal["One"] = "One"


SCHEMA = structural(Outer)
PROPERTIES: dict[str, Any] = SCHEMA["properties"]


def test_references_are_inlined() -> None:
    assert PROPERTIES["plain"]["properties"]["text"] == {
        "type": "string",
        "default": "x",
        "maxLength": 9,
    }


def test_what_stands_at_the_field_wins() -> None:
    assert PROPERTIES["plain"]["description"] == "An inner object."
    assert PROPERTIES["described"]["description"] == "Mine."


def test_rules_of_a_field_join_those_of_its_model() -> None:
    assert PROPERTIES["described"][RULES] == [OF_TYPE, OF_FIELD]
    assert PROPERTIES["plain"][RULES] == [OF_TYPE]


def test_rules_of_a_field_join_those_of_its_string_type() -> None:
    messages = [one["message"] for one in PROPERTIES["host"][RULES]]
    assert len(messages) == 2
    assert messages[0].startswith("must be a DNS name")
    assert messages[1] == "may not be changed"


def test_a_field_leaves_the_rules_of_its_type_alone() -> None:
    assert len(PROPERTIES["hosts"]["items"][RULES]) == 1


def test_other_extensions_of_a_field_are_kept() -> None:
    assert PROPERTIES["optional"]["x-kubernetes-map-type"] == "atomic"
    assert PROPERTIES["optional"][RULES] == [OF_TYPE]
    assert PROPERTIES["hosts"]["x-kubernetes-list-type"] == "set"


def test_null_becomes_absent() -> None:
    assert PROPERTIES["optional"]["type"] == "object"
    assert "default" not in PROPERTIES["optional"]
    assert SCHEMA["required"] == ["plain", "host"]


def test_objects_default_to_the_defaults_of_their_fields() -> None:
    assert PROPERTIES["described"]["default"] == {}
    assert "default" not in PROPERTIES["hosts"]


def test_one_literal_is_an_enum() -> None:
    assert PROPERTIES["choice"]["enum"] == ["One"]
    assert PROPERTIES["choice"]["default"] == "One"


@pytest.mark.parametrize(
    ("type_", "lost"),
    [
        (Annotated[int, Field(gt=0)], "exclusiveMinimum"),
        (Annotated[int, Field(multiple_of=5)], "multipleOf"),
        (dict[str, Any], "additionalProperties"),
        (set[str], "uniqueItems"),
        (tuple[str, int], "prefixItems"),
        (str | int, "a union"),
    ],
)
def test_nothing_is_lost_in_silence(type_: Any, lost: str) -> None:
    model = type("Bad", (Model,), {"__annotations__": {"field": type_}})
    with pytest.raises(TypeError, match=lost):
        structural(model)


def test_a_map_has_one_schema_for_its_values() -> None:
    model = type("Map", (Model,), {"__annotations__": {"field": dict[str, bool]}})
    assert structural(model)["properties"]["field"] == {
        "type": "object",
        "additionalProperties": {"type": "boolean"},
    }
