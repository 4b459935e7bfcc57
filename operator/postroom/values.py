# SPDX-License-Identifier: Apache-2.0
"""Values: frozen dataclasses with slots, as `dataclasses` makes them, for a fraction of a start.

There are more than 300 of them, and the standard library writes and compiles six methods for each
when its module is imported: a fifth of what a start costs, for classes of which most make no
instance in the life of a process. Here what is the same for all is a function, and what depends on
the fields is compiled when it is first called. Such an `__init__` is also faster: it sets slots.

Type checkers see the decorator of the standard library. Other dataclasses than these are its own,
and so are those that inherit from one. What is for `__init__` alone (InitVar) is not supported.
"""

import dataclasses
import reprlib
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, field, replace
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "replace"]

_VALUE = {"frozen": True, "slots": True}
_NO_HASH = ("__hash__", None)
#: What is compiled of the fields when it is first called.
_COMPILED = ("__init__", "__eq__", "__hash__")

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **how: bool) -> Any:
        """Make a dataclass, as `dataclasses.dataclass` does."""
        if cls is None:
            return lambda cls: dataclass(cls, **how)
        if how != _VALUE or any(map(dataclasses.is_dataclass, cls.__mro__)):
            return dataclasses.dataclass(cls, **how)
        # As there, what the class has of its own stays. No hash beside an `__eq__` is none.
        own = frozenset(name for name, of in cls.__dict__.items() if (name, of) != _NO_HASH)
        made = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=True)
        for part in ("init", "repr", "eq", "frozen"):
            # Whoever inherits from it, or looks at it, finds what it is.
            setattr(made.__dataclass_params__, part, True)
        for name, method in {**_common(made), **_compiled_when_called(made, own)}.items():
            if name not in own:
                setattr(made, name, method)
        return made


def _common(cls: Any) -> dict[str, Callable[..., Any]]:
    """The methods that are made of no text."""
    fields = dataclasses.fields(cls)
    names = [each.name for each in fields]
    shown = [each.name for each in fields if each.repr]

    @reprlib.recursive_repr()
    def shown_as(self: Any) -> str:
        inside = ", ".join([f"{name}={getattr(self, name)!r}" for name in shown])
        return f"{type(self).__qualname__}({inside})"

    def refuse_to_set(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def refuse_to_delete(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def set_state(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {
        "__repr__": shown_as,
        "__setattr__": refuse_to_set,
        "__delattr__": refuse_to_delete,
        "__getstate__": state,
        "__setstate__": set_state,
    }


def _compiled_when_called(cls: Any, own: frozenset[str]) -> dict[str, Callable[..., Any]]:
    """Methods that have themselves compiled by the first call."""

    def compiled(name: str) -> Any:
        scope = _compiled(cls)
        for each in _COMPILED:
            if each not in own:
                setattr(cls, each, scope[each])
        return scope[name]

    return {
        "__init__": lambda self, *values, **named: compiled("__init__")(self, *values, **named),
        "__eq__": lambda self, other: compiled("__eq__")(self, other),
        "__hash__": lambda self: compiled("__hash__")(self),
    }


def _compiled(cls: Any) -> dict[str, Any]:
    """What is made of the fields of a class, by names."""
    fields = dataclasses.fields(cls)
    scope: dict[str, Any] = {"MISSING": MISSING}
    taken, sets = ["self"], ["pass"]
    for each in sorted(fields, key=lambda each: each.kw_only is True):
        if each.kw_only is True and each.init and "*" not in taken:
            taken.append("*")
        value = _given(each, taken, scope)
        if value:
            scope[f"_set_{each.name}"] = cls.__dict__[each.name].__set__
            sets.append(f"_set_{each.name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        sets.append("self.__post_init__()")
    compared = [each.name for each in fields if each.compare]
    hashed = [each.name for each in fields if (each.compare if each.hash is None else each.hash)]
    text = "\n".join(
        [
            f"def __init__({', '.join(taken)}):",
            *(f"    {line}" for line in sets),
            "def __eq__(self, other):",
            "    if other.__class__ is self.__class__:",
            f"        return {_tuple('self', compared)} == {_tuple('other', compared)}",
            "    return NotImplemented",
            "def __hash__(self):",
            f"    return hash({_tuple('self', hashed)})",
        ]
    )
    exec(compile(text, f"<{cls.__module__}.{cls.__qualname__}>", "exec"), scope)  # noqa: S102
    for name in _COMPILED:
        scope[name].__qualname__ = f"{cls.__qualname__}.{name}"
    return scope


def _given(each: Field[Any], taken: list[str], scope: dict[str, Any]) -> str:
    """Add to what `__init__` takes; returns what it sets a field to, as text. Empty: nothing."""
    name, default = each.name, f"_default_{each.name}"
    made = each.default_factory is not MISSING
    scope[default] = each.default_factory if made else each.default
    if not each.init:
        return f"{default}()" if made else "" if each.default is MISSING else default
    if made:
        taken.append(f"{name}=MISSING")
        return f"{default}() if {name} is MISSING else {name}"
    taken.append(name if each.default is MISSING else f"{name}={default}")
    return name


def _tuple(of: str, names: list[str]) -> str:
    return f"({''.join(f'{of}.{name}, ' for name in names)})"
