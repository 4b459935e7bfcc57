# SPDX-License-Identifier: Apache-2.0
"""Mutates the core, module by module, with the tests that concern each: see README.md.

    python tests/mutants/run.py [MODULE ...]

A run that is stopped goes on where it was; a module, or a test of it, that has changed begins anew.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.config import serialize_config
from cosmic_ray.work_db import WorkDB, use_db
from equivalent import EQUIVALENT, EVERYWHERE
from modules import MODULES

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / "build" / "mutants"
#: Mutants are made in a copy, so that nothing is left in the tree where a run is broken off.
COPY = STATE / "tree"
_COPIED = ("operator", "tests", "crds", "manifests", "docs", "pyproject.toml", "README.md")
_SECONDS = 120.0
#: Annotations are no code, of arithmetic one neighbour each is enough, and `is` is used for members
#: of enums and None: `==` is the same program there, and an order has no meaning.
_EXCLUDED = [
    "core/ReplaceBinaryOperator_(?!(Add_Sub|Sub_Add|Mul_Div|Div_Mul|BitAnd_BitXor)$).*",
    "core/RemoveDecorator",
    "core/ReplaceComparisonOperator_Is_(?!IsNot$).*",
    "core/ReplaceComparisonOperator_IsNot_(?!Is$).*",
]


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed."""

    module: str
    line: int
    operator: str
    diff: str

    @property
    def changed(self) -> str:
        """The line as it is, and as the mutant has it."""
        lines = [
            splitline
            for splitline in self.diff.splitlines()
            if not splitline.startswith(("---", "+++", "@@"))
        ]
        return "\n".join(line for line in lines if line.startswith(("-", "+")))

    @property
    def is_equivalent(self) -> bool:
        """Whether it is listed as one that no test could tell."""
        return any(
            module in (self.module, EVERYWHERE)
            and self.operator.endswith(operator)
            and line in self.changed
            for module, operator, line, _ in EQUIVALENT
        )


def main(wanted: list[str]) -> None:
    """Run what is pending, and print what survived."""
    unknown = sorted(set(wanted) - MODULES.keys())
    if unknown:
        raise SystemExit(f"Not listed in tests/mutants/modules.py: {', '.join(unknown)}.")
    _copy()
    found = {module: _mutated(module) for module in wanted or MODULES}
    for module, (_, survivors) in found.items():
        for survivor in survivors:
            if not survivor.is_equivalent:
                print(f"\n{module}:{survivor.line} {survivor.operator}\n{survivor.changed}")
    print(f"\n{'module':40} mutants  killed  equivalent  survived")
    for module, (count, survivors) in found.items():
        equivalent = sum(survivor.is_equivalent for survivor in survivors)
        killed, left = count - len(survivors), len(survivors) - equivalent
        print(f"{module:40} {count:7}  {killed:6}  {equivalent:10}  {left:8}")


def _copy() -> None:
    for name in _COPIED:
        source, target = ROOT / name, COPY / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            COPY.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _mutated(module: str) -> tuple[int, list[Survivor]]:
    """How many mutants of a module there are, and which survived."""
    source = Path("operator", *module.split(".")).with_suffix(".py")
    tests = MODULES[module]
    session = STATE / f"{module}-{_fingerprint(source, tests)}.sqlite"
    config = STATE / f"{module}.toml"
    test = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    config.write_text(
        serialize_config(
            {
                "module-path": source.as_posix(),
                "timeout": _SECONDS,
                "excluded-modules": [],
                "test-command": shlex.join(test),
                "distributor": {"name": "local"},
                "filters": {"operators-filter": {"exclude-operators": _EXCLUDED}},
            }
        )
    )
    if not session.exists():
        for old in STATE.glob(f"{module}-*.sqlite"):
            old.unlink()
        _cosmic_ray("baseline", config)
        _cosmic_ray("init", config, session)
        _tool("cosmic_ray.tools.filters.operators_filter", session, config)
    print(f"{module} ...", flush=True)
    _cosmic_ray("exec", config, session)
    with use_db(session, WorkDB.Mode.open) as work:
        done = [one for _, one in work.results if one.worker_outcome == "normal"]
        return len(done), sorted(_survivors(module, work), key=lambda one: one.line)


def _survivors(module: str, work: WorkDB) -> Iterator[Survivor]:
    for item, result in work.completed_work_items:
        if result.worker_outcome == "normal" and not result.is_killed:
            made = item.mutations[0]
            yield Survivor(module, made.start_pos[0], made.operator_name, result.diff or "")


def _fingerprint(source: Path, tests: tuple[str, ...]) -> str:
    """A hash of a module and the files of its tests."""
    whole = hashlib.sha256((ROOT / source).read_bytes())
    for name in tests:
        place = ROOT / name
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        for file in files:
            whole.update(file.read_bytes() if file.is_file() else name.encode())
    return whole.hexdigest()[:12]


def _cosmic_ray(*arguments: object) -> None:
    _tool("cosmic_ray.cli", *arguments)


def _tool(module: str, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], cwd=COPY, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
