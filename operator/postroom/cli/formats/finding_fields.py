# SPDX-License-Identifier: Apache-2.0
"""Which field of a manifest a finding is about, to be shown where it is to be mended."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel

from postroom.api.data_files import read
from postroom.api.findings import Finding
from postroom.api.names import Kind
from postroom.cli.yaml_documents import Path_

_STEP = re.compile(r"([A-Za-z0-9]+)|\[(\d+)\]|\[([a-z]*)\]")
_MENTION = re.compile(r"\bspec(?:\.[A-Za-z0-9]+|\[\d+\])+")
_NAMED = re.compile(r"[A-Za-z0-9.]+")
#: Steps to a field at the top of spec, for which a subject may have another meaning.
_SHORT = 2
_IN_BRACKETS = re.compile(r"\((spec(?:\.[A-Za-z0-9]+|\[\d+\])+)\)")


class _FieldRule(BaseModel):
    """What findings of which fields are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: re.Pattern[str] = re.compile(".*")
    subject: re.Pattern[str] = re.compile(".*", re.DOTALL)
    fields: tuple[str, ...]


class _FieldRules(RootModel[dict[Kind, tuple[_FieldRule, ...]]]):
    """The data file."""


@cache
def _rules() -> Mapping[Kind, Sequence[_FieldRule]]:
    return read("postroom.cli.formats", "finding_fields.yaml", _FieldRules).root


def field_of(finding: Finding, kind: Kind, raw: Mapping[str, Any]) -> Path_:
    """Return the path of the field that a finding is about: always of one that the manifest has.

    A field that the sentence names in brackets is what it is about; else what the rules say of its
    code and subject.
    """
    for path in _candidates(finding, kind, raw):
        if _is_there(raw, path):
            return path
    return ("spec",) if "spec" in raw else ()


def _candidates(finding: Finding, kind: Kind, raw: Mapping[str, Any]) -> Iterator[Path_]:
    for mention in _IN_BRACKETS.finditer(finding.message):
        yield _path(mention[1])
    named = _path(f"spec.{finding.subject}") if _NAMED.fullmatch(finding.subject) else ()
    if len(named) > _SHORT:
        # Some findings say themselves which field they are about.
        yield named
    rules = _rules()[kind]
    for rule in rules[:-1]:
        subject = rule.subject.fullmatch(finding.subject)
        if subject is not None and rule.code.fullmatch(finding.code):
            yield from (
                found
                for field in rule.fields
                for found in _entries(raw, _steps(f"spec.{field}"), subject.groupdict())
            )
    if named:
        yield named
    for mention in _MENTION.finditer(finding.message):
        yield _path(mention[0])
    # What the object is called after.
    yield from (_path(f"spec.{field}") for field in rules[-1].fields)


def _steps(field: str) -> list[tuple[str, str, str | None]]:
    return [(step[1] or "", step[2] or "", step[3]) for step in _STEP.finditer(field)]


def _path(field: str) -> Path_:
    return tuple(name or int(index) for name, index, _ in _steps(field) if name or index)


def _entries(
    value: Any, steps: Sequence[tuple[str, str, str | None]], named: Mapping[str, str | Any]
) -> Iterator[Path_]:
    """Yield the path that steps lead to, through the entry of a list that is named by a group."""
    path: Path_ = ()
    for name, _, key in steps:
        if key is None:
            path, value = (*path, name), value.get(name) if isinstance(value, Mapping) else None
            continue
        wanted = named.get(key or "item")
        for index, entry in enumerate(value if isinstance(value, list) else ()):
            has = entry.get(key) if key and isinstance(entry, Mapping) else entry
            if wanted is not None and has == wanted:
                path, value = (*path, index), entry
                break
        else:
            return
    yield path


def _is_there(value: Any, path: Path_) -> bool:
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return False
        elif not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    return True


def written(path: Path_) -> str:
    """Write the path of a field as people do: ``spec.dkim[0].selector``."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(parts).removeprefix(".")
