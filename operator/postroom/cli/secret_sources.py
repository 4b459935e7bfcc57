# SPDX-License-Identifier: Apache-2.0
"""Secrets whose content is not in the input: encrypted, a placeholder, or made by a controller.

What stands in their place is no credential, and must not be sent as one: a mailbox that refuses it
a few times locks everybody out.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel

from postroom.api.credentials_reference import PLACEHOLDERS
from postroom.api.data_files import read


class _Source(BaseModel):
    """A kind whose controller makes Secrets: in which fields their names are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    kind: str
    #: Paths such as ``spec.target.name``, ``[]`` for the entries of a list; the first that is
    #: there counts.
    names: tuple[str, ...]
    source: str


class _Sources(RootModel[tuple[_Source, ...]]):
    """The data file."""


@cache
def sources() -> Mapping[tuple[str, str], _Source]:
    """What is known of controllers that make Secrets, by group and kind of their objects."""
    listed = read("postroom.cli", "secret_sources.yaml", _Sources).root
    return {(each.group, each.kind): each for each in listed}


def secrets_made_by(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the Secrets that an object's controller makes of it."""
    group = str(raw.get("apiVersion")).partition("/")[0]
    source = sources().get((group, str(raw.get("kind"))))
    for path in source.names if source is not None else ():
        found = list(_values_at(raw, path.split(".")))
        if found:
            yield from found
            return


def _values_at(value: Any, path: list[str]) -> Iterator[str]:
    if not path:
        if isinstance(value, str) and value:
            yield value
        return
    part, rest = path[0], path[1:]
    inner = value.get(part.removesuffix("[]")) if isinstance(value, Mapping) else None
    if part.endswith("[]"):
        for entry in inner if isinstance(inner, list) else ():
            yield from _values_at(entry, rest)
    else:
        yield from _values_at(inner, rest)


def why_elsewhere(raw: Mapping[str, Any]) -> str | None:
    """Why the content of a Secret's manifest is none; None where it is the content.

    The clause continues "it ...", and repeats nothing of the content.
    """
    if "sops" in raw:
        return "is encrypted by SOPS"
    return what_stands_in(_texts(raw))


def what_stands_in(entries: Iterable[tuple[str, str]]) -> str | None:
    """Why one of some values is no credential but stands in for one, wherever it comes from."""
    for key, value in entries:
        if value.startswith("ENC[") and value.endswith("]"):
            return f"is encrypted by SOPS (key {key})"
        if PLACEHOLDERS.fullmatch(value.strip()):
            return f"is a placeholder (key {key})"
    return None


def _texts(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield keys and values as they are written, and decoded."""
    for section in ("stringData", "data"):
        entries = raw.get(section)
        for key, value in entries.items() if isinstance(entries, Mapping) else ():
            if not isinstance(value, str):
                continue
            yield str(key), value
            if section == "data":
                try:
                    yield str(key), base64.b64decode(value, validate=True).decode()
                except (binascii.Error, ValueError):
                    continue
