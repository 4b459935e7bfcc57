# SPDX-License-Identifier: Apache-2.0
"""Reads data files of the package: YAML, validated strictly, with errors that name the place."""

import json
from datetime import date
from importlib import resources
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

Read = TypeVar("Read", bound=BaseModel)
_END = ".yaml"


class InvalidData(ValueError):
    """A data file that is not what it must be; says which file and which place in it."""


class Row(BaseModel):
    """Base of all that stands in data files: camelCase, strict, nothing unknown accepted.

    What reads a file is built when the first one is read: a process that starts reads few.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        defer_build=True,
    )


def names(package: str, folder: str) -> tuple[str, ...]:
    """Name the YAML files in a folder of a package, without their ending, sorted; reads none."""
    files = resources.files(package).joinpath(folder).iterdir()
    return tuple(sorted(file.name.removesuffix(_END) for file in files if file.name.endswith(_END)))


def read(package: str, path: str, model: type[Read]) -> Read:
    """Read and validate a YAML file of a package; raises `InvalidData`."""
    text = resources.files(package).joinpath(path).read_text(encoding="utf-8")
    return validate(path, text, model)


def validate(path: str, text: str, model: type[Read]) -> Read:
    """Validate the text of a YAML file; raises `InvalidData` with the first problem's place."""
    try:
        # libyaml's parser: the other takes two seconds for all that there is, in each process.
        raw = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as problem:
        raise InvalidData(f"{path}: is not YAML: {problem}") from None
    try:
        # By way of JSON, where strict validation takes text for dates and members of an enum.
        return model.model_validate_json(json.dumps(raw, default=_text_of))
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise InvalidData(f"{path}: {place}: {first['msg']}") from None


def _text_of(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise InvalidData(f"{type(value).__name__} is no type that data files use")
