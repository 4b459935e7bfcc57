# SPDX-License-Identifier: Apache-2.0
"""The times that a memory holds, moved all together."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from postroom.reconcile.status.outcome import Memory


def shift(memory: Memory, by: timedelta) -> None:
    """Move every time that is remembered."""
    for name, value in memory.known().items():
        setattr(memory, name, _shifted(value, by))


def _shifted(value: Any, by: timedelta) -> Any:
    match value:
        case datetime():
            return value + by
        case Mapping():
            return {key: _shifted(each, by) for key, each in value.items()}
        case tuple() if any(isinstance(each, datetime) for each in value):
            return tuple(_shifted(each, by) for each in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            times = {field.name: getattr(value, field.name) for field in fields(value)}
            moved = {name: at + by for name, at in times.items() if isinstance(at, datetime)}
            return replace(value, **moved) if moved else value
    return value
