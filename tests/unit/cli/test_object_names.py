# SPDX-License-Identifier: Apache-2.0
"""Names of objects and namespaces: what the API server takes, and a sentence for all else."""

from __future__ import annotations

import pytest

from postroom.cli.object_names import needs_of_name, needs_of_namespace

LABEL = "a" * 63


@pytest.mark.parametrize("text", ["a", "a-b", "0", LABEL])
def test_a_label_is_a_name_of_both(text: str) -> None:
    assert needs_of_name(text) is needs_of_namespace(text) is None


def test_an_object_may_have_more_labels_and_a_longer_name() -> None:
    for text in ("a.b", f"{LABEL}.{LABEL}", "a" * 253):
        assert needs_of_name(text) is None
        assert needs_of_namespace(text) is not None


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a\n", "A", "-a", "a-", "a_b", "ä", "\udcff"]
)
def test_what_nothing_can_be_called(text: str) -> None:
    for needs in (needs_of_name(text), needs_of_namespace(text)):
        assert needs is not None and needs.startswith("lowercase letters, digits")


def test_what_is_too_long_is_told_by_how_much() -> None:
    assert needs_of_name("a" * 254) == "at most 253 characters, and has 254"
    assert needs_of_namespace(LABEL + "a") == "at most 63 characters, and has 64"
