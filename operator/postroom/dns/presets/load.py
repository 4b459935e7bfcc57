# SPDX-License-Identifier: Apache-2.0
"""Reads the presets from their files: each on first use, once, and validated."""

from __future__ import annotations

from functools import cache

from postroom.api.data_files import InvalidData, names, read
from postroom.dns.presets.model import Preset, Targets

_PACKAGE = "postroom.dns.presets"
_FOLDER = "providers"


@cache
def providers() -> tuple[str, ...]:
    """Name all providers that there are presets for, sorted; reads none of the files."""
    return names(_PACKAGE, _FOLDER)


@cache
def preset(provider: str) -> Preset:
    """Load the preset of a provider.

    Raises `KeyError` for a name that is not in `providers`, and `InvalidData`.
    """
    if provider not in providers():
        raise KeyError(provider)
    path = f"{_FOLDER}/{provider}.yaml"
    found = read(_PACKAGE, path, Preset)
    if found.name != provider:
        raise InvalidData(f"{path}: name: must be that of the file, {provider}")
    return found


@cache
def targets() -> Targets:
    """Load the names by which providers are known; raises `InvalidData`."""
    return read(_PACKAGE, "targets.yaml", Targets)
