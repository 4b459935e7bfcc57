# SPDX-License-Identifier: Apache-2.0
"""What presets have in common: parameters that accept their own samples, templates, mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from postroom.api.data_files import InvalidData
from postroom.api.presets import (
    BaseParameter,
    BasePreset,
    compiled,
    fill,
    placeholders,
    preset_names,
    read_preset,
    unknown_parameters,
)

REGION = {
    "name": "region",
    "description": "Region of the account.",
    "pattern": "[a-z]+-[0-9]",
    "example": "west-1",
}
PRESET = {"name": "Relay", "title": "A relay", "documentation": "https://relay.example/docs"}


def parameter(**changes: Any) -> BaseParameter:
    return BaseParameter.model_validate({**REGION, **changes})


def preset(*parameters: dict[str, Any]) -> BasePreset:
    rows = tuple(parameter(**changes) for changes in parameters)
    return BasePreset.model_validate({**PRESET, "parameters": rows})


def test_the_pattern_holds_for_the_whole_value_and_the_list_narrows_it() -> None:
    free = parameter()
    accepted = [value for value in ("west-1", "west-1x", "1west-1", "") if free.accepts(value)]
    assert accepted == ["west-1"]
    assert not free.accepts("west-1\n")
    listed = parameter(enum=("west-1", "east-2"))
    assert listed.accepts("east-2")
    assert not listed.accepts("north-3")


def test_what_is_wanted_ends_a_sentence() -> None:
    assert parameter().wanted == "look like west-1"
    assert parameter(enum=("west-1", "east-2")).wanted == "be one of west-1, east-2"


@pytest.mark.parametrize(
    "changes",
    [
        {"example": "west"},
        {"default": "west"},
        {"enum": ("west-1", "west")},
        {"enum": ("east-2",)},
        {"pattern": "("},
    ],
)
def test_a_row_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parameter(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"description": "no sentence"}, {"name": "Region"}, {"more": 1}, {"example": ""}],
)
def test_a_row_is_written_as_all_are(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parameter(**changes)


def test_a_default_is_a_value_without_being_given() -> None:
    assert parameter().defaults() == []
    assert parameter(default="east-2").defaults() == ["east-2"]


def test_a_preset_names_each_parameter_once_and_the_first_problem_is_told() -> None:
    with pytest.raises(ValidationError, match="a parameter is described twice"):
        preset({}, {})

    class Odd(BasePreset):
        def problems(self) -> Iterator[str]:
            yield from ("first", "second")

    with pytest.raises(ValidationError, match="first"):
        Odd.model_validate(PRESET)


def test_what_a_preset_does_not_have_is_told_in_order_with_what_it_has() -> None:
    found = unknown_parameters(preset({"name": "zone"}, {}), {"b": "", "region": "", "a": ""})
    assert [(problem.parameter, problem.sentence) for problem in found] == [
        ("a", "is no parameter of Relay: it has region, zone"),
        ("b", "is no parameter of Relay: it has region, zone"),
    ]
    (problem,) = unknown_parameters(preset(), {"x" * 99: ""})
    assert problem.parameter == "x" * 40
    assert problem.sentence.endswith("it has none")


def test_templates_are_filled_once() -> None:
    template = "{token}.{region}.relay.example"
    assert placeholders(template) == {"token", "region"}
    # A value that looks like a placeholder is a value.
    assert fill(template, {"token": "{region}", "region": "r"}) == "{region}.r.relay.example"
    assert placeholders("{Region} {1} {} {re-gion}") == frozenset()
    with pytest.raises(KeyError):
        fill(template, {"token": "t"})


def test_a_pattern_that_is_none_is_one_sentence() -> None:
    assert compiled("[a-z]").fullmatch("a")
    with pytest.raises(ValueError, match="pattern is no regular expression: "):
        compiled("[a")


def test_presets_are_read_by_the_name_of_their_file() -> None:
    package = "postroom.mail.presets"
    assert "Gmail" in preset_names(package)
    with pytest.raises(InvalidData):
        read_preset(package, "Gmail", BasePreset)
