# SPDX-License-Identifier: Apache-2.0
"""Values behave like frozen dataclasses with slots of the standard library, in all that can be
seen of them, and what is made of their fields is compiled when it is needed."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import values
from postroom.values import dataclass, field, replace

Make = Callable[[type], Any]
STANDARD: Make = dataclasses.dataclass(frozen=True, slots=True)
OURS: Make = values.dataclass(frozen=True, slots=True)


def classes(make: Make) -> SimpleNamespace:
    """The same classes, made by one or the other."""

    class Point:
        """Nothing but fields."""

        x: int
        y: str = "y"
        z: list[int] = field(default_factory=list)

    class Rare:
        """Fields of every kind."""

        kind: ClassVar[int] = 5
        a: int
        b: int = field(default=1, compare=False)
        c: int = field(default=2, repr=False, hash=False)
        d: int = field(default=3, kw_only=True)
        e: int = field(kw_only=True)
        f: tuple[int, ...] = field(default_factory=tuple, init=False)
        g: int = field(default=7, init=False)
        self_: Any = None

        def __post_init__(self) -> None:
            object.__setattr__(self, "g", self.a + self.d)

    class Own:
        """With methods of its own."""

        a: int
        b: int = 2

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self)) and self.a == other.a

        def __repr__(self) -> str:
            return "own"

        def doubled(self) -> int:
            return 2 * self.a

    class Hashed:
        """With a hash of its own."""

        a: int

        def __hash__(self) -> int:
            return 17

    class Empty:
        """Without fields."""

    class One:
        """With one."""

        only: object = None

    found = {part.__name__.lower(): make(part) for part in (Point, Rare, Own, Hashed, Empty, One)}

    class Child(found["point"]):  # type: ignore[misc]
        """A dataclass that inherits from one."""

        w: int = 4

    class Plain(found["point"]):  # type: ignore[misc]
        """A class that is none, and has an `__init__` that calls the other."""

        def __init__(self, x: int) -> None:
            super().__init__(x, "plain")
            self.more = x + 1

    return SimpleNamespace(**found, child=make(Child), plain=Plain)


def told(run: Callable[[], object]) -> object:
    """What somebody gets, or the kind of error."""
    try:
        return run()
    except Exception as error:
        return type(error), str(error).replace("Child", "")


def both() -> tuple[SimpleNamespace, SimpleNamespace]:
    return classes(STANDARD), classes(OURS)


_ANY = st.none() | st.integers(0, 3) | st.text(max_size=2) | st.lists(st.integers(0, 2), max_size=2)
_NAMES = st.sampled_from(["x", "y", "z", "w", "a", "b", "c", "d", "e", "f", "only", "self_"])
_CLASSES = st.sampled_from(["point", "rare", "own", "hashed", "empty", "one", "child"])
_Call = tuple[list[Any], dict[str, Any]]
_CALLS = st.tuples(st.lists(_ANY, max_size=4), st.dictionaries(_NAMES, _ANY, max_size=4))


def doings(make: Any, call: _Call, other: _Call) -> list[object]:
    """All that comes of two calls."""
    one, two = (told(lambda each=each: make(*each[0], **each[1])) for each in (call, other))
    return [
        *(each if isinstance(each, tuple) else repr(each) for each in (one, two)),
        told(lambda: one == two),
        told(lambda: one == object()),
        told(lambda: isinstance(hash(one), int) and hash(one) == hash(copy.copy(one))),
        told(lambda: repr(copy.deepcopy(two))),
        told(lambda: repr(replace(one, **other[1]))),  # type: ignore[type-var]
        told(lambda: dataclasses.astuple(two)),  # type: ignore[call-overload]
        told(lambda: [getattr(two, name) for name in type(two).__match_args__]),  # type: ignore[attr-defined]
    ]


@given(_CLASSES, _CALLS, _CALLS)
def test_whatever_is_done_with_them_comes_to_the_same(name: str, call: _Call, other: _Call) -> None:
    standard, ours = (doings(getattr(found, name), call, other) for found in both())
    assert standard == ours


@pytest.mark.parametrize("name", ["point", "rare", "own", "child"])
def test_nothing_of_them_can_be_set_or_deleted(name: str) -> None:
    for found in both():
        value = getattr(found, name)(1, **({"e": 1} if name == "rare" else {}))
        first = dataclasses.fields(value)[0].name
        for act in (
            functools.partial(setattr, value, first, 2),
            functools.partial(delattr, value, first),
        ):
            with pytest.raises(dataclasses.FrozenInstanceError, match=f"field '{first}'"):
                act()


def test_a_class_that_inherits_from_one_and_is_none_may_have_more() -> None:
    value = classes(OURS).plain(1)
    value.more += 1
    del value.more
    assert (value.x, value.y) == (1, "plain")
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.x = 2


def test_one_that_holds_itself_can_be_shown() -> None:
    shown = []
    for found in both():
        inside: list[object] = []
        value = found.point(1, z=inside)
        inside.append(value)
        shown.append(repr(value))
    assert shown[0] == shown[1]


def test_they_are_seen_as_what_they_are() -> None:
    standard, ours = both()
    for name in ("point", "rare", "own", "hashed", "empty", "one", "child"):
        one, other = getattr(standard, name), getattr(ours, name)
        assert dataclasses.is_dataclass(other)
        assert repr(one.__dataclass_params__) == repr(other.__dataclass_params__)
        assert one.__match_args__ == other.__match_args__
        assert one.__slots__ == other.__slots__
        assert (one.__doc__, one.__qualname__, one.__module__) == (
            other.__doc__,
            other.__qualname__,
            other.__module__,
        )
    assert not hasattr(ours.point(1), "__dict__")
    assert ours.rare.kind == 5


def test_other_dataclasses_are_those_of_the_standard_library() -> None:
    @values.dataclass
    class Changing:
        a: int = 1

    changing = Changing()
    changing.a = 2  # type: ignore[misc]
    assert changing == Changing(2)


@dataclass(frozen=True, slots=True)
class Sent:
    """Stands in a module, so that it can be pickled."""

    a: int
    b: str = "b"


def test_one_is_sent_to_another_process() -> None:
    value = Sent(1)
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own
    assert {value: 1}[Sent(1)] == 1


def test_nothing_is_compiled_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    make = values._compiled
    monkeypatch.setattr(
        values, "_compiled", lambda cls: (compiled.append(cls.__name__), make(cls))[1]
    )
    found = classes(OURS)
    assert compiled == []
    for _ in range(2):
        assert found.point(1) == found.point(1)
        assert hash(found.own(1))
    assert compiled == ["Point", "Own"]
    assert "x" in inspect.signature(found.point).parameters
