# SPDX-License-Identifier: Apache-2.0
"""Which files there are to read: files, pipes, directories, and what kustomizations list."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from postroom.cli import ignoring

#: Bytes; no manifest is larger.
SIZE_LIMIT = 4 * 1024 * 1024
SUFFIXES = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
#: What a kustomization may say without changing a resource of ours, or what it refers to.
_HARMLESS = frozenset({"apiVersion", "kind", "metadata", "images", "replicas", "sortOptions"})
#: What is carried out here.
_APPLIED = frozenset({"resources", "namespace"})

#: How kustomize names repositories without a scheme.
_REMOTE = ("git@", "github.com/")

#: File, line (0: none) and sentence.
Problem = tuple[str, int, str]


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
    says would be a verdict on something else. Of other folders hidden entries are left out, and
    those that a ``.gitignore`` in them or `ignore` name.
    """
    listing = _Listing(ignore)
    for path in paths:
        _add(path, None, listing)
    return listing.files, listing.problems


def content_of(file: Path) -> bytes:
    """Read a file up to a byte beyond the limit; raises `OSError`."""
    with file.open("rb") as stream:
        return stream.read(SIZE_LIMIT + 1)


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
    place = (path.resolve(), namespace)
    if place in listing.seen:
        return
    listing.seen.add(place)
    if not path.exists():
        listing.problems.append((str(path), 0, "there is no such file or directory"))
        return
    if not path.is_dir():
        listing.files.append(ListedFile(path, namespace, left_out is not None))
        return
    for name in _KUSTOMIZATIONS:
        if (path / name).is_file():
            _add_kustomized(path / name, namespace, listing)
            return
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        listing.problems.append((str(path), 0, f"cannot be read: {error.strerror}"))
        return
    around = ignoring.rules(path, listing.ignore) if left_out is None else left_out
    known = [*around, *ignoring.of_folder(path)]
    for entry in entries:
        wanted = entry.is_dir() or (entry.suffix in SUFFIXES and entry.is_file())
        if wanted and not ignoring.is_left_out(entry, known):
            _add(entry, namespace, listing, known)


def _add_kustomized(file: Path, namespace: str | None, listing: _Listing) -> None:
    """List what a kustomization does; `namespace` is that of an outer one, which counts."""
    instead = f"pipe `kubectl kustomize {file.parent}` into `postroom check -`"
    try:
        text = content_of(file)[:SIZE_LIMIT]
        content = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        listing.problems.append((str(file), 0, f"cannot be read: {error.strerror}"))
        return
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        listing.problems.append((str(file), line, f"is not YAML that can be read: {instead}"))
        return
    if not isinstance(content, dict) or not isinstance(content.get("resources", []), list):
        listing.problems.append((str(file), 0, f"is no kustomization that can be read: {instead}"))
        return
    lines: dict[str, list[int]] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        lines.setdefault(str(key.value), []).append(key.start_mark.line + 1)
    twice = sorted(name for name, places in lines.items() if len(places) > 1)
    if twice:
        sentence = f"says {twice[0]} twice: say it once"
        listing.problems.append((str(file), lines[twice[0]][1], sentence))
        return
    more = list(beyond_listing(content))
    if more:
        line = min((lines[name][0] for name in more if name in lines), default=0)
        sentence = f"says {', '.join(more)}, which is not applied here: {instead}"
        listing.problems.append((str(file), line or lines.get("resources", [0])[0], sentence))
        return
    own = content.get("namespace") or None
    for resource in content.get("resources", []):
        _add(file.parent / str(resource), namespace or own, listing)


def beyond_listing(content: dict[Any, Any]) -> Iterator[str]:
    """Yield what a kustomization does besides listing files that are here."""
    known = _HARMLESS | _APPLIED
    yield from sorted(str(name) for name in content if name not in known and content[name])
    if not isinstance(content.get("namespace") or "", str):
        yield "a namespace that is no name"
    for resource in content.get("resources", []):
        if not isinstance(resource, str):
            yield "a resource that is no path"
        elif "://" in resource or "?ref=" in resource or resource.startswith(_REMOTE):
            yield f"the remote resource {resource[:80]}"
