# SPDX-License-Identifier: Apache-2.0
"""Texts name what is there: each path and module in the pages and docstrings, each name of the
code in docstrings, and in the walks of docs/architecture.md each function beside its file.

Fields of resources are looked after by `tests/unit/api/test_fields_in_texts.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from house.texts import (
    PAGES,
    defined_in,
    found,
    missing_files,
    missing_modules,
    missing_names,
    missing_python_files,
    naming_docstrings,
)
from house.texture import PACKAGE, ROOT

PROGRAM = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
ARCHITECTURE = ROOT / "docs" / "architecture.md"
HERE = Path(__file__)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    assert missing_files(text, page) == []
    assert missing_modules(text) == []


@pytest.mark.parametrize("package", sorted({path.parent for path in (*PROGRAM, *TESTS)}), ids=str)
def test_files_and_modules_that_docstrings_name_are_there(package: Path) -> None:
    missing = {
        path.name: names
        for path in package.glob("*.py")
        for text in naming_docstrings(path)
        if (
            names := missing_files(text, path)
            + missing_python_files(text, path)
            + missing_modules(text)
        )
    }
    assert missing == {}


@pytest.mark.parametrize("package", sorted({path.parent for path in PROGRAM}), ids=str)
def test_names_that_docstrings_quote_stand_in_the_program(package: Path) -> None:
    missing = {
        path.name: names
        for path in package.glob("*.py")
        for text in naming_docstrings(path)
        if (names := missing_names(text))
    }
    assert missing == {}


def steps() -> list[str]:
    """The numbered lines of docs/architecture.md: the steps of its walks."""
    return re.findall(r"^\d+\. .*(?:\n   .*)*", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("step", steps(), ids=lambda step: step[:40])
def test_a_step_of_a_walk_names_functions_of_its_files(step: str) -> None:
    quoted = re.findall(r"`([^`]+)`", step)
    files = [name for name in quoted if name.endswith(".py")]
    there = set().union(
        *(defined_in(path) for name in files if (path := found(name, ARCHITECTURE)))
    )
    assert files
    assert {name for name in quoted if re.fullmatch(r"[A-Za-z_]\w*", name)} <= there


def test_each_of_the_eight_walks_has_eight_steps() -> None:
    walks = re.findall(r"^### .*?(?=^##|\Z)", ARCHITECTURE.read_text("utf-8"), re.M | re.S)
    counts = [len(re.findall(r"^\d+\. ", walk, re.MULTILINE)) for walk in walks]
    assert [count for count in counts if count] == [8] * 8


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("See `controller/writer.py` and `operator/postroom/controller/writer.py`.", []),
        ("See `controller/writers.py`.", ["controller/writers.py"]),
        ("Data such as `mail/replies/rows/`.", []),
        ("Data such as `mail/replies/columns/`.", ["mail/replies/columns/"]),
        ("Run `python docs/generate.py --help`.", []),
        ("Never add `operator/__init__.py`.", []),
        ("Check `domains.yaml`, `https://example.com/mail/x.yaml` and `a/{name}/b.py`.", []),
        ("The file `writers.py`.", ["writers.py"]),
        ("Not quoted: controller/writers.py", []),
    ],
)
def test_a_path_that_leads_nowhere_is_found(text: str, missing: list[str]) -> None:
    assert missing_files(text, ARCHITECTURE) == missing


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`postroom.dns.spf`, `postroom.dns.spf.record` and `postroom.api.names.Kind`", []),
        ("`postroom.dns.spx`", ["postroom.dns.spx"]),
        ("`postroom.api.names.Kinds`", ["postroom.api.names.Kinds"]),
        ("`postroom.dev/v1alpha1`, `postroom check`", []),
    ],
)
def test_a_module_that_is_not_there_is_found(text: str, missing: list[str]) -> None:
    assert missing_modules(text) == missing


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`Kind.SENDING_DOMAIN`, `parse_spec` and ``spec.domain``", []),
        ("`parse_specs`, `Kinds.SENDING_DOMAIN`", ["parse_specs", "Kinds.SENDING_DOMAIN"]),
        ("`not a name`, `v=spf1`, `parking.yaml`", []),
    ],
)
def test_a_name_that_stands_nowhere_is_found(text: str, missing: list[str]) -> None:
    assert missing_names(text) == missing


def test_a_python_file_in_a_docstring_needs_no_quotes_to_be_looked_for() -> None:
    assert missing_python_files("As cli/check.py, not as cli/cheque.py.", HERE) == ["cli/cheque.py"]
