# SPDX-License-Identifier: Apache-2.0
"""Which files there are to read: files, pipes, directories, and what kustomizations list."""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from postroom.api.names import Kind
from postroom.cli import file_types, ignoring

#: Bytes; no manifest is larger.
SIZE_LIMIT = 4 * 1024 * 1024
SUFFIXES = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
#: What a kustomization may say without changing a resource of ours, or what it refers to.
_HARMLESS = frozenset({"apiVersion", "kind", "metadata", "images", "replicas", "sortOptions"})
#: What is carried out here.
_APPLIED = frozenset({"resources", "namespace"})
#: What else makes no object of a kind of ours, nor one out of what is not.
_MAKING_NONE_OF_OURS = frozenset(
    {
        "configMapGenerator",
        "secretGenerator",
        "generatorOptions",
        "labels",
        "commonLabels",
        "commonAnnotations",
        "namePrefix",
        "nameSuffix",
        "buildMetadata",
    }
)
#: How kustomize names repositories without a scheme.
_REMOTE = ("git@", "github.com/")

#: What speaks of us does it with one of these.
_OUR_WORDS = ("postroom", *(kind.value.lower() for kind in Kind))


class Problem(NamedTuple):
    """What is wrong with a file, or keeps it from being read."""

    file: str
    #: 0: none.
    line: int
    sentence: str


class Unread(Problem):
    """A kustomization in which nothing is wrong, but which does more than to list files."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file to read; `namespace` is the one that a kustomization puts all of its objects into."""

    path: Path
    namespace: str | None = None
    #: Whether it was found in a folder, and neither named nor listed by a kustomization.
    walked: bool = False


@dataclass
class _Listing:
    ignore: Sequence[str] = ()
    files: list[ListedFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    #: What was listed already: an overlay and its base, or a kustomization that names itself.
    seen: set[tuple[Path, str | None]] = field(default_factory=set)


def listed(
    paths: Sequence[Path], ignore: Sequence[str] = ()
) -> tuple[list[ListedFile], list[Problem]]:
    """List the files below some paths, each once, and what cannot be read.

    ``-`` is standard input. Whatever is no directory is read, such as a pipe. A directory with a
    kustomization is what that lists; one that does more than to list is refused, as half of what it
    says would be a verdict on something else: who names one means it, and is told a `Problem`; of
    those in other folders it is known (`Unread`) that they were not read. Of other folders hidden
    entries are left out, and those that a ``.gitignore`` in them or `ignore` name.
    """
    listing = _Listing(ignore)
    for path in paths:
        before = len(listing.problems)
        _add(path, None, listing)
        if any(file_types.is_file(path / name) for name in _KUSTOMIZATIONS):
            listing.problems[before:] = [Problem(*each) for each in listing.problems[before:]]
    return listing.files, listing.problems


def content_of(file: Path) -> bytes:
    """Read a file up to a byte beyond the limit; raises `OSError`."""
    with file.open("rb") as stream:
        return stream.read(SIZE_LIMIT + 1)


def speaks_of_us(file: Path) -> bool:
    """Whether a file names us or a kind of ours: of others that lie in a repository, such as
    settings and templates, nothing is wrong that concerns us."""
    words = [word.encode() for word in _OUR_WORDS]
    before = b""
    try:
        with file.open("rb") as stream:
            while part := stream.read(SIZE_LIMIT):
                # Without zeros UTF-16 reads like the rest.
                content = before + part.replace(b"\0", b"").lower()
                if any(word in content for word in words):
                    return True
                before = content[-max(map(len, words)) :]
    except OSError:
        return True
    return False


def _add(
    path: Path,
    namespace: str | None,
    listing: _Listing,
    left_out: Sequence[ignoring.Rule] | None = None,
) -> None:
    """List a path; `left_out` are the rules of the folders around it, None where it was named."""
    if str(path) == "-":
        listing.files.append(ListedFile(path))
        return
    # Not `Path.resolve`, which raises where a link leads to itself.
    place = (Path(os.path.realpath(path)), namespace)
    if place in listing.seen:
        return
    listing.seen.add(place)
    if not file_types.is_there(path):
        listing.problems.append(Problem(str(path), 0, file_types.why_not(path)))
        return
    if not file_types.is_folder(path):
        listing.files.append(ListedFile(path, namespace, left_out is not None))
        return
    for name in _KUSTOMIZATIONS:
        if file_types.is_file(path / name):
            told = len(listing.problems)
            _add_kustomized(path / name, namespace, listing)
            if left_out is not None and not _concerns_us(path / name):
                del listing.problems[told:]
            return
    try:
        entries = sorted(path.iterdir())
        # One that can be listed may let nobody look at what is in it.
        for entry in entries[:1]:
            entry.lstat()
    except OSError as error:
        listing.problems.append(Problem(str(path), 0, f"cannot be read: {error.strerror}"))
        return
    around = ignoring.rules(path, listing.ignore) if left_out is None else left_out
    known = [*around, *ignoring.of_folder(path)]
    for entry in entries:
        is_lost = entry.is_symlink() and not file_types.is_there(entry)
        is_file = entry.suffix in SUFFIXES and (is_lost or file_types.is_file(entry))
        wanted = is_file or file_types.is_folder(entry)
        if wanted and not ignoring.is_left_out(entry, known):
            _add(entry, namespace, listing, known)


def _concerns_us(kustomization: Path) -> bool:
    """Whether what a kustomization is made of speaks of us, as far as it is here: what it names,
    and what else is in its folder, unless that can only become ConfigMaps, Secrets and names."""
    folder = kustomization.parent
    try:
        content = yaml.safe_load(content_of(kustomization)[:SIZE_LIMIT])
    except (OSError, yaml.YAMLError, RecursionError, ValueError):
        content = None
    said: dict[str, Any] = content if isinstance(content, dict) else {}
    lists = [said.get(part) for part in ("resources", "bases", "components")]
    named = [folder / str(entry) for each in lists if isinstance(each, list) for entry in each]
    known = _HARMLESS | _APPLIED | _MAKING_NONE_OF_OURS
    if named and known.issuperset(said) and all(map(file_types.is_there, named)):
        # Programs and pages beside them may speak of us as they like.
        return any(map(_may_hold_ours, named))
    return any(map(_speak_of_us, (folder, *named)))


def _speak_of_us(place: Path) -> bool:
    """Whether a file does, or any in a folder."""
    files = place.rglob("*") if file_types.is_folder(place) else [place]
    return any(speaks_of_us(file) for file in files if file_types.is_file(file))


def _may_hold_ours(place: Path) -> bool:
    """Whether an object in a file is ours, or may be meant to be; of what is no file of objects, or
    has others within them, whether it speaks of us."""
    try:
        found = [*yaml.load_all(content_of(place)[:SIZE_LIMIT], Loader=yaml.CSafeLoader)]
    except (OSError, yaml.YAMLError, RecursionError, ValueError):
        return _speak_of_us(place)
    ids = [f"{raw.get('apiVersion')} {raw.get('kind')}" for raw in found if isinstance(raw, dict)]
    if any(each.endswith("List") for each in ids):
        return _speak_of_us(place)
    return any(word in each.lower() for each in ids for word in _OUR_WORDS)


def _add_kustomized(file: Path, namespace: str | None, listing: _Listing) -> None:
    """List what a kustomization does; `namespace` is that of an outer one, which counts."""
    folder = shlex.quote(str(file.parent))
    instead = f"pipe `kubectl kustomize {folder}` into `postroom check -`"
    try:
        text = content_of(file)[:SIZE_LIMIT]
        content = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        listing.problems.append(Problem(str(file), 0, f"cannot be read: {error.strerror}"))
        return
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        listing.problems.append(
            Problem(str(file), line or 1, f"is not YAML that can be read: {instead}")
        )
        return
    lines: dict[str, list[int]] = {}
    entries: list[yaml.Node] = []
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        lines.setdefault(str(key.value), []).append(key.start_mark.line + 1)
        if key.value == "resources" and isinstance(value, yaml.SequenceNode):
            entries = value.value
    resources = (content.get("resources") or []) if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(resources, list):
        line = lines.get("resources", [1])[0]
        listing.problems.append(
            Problem(str(file), line, f"is no kustomization that can be read: {instead}")
        )
        return
    twice = sorted(name for name, places in lines.items() if len(places) > 1)
    if twice:
        sentence = f"says {twice[0]} twice: say it once"
        listing.problems.append(Problem(str(file), lines[twice[0]][1], sentence))
        return
    more = list(beyond_listing(content))
    if more:
        line = min((lines[name][0] for name in more if name in lines), default=0)
        said = f"says {', '.join(more)}, which is not applied here"
        sentence = f"{said}, so that nothing of it was read: {instead}"
        listing.problems.append(Unread(str(file), line or lines.get("resources", [1])[0], sentence))
        return
    own = content.get("namespace") or None
    for index, resource in enumerate(resources):
        path = file.parent / resource
        if file_types.is_there(path):
            _add(path, namespace or own, listing)
        else:
            line = entries[index].start_mark.line + 1 if index < len(entries) else 1
            sentence = f"names {resource}, but {file_types.why_not(path)}"
            listing.problems.append(Problem(str(file), line, sentence))


def beyond_listing(content: dict[Any, Any]) -> Iterator[str]:
    """Yield what a kustomization does besides listing files that are here."""
    known = _HARMLESS | _APPLIED
    yield from sorted(str(name) for name in content if name not in known and content[name])
    if not isinstance(content.get("namespace") or "", str):
        yield "a namespace that is no name"
    for resource in content.get("resources") or ():
        if not (resource and isinstance(resource, str)):
            yield "a resource that is no path"
        elif "://" in resource or "?ref=" in resource or resource.startswith(_REMOTE):
            yield f"the remote resource {resource[:80]}"
