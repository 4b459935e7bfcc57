# SPDX-License-Identifier: Apache-2.0
"""Reads the presets from their files: each on first use, once, and validated."""

from functools import cache

from postroom.api.data_files import InvalidData
from postroom.api.presets import preset_names, read_preset
from postroom.mail.presets.model import Preset

_PACKAGE = "postroom.mail.presets"


@cache
def providers() -> tuple[str, ...]:
    """Name all providers that there are presets for, sorted; reads none of the files."""
    return preset_names(_PACKAGE)


@cache
def preset(provider: str) -> Preset:
    """Load the preset of a provider, by its name or an alias.

    Raises `KeyError` for a name that there is no preset of, and `InvalidData`.
    """
    if provider not in providers():
        aliases = {alias: name for name in providers() for alias in preset(name).aliases}
        return preset(aliases[provider])
    found = read_preset(_PACKAGE, provider, Preset)
    if found.family is not None and found.family not in providers():
        raise InvalidData(f"providers/{provider}.yaml: family: there is no preset {found.family}")
    return found
