# SPDX-License-Identifier: Apache-2.0
"""docs/faults.md and the tests that inflict faults: each row names tests that there are, and each
test has a row."""

import re
import subprocess
import sys
from functools import cache

from unit.docs.reading import ROOT

PAGE = (ROOT / "docs/faults.md").read_text("utf-8")
_NODE = re.compile(r"`(tests/[^`]+::[^`]+)`")


@cache
def collected() -> frozenset[str]:
    """Every test of the family, and of other files that the page names."""
    others = {node.partition("::")[0] for node in named()}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "tests/cluster/faults", *sorted(others)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(line for line in done.stdout.splitlines() if "::" in line)


def named() -> set[str]:
    return set(_NODE.findall(PAGE))


def test_every_row_names_tests_that_there_are() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "Shown by" not in line]
    assert rows
    assert [row for row in rows if not _NODE.search(row.rpartition(" | ")[2])] == []
    assert named() - collected() == set()


def test_every_fault_has_a_row() -> None:
    family = {node for node in collected() if node.startswith("tests/cluster/faults/")}
    assert family - named() == set()
