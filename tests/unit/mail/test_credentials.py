# SPDX-License-Identifier: Apache-2.0
"""From a Secret to a login, the mistakes that are named on the way, and host pinning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.mail.credentials import BadCredentials, host_allowed, login_from
from postroom.mail.report import Login


def secret(**data: str) -> dict[str, Masked]:
    return {key: Masked(value) for key, value in data.items()}


def test_a_trailing_line_end_is_dropped() -> None:
    login = login_from(secret(username="u\n", password="p\r\n"))
    assert isinstance(login, Login)
    assert (login.username, login.password.reveal()) == ("u", "p")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"password": "p"}, "username is missing"),
        ({"username": "u"}, "password is missing"),
        ({"username": "u", "password": ""}, "password is empty"),
        ({"username": "u", "password": "\n"}, "password is empty"),
        ({"username": "u\r\nQUIT", "password": "p"}, "control character"),
        ({"username": "u", "password": "p\x00"}, "control character"),
        ({"username": "u", "password": "p\n\n"}, "control character"),
        ({"username": "u", "password": "p\r"}, "control character"),
        ({"username": "u", "password": "\ud800"}, "control character"),
    ],
)
def test_mistakes_are_named(data: dict[str, str], word: str) -> None:
    found = login_from(secret(**data))
    assert isinstance(found, BadCredentials)
    assert word in found.sentence


@given(st.text(), st.text())
def test_what_is_accepted_can_be_sent(username: str, password: str) -> None:
    found = login_from(secret(username=username, password=password))
    if isinstance(found, Login):
        sent = (found.username + found.password.reveal()).encode()
        assert not any(byte < 32 or byte == 127 for byte in sent)
        assert password.removesuffix("\n").removesuffix("\r") == found.password.reveal()


@pytest.mark.parametrize(
    ("username", "password", "trimmed"),
    [
        ("me", "hunter2", ()),
        ("me", "hunter2\n", ("password",)),
        ("me\r\n", "hunter2", ("username",)),
        ("me\n", "hunter2\r\n", ("username", "password")),
        ("me", "hunter2 ", ()),
    ],
)
def test_a_line_end_that_is_left_out_is_known(
    username: str, password: str, trimmed: tuple[str, ...]
) -> None:
    found = login_from(secret(username=username, password=password))
    assert isinstance(found, Login)
    assert found.trimmed == trimmed


@given(st.text(min_size=6), st.text(min_size=6))
def test_no_value_is_repeated(username: str, password: str) -> None:
    found = login_from(secret(username=username, password=f"canary-{password}"))
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("host", "allowed", "yes"),
    [
        ("smtp.example.com", None, True),
        ("smtp.example.com", ("smtp.example.com",), True),
        ("SMTP.example.com", (" smtp.EXAMPLE.com ",), True),
        ("smtp.example.com", ("*.example.com",), True),
        ("a.b.example.com", ("*.example.com",), False),
        ("example.com", ("*.example.com",), False),
        ("evil.com", ("*",), False),
        ("evil-example.com", ("*.example.com", "x"), False),
        # what sorts before and behind the pattern's domain is another domain all the same
        ("smtp.example.net", ("*.example.com",), False),
        ("smtp.example.aero", ("*.example.com",), False),
        ("smtp.example.com", (), False),
    ],
)
def test_host_pinning(host: str, allowed: tuple[str, ...] | None, yes: bool) -> None:
    assert host_allowed(host, allowed) is yes


def test_the_keys_may_be_those_of_another_reader() -> None:
    data = secret(user="u", pass_="p\n", username="other", password="other")
    login = login_from(data, None, ("user", "pass_"))
    assert isinstance(login, Login)
    assert (login.username, login.password.reveal()) == ("u", "p")
    assert login.trimmed == ("password",)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"username": "u", "pass": "p"}, "key user is missing"),
        ({"user": "u", "password": "p"}, "key pass is missing"),
        ({"user": "u", "pass": ""}, "key pass is empty"),
        ({"user": "u\r\nQUIT", "pass": "p"}, "key user holds a control character"),
    ],
)
def test_mistakes_name_the_key_that_the_spec_names(data: dict[str, str], word: str) -> None:
    found = login_from(secret(**data), None, ("user", "pass"))
    assert isinstance(found, BadCredentials)
    assert word in found.sentence


def test_a_username_that_the_provider_fixes_needs_no_key() -> None:
    login = login_from(secret(token="p"), "apikey", ("user", "token"))
    assert isinstance(login, Login)
    assert login.username == "apikey"


def test_a_username_that_the_provider_fixes_is_no_password() -> None:
    found = login_from(secret(user="u"), "apikey", ("user", "token"))
    assert found == BadCredentials("key token is missing: add it.", "Add key token")
