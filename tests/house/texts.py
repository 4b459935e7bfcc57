# SPDX-License-Identifier: Apache-2.0
"""What texts name: files, modules and, in docstrings, names of the code; and whether it is there.

A path may begin at the repository, at `operator/`, `operator/postroom/` or `tests/`, or where the
text stands.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml

from house.texture import PACKAGE, ROOT, sources, tree_of

PAGES = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "tests/**/*.md") for path in ROOT.glob(pattern)
)
_QUOTED = re.compile(r"`+([^`\n]+)`+")
_PATH = re.compile(
    r"(?<![\w./{<-])((?:[\w.-]+/)+[\w.-]+\.(?:py|md|ya?ml|toml|svg|mjs|go)|[\w-]+\.py"
    r"|(?:[a-z_][\w.-]*/)+)(?![\w/{<*])"
)
_UNQUOTED_PYTHON = re.compile(r"(?<![\w.`/-])((?:\w+/)*\w+\.py)\b")
_MODULE = re.compile(r"(?<![\w./-])postroom(?:\.\w+)+")
_API_GROUP = "postroom.dev"
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?")
_EXAMPLE_HOST = re.compile(r"\bexample(?:\.(?:com|net|org))?$")
#: Not there on purpose, and said to be so.
ABSENT = {"operator/__init__.py"}
#: What docstrings quote that are words of users, of other programs or of the wire.
FOREIGN = {
    "KIND",
    "O365",
    "YOUR_TOKEN",
    "aiohttp.abc.AbstractResolver",
    "dig",
    "ipaddress.is_global",
    "smtp.mailfrom",
    "token_uri",
}


def missing_files(text: str, place: Path) -> list[str]:
    """Return the quoted paths that lead nowhere."""
    return [
        path
        for quoted in _QUOTED.findall(text)
        for path in _PATH.findall(quoted)
        if path not in ABSENT and not _is_there(path, place)
    ]


def missing_python_files(docstring: str, place: Path) -> list[str]:
    """Return the paths of Python files that stand unquoted in a docstring and lead nowhere."""
    return [
        path
        for path in _UNQUOTED_PYTHON.findall(docstring)
        if path not in ABSENT and not _is_there(path, place)
    ]


def missing_modules(text: str) -> list[str]:
    """Return the quoted dotted names that are neither a module nor something in one."""
    return [
        dotted
        for quoted in _QUOTED.findall(text)
        for dotted in _MODULE.findall(quoted)
        if not dotted.startswith(_API_GROUP) and not _resolves(dotted)
    ]


def missing_names(docstring: str) -> list[str]:
    """Return the quoted names that stand nowhere in the program."""
    return [
        quoted
        for quoted in _QUOTED.findall(docstring)
        if _NAME.fullmatch(quoted)
        and quoted not in FOREIGN
        and not _EXAMPLE_HOST.search(quoted)
        and not quoted.startswith("postroom.")
        and not re.search(r"\.(?:py|ya?ml|md)$", quoted)
        and not all(part in _known_names() for part in quoted.removesuffix("()").split("."))
    ]


@cache
def naming_docstrings(path: Path) -> tuple[str, ...]:
    """Return the docstrings of a file that may name something: it is quoted, or a Python file."""
    # Two of three tests have no such text at all, and their syntax takes far longer to read.
    if not _may_name(path.read_text("utf-8")):
        return ()
    return tuple(filter(_may_name, _docstrings(tree_of(path))))


def _may_name(text: str) -> bool:
    return "`" in text or ".py" in text


def _docstrings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node)
        if text:
            yield text
    for child in ast.iter_child_nodes(node):
        # Expressions, which most nodes are, hold none.
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _docstrings(child)


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Return the names that a file gives to something: to modules, classes, functions, values."""
    return frozenset(_names_of(tree_of(path)))


def found(path: str, place: Path) -> Path | None:
    for base in (ROOT, ROOT / "operator", PACKAGE, ROOT / "tests", *place.parents):
        if base.is_relative_to(ROOT) and (base / path).exists():
            return base / path
    return None


def _is_there(path: str, place: Path) -> bool:
    if found(path, place):
        return True
    # A file's own name is enough where it is the only one that can be meant: any of that name.
    return "/" not in path and path in _file_names()


@cache
def _file_names() -> frozenset[str]:
    roots = (PACKAGE, ROOT / "tests", ROOT / "docs")
    return frozenset(path.name for root in roots for path in root.rglob("*.py"))


def _resolves(dotted: str) -> bool:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        module = ROOT / "operator" / "/".join(parts[:length])
        file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if file.exists():
            rest = parts[length:]
            return not rest or set(rest) <= defined_in(file)
    return False


@cache
def _known_names() -> frozenset[str]:
    names = set(dir(builtins))
    for source in sources():
        names.add(source.path.stem)
        names.add(source.path.parent.name)
        names.update(_names_of(source.tree))
    for path in ROOT.glob("crds/*.yaml"):
        names.update(_keys(yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)))
    return frozenset(names)


def _names_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.alias(name=name, asname=other):
                yield from name.split(".")
                yield from [other] if other else []
            case ast.Constant(value=str(text)) if " " not in text:
                yield text


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
    if isinstance(value, str) and " " not in value:
        yield value
