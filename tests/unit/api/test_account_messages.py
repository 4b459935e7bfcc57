# SPDX-License-Identifier: Apache-2.0
"""Where forwarded mail goes: to an address that is written, or to one that is derived."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from postroom.api.account_messages import Forwarding

ADDRESS = {"technicalAddress": "in-7@example.net"}
RECEIVER = {"receiverRef": {"name": "reader"}}


@pytest.mark.parametrize("goal", [ADDRESS, RECEIVER])
def test_one_of_them_says_it(goal: dict[str, Any]) -> None:
    assert Forwarding.model_validate(goal)


@pytest.mark.parametrize(
    ("goals", "says"),
    [
        ({}, r"technicalAddress must be set, unless receiverRef is"),
        ({**ADDRESS, **RECEIVER}, r"receiverRef may not be set beside technicalAddress"),
    ],
)
def test_none_or_both_do_not(goals: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Forwarding.model_validate(goals)
