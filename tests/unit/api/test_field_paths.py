# SPDX-License-Identifier: Apache-2.0
"""Paths of fields are written and read back, and lead somewhere or not, whatever the object is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.field_paths import Path, is_there, path_of, written

STEPS = st.lists(st.integers(0, 99) | st.from_regex(r"[a-zA-Z0-9-]{1,8}", fullmatch=True))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ((), ""),
        (("spec",), "spec"),
        (("spec", "dkim", 0, "selector"), "spec.dkim[0].selector"),
        (("spec", "a", 1, 2), "spec.a[1][2]"),
    ],
)
def test_a_path_and_how_people_write_it(path: Path, field: str) -> None:
    assert written(path) == field
    assert path_of(field) == path


@given(STEPS)
def test_what_was_written_is_read_back(steps: list[str | int]) -> None:
    assert path_of(written(steps)) == tuple(steps)


@pytest.mark.parametrize("field", ["..", "[", "]", "[x]", "a..b", "[99999999999]", " ", "a[", "\n"])
def test_whatever_stands_there_is_read(field: str) -> None:
    assert not is_there({"z": {"z": [1]}}, path_of(field))


@pytest.mark.parametrize(
    ("field", "there"),
    [
        ("spec.dkim[0]", True),
        ("spec.dkim[1]", False),
        ("spec.dkim[0].selector", True),
        ("spec.dkim.selector", False),
        ("spec[0]", False),
        ("spec.domain[0]", False),
        ("spec.domain.x", False),
        ("spec.none", True),
        ("spec.none.x", False),
        ("", False),
    ],
)
def test_what_is_there(field: str, there: bool) -> None:
    raw: Any = {"spec": {"dkim": ({"selector": "a"},), "domain": "a.example", "none": None}}
    assert is_there(raw, path_of(field)) is there
