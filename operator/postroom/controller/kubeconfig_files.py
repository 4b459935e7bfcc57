# SPDX-License-Identifier: Apache-2.0
"""The files of KUBECONFIG made into one, as kubectl does: who is asked, as whom, and where.

Each file is read once: it may be a pipe. Of what several files say the first counts, and a path is
relative to the file that has it.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

#: Most that is read of a file: that of a thousand clusters has some 5 MiB.
_LIMIT = 2**24
_SECTIONS = ("clusters", "contexts", "users")
#: Fields of an entry of a section that are paths.
_PATHS = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key", "tokenFile"),
}
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class UnusableKubeconfig(ValueError):
    """What the files hold cannot be used; the text continues their names."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a context leads to, each path in it absolute."""

    cluster_name: str
    cluster: Mapping[str, Any]
    user_name: str
    user: Mapping[str, Any]
    namespace: str


@dataclass(frozen=True, slots=True)
class _Content:
    directory: Path
    fields: Mapping[str, Any]

    def entries(self, section: str) -> Sequence[Mapping[str, Any]]:
        """What stands in a section, which was looked at."""
        return self.fields.get(section) or ()


def files_of(paths: str, given: Path | None = None) -> list[Path]:
    """The files that a variable such as KUBECONFIG names; the one that is given alone, whatever
    characters its path has."""
    named = [Path(path) for path in paths.split(os.pathsep) if path] if given is None else [given]
    return [path.expanduser() for path in named]


def chosen(files: Iterable[Path], context: str | None) -> Chosen:
    """Return what a context leads to, None: the current one; raises `UnusableKubeconfig`."""
    contents = [content for file in files if (content := _read(file)) is not None]
    if not any(content.fields for content in contents):
        raise UnusableKubeconfig("it is empty, or no mapping of clusters, contexts and users")
    for section in _SECTIONS:
        for content in contents:
            _refuse_entries(section, content.fields.get(section) or [])
    told = (content.fields.get("current-context") for content in contents)
    name = context or next((each for each in told if each), None)
    if not name:
        raise UnusableKubeconfig(
            "it has no current-context: set one (kubectl config use-context), or give --context"
        )
    inner = _context(contents, name)
    cluster = _named(contents, "clusters", "cluster", inner.get("cluster"), name)
    user_name, user = inner.get("user"), dict[str, Any]()
    # kubectl writes an empty one where a context is set without a user.
    if user_name not in (None, ""):
        user = _named(contents, "users", "user", user_name, name)
    return Chosen(
        str(inner["cluster"]), cluster, str(user_name or ""), user, _namespace(inner, name)
    )


def _read(file: Path) -> _Content | None:
    """Return what a file holds, None where there is no such file."""
    try:
        with file.open("rb") as opened:
            octets = opened.read(_LIMIT + 1)
        text = octets.decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UnusableKubeconfig(f"it cannot be read ({reason})") from None
    if len(octets) > _LIMIT:
        raise UnusableKubeconfig(f"it is larger than {_LIMIT // 2**20} MiB")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        several = "but found another document" in str(getattr(error, "problem", ""))
        what = "several YAML documents, of which a kubeconfig is one" if several else "not YAML"
        raise UnusableKubeconfig(f"it is {what}{line}") from None
    if content is None:
        # Beside others it says nothing, as /dev/null does.
        content = {}
    if not isinstance(content, Mapping):
        raise UnusableKubeconfig("it is empty, or no mapping of clusters, contexts and users")
    return _Content(file.absolute().parent, content)


def _refuse_entries(section: str, entries: object) -> None:
    if not isinstance(entries, list) or not all(
        isinstance(entry, Mapping) and isinstance(entry.get("name"), str) for entry in entries
    ):
        raise UnusableKubeconfig(f"{section} must be a list of entries with a name")
    names = [entry["name"] for entry in entries]
    again = next((name for name in names if names.count(name) > 1), None)
    if again is not None:
        raise UnusableKubeconfig(f"{section} has two entries with the name {again}: remove one")


def _context(contents: Sequence[_Content], name: object) -> Mapping[str, Any]:
    found = _entry(contents, "contexts", name)
    if found is None:
        names = sorted(
            str(each["name"]) for content in contents for each in content.entries("contexts")
        )
        among = f" among {', '.join(names)}" if names else ""
        raise UnusableKubeconfig(f"there is no context {str(name)!r}{among}")
    inner = found[0].get("context")
    if not isinstance(inner, Mapping) or not inner.get("cluster"):
        raise UnusableKubeconfig(f"context {name} must name a cluster and a user")
    return inner


def _named(
    contents: Sequence[_Content], section: str, field: str, name: object, context: object
) -> dict[str, Any]:
    """What a section says of a cluster or user, without what it leaves empty."""
    found = _entry(contents, section, name)
    body = found[0].get(field) if found is not None else None
    if found is None or not isinstance(body, Mapping | None):
        raise UnusableKubeconfig(
            f"context {context} names {field} {name}, which {section} does not define"
        )
    told = {key: value for key, value in (body or {}).items() if value not in (None, "")}
    directory = found[1]
    for path in _PATHS[section]:
        if isinstance(told.get(path), str):
            told[path] = os.path.normpath(directory / told[path])
    program = told.get("exec")
    if isinstance(program, Mapping) and os.sep in str(program.get("command")):
        # Any other is looked for in PATH.
        told["exec"] = {**program, "command": os.path.normpath(directory / program["command"])}
    return told


def _entry(
    contents: Sequence[_Content], section: str, name: object
) -> tuple[Mapping[str, Any], Path] | None:
    """An entry of a section, and the directory that its paths are relative to."""
    return next(
        (
            (entry, content.directory)
            for content in contents
            for entry in content.entries(section)
            if entry["name"] == name
        ),
        None,
    )


def _namespace(inner: Mapping[str, Any], context: object) -> str:
    namespace = inner.get("namespace") or "default"
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise UnusableKubeconfig(
            f"namespace of context {context} is no name of a namespace: up to 63 lower-case "
            "letters, digits and hyphens, with a letter or digit at both ends"
        )
    return namespace
