# SPDX-License-Identifier: Apache-2.0
"""The texture of the code, by its syntax trees: helpers, imports, sizes, names, what nobody uses.

Each function returns the places it found, as `file:line name` from the repository's root, so that
a figure can be looked at: `make house PLACES=word` prints them.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "postroom"
FILE_LINES = 400
FUNCTION_LINES = 60
#: A table row of the glossary under this heading defends one word with two meanings.
_DEFENDED = re.compile(r"^## Words with more than one meaning$(.*?)(?=^## |\Z)", re.M | re.S)

#: What is called by its name from elsewhere: verbs of the command line, handlers of aiosmtpd.
_CALLED_BY_NAME = re.compile(
    r"operator/postroom/cli/(?P<verb>\w+)\.py:\d+ (?P=verb)|.* handle_[A-Z]+"
)
#: Entries from outside that nothing in operator/ takes, and why they stay.
KEPT = {
    "operator/postroom/dns/spf/driving.py check_host": "RFC 7208's function, asked of DNS",
    "operator/postroom/lab/controlplane.py restart": "what a cluster is put through by its tests",
    "operator/postroom/lab/controlplane.py audit_events": "what tests and benchmarks count",
}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Decorators after which a function is still called by its own name.
_PLAIN = {
    "staticmethod", "classmethod", "property", "cached_property", "cache", "lru_cache",
    "contextmanager", "asynccontextmanager", "override", "abstractmethod", "dataclass", "final",
    "total_ordering", "unique", "runtime_checkable",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def definitions(self) -> list[Definition]:
        return [node for node in self.nodes if isinstance(node, Definition)]

    @cached_property
    def mentions(self) -> Counter[str]:
        """How often each name is used: read, called, matched, not defined or imported."""
        return Counter(_mentions(self.nodes))

    def at(self, node: Definition | ast.AnnAssign | ast.expr, name: str) -> str:
        return f"{self.name}:{node.lineno} {name}"


@cache
def sources() -> tuple[Source, ...]:
    return tuple(Source(path, path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py")))


def tree_of(path: Path) -> ast.Module:
    """Return the syntax of a file; that of the program is read once for all who ask."""
    source = _by_path().get(path)
    return ast.parse(path.read_text("utf-8")) if source is None else source.tree


@cache
def _by_path() -> dict[Path, Source]:
    return {source.path: source for source in sources()}


def lines() -> int:
    return sum(source.lines for source in sources())


def import_lines() -> int:
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources()
        for node in source.nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


def private_helpers() -> dict[str, int]:
    """Return each private function, method and class with the number of uses in its file."""
    return {
        source.at(node, node.name): source.mentions[node.name]
        for source in sources()
        for node in source.definitions
        if node.name.startswith("_") and not node.name.startswith("__")
    }


def long_files() -> list[str]:
    return [
        f"{source.name}: {source.lines} lines" for source in sources() if source.lines > FILE_LINES
    ]


def long_functions() -> list[str]:
    return [
        f"{source.at(node, node.name)}: {length} lines"
        for source in sources()
        for node in source.definitions
        if isinstance(node, _FUNCTIONS)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def colliding_classes() -> list[str]:
    """Return the class names that stand in more than one file of a package."""
    return _standing_twice(lambda source: source.path.relative_to(PACKAGE).parts[0])


def repeated_classes() -> list[str]:
    """Return the class names that stand in more than one file of the program."""
    return _standing_twice(lambda source: PACKAGE.name)


def _standing_twice(part: Callable[[Source], str]) -> list[str]:
    """Return the class names with two files in one part, but for those that a page defends."""
    files: dict[tuple[str, str], set[str]] = defaultdict(set)
    for source in sources():
        for node in source.definitions:
            if isinstance(node, ast.ClassDef):
                files[part(source), node.name.lstrip("_")].add(source.name)
    defended = defended_words()
    return [
        f"{holder}: {name} in {', '.join(sorted(standing))}"
        for (holder, name), standing in sorted(files.items())
        if len(standing) > 1 and name not in defended
    ]


def defended_words() -> set[str]:
    page = ROOT / "docs" / "architecture.md"
    found = _DEFENDED.search(page.read_text("utf-8")) if page.exists() else None
    return set(re.findall(r"^\| `(\w+)` \|", found[1], re.M)) if found else set()


def loops() -> list[ast.expr]:
    return [target for _, target in _loop_targets()]


def loops_over_one() -> list[str]:
    return [
        source.at(target, "one")
        for source, target in _loop_targets()
        if any(isinstance(node, ast.Name) and node.id == "one" for node in ast.walk(target))
    ]


def docstrings_beginning(words: str) -> list[str]:
    return [
        source.at(node, node.name)
        for source in sources()
        for node in source.definitions
        if re.match(rf"{words}\b", ast.get_docstring(node) or "")
    ]


def unused_functions() -> list[str]:
    """Return the public functions, classes and methods that nothing in operator/ mentions."""
    used = _used_names(sources())
    return [
        place
        for source in sources()
        for holder, node in _public_definitions(source)
        if node.name not in used
        and _called_by_name(node)
        and not (holder and _has_foreign_base(holder))
        and f"{source.name} {node.name}" not in KEPT
        and not _CALLED_BY_NAME.fullmatch(place := source.at(node, node.name))
    ]


def unread_fields() -> list[str]:
    """Return the fields of dataclasses and named tuples that nothing in operator/ reads."""
    used = _used_names(sources())
    return [
        source.at(field, f"{holder.name}.{field.target.id}")
        for source in sources()
        for holder in source.definitions
        if isinstance(holder, ast.ClassDef) and _is_record(holder)
        for field in holder.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and field.target.id not in used
    ]


def modules_without_their_test() -> list[str]:
    """Return the modules that do something, of which no test carries the name.

    One that only says what others do, as a Protocol, does nothing.

    A test stands in the folder of unit/ that mirrors its module's, with a topic after the name
    where there are several. What takes real servers may stand in lab/ or cluster/, with as many
    of the module's folders in its name as it wants.
    """
    names = [f"{path.relative_to(ROOT / 'tests').with_suffix('')}_" for path in _test_files()]
    return [
        source.name
        for source in sources()
        if any(isinstance(node, _FUNCTIONS) and not _is_promise(node) for node in source.nodes)
        and not _is_any_of(names, _names_of_tests(source))
    ]


def names_bound_twice() -> list[str]:
    """Return the names of modules and classes that a second statement of the same block binds.

    No linter tells of constants: the first one is then dead, or the second a slip of a merge.
    """
    return [
        source.at(node, name)
        for source in sources()
        for block in (source.tree, *source.definitions)
        if isinstance(block, ast.Module | ast.ClassDef)
        for name, node in _bound_again(block.body)
    ]


def _bound_again(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    bound = set[str]()
    for statement in body:
        targets = list[ast.expr]()
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    if node.id in bound:
                        yield node.id, node
                    bound.add(node.id)


def _is_promise(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function has no body but `...`, after its docstring."""
    last = node.body[-1]
    return isinstance(last, ast.Expr) and getattr(last.value, "value", None) is ...


def _test_files() -> Iterator[Path]:
    for suite in ("unit", "lab", "cluster"):
        yield from (ROOT / "tests" / suite).rglob("test_*.py")


def _is_any_of(names: Sequence[str], beginnings: tuple[str, ...]) -> bool:
    return any(name.startswith(beginnings) for name in names)


def _names_of_tests(source: Source) -> tuple[str, ...]:
    *folders, module = source.path.relative_to(PACKAGE).with_suffix("").parts
    mirrored = "/".join(["unit", *folders, f"test_{module}_"])
    joined = ["_".join([*folders[start:], module]) for start in range(len(folders) + 1)]
    return mirrored, *(f"{suite}/test_{name}_" for suite in ("lab", "cluster") for name in joined)


def _loop_targets() -> Iterator[tuple[Source, ast.expr]]:
    for source in sources():
        for node in source.nodes:
            if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
                yield source, node.target


def _mentions(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                yield name
            case ast.MatchClass(kwd_attrs=names):
                yield from names
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                yield name


@cache
def _used_names(everything: tuple[Source, ...]) -> frozenset[str]:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    started = {target.partition(":")[2] for target in scripts.values()}
    return frozenset(started.union(*(source.mentions for source in everything)))


def _public_definitions(source: Source) -> Iterator[tuple[ast.ClassDef | None, Definition]]:
    for node in source.tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield None, node
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, _FUNCTIONS) and not inner.name.startswith("_"):
                    yield node, inner


def _called_by_name(node: Definition) -> bool:
    """Return whether no decorator hands the function to somebody else (typer, pydantic, kopf)."""
    return all(_last_name(decorator) in _PLAIN for decorator in node.decorator_list)


@cache
def _classes(everything: tuple[Source, ...]) -> dict[str, list[ast.ClassDef]]:
    found = defaultdict(list)
    for source in everything:
        for node in source.definitions:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(node)
    return found


def _has_foreign_base(holder: ast.ClassDef) -> bool:
    """Return whether a library may call the methods, because the class is derived from its own."""
    ours = _classes(sources())
    for base in map(_last_name, holder.bases):
        if base in ours:
            if any(_has_foreign_base(above) for above in ours[base] if above is not holder):
                return True
        elif base not in {"Protocol", "Enum", "StrEnum", "IntEnum", "NamedTuple", "Generic", "ABC"}:
            return True
    return False


def _is_record(holder: ast.ClassDef) -> bool:
    return any(_last_name(decorator) == "dataclass" for decorator in holder.decorator_list) or any(
        _last_name(base) == "NamedTuple" for base in holder.bases
    )


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _last_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
