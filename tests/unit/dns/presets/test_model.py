# SPDX-License-Identifier: Apache-2.0
"""What a preset file must be: each mistake is refused with the file and the place in it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from postroom.api.data_files import InvalidData, validate
from postroom.dns.presets.load import preset
from postroom.dns.presets.model import Preset, Targets

ROW: dict[str, Any] = {
    "role": "DKIM",
    "host": "{selector}._domainkey",
    "type": "CNAME",
    "value": "{selector}.example.net",
    "required": True,
    "match": "Target",
    "source": "https://example.com/docs",
    "checked": "2026-11-21",
}
PARAMETER = {
    "name": "selector",
    "description": "The selector.",
    "pattern": "[a-z]+",
    "example": "s",
}


def text(record: dict[str, Any] | None = None, **fields: Any) -> str:
    made: dict[str, Any] = {
        "name": "Example",
        "title": "Example",
        "documentation": "https://example.com",
        "parameters": [PARAMETER],
        "records": [ROW | (record or {})],
    }
    return yaml.safe_dump(made | fields)


def refused(content: str) -> str:
    with pytest.raises(InvalidData) as caught:
        validate("providers/Example.yaml", content, Preset)
    return str(caught.value)


def test_the_model_takes_what_is_right() -> None:
    assert validate("providers/Example.yaml", text(), Preset).name == "Example"


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"host": "{selector}"}, "_domainkey"),
        ({"host": "{other}._domainkey"}, "must depend on other"),
        ({"value": "{selector"}, "cannot compare|can compare|brace"),
        ({"value": "two words"}, "can compare"),
        ({"match": "Exact"}, "cannot be compared"),
        ({"role": "SPF", "type": "TXT", "match": "SPFAuthorises"}, "can compare"),
        (
            {"role": "MX", "type": "MX", "match": "Exchange", "value": "10 a.b", "host": "in"},
            "sending domain",
        ),
        ({"type": "AAAA"}, "records.0.type"),
        ({"source": "http://example.com"}, "records.0.source"),
        ({"checked": "yesterday"}, "records.0.checked"),
        ({"when": {"selector": "x"}}, "not in the enum"),
        ({"dependsOn": ["nobody"]}, "no parameter nobody"),
        ({"unless": "nobody"}, "no parameter nobody"),
        ({"required": "yes"}, "records.0.required"),
        ({"extra": 1}, "records.0.extra"),
    ],
)
def test_a_wrong_record(record: dict[str, Any], what: str) -> None:
    message = refused(text(record))
    assert message.startswith("providers/Example.yaml: ")
    assert any(one in message for one in what.split("|")), message


@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        ({"pattern": "["}, "no regular expression"),
        ({"example": "S1"}, "do not accept 'S1'"),
        ({"default": "1"}, "do not accept '1'"),
        ({"enum": ["a", "B"], "example": "a"}, "do not accept 'B'"),
        ({"default": "s", "optional": True}, "optional says nothing"),
        ({"name": "domain"}, "derived name"),
        ({"description": "no sentence"}, "parameters.0.description"),
    ],
)
def test_a_wrong_parameter(parameter: dict[str, Any], what: str) -> None:
    assert what in refused(text(parameters=[PARAMETER | parameter]))


def test_an_idle_parameter() -> None:
    idle = PARAMETER | {"name": "idle"}
    assert "no record uses the parameter idle" in refused(text(parameters=[PARAMETER, idle]))


def test_a_parameter_twice() -> None:
    assert "described twice" in refused(text(parameters=[PARAMETER, PARAMETER]))


def test_a_group_of_what_is_not_optional() -> None:
    assert "oneOf names parameters" in refused(text(oneOf=[["selector", "selector"]]))


@pytest.mark.parametrize("content", ["", "[]", "a: b: c", "records: [", "x: !!binary aGk="])
def test_no_preset_at_all(content: str) -> None:
    with pytest.raises(InvalidData, match=r"providers/Example\.yaml|no type"):
        validate("providers/Example.yaml", content, Preset)


def test_a_preset_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        preset("../targets")


def test_targets_are_each_listed_once() -> None:
    row = {
        "provider": "Example",
        "title": "Example",
        "suffix": "example.net",
        "source": "https://example.com",
        "checked": "2026-11-21",
    }
    with pytest.raises(InvalidData, match="listed twice"):
        validate("targets.yaml", yaml.safe_dump({"targets": [row, row]}), Targets)
    other = row | {"suffix": "example.org", "title": "Other"}
    with pytest.raises(InvalidData, match="two titles"):
        validate("targets.yaml", yaml.safe_dump({"targets": [row, other]}), Targets)
