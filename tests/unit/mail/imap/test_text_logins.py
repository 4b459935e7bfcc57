# SPDX-License-Identifier: Apache-2.0
"""Which command signs in over IMAP, and what capabilities and mechanisms a server's lines tell."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.mail.imap.text import (
    capabilities_in,
    mechanisms_among,
    password_command,
    token_command,
)
from postroom.mail.oauth.sasl import OAUTHBEARER, XOAUTH2
from postroom.mail.report import Login
from postroom.mail.session.sasl import TokenExchange, refusal_in, status_of

LOGIN = Login("user", Masked("hunter2"))
PACKED = base64.b64encode(b"\0user\0hunter2")


def test_plain_in_one_line_is_preferred_to_login() -> None:
    command = password_command(LOGIN, {"AUTH=PLAIN", "SASL-IR"})
    assert command is not None
    assert (command.name, command.arguments) == ("AUTHENTICATE", ["PLAIN", PACKED.decode()])
    assert command.answers == []


def test_plain_in_two_lines() -> None:
    command = password_command(LOGIN, {"AUTH=PLAIN", "LOGINDISABLED"})
    assert command is not None
    assert (command.arguments, command.answers) == (["PLAIN"], [PACKED])


def test_login_unless_it_is_forbidden() -> None:
    command = password_command(LOGIN, {"SASL-IR", "AUTH=XOAUTH2"})
    assert command is not None
    assert (command.name, command.arguments) == ("LOGIN", ['"user"', '"hunter2"'])
    assert password_command(LOGIN, {"LOGINDISABLED"}) is None


@pytest.mark.parametrize(("mechanism", "farewell"), [(XOAUTH2, b""), (OAUTHBEARER, b"AQ==")])
def test_the_error_of_a_token_is_answered(mechanism: str, farewell: bytes) -> None:
    exchange = TokenExchange(mechanism, Masked("hunter2"))
    packed = base64.b64encode(b"hunter2")
    one, two = token_command(exchange, {"SASL-IR"}), token_command(exchange, set())
    assert (one.arguments, one.answers) == ([mechanism, packed.decode()], [farewell])
    assert (two.arguments, two.answers) == ([mechanism], [packed, farewell])


def test_commands_do_not_show_what_they_carry() -> None:
    exchange = TokenExchange(XOAUTH2, Masked("hunter2"))
    shown = f"{token_command(exchange, set())!r} {password_command(LOGIN, set())!r} {exchange!r}"
    assert "hunter2" not in shown
    assert base64.b64encode(b"hunter2").decode() not in shown
    assert PACKED.decode() not in shown


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([b"CAPABILITY IMAP4rev1 Idle", b"done"], {"IMAP4REV1", "IDLE"}),
        ([b"[CAPABILITY IMAP4rev1 ID] in"], {"IMAP4REV1", "ID"}),
        ([b"* OK [CAPABILITY A] hi [CAPABILITY B]"], {"A"}),
        ([b"said CAPABILITY X", b"LIST [CAPABILITY X]"], set()),
        ([b"CAPABILITY"], set()),
    ],
)
def test_capabilities(lines: list[bytes], found: set[str]) -> None:
    assert capabilities_in(lines) == found


@given(st.lists(st.binary(max_size=60)))
def test_any_lines_tell_capabilities_without_line_ends(lines: list[bytes]) -> None:
    found = capabilities_in([*lines, *(b"CAPABILITY " + line for line in lines)])
    assert all(one and not set(one) & set(" \r\n\t") for one in found)


def test_mechanisms() -> None:
    assert mechanisms_among(["AUTH=PLAIN", "AUTH=", "AUTH=<B>", "IDLE", "AUTH=X-1"]) == [
        "PLAIN",
        "X-1",
    ]


@given(st.one_of(st.binary(), st.text(st.characters(codec="utf-8"))))
def test_any_challenge_can_be_read(challenge: bytes | str) -> None:
    refusal = refusal_in(challenge)
    assert status_of(refusal) is None or refusal is not None


@given(st.text())
def test_no_status_repeats_the_servers_words(said: str) -> None:
    document = base64.b64encode(b'{"status":"' + said.encode("utf-8", "replace") + b'"}')
    shown = status_of(refusal_in(document))
    assert shown is None or shown.isdigit() or shown.startswith(("invalid_", "insufficient_"))


def test_login_as_a_mechanism_where_the_command_is_forbidden() -> None:
    command = password_command(Login("me", Masked("s3cret")), {"LOGINDISABLED", "AUTH=LOGIN"})
    assert command is not None
    assert (command.name, command.arguments) == ("AUTHENTICATE", ["LOGIN"])
    assert [base64.b64decode(answer) for answer in command.answers] == [b"me", b"s3cret"]
