# SPDX-License-Identifier: Apache-2.0
"""What can be told before dialling: each check once, no false alarms, nothing repeated, purity."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.precheck import Attempt, app_password_shaped, precheck, preset_of
from postroom.mail.presets import identify, preset, providers
from postroom.mail.presets.model import UsernameForm
from postroom.mail.replies import Cause, Protocol
from postroom.mail.report import Login

IMPLICIT, START_TLS, NONE = TLSMode.IMPLICIT, TLSMode.START_TLS, TLSMode.NONE
SENDGRID_KEY = f"SG.{'a1B2' * 6}.{'c3D4' * 10}"


def login(username: str, password: str) -> Login:
    return Login(username, Masked(password))


def smtp(host: str, port: int, tls: TLSMode, username: str = "", password: str = "") -> Attempt:
    signing_in = login(username, password) if username else None
    return Attempt(Protocol.SMTP, host, port, tls, signing_in)


def imap(host: str, username: str = "", password: str = "", port: int = 993) -> Attempt:
    return replace(smtp(host, port, IMPLICIT, username, password), protocol=Protocol.IMAP)


WRONG: list[tuple[Attempt, Cause, str, bool, str]] = [
    (smtp("smtp.gmial.com", 587, START_TLS), Cause.HOST_MISSPELLED, "host", False,
     "smtp.gmail.com"),
    (smtp("mail.example.com", 465, START_TLS), Cause.PORT_CONTRADICTS_TLS, "tls.mode", False,
     "Implicit"),
    (smtp("mail.example.com", 587, IMPLICIT), Cause.PORT_CONTRADICTS_TLS, "tls.mode", False,
     "StartTLS"),
    (smtp("smtp.gmail.com", 465, START_TLS), Cause.PORT_CONTRADICTS_TLS, "tls.mode", True,
     "Implicit"),
    (smtp("email-smtp.eu-west-1.amazonaws.com", 2465, START_TLS), Cause.PORT_CONTRADICTS_TLS,
     "tls.mode", True, "Implicit"),
    (smtp("smtp.postmarkapp.com", 465, IMPLICIT), Cause.PORT_NOT_SERVED, "port", True,
     "25 (StartTLS), 587 (StartTLS), 2525 (StartTLS)"),
    (smtp("smtp.sendgrid.net", 587, START_TLS, "me@example.com", SENDGRID_KEY),
     Cause.USERNAME_MUST_BE, "username", True, "apikey"),
    (smtp("smtp.resend.com", 465, IMPLICIT, "me@example.com", "re_abcdefgh12"),
     Cause.USERNAME_MUST_BE, "username", True, "the word resend"),
    (smtp("smtp.sparkpostmail.com", 587, START_TLS, "smtp", "key"), Cause.USERNAME_MUST_BE,
     "username", True, "SMTP_Injection"),
    (smtp("smtp.postmarkapp.com", 587, START_TLS, "me@example.com", "key"),
     Cause.USERNAME_MUST_BE, "username", False, "API token"),
    (imap("imap.fastmail.com", "me", "secret"), Cause.USERNAME_MUST_BE, "username", False,
     "whole email address"),
    (smtp("smtp-relay.brevo.com", 587, START_TLS, "me@example.com", "xkeysib-1234"),
     Cause.WRONG_KEY_TYPE, "password", True, "xsmtpsib-"),
    (smtp("smtp-relay.brevo.com", 587, START_TLS, "me@example.com", SENDGRID_KEY),
     Cause.WRONG_KEY_TYPE, "password", False, "SendGrid"),
    (smtp("smtp.sendgrid.net", 587, START_TLS, "apikey", "hunter2"), Cause.WRONG_KEY_TYPE,
     "password", False, "SG."),
    (imap("imap.gmail.com", "me@gmail.com", "hunter2"), Cause.APP_PASSWORD_REQUIRED, "password",
     False, "16 lowercase letters"),
    (imap("imap.mail.me.com", "me", "hunter2"), Cause.APP_PASSWORD_REQUIRED, "password", False,
     "hyphens"),
    (imap("outlook.office365.com", "me@example.com", "hunter2"), Cause.BASIC_AUTH_DISABLED,
     "oauth", True, "no passwords over IMAP"),
    (smtp("smtp-mail.outlook.com", 587, START_TLS, "me@outlook.com", "hunter2"),
     Cause.BASIC_AUTH_DISABLED, "oauth", True, "no passwords over SMTP"),
    (replace(imap("imap.mail.me.com"), token=True), Cause.AUTH_MECHANISM_UNSUPPORTED, "oauth",
     False, "credentialsRef"),
    (replace(imap("mail.example.com"), provider="SendGrid"), Cause.PROTOCOL_DISABLED, "imap",
     False, "no IMAP"),
    (smtp("mail.example.com", 587, START_TLS, "me ", "hunter2"), Cause.CREDENTIAL_HAS_WHITESPACE,
     "username", False, "white space"),
    (smtp("mail.example.com", 587, START_TLS, "me", " hunter2"), Cause.CREDENTIAL_HAS_WHITESPACE,
     "password", False, "white space"),
    (replace(smtp("mail.example.com", 587, START_TLS),
             login=Login("me", Masked("hunter2"), trimmed=("password",))),
     Cause.CREDENTIAL_HAS_WHITESPACE, "password", False, "ends with a line end"),
    *(
        (smtp("mail.example.com", 587, START_TLS, "me", password), Cause.CREDENTIAL_ALTERED,
         "password", False, words)
        for password, words in (
            ("\ufeffhunter2", "nobody sees"),
            ("hunter2\u200b", "nobody sees"),
            ('"hunter2"', "between quotes"),
            ("'hunter2'", "between quotes"),
            ("\u201chunter2\u201d", "between quotes"),
            ("aHVudGVyMg==", "encoded twice"),
            ("aHVudGVyMgo=", "encoded twice"),
            ("<your password>", "placeholder"),
            ("${SMTP_PASSWORD}", "placeholder"),
            ("{{ .Values.password }}", "placeholder"),
            ("changeme", "placeholder"),
            ("REPLACE-ME", "placeholder"),
            ("your-smtp-password", "placeholder"),
        )
    ),
    (smtp("mail.example.com", 587, START_TLS, "\ufeffme", "hunter2"), Cause.CREDENTIAL_ALTERED,
     "username", False, "byte order mark"),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "cause", "place", "blocks", "words"), WRONG)
def test_what_is_wrong(
    attempt: Attempt, cause: Cause, place: str, blocks: bool, words: str
) -> None:
    (found,) = precheck(attempt)
    assert (found.cause, found.place, found.blocks) == (cause, place, blocks)
    assert words in found.sentence
    assert found.sentence.endswith(".")
    assert "hunter2" not in found.sentence


RIGHT = [
    # Made of base64's letters by chance, quoted in part, and no template.
    *(
        smtp("mail.example.com", 587, START_TLS, "notifications", password)
        for password in (
            "correcthorse",
            "pA55w0rdpA55w0rd",
            "BOrYk4mNq2VxwTzU8sHd1eLg7iPaFcJ0Xh9RtKvQ3bWy",
            '"half',
            "don't'",
            "<3 cats",
            "change is good",
            "$ecret{}",
            "YWJj",
            "caf\u00e9",
        )
    ),
    smtp("smtp.gmail.com", 465, IMPLICIT, "me@gmail.com", "abcd efgh ijkl mnop"),
    smtp("smtp.gmail.com", 25, START_TLS),
    imap("imap.mail.me.com", "me", "abcd-efgh-ijkl-mnop"),
    imap("imap.mail.me.com", "me@icloud.com", "abcd-efgh-ijkl-mnop"),
    smtp("smtp.sendgrid.net", 587, START_TLS, "apikey", SENDGRID_KEY),
    smtp("smtp.sparkpostmail.com", 587, START_TLS, "SMTP_Injection:X-MSYS-SUBACCOUNT=123", "k"),
    smtp("smtp-relay.brevo.com", 587, START_TLS, "a@smtp-brevo.com", "xsmtpsib-1234"),
    smtp("smtp-relay.brevo.com", 587, START_TLS, "a@smtp-brevo.com", "master password"),
    smtp("smtp.office365.com", 587, START_TLS, "me@example.com", "password"),
    smtp("smtp.office365.com", 587, START_TLS, "me@example.com\\shared@example.com", "password"),
    smtp("mail.example.com", 2525, IMPLICIT, "me", SENDGRID_KEY),
    smtp("mail.example.com", 25, NONE),
    smtp("mail.example.com", 587, START_TLS, "EXAMPLE\\me", "with space inside"),
    replace(imap("outlook.office365.com"), token=True),
    imap("posteo.de", "me@posteo.de", "anything", port=993),
]


@pytest.mark.parametrize("attempt", RIGHT)
def test_no_false_alarm(attempt: Attempt) -> None:
    assert precheck(attempt) == ()


@pytest.mark.parametrize("name", providers())
def test_no_preset_alarms_about_itself(name: str) -> None:
    chosen = preset(name)
    for protocol, rows in ((Protocol.SMTP, chosen.smtp), (Protocol.IMAP, chosen.imap)):
        for row in rows:
            host = row.host
            for parameter in chosen.parameters:
                host = host.replace(
                    "{" + parameter.name + "}", row.when.get(parameter.name, parameter.example)
                )
            attempt = Attempt(protocol, host, row.port, row.tls, provider=name)
            assert precheck(attempt) == ()


def test_the_provider_of_the_spec_goes_before_the_host() -> None:
    attempt = smtp("relay.internal.example", 587, START_TLS, "me@example.com", SENDGRID_KEY)
    assert precheck(attempt) == ()
    (found,) = precheck(replace(attempt, provider="SendGrid"))
    assert found.cause is Cause.USERNAME_MUST_BE
    assert preset_of(replace(attempt, provider="NoSuchProvider")) is None


def test_what_blocks_comes_first() -> None:
    found = precheck(smtp("smtp.sendgrid.net", 465, START_TLS, "me", "hunter2"))
    assert [one.blocks for one in found] == [True, True, False]


@pytest.mark.parametrize(
    ("provider", "password", "shaped"),
    [
        ("Gmail", "abcdefghijklmnop", True),
        ("Gmail", "abcd efgh ijkl mnop", True),
        ("Gmail", "Abcdefghijklmnop", False),
        ("Gmail", "a" * 100_000, False),
        ("ICloud", "abcd-efgh-ijkl-mnop", True),
        ("Hetzner", "abc", None),
    ],
)
def test_shapes_of_app_passwords(provider: str, password: str, shaped: bool | None) -> None:
    assert app_password_shaped(preset(provider), Masked(password)) is shaped
    assert app_password_shaped(None, Masked(password)) is None


HOSTS = st.sampled_from(
    ["smtp.gmail.com", "smtp.sendgrid.net", "smtp-relay.brevo.com", "mail.example.com", "x"]
)


@given(HOSTS, st.integers(1, 65535), st.sampled_from(TLSMode), st.text(), st.text(min_size=3))
def test_nothing_is_repeated_and_the_order_is_fixed(
    host: str, port: int, tls: TLSMode, username: str, password: str
) -> None:
    for protocol in Protocol:
        attempt = Attempt(
            protocol, host, port, tls, login(f"ca#nary{username}", f"ca#nary{password}")
        )
        found = precheck(attempt)
        assert found == precheck(attempt)
        assert "ca#nary" not in repr(found)
        assert "ca#nary" not in repr(attempt).replace(repr(attempt.login), "")


@given(st.text(), st.text())
def test_only_certain_things_block(username: str, password: str) -> None:
    """At hosts that nobody knows nothing blocks, whatever the credentials look like."""
    attempt = smtp("mail.example.com", 587, START_TLS, f"u{username}", password)
    assert identify(attempt.host) is None
    assert not any(one.blocks for one in precheck(attempt))


def test_fixed_usernames_are_the_only_ones_that_block() -> None:
    for name in providers():
        chosen = preset(name)
        found = precheck(
            Attempt(Protocol.SMTP, "x.example", 587, START_TLS, login("\x7f", "x"), provider=name)
        )
        blocking = {one.cause for one in found if one.blocks}
        fixed = chosen.smtp_username.form is UsernameForm.FIXED
        assert (Cause.USERNAME_MUST_BE in blocking) == fixed


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("smtp.secureserver.net", "smtpout.secureserver.net"),
        ("SMTP.secureserver.net.", "smtpout.secureserver.net"),
        ("relay-hosting.secureserver.net", "smtpout.secureserver.net"),
        ("aspmx.l.google.com", "smtp.gmail.com"),
    ],
)
def test_a_host_that_takes_mail_in_is_not_the_one_to_send_through(host: str, meant: str) -> None:
    attempt = smtp(host, 587, START_TLS, "me@example.com", "abcdefghijklmnop")
    (found,) = precheck(attempt)
    assert (found.cause, found.place, found.blocks) == (Cause.HOST_MISSPELLED, "host", False)
    assert meant in found.sentence
    assert precheck(replace(attempt, login=None)) == ()
