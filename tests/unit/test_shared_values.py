# SPDX-License-Identifier: Apache-2.0
"""Values that a module makes once for all who need one: nobody can change them for the others.

What stands for "nothing is said" is handed out to thousands of objects of all namespaces.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import postroom

_CHANGING = (list, dict, set, bytearray)


def modules() -> Iterator[tuple[str, Any]]:
    """Every module of the package, by its name."""
    for found in pkgutil.walk_packages(postroom.__path__, "postroom."):
        if not found.name.endswith("__main__"):
            yield found.name, importlib.import_module(found.name)


def is_value(made: object) -> bool:
    """Whether that is an instance of a model or of a dataclass."""
    return not isinstance(made, type) and (
        isinstance(made, BaseModel) or dataclasses.is_dataclass(made)
    )


def shared() -> dict[str, object]:
    """What modules have made, each once, by the first place that has it."""
    found: dict[int, tuple[str, object]] = {}
    for module, content in modules():
        for name, made in vars(content).items():
            if is_value(made):
                found.setdefault(id(made), (f"{module}.{name}", made))
    return dict(found.values())


def changeable(value: object, path: str = "") -> Iterator[str]:
    """Where something can be put in, taken out or set. What is declared as a Mapping is held by
    mypy: a Mapping has nothing by which it could be changed."""
    if isinstance(value, _CHANGING):
        yield path
    elif isinstance(value, tuple | frozenset):
        for each in value:
            yield from changeable(each, f"{path}[]")
    elif isinstance(value, BaseModel):
        if not value.model_config.get("frozen"):
            yield path or "itself"
        for name in type(value).model_fields:
            yield from changeable(getattr(value, name), f"{path}.{name}")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        if not getattr(value, "__dataclass_params__").frozen:  # noqa: B009 - unknown to mypy
            yield path or "itself"
        for each in dataclasses.fields(value):
            inner = getattr(value, each.name)
            if not (isinstance(inner, dict) and "Mapping[" in str(each.type)):
                yield from changeable(inner, f"{path}.{each.name}")


def test_nobody_can_change_what_all_share() -> None:
    # Not at collection, which would import the whole program in each process.
    found = shared()
    names = {"postroom.api.binding.NOTHING", "postroom.api.send_limits.NO_PLAN"}
    assert names <= found.keys() and len(found) > 50
    assert {name: where for name, made in found.items() if (where := [*changeable(made)])} == {}


@dataclass(frozen=True)
class Fixed:
    inner: object = ()
    told: Mapping[str, int] = field(default_factory=dict)
    kept: dict[str, int] | None = None


@dataclass
class Open:
    inner: int = 0


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    inner: tuple[object, ...] = ()


class Thawed(BaseModel):
    inner: int = 0


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (Fixed(("a", frozenset({1}), None)), []),
        (Frozen(inner=(Fixed(), 1)), []),
        (Fixed([]), [".inner"]),
        (Fixed(kept={}), [".kept"]),
        (Frozen(inner=(Fixed({1}),)), [".inner[].inner"]),
        (Fixed(Open()), [".inner"]),
        (Open(), ["itself"]),
        (Thawed(), ["itself"]),
    ],
)
def test_what_can_be_changed_is_found(value: object, where: list[str]) -> None:
    assert [*changeable(value)] == where
