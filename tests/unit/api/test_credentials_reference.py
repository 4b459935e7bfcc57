# SPDX-License-Identifier: Apache-2.0
"""Under which keys a Secret holds a login: two, and never one for both."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from postroom.api.credentials_reference import CredentialsReference


def reference(**keys: str) -> CredentialsReference:
    return CredentialsReference.model_validate({"name": "login", **keys})


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({}, ("username", "password")),
        ({"usernameKey": "user"}, ("user", "password")),
        ({"passwordKey": "pass"}, ("username", "pass")),
        ({"usernameKey": "password", "passwordKey": "username"}, ("password", "username")),
    ],
)
def test_keys_are_those_that_are_named_or_the_usual(
    given: dict[str, str], keys: tuple[str, str]
) -> None:
    assert reference(**given).keys == keys


@pytest.mark.parametrize(
    "given",
    [
        {"usernameKey": "password"},
        {"passwordKey": "username"},
        {"usernameKey": "both", "passwordKey": "both"},
    ],
)
def test_a_username_is_no_password(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="must be another key than that of the username"):
        reference(**given)
