# SPDX-License-Identifier: Apache-2.0
"""Data files: read strictly, and what is wrong is told with file and place."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import pytest
from pydantic import BaseModel, ConfigDict

from postroom.api.data_files import InvalidData, names, read, validate


class Colour(StrEnum):
    RED = "Red"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: int
    day: date | None = None
    colour: Colour | None = None


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    parts: tuple[Part, ...]


def test_dates_and_enums_are_read_strictly() -> None:
    text = "parts: [{number: 1, day: 2026-11-21, colour: Red}]"
    (part,) = validate("x.yaml", text, Whole).parts
    assert part == Part(number=1, day=date(2026, 11, 21), colour=Colour.RED)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("parts: [", "x.yaml: is not YAML: "),
        ("", "x.yaml: the whole: "),
        ("[]", "x.yaml: the whole: "),
        ("{}", "x.yaml: parts: "),
        ("parts: [{number: 1}, {number: '2'}]", "x.yaml: parts.1.number: "),
        ("parts: [{number: true}]", "x.yaml: parts.0.number: "),
        ("parts: [{number: 1, more: 2}]", "x.yaml: parts.0.more: "),
        ("parts: [{number: 1, colour: Blue}]", "x.yaml: parts.0.colour: "),
        ("parts: !!set {a}", "set is no type that data files use"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, says: str) -> None:
    with pytest.raises(InvalidData) as raised:
        validate("x.yaml", text, Whole)
    assert str(raised.value).startswith(says)


def test_code_in_a_file_is_not_run() -> None:
    with pytest.raises(InvalidData, match="is not YAML"):
        validate("x.yaml", "!!python/object/apply:os.getcwd []", Whole)


def test_files_of_a_package_are_named_in_order_and_read() -> None:
    found = names("postroom.mail.presets", "providers")
    assert "Gmail" in found
    assert list(found) == sorted(found)
    assert not any(name.endswith(".yaml") for name in found)
    with pytest.raises(InvalidData, match=r"providers/Gmail\.yaml: "):
        read("postroom.mail.presets", "providers/Gmail.yaml", Whole)
