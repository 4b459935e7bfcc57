# SPDX-License-Identifier: Apache-2.0
"""How many examples a property is tried on, where that is not for the test itself to say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings


def bound_examples(item: pytest.Item, most: int, **changes: Any) -> None:
    """Try the property of a test, if it is one, on no more examples than `most`."""
    for holder, name in _holders([item]):
        own: settings = getattr(holder, name)
        setattr(holder, name, settings(own, max_examples=min(own.max_examples, most), **changes))


def multiply_examples(items: Iterable[pytest.Item], times: int) -> None:
    """Try each property on so many times the examples that it asks for itself."""
    for holder, name in _holders(items):
        own: settings = getattr(holder, name)
        setattr(holder, name, settings(own, max_examples=own.max_examples * times))


def _holders(items: Iterable[pytest.Item]) -> list[tuple[Any, str]]:
    """What has the settings of tests, and under which name: once for all parameters of a test."""
    found: dict[int, tuple[Any, str]] = {}
    for item in items:
        function = getattr(item, "obj", None)
        function = getattr(function, "__func__", function)
        if hasattr(function, "_hypothesis_internal_use_settings"):
            found[id(function)] = function, "_hypothesis_internal_use_settings"
        elif hasattr(function, "_hypothesis_state_machine_class"):
            case = item.getparent(pytest.Class)
            assert case is not None
            found[id(case.obj)] = case.obj, "settings"
    return list(found.values())
