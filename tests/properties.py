# SPDX-License-Identifier: Apache-2.0
"""How many examples a property is tried on, where that is not for the test itself to say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

_SETTINGS = "_hypothesis_internal_use_settings"


def bound_examples(item: pytest.Item, most: int, **changes: Any) -> None:
    """Try the property of a test, if it is one, on no more examples than `most`."""
    function = getattr(item, "obj", None)
    own = getattr(function, _SETTINGS, None)
    if own is not None:
        fewer = settings(own, max_examples=min(own.max_examples, most), **changes)
        setattr(getattr(function, "__func__", function), _SETTINGS, fewer)
