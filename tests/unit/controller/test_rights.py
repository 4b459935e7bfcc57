# SPDX-License-Identifier: Apache-2.0
"""What is said of a right that is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postroom.controller.rights import to_kinds


@pytest.mark.parametrize(
    ("namespaces", "where"),
    [
        ((), "in all namespaces"),
        ((None,), "in all namespaces"),
        (("a",), "in namespace a"),
        (("a", "b"), "in namespace a, b"),
    ],
)
def test_a_right_is_named_with_where_it_is_missing_and_what_to_grant(
    namespaces: Sequence[str | None], where: str
) -> None:
    assert to_kinds("list", ["mailservers", "emailaccounts"], namespaces) == (
        f"the right to list mailservers, emailaccounts {where}: grant this service account get, "
        "list and watch on mailservers, emailaccounts of postroom.dev"
    )
