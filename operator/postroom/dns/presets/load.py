# SPDX-License-Identifier: Apache-2.0
"""Reads the presets from their files: each on first use, once, and validated."""

from functools import cache

from postroom.api.data_files import read
from postroom.api.presets import preset_names, read_preset
from postroom.dns.presets.model import Preset, Targets

_PACKAGE = "postroom.dns.presets"


@cache
def providers() -> tuple[str, ...]:
    """Name all providers that there are presets for, sorted; reads none of the files."""
    return preset_names(_PACKAGE)


@cache
def preset(provider: str) -> Preset:
    """Load the preset of a provider.

    Raises `KeyError` for a name that is not in `providers`, and `InvalidData`.
    """
    if provider not in providers():
        raise KeyError(provider)
    return read_preset(_PACKAGE, provider, Preset)


@cache
def targets() -> Targets:
    """Load the names by which providers are known; raises `InvalidData`."""
    return read(_PACKAGE, "targets.yaml", Targets)
