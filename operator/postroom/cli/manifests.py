# SPDX-License-Identifier: Apache-2.0
"""Reads YAML manifests into raw objects, remembering where everything stands.

Nothing in a file raises: what is wrong becomes a `Complaint` with file and line, and the other
objects are read all the same.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from postroom.api.names import API_VERSION, GROUP, Key, Kind
from postroom.api.resource import InvalidSpec, Problem, parse_spec
from postroom.api.suggest import hint
from postroom.cli import manifest_files
from postroom.cli.manifest_files import SIZE_LIMIT, content_of
from postroom.cli.provider_parameters import refuse_parameters
from postroom.cli.secret_sources import secrets_made_by, why_elsewhere

_DEPTH_LIMIT = 50
_NODES_LIMIT = 200_000
_TOP_FIELDS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
#: Names of objects and of namespaces (Kubernetes: DNS subdomain and label, RFC 1123).
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NAME = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_LABEL_LIMIT, _NAME_LIMIT = 63, 253
#: Templates of Go (Helm), Jinja and ERB; variables of envsubst, Flux and Argo CD's plugins.
_TEMPLATE = re.compile(r"\{\{.*|\{%.*|<%.*|\$\{.*|<path:.*")

#: What is no character of YAML (YAML 1.2.2 section 5.1).
_FORBIDDEN = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)
_START = re.compile(r"---(\s|$)")
#: Of a text in UTF-16 that was read as bytes, nearly every second one is zero.
_TWO_BYTES = 4
#: Broken documents of a file, behind which the rest is not read: each costs a look at the whole.
_BROKEN_LIMIT = 20
_UTF_16 = "is UTF-16, as some editors and shells of Windows write: save the file as UTF-8"

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
    #: By namespace and name: which object's controller makes a Secret that is not here.
    made_secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    ignored: int = 0


def load(paths: Sequence[Path], namespace: str) -> Manifests:
    """Read files and directories (``-``: standard input).

    `namespace` is for objects that name none.
    """
    found = Manifests()
    files, problems = manifest_files.listed(paths)
    found.complaints += [Complaint(*problem) for problem in problems]
    for file in files:
        for manifest in _documents(file.path, found):
            if file.namespace is not None:
                manifest = _moved(manifest, file.namespace)
            _file_away(manifest, namespace, found)
    return found


def _moved(manifest: Manifest, namespace: str) -> Manifest:
    """Put an object into a namespace, whichever it names."""
    metadata = manifest.raw.get("metadata")
    if not isinstance(metadata, dict):
        return manifest
    moved = {**metadata, "namespace": namespace}
    return replace(manifest, raw={**manifest.raw, "metadata": moved})


def _documents(file: Path, found: Manifests) -> Iterator[Manifest]:
    name = "<stdin>" if str(file) == "-" else str(file)
    try:
        raw = sys.stdin.buffer.read(SIZE_LIMIT + 1) if name == "<stdin>" else content_of(file)
    except OSError as error:
        found.complaints.append(Complaint(name, 0, f"cannot be read: {error.strerror}"))
        return
    if len(raw) > SIZE_LIMIT:
        found.complaints.append(Complaint(name, 0, "is larger than 4 MiB"))
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        found.complaints.append(Complaint(name, *_no_utf8(raw, error.start)))
        return
    if forbidden := _FORBIDDEN.search(text):
        line = text.count("\n", 0, forbidden.start()) + 1
        message = f"holds U+{ord(forbidden[0]):04X}, which YAML does not allow: remove it"
        if text.count("\0") > len(text) // _TWO_BYTES:
            message = _UTF_16
        found.complaints.append(Complaint(name, line, message))
        return
    yield from _read(name, text, found)


def _read(name: str, text: str, found: Manifests) -> Iterator[Manifest]:
    """Read all documents of a text; behind one that is broken it goes on with the next."""
    lines, begin, broken = text.splitlines(keepends=True), 0, 0
    while begin < len(lines):
        # Empty lines in the place of what was read keep the numbers right.
        rest = "\n" * begin + "".join(lines[begin:]) if begin else text
        try:
            for node in yaml.compose_all(rest, Loader=yaml.CSafeLoader):
                if node is not None:
                    yield from _manifests(name, node, found)
            return
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            begin, broken = _next_document(lines, max(begin + 1, line - 1)), broken + 1
            complaint = Complaint(name, *_no_yaml("".join(lines[:begin]), line, error))
            found.complaints.append(complaint)
            if broken == _BROKEN_LIMIT:
                message = "has too many documents that are not YAML: the rest is not read"
                found.complaints.append(Complaint(name, begin, message))
                return
        except (yaml.YAMLError, RecursionError):
            found.complaints.append(
                Complaint(name, 0, _template(text) or "is not YAML that can be read")
            )
            return


def _next_document(lines: Sequence[str], begin: int) -> int:
    """Return the first line from here that begins a document (YAML 1.2.2 section 9.1.2)."""
    starts = (number for number in range(begin, len(lines)) if _START.match(lines[number]))
    return next(starts, len(lines))


def _no_utf8(raw: bytes, place: int) -> tuple[int, str]:
    """Say where bytes are no UTF-8, and what they are where that is plain."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return 1, _UTF_16
    return raw.count(b"\n", 0, place) + 1, "is not UTF-8 text: save the file as UTF-8"


def _no_yaml(text: str, line: int, error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """Say where and why a document is no YAML: what people do is likelier than what the parser
    met, which is often a line further."""
    lines = text.splitlines()
    around = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in around[: len(around) - len(around.lstrip())]:
        return line, "has a tab where YAML wants spaces: indent with spaces"
    template = _TEMPLATE.search(text)
    if template is not None:
        return text.count("\n", 0, template.start()) + 1, _rendered_first(template[0])
    return line, f"is not YAML: {error.problem}"


def _template(text: str) -> str | None:
    """Say so if a text is the template of something else."""
    found = _TEMPLATE.search(text)
    return _rendered_first(found[0]) if found is not None else None


def _rendered_first(start: str) -> str:
    return (
        f"looks like a template ({start[:20].strip()} ...): render it first, such as with "
        "helm template, and pipe the result into postroom check -"
    )


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
    yield from _flattened(Manifest(file, value, builder.lines), found)


def _flattened(manifest: Manifest, found: Manifests) -> Iterator[Manifest]:
    """Yield the objects of a list, as the API server answers and kubectl writes them."""
    raw = manifest.raw
    if not str(raw.get("kind")).endswith("List") or "spec" in raw:
        yield manifest
        return
    items = raw.get("items")
    if not isinstance(items, list):
        message = "items: must be a list of objects"
        found.complaints.append(manifest.complaint(("items",), message))
        return
    for index, item in enumerate(items):
        place = ("items", index)
        if not isinstance(item, dict):
            message = f"items[{index}]: is no Kubernetes object: it must be a mapping"
            found.complaints.append(manifest.complaint(place, message))
            continue
        lines = {path[2:]: line for path, line in manifest.lines.items() if path[:2] == place}
        yield from _flattened(Manifest(manifest.file, item, lines), found)


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
                # ``{{ x }}`` without quotation marks is a mapping whose key is a mapping.
                braces = isinstance(key_node, yaml.MappingNode) and key_node.flow_style
                message = _rendered_first("{{") if braces else "has a key that is no text"
                self._complain(key_node.start_mark.line + 1, message)
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
    if not ours and _is_meant_for_us(version, kind):
        message = f"apiVersion: must be {API_VERSION}"
        found.complaints.append(manifest.complaint(("apiVersion",), message))
        return
    if not ours and (version, kind) not in (("v1", "Secret"), ("v1", "ConfigMap")):
        if version is None or kind is None:
            complaint = manifest.complaint(
                (), "is no Kubernetes object: apiVersion or kind is missing"
            )
            found.complaints.append(complaint)
        for field_ in ("apiVersion", "kind"):
            if not isinstance(raw.get(field_) or "", str):
                message = f"{field_}: must be a text"
                found.complaints.append(manifest.complaint((field_,), message))
        _note_made_secrets(raw, namespace, found)
        found.ignored += 1
        return
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        found.complaints.append(manifest.complaint(("metadata",), "metadata.name: is required"))
        return
    place = str(metadata.get("namespace") or namespace)
    if refusals := _bad_names(manifest, name, place):
        found.complaints += refusals
        return
    if ours:
        _file_resource(manifest, str(version), str(kind), place, name, found)
    elif kind == "Secret":
        _put(found.secrets, (place, name), manifest, found)
        if why_elsewhere(raw) is None:
            found.complaints += _bad_values(manifest)
    else:
        _put(found.config_maps, (place, name), manifest, found)


def _is_meant_for_us(version: object, kind: object) -> bool:
    """Tell whether an apiVersion that is not ours is a slip: passing over it would check nothing.

    Others have kinds named like ours (a MailServer, say), under a group of their own.
    """
    if kind not in [one.value for one in Kind] or not isinstance(version, str):
        return False
    group = version.partition("/")[0].strip().lower()
    return "postroom" in group or "/" not in version or bool(hint(group, [GROUP]))


def _note_made_secrets(raw: Mapping[str, Any], namespace: str, found: Manifests) -> None:
    metadata = raw.get("metadata")
    own = metadata if isinstance(metadata, dict) else {}
    place = str(own.get("namespace") or namespace)
    for name in secrets_made_by(raw):
        found.made_secrets[place, name] = f"{raw.get('kind')} {own.get('name')}"


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
        message = f"kind: must be one of {kinds}{hint(kind, [one.value for one in Kind])}"
        found.complaints.append(manifest.complaint(("kind",), message))
        return
    _put(found.resources, key, manifest, found)
    unknown = sorted(set(manifest.raw) - _TOP_FIELDS)
    for field_ in unknown:
        message = f"{field_}: is not a field of this kind{hint(field_, _TOP_FIELDS)}"
        found.complaints.append(manifest.complaint((field_,), message))
    try:
        refuse_parameters(parse_spec(key.kind, manifest.raw.get("spec")))
    except InvalidSpec as error:
        found.complaints += [_place(manifest, problem) for problem in error.problems]


def _place(manifest: Manifest, problem: Problem) -> Complaint:
    value: Any = manifest.raw
    for part in problem.path:
        inner = isinstance(value, dict | list) and (
            isinstance(part, int) == isinstance(value, list)
        )
        try:
            value = value[part] if inner else None
        except (KeyError, IndexError):
            value = None
    template = _template(value) if isinstance(value, str) else None
    message = f"{problem.place}: {template}" if template else str(problem)
    return manifest.complaint(problem.path, message)


def _bad_names(manifest: Manifest, name: str, namespace: str) -> list[Complaint]:
    """Complain of names that the API server refuses (RFC 1123)."""
    bad = []
    if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name):
        message = (
            f"metadata.name: must be at most {_NAME_LIMIT} characters: lowercase letters, digits, "
            "'-' and '.', with a letter or digit at both ends of each part"
        )
        bad.append(manifest.complaint(("metadata", "name"), message))
    if len(namespace) > _LABEL_LIMIT or not _LABEL.fullmatch(namespace):
        message = (
            f"metadata.namespace: must be at most {_LABEL_LIMIT} characters: lowercase letters, "
            "digits and '-', with a letter or digit at both ends"
        )
        bad.append(manifest.complaint(("metadata", "namespace"), message))
    return bad


def _put(shelf: dict[Any, Manifest], key: Any, manifest: Manifest, found: Manifests) -> None:
    if key in shelf:
        first = shelf[key]
        message = f"is defined already in {first.file}:{first.line_of(())}"
        found.complaints.append(manifest.complaint(("metadata", "name"), message))
        return
    shelf[key] = manifest


def _bad_values(manifest: Manifest) -> list[Complaint]:
    """Complain of what the API server would refuse to keep in a Secret."""
    found = []
    for section in ("data", "stringData"):
        entries = manifest.raw.get(section)
        if entries is not None and not isinstance(entries, dict):
            message = f"{section}: must be a mapping of keys to values"
            found.append(manifest.complaint((section,), message))
            continue
        for key, value in (entries or {}).items():
            if section == "stringData" and not isinstance(value, str):
                message = f"stringData.{key}: must be a string: put it in quotes"
            elif section == "data" and (not isinstance(value, str) or decoded(value) is None):
                message = (
                    f"data.{key}: must be base64 of UTF-8 text; plain text belongs under stringData"
                )
            else:
                continue
            found.append(manifest.complaint((section, key), message))
    return found


def decoded(value: str) -> str | None:
    """Decode a value of a Secret's data; None where it is not base64 of text."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
