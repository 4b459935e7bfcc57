# SPDX-License-Identifier: Apache-2.0
"""Where the manifests of rendered input come from, as people mend the source.

Helm says it in a comment, Kustomize in an annotation (``buildMetadata: [originAnnotations]``).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from postroom.cli import manifest_files
from postroom.cli.text_places import Region, SourceText
from postroom.cli.yaml_documents import START, Manifest, Path_, documents

_HELM = re.compile(r"^# Source: (\S[^\n\r]*)", re.MULTILINE)
_KUSTOMIZE = "config.kubernetes.io/origin"


class Origins:
    """Finds the sources of rendered manifests below a folder; those that are not there stay where
    they were read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts = cache(_text_of)
        self._documents = cache(_documents_of)

    def place(self, manifest: Manifest, path: Path_) -> tuple[str, Region | None]:
        """Return the file and the region of a field of a manifest."""
        here = manifest.file, manifest.region_of(path)
        if (origin := _kustomize(manifest.raw)) is not None:
            file = self._below_root(origin)
            source = _source_of(manifest, self._documents(file) if file is not None else ())
            return (str(file), source.region_of(path)) if source is not None else here
        if (origin := _helm(manifest)) is not None:
            file = self._of_chart(origin)
            text = self._texts(file) if file is not None else None
            return (str(file), _in_template(text, path)) if text is not None else here
        return here

    def _of_chart(self, origin: str) -> Path | None:
        """The file of a template, which Helm names from the name of its chart on."""
        chart, _, rest = origin.partition("/")
        names = {chart, *_charts(self._root, chart)}
        found = (self._below_root(f"{name}/{rest}") for name in sorted(names, key=len))
        return next((file for file in found if file is not None), None)

    def _below_root(self, name: str) -> Path | None:
        """A file that is there, below the root or below where we are; no other is opened."""
        try:
            file = (self._root / name).resolve()
            here = [self._root.resolve(), Path.cwd()]
            if not file.is_file() or not any(file.is_relative_to(folder) for folder in here):
                return None
        except (OSError, ValueError, RuntimeError):
            return None
        return file.relative_to(here[1]) if file.is_relative_to(here[1]) else file


def _charts(root: Path, chart: str) -> Iterator[str]:
    """The folders, of the root and below it, that hold a chart of this name."""
    for folder in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/"))):
        try:
            said = yaml.safe_load(manifest_files.content_of(folder / "Chart.yaml"))
        except (OSError, yaml.YAMLError, ValueError, RecursionError):
            continue
        if isinstance(said, dict) and said.get("name") == chart:
            yield folder.relative_to(root).as_posix()


def _kustomize(raw: Mapping[str, Any]) -> str | None:
    metadata = raw.get("metadata")
    notes = metadata.get("annotations") if isinstance(metadata, dict) else None
    said = notes.get(_KUSTOMIZE) if isinstance(notes, dict) else None
    try:
        origin = yaml.safe_load(said) if isinstance(said, str) else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(origin, dict) or "repo" in origin or not isinstance(origin.get("path"), str):
        return None
    return str(origin["path"])


def _helm(manifest: Manifest) -> str | None:
    """The comment above an object, in its own document."""
    if manifest.text is None or () not in manifest.spans:
        return None
    begin = manifest.spans[()][0]
    above = manifest.text.content[:begin]
    starts = [found.end() for found in START.finditer(above)]
    said = _HELM.search(above, starts[-1] if starts else 0)
    return said[1].strip() if said is not None else None


def _source_of(manifest: Manifest, sources: Sequence[Manifest]) -> Manifest | None:
    """The source of an object, which a prefix or suffix may have renamed."""
    name = _name(manifest)
    same = [each for each in sources if each.raw.get("kind") == manifest.raw.get("kind")]
    named = [each for each in same if _name(each) and _name(each) in name]
    return max(named, key=lambda each: len(_name(each)), default=None)


def _name(manifest: Manifest) -> str:
    metadata = manifest.raw.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _in_template(text: SourceText, path: Path_) -> Region | None:
    """The only line of a template that can be the field, or the nearest around it; else the first
    line."""
    for step in reversed(path):
        if isinstance(step, str):
            key = re.compile(rf"^[ \t]*(?:- )?({re.escape(step)}):", re.MULTILINE)
            found = list(key.finditer(text.content))
            if len(found) == 1:
                return text.region(*found[0].span(1))
    return text.region(0, 0)


def _text_of(file: Path) -> SourceText | None:
    try:
        return SourceText(manifest_files.content_of(file).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return None


def _documents_of(file: Path) -> list[Manifest]:
    return list(documents(file, []))
