# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a file to raw objects, each with the lines on which its parts stand.

Nothing in a file raises: what is wrong becomes a `Complaint` with file and line, and the other
documents are read all the same.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from postroom.cli.manifest_files import SIZE_LIMIT, content_of

_DEPTH_LIMIT = 50
_NODES_LIMIT = 200_000
#: YAML 1.1 reads 17:00 as a number to the base of sixty; Kubernetes reads a text.
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
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


def documents(file: Path, complaints: list[Complaint]) -> Iterator[Manifest]:
    """Yield the objects of a file (``-``: standard input); adds what is wrong to `complaints`."""
    name = "<stdin>" if str(file) == "-" else str(file)
    try:
        raw = sys.stdin.buffer.read(SIZE_LIMIT + 1) if name == "<stdin>" else content_of(file)
    except OSError as error:
        complaints.append(Complaint(name, 0, f"cannot be read: {error.strerror}"))
        return
    if len(raw) > SIZE_LIMIT:
        complaints.append(Complaint(name, 0, "is larger than 4 MiB"))
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = "is not UTF-8 text: save the file as UTF-8"
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            line, message = 1, _UTF_16
        complaints.append(Complaint(name, line, message))
        return
    if forbidden := _FORBIDDEN.search(text):
        line = text.count("\n", 0, forbidden.start()) + 1
        message = f"holds U+{ord(forbidden[0]):04X}, which YAML does not allow: remove it"
        if text.count("\0") > len(text) // _TWO_BYTES:
            message = _UTF_16
        complaints.append(Complaint(name, line, message))
        return
    yield from _read(name, text, complaints)


def _read(name: str, text: str, complaints: list[Complaint]) -> Iterator[Manifest]:
    """Read all documents of a text; behind one that is broken it goes on with the next."""
    lines, begin, broken = text.splitlines(keepends=True), 0, 0
    while begin < len(lines):
        # Empty lines in the place of what was read keep the numbers right.
        rest = "\n" * begin + "".join(lines[begin:]) if begin else text
        try:
            for node in yaml.compose_all(rest, Loader=yaml.CSafeLoader):
                if node is not None:
                    yield from _manifests(name, node, complaints)
            return
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            behind = range(max(begin + 1, line - 1), len(lines))
            # What begins a document: YAML 1.2.2 section 9.1.2.
            begin = next((number for number in behind if _START.match(lines[number])), len(lines))
            complaint = Complaint(name, *_no_yaml("".join(lines[:begin]), line, error))
            complaints.append(complaint)
            broken += 1
            if broken == _BROKEN_LIMIT:
                message = "has too many documents that are not YAML: the rest is not read"
                complaints.append(Complaint(name, begin, message))
                return
        except (yaml.YAMLError, RecursionError):
            complaints.append(
                Complaint(name, 0, template_in(text) or "is not YAML that can be read")
            )
            return


def _no_yaml(text: str, line: int, error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line and the reason why a document is no YAML: what people do is likelier than what
    the parser met, which is often a line further."""
    lines = text.splitlines()
    around = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in around[: len(around) - len(around.lstrip())]:
        return line, "has a tab where YAML wants spaces: indent with spaces"
    template = _TEMPLATE.search(text)
    if template is not None:
        return text.count("\n", 0, template.start()) + 1, _rendered_first(template[0])
    return line, f"is not YAML: {error.problem}"


def template_in(text: str) -> str | None:
    """That a text is the template of something else; None where it is not."""
    found = _TEMPLATE.search(text)
    return _rendered_first(found[0]) if found is not None else None


def _rendered_first(start: str) -> str:
    return (
        f"looks like a template ({start[:20].strip()} ...): render it first, such as with "
        "helm template, and pipe the result into postroom check -"
    )


def _manifests(file: str, node: yaml.Node, complaints: list[Complaint]) -> Iterator[Manifest]:
    builder = _Builder(file)
    value = builder.build(node, ())
    if builder.complaint is not None:
        complaints.append(builder.complaint)
        return
    if not isinstance(value, dict):
        line = node.start_mark.line + 1
        complaints.append(Complaint(file, line, "is no Kubernetes object: it must be a mapping"))
        return
    yield from _flattened(Manifest(file, value, builder.lines), complaints)


def _flattened(manifest: Manifest, complaints: list[Complaint]) -> Iterator[Manifest]:
    """Yield the objects of a list, as the API server answers and kubectl writes them."""
    raw = manifest.raw
    if not str(raw.get("kind")).endswith("List") or "spec" in raw:
        yield manifest
        return
    items = raw.get("items")
    if not isinstance(items, list):
        message = "items: must be a list of objects"
        complaints.append(manifest.complaint(("items",), message))
        return
    for index, item in enumerate(items):
        place = ("items", index)
        if not isinstance(item, dict):
            message = f"items[{index}]: is no Kubernetes object: it must be a mapping"
            complaints.append(manifest.complaint(place, message))
            continue
        lines = {path[2:]: line for path, line in manifest.lines.items() if path[:2] == place}
        yield from _flattened(Manifest(manifest.file, item, lines), complaints)


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
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and _SIXTIES.fullmatch(node.value):
            return node.value
        try:
            value = self._scalars.construct_object(node)
            # YAML knows dates; JSON, and so Kubernetes, does not.
            return value if isinstance(value, str | int | float | bool | None) else str(value)
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
