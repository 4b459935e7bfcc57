# SPDX-License-Identifier: Apache-2.0
"""What AUTH LOGIN asks for, however a server writes it."""

from __future__ import annotations

import base64

import pytest

from postroom.mail.smtp.client import asks_for_name


@pytest.mark.parametrize("asked", ["Username:", "User Name\0", "login", "account", "Benutzername:"])
def test_a_name_is_asked_for_in_base64_and_without(asked: str) -> None:
    assert asks_for_name(asked)
    assert asks_for_name(base64.b64encode(asked.encode()).decode())


@pytest.mark.parametrize(
    "asked", ["Password:", "password of the user", "passphrase of the account", "", "go on"]
)
def test_anything_else_is_no_name(asked: str) -> None:
    assert not asks_for_name(asked)
    assert not asks_for_name(base64.b64encode(asked.encode()).decode())


def test_octets_of_another_charset_are_passed_over() -> None:
    assert asks_for_name(base64.b64encode(b"user \xff").decode())
    assert not asks_for_name(base64.b64encode(b"\xff\xfe").decode())
