# SPDX-License-Identifier: Apache-2.0
"""Reads what another version, or somebody's hand, may have written into a status.

A field that was added since, a condition of another type, a reason that nobody knew then: none of
them may take from us what else is told, such as that a message was sent, or since when a domain is
verified.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)

#: What is taken out of a value: by name or number of its parts, how much of them is kept: so many
#: entries, or what is left when the same was done to them.
_Cut = dict[str | int, Any]


def readable(model: type[ModelT], raw: Mapping[str, Any]) -> ModelT | None:
    """What of a mapping fits the model: without the fields that are unknown or cannot be read, and
    without the entries and mappings that need one of these; None where nothing is left."""
    left: Any = raw
    while True:
        try:
            return model.model_validate(left, by_name=False, by_alias=True)
        except ValidationError as error:
            cut: _Cut = {}
            for wrong in error.errors(include_url=False, include_input=False):
                if not (path := list(_path(left, wrong))):
                    return None
                # Where a list is too long its beginning fits.
                _note(cut, path, (wrong.get("ctx") or {}).get("max_length"))
            left = _without(left, cut)


def _path(value: Any, wrong: Any) -> Iterator[str | int]:
    """The way to what has to go: the value that is wrong, or that in which something is missing."""
    for part in wrong["loc"]:
        inner = value.get(part, _path) if isinstance(value, Mapping) else _entry(value, part)
        # A part that is not there is missing, or a name that pydantic gives to a validator.
        if inner is not _path:
            value = inner
            yield part


def _entry(value: Any, part: str | int) -> Any:
    is_there = isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
    return value[part] if is_there else _path


def _note(cut: _Cut, path: list[str | int], longest: object) -> None:
    *above, last = path
    for part in above:
        inner = cut.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        cut = inner
    cut[last] = longest if isinstance(longest, int) else 0


def _without(value: Any, cut: _Cut) -> Any:
    """The value without what is cut; nothing is changed in place, and no part that stays copied."""
    if isinstance(value, Mapping):
        kept = ((name, _left(inner, cut.get(name, {}))) for name, inner in value.items())
        return {name: inner for name, inner in kept if inner is not _left}
    kept_entries = (_left(inner, cut.get(number, {})) for number, inner in enumerate(value))
    return [inner for inner in kept_entries if inner is not _left]


def _left(value: Any, cut: Any) -> Any:
    if isinstance(cut, dict):
        return _without(value, cut) if cut else value
    return value[:cut] if cut and isinstance(value, list | tuple) else _left
