# SPDX-License-Identifier: Apache-2.0
"""What a binding asks for: a Secret by name, the default one, or both."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from postroom.api.binding import DEFAULT_MAIL, Binding


@pytest.mark.parametrize(
    "asked", [{"secretName": "mail"}, {"default": True}, {"secretName": "mail", "default": True}]
)
def test_it_names_a_secret(asked: dict[str, Any]) -> None:
    assert Binding.model_validate(asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "secretName must be set, unless default is true"),
        ({"default": False}, "secretName must be set, unless default is true"),
        ({"secretName": DEFAULT_MAIL}, "secretName must be another name than"),
        ({"secretName": DEFAULT_MAIL, "default": True}, "secretName must be another name than"),
    ],
)
def test_the_default_is_asked_for_by_its_own_field(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Binding.model_validate(asked)
