# SPDX-License-Identifier: Apache-2.0
"""Where settings come from: flags, else the environment (``POSTROOM_...``); and the one sentence
when a value cannot be used, which names the flag or variable that it came from."""

from collections.abc import Mapping
from typing import Self

from pydantic import ValidationError

from postroom.api.fields import Model
from postroom.api.resource import sentence

PREFIX = "POSTROOM_"


class SettingsError(ValueError):
    """A setting cannot be used; the text is one sentence that names it and says what it takes."""

    @classmethod
    def of(cls, error: ValidationError, origin: Mapping[str, str]) -> Self:
        """The first of what pydantic has found; never with a value, which may be secret."""
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        return cls(f"{origin.get(name, name)}: {sentence(first, Model)}")


def gathered(
    names: Mapping[str, str],
    flags: Mapping[str, object],
    environment: Mapping[str, str],
) -> tuple[dict[str, object], dict[str, str]]:
    """What is given of each name, and where; `names` are those of fields, each with its flag.

    A flag that is None or an empty list counts as not given.
    """
    given: dict[str, object] = {}
    origin: dict[str, str] = {}
    for name, flag in names.items():
        variable = PREFIX + name.upper()
        if environment.get(variable, "") != "":
            given[name], origin[name] = environment[variable], variable
        if flags.get(name) not in (None, (), []):
            given[name], origin[name] = flags[name], flag
    return given, origin
