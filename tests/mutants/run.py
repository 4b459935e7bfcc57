# SPDX-License-Identifier: Apache-2.0
"""Mutates the core, module by module, with the tests that concern each: see README.md.

    python tests/mutants/run.py [MODULE ...]

A run that is stopped goes on with the module where it was; one that has changed, or whose tests
have, begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from modules import MODULES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STATE = ROOT / "build" / "mutants"


def main(wanted: list[str]) -> None:
    """Run what is not known yet, and print what survived."""
    unknown = sorted(set(wanted) - MODULES.keys())
    if unknown:
        raise SystemExit(f"Not listed in tests/mutants/modules.py: {', '.join(unknown)}.")
    found = {module: _mutated(module) for module in wanted or MODULES}
    for module, results in found.items():
        for mutant in sorted(results, key=lambda result: int(result["line"])):
            if not mutant["is_killed"] and not mutant["is_equivalent"]:
                print(f"\n{module}:{mutant['line']} {mutant['operator']}\n{mutant['changed']}")
    print(f"\n{'module':40} mutants  killed  equivalent  survived")
    for module, results in found.items():
        killed = sum(mutant["is_killed"] for mutant in results)
        equivalent = sum(mutant["is_equivalent"] for mutant in results)
        left = len(results) - killed - equivalent
        print(f"{module:40} {len(results):7}  {killed:6}  {equivalent:10}  {left:8}")


def _mutated(module: str) -> list[dict[str, Any]]:
    """Return what became of each mutant of a module."""
    source = ROOT / "operator" / Path(*module.split(".")).with_suffix(".py")
    tests = MODULES[module]
    known = STATE / f"{module}-{_fingerprint(source, tests)}.jsonl"
    if not known.exists():
        STATE.mkdir(parents=True, exist_ok=True)
        for old in STATE.glob(f"{module}-*"):
            old.unlink()
        under_way = known.with_suffix(".part")
        options = ["-q", "-x", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "forked"]
        told = {"MUTATED": module, "MUTATED_PATH": str(source), "MUTANTS_RESULTS": str(under_way)}
        print(f"{module} ...", flush=True)
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=ROOT,
            env={**os.environ, **told, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"},
            check=True,
        )
        under_way.rename(known)
    return [json.loads(line) for line in known.read_text().splitlines()]


def _fingerprint(source: Path, tests: tuple[str, ...]) -> str:
    """A hash of a module, the files of its tests, and what is known to be equivalent."""
    whole = hashlib.sha256(source.read_bytes())
    for name in (*tests, "tests/mutants/equivalent.py"):
        place = ROOT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            whole.update(file.read_bytes())
    return whole.hexdigest()[:12]


if __name__ == "__main__":
    main(sys.argv[1:])
