# SPDX-License-Identifier: Apache-2.0
"""Which field of its spec each finding of an object is about: `findings[].field` of a status.

Whoever made the verdict knows it best, and names it. For the rest the data file has rules, by code
and subject. It is always a field that the spec has; a sentence is never read for it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel

from postroom.api.data_files import read
from postroom.api.field_paths import Path, is_there, path_of, written
from postroom.api.findings import FIELD_LIMIT, Finding
from postroom.api.names import Kind
from postroom.api.status import CommonStatus
from postroom.reconcile.status.outcome import Outcome

_STEP = re.compile(r"([A-Za-z0-9]+)|\[([a-z]*)\]")
_NAMED = re.compile(r"[A-Za-z0-9.]+")
#: Steps to a field at the top of spec, for which a subject may have another meaning.
_SHORT = 2


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
    return read("postroom.reconcile.status", "finding_fields.yaml", _FieldRules).root


def placed(kind: Kind, raw: Mapping[str, Any], outcome: Outcome) -> Outcome:
    """Return an outcome whose findings say which field of the spec in `raw` they are about."""
    if not (findings := getattr(outcome.status, "findings", ())):
        return outcome
    assert isinstance(outcome.status, CommonStatus)  # noqa: S101
    told = [
        finding
        if (field := field_of(finding, kind, raw)) == finding.field
        else finding.model_copy(update={"field": field})
        for finding in findings
    ]
    if told == list(findings):
        return outcome
    return replace(outcome, status=outcome.status.model_copy(update={"findings": told}))


def field_of(finding: Finding, kind: Kind, raw: Mapping[str, Any]) -> str:
    """Return the field that a finding is about, always one that `raw` has; "" where it has none."""
    for path in _candidates(finding, kind, raw):
        if len(field := written(path)) <= FIELD_LIMIT and is_there(raw, path):
            return field
    return "spec" if "spec" in raw else ""


def _candidates(finding: Finding, kind: Kind, raw: Mapping[str, Any]) -> Iterator[Path]:
    yield path_of(finding.field)
    named = path_of(f"spec.{finding.subject}") if _NAMED.fullmatch(finding.subject) else ()
    if len(named) > _SHORT:
        # Some findings are about what they are called after.
        yield named
    for field, groups in _ruled(kind, finding.code, finding.subject):
        yield from _entries(raw, [*_STEP.finditer(f"spec.{field}")], dict(groups))
    if named:
        yield named
    # What the object is called after.
    yield from (path_of(f"spec.{field}") for field in _rules()[kind][-1].fields)


@lru_cache(maxsize=1024)
def _ruled(
    kind: Kind, code: str, subject: str
) -> tuple[tuple[str, tuple[tuple[str, str | None], ...]], ...]:
    """The fields that the rules have for a code and a subject, with what the subject names."""
    return tuple(
        (field, tuple(found.groupdict().items()))
        for rule in _rules()[kind][:-1]
        if (found := rule.subject.fullmatch(subject)) is not None and rule.code.fullmatch(code)
        for field in rule.fields
    )


def _entries(
    value: Any, steps: Sequence[re.Match[str]], named: Mapping[str, str | None]
) -> Iterator[Path]:
    """Yield the path that steps lead to, through the entry of a list that is named by a group."""
    path: Path = ()
    for step in steps:
        name, key = step.groups()
        if key is None:
            path, value = (*path, name), value.get(name) if isinstance(value, Mapping) else None
            continue
        wanted = named.get(key or "item")
        for index, entry in enumerate(value if isinstance(value, list | tuple) else ()):
            has = entry.get(key) if key and isinstance(entry, Mapping) else entry
            if wanted is not None and has == wanted:
                path, value = (*path, index), entry
                break
        else:
            return
    yield path
