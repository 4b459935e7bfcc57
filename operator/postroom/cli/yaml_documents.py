# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a file to raw objects, each with the places at which its parts stand.

Nothing in a file raises: what is wrong becomes a `Complaint` with file and line, and the other
documents are read all the same.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from postroom.cli.json_texts import values_in, without_pairs
from postroom.cli.manifest_files import SIZE_LIMIT, content_of
from postroom.cli.text_places import Region, SourceText
from postroom.log import on_one_line

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
START = re.compile(r"^---(?=\s|$)", re.MULTILINE)
#: A byte order mark that begins a document (YAML 1.2.2 section 5.2), where kubectl takes it, too;
#: and one that begins a line within one, which shifts what is behind it against the lines below.
_LEADING_MARK = re.compile(r"(?:\A|^(?P<start>---(?:[ \t][^\n]*)?\r?\n))\ufeff", re.MULTILINE)
_MARK_WITHIN = re.compile(r"^\ufeff+(?![\ufeff\s#{\[])", re.MULTILINE)
_MISPLACED = (
    "begins with a byte order mark (U+FEFF), as where files were joined: remove it, or put --- in "
    "a line before it"
)
#: Of a text in UTF-16 that was read as bytes, nearly every second one is zero.
_TWO_BYTES = 4
#: Broken documents of a file, behind which the rest is not read: each costs a look at the whole.
_BROKEN_LIMIT = 20
_UTF_16 = "is UTF-16, as some editors and shells of Windows write: save the file as UTF-8"

Path_ = tuple[str | int, ...]
#: By path: from which character to which, in the whole text.
Spans = Mapping[Path_, tuple[int, int]]
Place = TypeVar("Place")
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong with the input: where, and what to do about it."""

    file: str
    line: int
    message: str
    region: Region | None = field(default=None, compare=False)
    #: The object that it is about, where the input could be read as far, and the path of its field.
    manifest: "Manifest | None" = field(default=None, compare=False, repr=False)
    path: Path_ = field(default=(), compare=False)
    #: Whether nothing is wrong, but it was not read: others read it.
    unread: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        """One line: names of files and fields are of others, and CI takes lines for commands."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return on_one_line(f"{place}: {self.message}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A raw object and where its parts stand."""

    file: str
    #: May be a Secret.
    raw: Mapping[str, Any] = field(repr=False)
    lines: Mapping[Path_, int]
    spans: Spans = field(default_factory=dict, repr=False)
    #: May hold Secrets.
    text: SourceText | None = field(default=None, repr=False)

    def line_of(self, path: Path_) -> int:
        """Return the line of a part, or of the nearest part around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def region_of(self, path: Path_) -> Region | None:
        """Return where a part stands, or the nearest part around it: from its key on, and with its
        value where that is on the same line. None of what was read from no text."""
        while path and path not in self.spans:
            path = path[:-1]
        if self.text is None or path not in self.spans:
            return None
        return self.text.region(*self.spans[path])

    def complaint(self, path: Path_, message: str) -> Complaint:
        return Complaint(self.file, self.line_of(path), message, self.region_of(path), self, path)


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
        region = SourceText(text.removeprefix("\ufeff")).region(
            forbidden.start() - text.startswith("\ufeff"), forbidden.end()
        )
        message = f"holds U+{ord(forbidden[0]):04X}, which YAML does not allow: remove it"
        if text.count("\0") > len(text) // _TWO_BYTES:
            message = _UTF_16
        complaints.append(Complaint(name, region.start.line, message, region))
        return
    yield from _read(name, text, complaints)


def _read(name: str, content: str, complaints: list[Complaint]) -> Iterator[Manifest]:
    """Read all documents of a text; a byte order mark is no part of one, nor of its first line."""
    unmarked = _LEADING_MARK.sub(lambda found: found["start"] or "", content)
    text = SourceText(without_pairs(unmarked))
    if within := _MARK_WITHIN.search(text.content):
        region = text.region(*within.span())
        complaints.append(Complaint(name, region.start.line, _MISPLACED, region))
        return
    for begin, end in values_in(text.content) or [(0, len(text.content))]:
        yield from _read_part(name, text, begin, end, complaints)


def _read_part(
    name: str, text: SourceText, begin: int, end: int, complaints: list[Complaint]
) -> Iterator[Manifest]:
    """Read the documents from one place to another; behind one that is broken it goes on with the
    next."""
    broken = 0
    while begin < end:
        try:
            for node in yaml.compose_all(text.content[begin:end], Loader=yaml.CSafeLoader):
                # Renderers leave documents that are empty, or hold comments alone.
                if node is not None and node.tag != "tag:yaml.org,2002:null":
                    yield from _manifests(name, node, text, begin, complaints)
            return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            met = begin + mark.index if mark is not None else begin
            # What begins a document: YAML 1.2.2 section 9.1.2.
            start = START.search(text.content, max(begin + 1, text.start_of_line(met)), end)
            behind = start.start() if start is not None else end
            span, message = _no_yaml(text, met, behind, error)
            region = text.region(*span)
            complaint = Complaint(name, region.start.line, message, region)
            # What is a template is one for all of its documents.
            if complaint not in complaints:
                complaints.append(complaint)
            begin, broken = behind, broken + 1
            if broken == _BROKEN_LIMIT:
                message = "has too many documents that are not YAML: the rest is not read"
                complaints.append(Complaint(name, text.line(begin), message))
                return
        except (yaml.YAMLError, RecursionError):
            message = template_in(text.content) or "is not YAML that can be read"
            complaints.append(Complaint(name, 0, message))
            return


def _no_yaml(
    text: SourceText, met: int, end: int, error: yaml.MarkedYAMLError
) -> tuple[tuple[int, int], str]:
    """Where and why a document is no YAML: what people do is likelier than what the parser met,
    which is often a line further."""
    start = text.start_of_line(met)
    indent = re.compile(r"[ \t]*").match(text.content, start)
    tab = indent[0].find("\t") if indent is not None else -1
    if tab >= 0:
        span = (start + tab, start + tab + 1)
        return span, "has a tab where YAML wants spaces: indent with spaces"
    if text.content.startswith("\ufeff", start):
        return (start, start + 1), _MISPLACED
    template = _TEMPLATE.search(text.content, 0, end)
    if template is not None:
        return template.span(), _rendered_first(template[0])
    return (met, met), f"is not YAML: {error.problem}"


def template_in(text: str) -> str | None:
    """That a text is the template of something else; None where it is not."""
    found = _TEMPLATE.search(text)
    return _rendered_first(found[0]) if found is not None else None


def _rendered_first(start: str) -> str:
    return (
        f"looks like a template ({start[:20].strip()} ...): render it first, such as with "
        "helm template, and pipe the result into postroom check -"
    )


def _manifests(
    file: str, node: yaml.Node, text: SourceText, offset: int, complaints: list[Complaint]
) -> Iterator[Manifest]:
    builder = _Builder(file, text, offset)
    value = builder.build(node, ())
    if builder.complaint is not None:
        complaints.append(builder.complaint)
        return
    if not isinstance(value, dict):
        message = "is no Kubernetes object: it must be a mapping"
        complaints.append(builder.complaint_at(node, message))
        return
    yield from _flattened(Manifest(file, value, builder.lines, builder.spans, text), complaints)


def _flattened(manifest: Manifest, complaints: list[Complaint]) -> Iterator[Manifest]:
    """Yield the objects of a list, as the API server answers and kubectl writes them."""
    raw = manifest.raw
    # Others have kinds whose names end like that; none of v1 has a spec.
    other = "spec" in raw and raw.get("apiVersion") != "v1"
    if not str(raw.get("kind")).endswith("List") or other:
        yield manifest
        return
    items = raw.get("items")
    if not isinstance(items, list):
        message = "items: must be a list of objects"
        complaints.append(manifest.complaint(("items",), message))
        return
    lines, spans = _by_item(manifest.lines), _by_item(manifest.spans)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            message = f"items[{index}]: is no Kubernetes object: it must be a mapping"
            complaints.append(manifest.complaint(("items", index), message))
            continue
        inner = replace(manifest, raw=item, lines=lines.get(index, {}), spans=spans.get(index, {}))
        yield from _flattened(inner, complaints)


def _by_item(places: Mapping[Path_, Place]) -> dict[str | int, dict[Path_, Place]]:
    """The places within each item of a list, by their paths from there."""
    found: dict[str | int, dict[Path_, Place]] = {}
    for path, place in places.items():
        if path[:1] == ("items",) and len(path) > 1:
            found.setdefault(path[1], {})[path[2:]] = place
    return found


class _Builder:
    """Turns nodes into values, noting places; bounded in depth and, against aliases, in size."""

    def __init__(self, file: str, text: SourceText, offset: int) -> None:
        self.lines: dict[Path_, int] = {}
        self.spans: dict[Path_, tuple[int, int]] = {}
        self.complaint: Complaint | None = None
        self._file, self._text, self._offset = file, text, offset
        self._nodes = 0
        self._scalars = yaml.CSafeLoader("")

    def build(self, node: yaml.Node, path: Path_) -> Any:
        """Return the value of a node; after a complaint the value is worthless."""
        self._note(path, node)
        if self._is_too_much(len(path)):
            self._complain(node, "is nested too deeply, or repeats itself by aliases")
        if self.complaint is not None:
            return None
        if isinstance(node, yaml.MappingNode):
            return self._filled({}, node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and _SIXTIES.fullmatch(node.value):
            return node.value
        try:
            value = self._scalars.construct_object(node)
            # YAML knows dates; JSON, and so Kubernetes, does not.
            return value if isinstance(value, str | int | float | bool | None) else str(value)
        except (yaml.YAMLError, ValueError):
            self._complain(node, "holds a value that cannot be read")
            return None

    def _filled(
        self, built: dict[str, Any], node: yaml.MappingNode, path: Path_, merges: int = 0
    ) -> dict[str, Any]:
        """Add what a mapping has to what there is, which wins over what is merged in (``<<``)."""
        merged: list[yaml.MappingNode] = []
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                # ``{{ x }}`` without quotation marks is a mapping whose key is a mapping.
                braces = isinstance(key_node, yaml.MappingNode) and key_node.flow_style
                message = _rendered_first("{{") if braces else "has a key that is no text"
                self._complain(key_node, message)
                return built
            if key_node.tag == _MERGE:
                sources = value_node.value if value_node.id == "sequence" else [value_node]
                if not all(isinstance(source, yaml.MappingNode) for source in sources):
                    self._complain(key_node, "<<: must name mappings, such as *base")
                    return built
                merged += sources
                continue
            if key in built and merges:
                continue
            if key in built:
                place = ".".join(map(str, (*path, key)))
                self._complain(key_node, f"{place} is given twice")
                return built
            built[key] = self.build(value_node, (*path, key))
            self._note((*path, key), key_node, value_node)
        for source in merged:
            if self._is_too_much(len(path) + merges):
                self._complain(source, "is nested too deeply, or repeats itself by aliases")
            if self.complaint is None:
                self._filled(built, source, path, merges + 1)
        return built

    def _is_too_much(self, depth: int) -> bool:
        self._nodes += 1
        return self._nodes > _NODES_LIMIT or depth > _DEPTH_LIMIT

    def _note(self, path: Path_, node: yaml.Node, value: yaml.Node | None = None) -> None:
        """Note where a part stands: its node, or its key with what is on the same line of its
        value, unless that is an alias."""
        begin, end = self._span(node)
        if value is not None and isinstance(value, yaml.ScalarNode):
            first, last = self._span(value)
            if last > first >= end and self._text.line(begin) == self._text.line(last):
                end = last
        self.lines[path], self.spans[path] = self._text.line(begin), (begin, end)

    def _span(self, node: yaml.Node) -> tuple[int, int]:
        """From where to where a node stands; of what has lines below, only where it begins."""
        begin, end = (self._offset + mark.index for mark in (node.start_mark, node.end_mark))
        block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        return begin, begin if block or self._text.line(begin) != self._text.line(end) else end

    def complaint_at(self, node: yaml.Node, message: str) -> Complaint:
        """A complaint about a node."""
        region = self._text.region(*self._span(node))
        return Complaint(self._file, region.start.line, message, region)

    def _complain(self, node: yaml.Node, message: str) -> None:
        if self.complaint is None:
            self.complaint = self.complaint_at(node, message)
