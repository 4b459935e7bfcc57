# SPDX-License-Identifier: Apache-2.0
"""Reads the presets from their files: each on first use, once, and validated."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from importlib import resources
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from postroom.dns.presets.model import Preset, Targets

_PACKAGE = "postroom.dns.presets"
_FOLDER = "providers"
_END = ".yaml"

Read = TypeVar("Read", bound=BaseModel)


class InvalidData(ValueError):
    """A data file that is not what it must be; says which file and which place in it."""


@cache
def providers() -> tuple[str, ...]:
    """Name all providers that there are presets for, sorted; reads none of the files."""
    files = resources.files(_PACKAGE).joinpath(_FOLDER).iterdir()
    return tuple(sorted(one.name.removesuffix(_END) for one in files if one.name.endswith(_END)))


@cache
def preset(provider: str) -> Preset:
    """Load the preset of a provider.

    Raises `KeyError` for a name that is not in `providers`, and `InvalidData`.
    """
    if provider not in providers():
        raise KeyError(provider)
    path = f"{_FOLDER}/{provider}{_END}"
    found = read(_PACKAGE, path, Preset)
    if found.name != provider:
        raise InvalidData(f"{path}: name: must be that of the file, {provider}")
    return found


@cache
def targets() -> Targets:
    """Load the names by which providers are known; raises `InvalidData`."""
    return read(_PACKAGE, "targets.yaml", Targets)


def read(package: str, path: str, model: type[Read]) -> Read:
    """Read and validate a YAML file of a package; raises `InvalidData`."""
    text = resources.files(package).joinpath(path).read_text(encoding="utf-8")
    return validate(path, text, model)


def validate(path: str, text: str, model: type[Read]) -> Read:
    """Validate the text of a YAML file; raises `InvalidData` with the first problem's place."""
    try:
        raw = yaml.safe_load(text)
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
