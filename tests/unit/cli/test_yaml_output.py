# SPDX-License-Identifier: Apache-2.0
"""YAML on standard output: it is what it was, and no line of it is a command."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postroom.cli.yaml_output import yaml_of

TEXTS = st.lists(
    st.sampled_from(["::error::", "##[error]", "##vso[a]", " ", "\n", "a: b", "- ", "x" * 90, "'"])
).map("".join)


@given(
    st.recursive(
        TEXTS | st.none() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS.map("k".__add__), inner),
        max_leaves=6,
    )
)
def test_it_is_what_it_was_and_no_line_is_a_command(value: object) -> None:
    text = yaml_of({"value": value})
    assert yaml.safe_load(text) == {"value": value}
    for line in text.splitlines():
        assert not line.lstrip().startswith("::")
        assert not re.search(r"##(vso)?\[", line)


@pytest.mark.parametrize("folded", ["a " * 2000])
def test_nothing_is_folded_and_fields_keep_their_order(folded: str) -> None:
    assert len(yaml_of({"b": folded, "a": 1}).splitlines()) == 2
