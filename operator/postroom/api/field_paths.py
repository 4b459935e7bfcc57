# SPDX-License-Identifier: Apache-2.0
"""Paths of fields in the notation of kubectl: ``spec.dkim[0].selector``."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

#: Keys of mappings and numbers of entries, from the object down.
Path = tuple[str | int, ...]
_STEP = re.compile(r"\[(\d{1,6})\]|\.?([^.\[\]]+)")


def written(path: Sequence[str | int]) -> str:
    """Write a path as people do."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(parts).removeprefix(".")


def path_of(field: str) -> Path:
    """Read what `written` wrote of a path whose keys are names of fields."""
    return tuple(int(index) if index else name for index, name in _STEP.findall(field))


def is_there(value: Any, path: Sequence[str | int]) -> bool:
    """Whether a path leads to something in an object; one without steps leads nowhere."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, Sequence) or isinstance(value, str) or step >= len(value):
                return False
        elif not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    return bool(path)
