# SPDX-License-Identifier: Apache-2.0
"""Reads YAML manifests into raw objects, remembering where everything stands.

Nothing in a file raises: what is wrong becomes a `Complaint` with file and line, and the other
objects are read all the same.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from postroom.api.names import API_VERSION, GROUP, Key, Kind
from postroom.api.resource import InvalidSpec, Problem, parse_spec

_SIZE_LIMIT = 4 * 1024 * 1024
_DEPTH_LIMIT = 50
_NODES_LIMIT = 200_000
_SUFFIXES = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml")

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong with the input: where, and what to do about it."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.message}"
            if self.line
            else (f"{self.file}: {self.message}")
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """A raw object and the lines of its parts."""

    file: str
    #: May be a Secret.
    raw: Mapping[str, Any] = field(repr=False)
    lines: Mapping[Path_, int]

    def line_of(self, path: Path_) -> int:
        """Return the line of a part, or of the nearest part around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def complaint(self, path: Path_, message: str) -> Complaint:
        return Complaint(self.file, self.line_of(path), message)


@dataclass
class Manifests:
    """Everything that was read."""

    resources: dict[Key, Manifest] = field(default_factory=dict)
    secrets: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    ignored: int = 0


def load(paths: Sequence[Path], namespace: str) -> Manifests:
    """Read files and directories (``-``: standard input).

    `namespace` is for objects that name none.
    """
    found = Manifests()
    for path in paths:
        for file in _files(path, found):
            for manifest in _documents(file, found):
                _file_away(manifest, namespace, found)
    return found


def _files(path: Path, found: Manifests) -> Iterator[Path]:
    if str(path) == "-" or path.is_file():
        yield path
    elif path.is_dir() and (listed := _kustomized(path)) is not None:
        for one in listed:
            yield from _files(one, found)
    elif path.is_dir():
        yield from (
            one
            for one in sorted(path.rglob("*"))
            if one.suffix in _SUFFIXES and one.name not in _KUSTOMIZATIONS and one.is_file()
        )
    else:
        found.complaints.append(Complaint(str(path), 0, "there is no such file or directory"))


def _kustomized(directory: Path) -> list[Path] | None:
    """Return the resources that a kustomization lists; None where there is none to be read.

    What else it says, such as patches, is not applied.
    """
    for name in _KUSTOMIZATIONS:
        try:
            told = yaml.safe_load(_read(directory / name))
        except (OSError, yaml.YAMLError):
            continue
        listed = told.get("resources") if isinstance(told, dict) else None
        if isinstance(listed, list):
            return [directory / str(one) for one in listed]
    return None


def _documents(file: Path, found: Manifests) -> Iterator[Manifest]:
    name = "<stdin>" if str(file) == "-" else str(file)
    try:
        raw = sys.stdin.buffer.read(_SIZE_LIMIT + 1) if name == "<stdin>" else _read(file)
    except OSError as error:
        found.complaints.append(Complaint(name, 0, f"cannot be read: {error.strerror}"))
        return
    if len(raw) > _SIZE_LIMIT:
        found.complaints.append(Complaint(name, 0, "is larger than 4 MiB"))
        return
    try:
        text = raw.decode("utf-8")
        for node in yaml.compose_all(text, Loader=yaml.CSafeLoader):
            if node is not None:
                yield from _manifests(name, node, found)
    except UnicodeDecodeError:
        found.complaints.append(Complaint(name, 0, "is not UTF-8 text"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        found.complaints.append(Complaint(name, line, f"is not YAML: {error.problem}"))
    except (yaml.YAMLError, RecursionError):
        found.complaints.append(Complaint(name, 0, "is not YAML that can be read"))


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_SIZE_LIMIT + 1)


def _manifests(file: str, node: yaml.Node, found: Manifests) -> Iterator[Manifest]:
    builder = _Builder(file)
    value = builder.build(node, ())
    if builder.complaint is not None:
        found.complaints.append(builder.complaint)
        return
    if not isinstance(value, dict):
        line = node.start_mark.line + 1
        found.complaints.append(
            Complaint(file, line, "is no Kubernetes object: it must be a mapping")
        )
        return
    if value.get("kind") == "List" and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            prefix = ("items", index)
            lines = {path[2:]: line for path, line in builder.lines.items() if path[:2] == prefix}
            if isinstance(item, dict):
                yield Manifest(file, item, lines)
        return
    yield Manifest(file, value, builder.lines)


class _Builder:
    """Turns nodes into values, noting lines; bounded in depth and, against aliases, in size."""

    def __init__(self, file: str) -> None:
        self.lines: dict[Path_, int] = {}
        self.complaint: Complaint | None = None
        self._file = file
        self._nodes = 0
        self._scalars = yaml.CSafeLoader("")

    def build(self, node: yaml.Node, path: Path_) -> Any:
        """Return the value of a node; after a complaint the value is worthless."""
        self._nodes += 1
        line = node.start_mark.line + 1
        self.lines[path] = line
        if self._nodes > _NODES_LIMIT or len(path) > _DEPTH_LIMIT:
            self._complain(line, "is nested too deeply, or repeats itself by aliases")
        if self.complaint is not None:
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(one, (*path, index)) for index, one in enumerate(node.value)]
        try:
            return _plain(self._scalars.construct_object(node))
        except (yaml.YAMLError, ValueError):
            self._complain(line, "holds a value that cannot be read")
            return None

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                self._complain(key_node.start_mark.line + 1, "has a key that is no text")
                return built
            if key in built:
                place = ".".join(map(str, (*path, key)))
                self._complain(key_node.start_mark.line + 1, f"{place} is given twice")
                return built
            built[key] = self.build(value_node, (*path, key))
            self.lines[(*path, key)] = key_node.start_mark.line + 1
        return built

    def _complain(self, line: int, message: str) -> None:
        if self.complaint is None:
            self.complaint = Complaint(self._file, line, message)


def _plain(value: Any) -> Any:
    """YAML knows dates; JSON, and so Kubernetes, does not."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _file_away(manifest: Manifest, namespace: str, found: Manifests) -> None:
    raw = manifest.raw
    version, kind = raw.get("apiVersion"), raw.get("kind")
    ours = isinstance(version, str) and version.startswith(f"{GROUP}/")
    if not ours and (version, kind) not in (("v1", "Secret"), ("v1", "ConfigMap")):
        if version is None or kind is None:
            complaint = manifest.complaint(
                (), "is no Kubernetes object: apiVersion or kind is missing"
            )
            found.complaints.append(complaint)
        found.ignored += 1
        return
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        found.complaints.append(manifest.complaint(("metadata",), "metadata.name: is required"))
        return
    place = str(metadata.get("namespace") or namespace)
    if ours:
        _file_resource(manifest, str(version), str(kind), place, name, found)
    elif kind == "Secret":
        _put(found.secrets, (place, name), manifest, found)
        found.complaints += _bad_base64(manifest)
    else:
        _put(found.config_maps, (place, name), manifest, found)


def _file_resource(
    manifest: Manifest, version: str, kind: str, namespace: str, name: str, found: Manifests
) -> None:
    if version != API_VERSION:
        message = f"apiVersion: must be {API_VERSION}"
        found.complaints.append(manifest.complaint(("apiVersion",), message))
        return
    try:
        key = Key(Kind(kind), namespace, name)
    except ValueError:
        kinds = ", ".join(one.value for one in Kind)
        found.complaints.append(manifest.complaint(("kind",), f"kind: must be one of {kinds}"))
        return
    _put(found.resources, key, manifest, found)
    unknown = sorted(set(manifest.raw) - {"apiVersion", "kind", "metadata", "spec", "status"})
    for one in unknown:
        found.complaints.append(manifest.complaint((one,), f"{one}: is not a field of this kind"))
    try:
        parse_spec(key.kind, manifest.raw.get("spec"))
    except InvalidSpec as error:
        found.complaints += [_place(manifest, problem) for problem in error.problems]


def _place(manifest: Manifest, problem: Problem) -> Complaint:
    return manifest.complaint(problem.path, str(problem))


def _put(shelf: dict[Any, Manifest], key: Any, manifest: Manifest, found: Manifests) -> None:
    if key in shelf:
        first = shelf[key]
        message = f"is defined already in {first.file}:{first.line_of(())}"
        found.complaints.append(manifest.complaint(("metadata", "name"), message))
        return
    shelf[key] = manifest


def _bad_base64(manifest: Manifest) -> list[Complaint]:
    found = []
    data = manifest.raw.get("data")
    for key, value in (data if isinstance(data, dict) else {}).items():
        if not isinstance(value, str) or decoded(value) is None:
            message = f"data.{key}: must be base64 of UTF-8 text"
            found.append(manifest.complaint(("data", key), message))
    return found


def decoded(value: str) -> str | None:
    """Decode a value of a Secret's data; None where it is not base64 of text."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
