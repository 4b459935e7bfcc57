# SPDX-License-Identifier: Apache-2.0
"""From Secrets to logins, host pinning, and what replies mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.mail.credentials import BadCredentials, host_allowed, login_from
from postroom.mail.imap import modified_utf7, quoted
from postroom.mail.replies import enhanced_code, meaning_of_imap, meaning_of_smtp, table
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
    ],
)
def test_mistakes_are_named(data: dict[str, str], word: str) -> None:
    found = login_from(secret(**data))
    assert isinstance(found, BadCredentials)
    assert word in found.sentence


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
        ("smtp.example.com", (), False),
    ],
)
def test_host_pinning(host: str, allowed: tuple[str, ...] | None, yes: bool) -> None:
    assert host_allowed(host, allowed) is yes


@pytest.mark.parametrize(
    ("code", "text", "reason", "conclusive"),
    [
        (535, "5.7.8 wrong", Reason.AUTHENTICATION_REJECTED, True),
        (534, "5.7.9 Application-specific password required", Reason.AUTHENTICATION_REJECTED, True),
        (
            535,
            "SmtpClientAuthentication is disabled for the Tenant.",
            Reason.ACCOUNT_DISABLED,
            True,
        ),
        (530, "5.7.0 Must issue STARTTLS", Reason.ENCRYPTION_REQUIRED, True),
        (504, "unknown mechanism", Reason.MECHANISM_UNSUPPORTED, True),
        (454, "4.7.0 Too many login attempts", Reason.TEMPORARY_FAILURE, False),
        (421, "closing", Reason.TEMPORARY_FAILURE, False),
        (599, "?", Reason.AUTHENTICATION_REJECTED, True),
    ],
)
def test_smtp_replies(code: int, text: str, reason: Reason, conclusive: bool) -> None:
    found = meaning_of_smtp(code, text)
    assert (found.reason, found.conclusive) == (reason, conclusive)
    assert found.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[AUTHENTICATIONFAILED] no", Reason.AUTHENTICATION_REJECTED),
        ("[UNAVAILABLE] later", Reason.TEMPORARY_FAILURE),
        ("[EXPIRED] password", Reason.ACCOUNT_DISABLED),
        ("[ALERT] Your account is not enabled for IMAP use.", Reason.ACCOUNT_DISABLED),
        ("LOGIN failed.", Reason.AUTHENTICATION_REJECTED),
    ],
)
def test_imap_replies(text: str, reason: Reason) -> None:
    assert meaning_of_imap(text).reason is reason


@given(st.integers(400, 599), st.text())
def test_no_reply_is_repeated(code: int, text: str) -> None:
    marked = f"canary-{text}-canary"
    assert "canary" not in meaning_of_smtp(code, marked).hint
    assert "canary" not in meaning_of_imap(marked).hint


def test_every_row_names_its_source() -> None:
    rows = [*table().smtp, *table().imap]
    assert all(row.source for row in rows)
    assert not table().imap[-1].response
    assert not table().imap[-1].text


@pytest.mark.parametrize(
    ("text", "code"), [("5.7.8 no", "5.7.8"), ("no", None), ("9.9.9 x", None), ("5.7.8999 x", None)]
)
def test_enhanced_codes(text: str, code: str | None) -> None:
    assert enhanced_code(text) == code


@pytest.mark.parametrize(
    ("name", "wire"),
    [("INBOX", "INBOX"), ("A&B", "A&-B"), ("Entwürfe", "Entw&APw-rfe"), ("日本語", "&ZeVnLIqe-")],
)
def test_mailbox_names(name: str, wire: str) -> None:
    assert modified_utf7(name) == wire


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_quoted_strings_end_where_they_should(text: str) -> None:
    inner = quoted(text)[1:-1]
    assert inner.replace("\\\\", "").replace('\\"', "").count('"') == 0
