# SPDX-License-Identifier: Apache-2.0
"""Reads the presets from their files: each on first use, once, and validated."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from postroom.api.data_files import InvalidData, names, read
from postroom.mail.presets.model import Preset

_PACKAGE = "postroom.mail.presets"
_FOLDER = "providers"


@cache
def providers() -> tuple[str, ...]:
    """Name all providers that there are presets for, sorted; reads none of the files."""
    return names(_PACKAGE, _FOLDER)


@cache
def preset(provider: str) -> Preset:
    """Load the preset of a provider, by its name or an alias.

    Raises `KeyError` for a name that there is no preset of, and `InvalidData`.
    """
    if provider not in providers():
        return preset(_by_alias()[provider])
    path = f"{_FOLDER}/{provider}.yaml"
    found = read(_PACKAGE, path, Preset)
    if found.name != provider:
        raise InvalidData(f"{path}: name: must be that of the file, {provider}")
    if found.family is not None and found.family not in providers():
        raise InvalidData(f"{path}: family: there is no preset {found.family}")
    return found


@cache
def _by_alias() -> Mapping[str, str]:
    return {alias: name for name in providers() for alias in preset(name).aliases}
