# SPDX-License-Identifier: Apache-2.0
"""Generated pages do not drift. What other tests hold of pages is in tests/unit/docs."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@cache
def generated() -> dict[str, str]:
    location = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert location is not None
    assert location.loader is not None
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    pages: dict[str, str] = module.pages()
    return pages


def test_generated_pages_do_not_drift() -> None:
    # No parameters: making the pages would be a part of collecting, in each process.
    stale = [
        name for name, text in generated().items() if (ROOT / "docs" / name).read_text() != text
    ]
    assert stale == [], "run `make docs`"


def test_no_generated_page_is_left_over() -> None:
    there = {f"findings/{path.name}" for path in (ROOT / "docs" / "findings").iterdir()}
    assert there == {name for name in generated() if name.startswith("findings/")}
