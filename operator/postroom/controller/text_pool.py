# SPDX-License-Identifier: Apache-2.0
"""Equal parts of what the cache holds, kept once: decoded JSON has every field name and enum value
anew per object, and statuses of many accounts differ in few of their conditions and items.

So nothing of what comes from here may be changed.
"""

from collections.abc import Iterable
from typing import Any

#: Texts that were met before. Not `sys.intern`, which keeps texts for ever on some Pythons.
_pool: dict[str, str] = {}
_LIMIT, _DEEPEST = 20_000, 32
#: Characters of a text that is worth looking for another like it.
LONGEST = 128
#: Objects of texts and numbers that were met lately, by a hash of theirs: what is equal was mostly
#: written in the same second, as it tells the time.
_objects: dict[int, dict[str, Any]] = {}
_LATELY = 512
_CONTAINERS = (dict, list)
_NONE: list[Any] = []


def pooled(value: Any, depth: int = 0) -> Any:
    """Copy decoded JSON so that equal texts are the same object, and mostly so equal objects of
    nothing but texts and whole numbers; not to be changed."""
    if len(_pool) >= _LIMIT:
        _pool.clear()
    once = _pool.setdefault
    if isinstance(value, str):
        return once(value, value) if len(value) <= LONGEST else value
    if depth > _DEEPEST:
        return value
    # Texts are most of what there is, and a call for each would be most of what this costs.
    if isinstance(value, dict):
        copy = {
            once(name, name): once(inner, inner)
            if isinstance(inner, str) and len(inner) <= LONGEST
            else pooled(inner, depth + 1)
            for name, inner in value.items()
        }
        return copy if not depth or (known := _one_of(copy)) is None else known
    if isinstance(value, list):
        return [pooled(item, depth + 1) for item in value] if value else _NONE
    return value


def pooled_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """Short texts, equal ones of which are the same object."""
    return tuple([_pool.setdefault(text, text) for text in texts])


def shared(value: Any, depth: int = 0) -> Any:
    """What is ours to keep, such as a status of our making, with the objects and the empty lists in
    it that were met lately, as far as they are the same; not to be changed.

    Most of its texts are those of our code, and need no looking for.
    """
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        if depth and (known := _one_of(value)) is not None:
            return known
        return {
            name: shared(inner, depth + 1) if isinstance(inner, _CONTAINERS) else inner
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [shared(item, depth + 1) for item in value] if value else _NONE
    return value


def _one_of(made: dict[str, Any]) -> dict[str, Any] | None:
    """An object that is the same as one that was met lately, else this one; None: there is another
    object in it, or a list."""
    values = (*made.values(),)
    try:
        mark = hash((*made, *values))
    except TypeError:
        return None
    if len(_objects) >= _LATELY:
        _objects.clear()
    known = _objects.setdefault(mark, made)
    if known is made or known != made:
        return made
    kinds = (*map(type, values),)
    return known if kinds == (*map(type, known.values()),) and float not in kinds else made
