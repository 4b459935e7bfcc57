# SPDX-License-Identifier: Apache-2.0
"""Replies whose code and words say different things, or whose words say what is not the case."""

from __future__ import annotations

import pytest

from postroom.api.reasons import Reason
from postroom.mail.replies import (
    Cause,
    Circumstances,
    SignIn,
    Stage,
    meaning_of_imap,
    meaning_of_smtp,
)

WRONG = [
    (454, "5.7.8 Bad credentials"),
    (421, "4.7.0 Authentication failed: wrong password"),
    (450, "Username or password is incorrect"),
    (451, "4.7.1 The password does not match"),
    (454, "Benutzername oder Passwort falsch"),
]


@pytest.mark.parametrize(("code", "text"), WRONG)
def test_a_password_that_is_wrong_in_words_is_no_verdict_and_nothing_to_wait_for(
    code: int, text: str
) -> None:
    found = meaning_of_smtp(code, text)
    assert (found.cause, found.reason) == (Cause.AUTHENTICATION_FAILED, Reason.TEMPORARY_FAILURE)
    assert not found.conclusive
    assert found.needs_someone and found.counts_as_refusal and not found.refuses_credentials
    assert "Secret" in found.hint and "The code says that it passes" in found.hint


@pytest.mark.parametrize(
    ("result", "text"), [("BAD", "Invalid credentials"), ("BYE", "Wrong password")]
)
def test_so_it_is_over_imap(result: str, text: str) -> None:
    found = meaning_of_imap(text, result)
    assert (found.cause, found.conclusive) == (Cause.AUTHENTICATION_FAILED, False)
    assert found.counts_as_refusal


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (454, "4.7.0 Temporary authentication failure"),
        (454, "4.7.0 Authentication failed"),
        (421, "4.7.0 Closing"),
        (454, "Bad credentials cannot be told now: the backend is down"),
        (454, "4.7.0 If your password is wrong, correct it"),
    ],
)
def test_what_passes_in_words_as_well_is_waited_for(code: int, text: str) -> None:
    found = meaning_of_smtp(code, text)
    assert not (found.conclusive or found.needs_someone or found.counts_as_refusal)


def test_what_a_row_knows_of_a_provider_is_more_than_that_the_password_is_wrong() -> None:
    about = Circumstances(provider="Zoho")
    found = meaning_of_imap("[AUTHENTICATIONFAILED] Invalid credentials(Failure)", "NO", about)
    assert found.cause is Cause.WRONG_REGION_OR_APP_PASSWORD


def test_a_token_has_no_password_that_is_wrong() -> None:
    about = Circumstances(sign_in=SignIn.TOKEN)
    assert meaning_of_smtp(454, "Bad credentials", about).cause is not Cause.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    "text",
    [
        "Account is not locked, but password is wrong",
        "5.7.8 Your account has not been disabled; the password is invalid",
        "5.7.8 Login failed; the user is not suspended",
    ],
)
def test_what_is_denied_is_not_the_case(text: str) -> None:
    assert meaning_of_smtp(535, text).cause is Cause.AUTHENTICATION_FAILED


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.CAPABILITIES, Stage.TLS, Stage.AUTH])
def test_a_block_list_is_one_at_every_step(stage: Stage) -> None:
    text = "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"
    found = meaning_of_smtp(554, text, Circumstances(stage=stage))
    assert (found.cause, found.refuses_credentials) == (Cause.BLOCK_LISTED, False)


def test_a_block_for_logins_is_none() -> None:
    text = "5.7.8 Your IP has been blocked due to too many failed logins"
    assert meaning_of_smtp(535, text).cause is Cause.TOO_MANY_LOGINS


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.CAPABILITIES])
def test_a_host_that_takes_no_mail_is_the_wrong_one(stage: Stage) -> None:
    found = meaning_of_smtp(521, "5.3.2 does not accept mail", Circumstances(stage=stage))
    assert found.hint.startswith("Correct the host")


@pytest.mark.parametrize(
    ("stage", "result", "refuses"),
    [(Stage.AUTH, "NO", True), (Stage.MAILBOX, "NO", False), (Stage.GREETING, "BYE", False)],
)
def test_a_referral_names_the_host_to_correct(stage: Stage, result: str, refuses: bool) -> None:
    text = "[REFERRAL IMAP://user;AUTH=*@SERVER2/] Specified user is invalid here. Try SERVER2."
    found = meaning_of_imap(text, result, Circumstances(stage=stage))
    assert found.hint.startswith("Use the host") and found.refuses_credentials is refuses


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("5.2.1 No", Cause.ACCOUNT_DISABLED),
        ("5.2.2 No", Cause.MAILBOX_FULL),
        ("5.2.2 Authentication failed", Cause.MAILBOX_FULL),
        ("5.3.2 Authentication failed", Cause.AUTH_TEMPORARY_FAILURE),
        ("5.4.3 No", Cause.AUTH_TEMPORARY_FAILURE),
        ("5.7.8 Mailbox full", Cause.MAILBOX_FULL),
        ("5.7.8 Your inbox is over quota", Cause.MAILBOX_FULL),
        ("5.7.8 Postfach voll", Cause.MAILBOX_FULL),
        ("5.7.10 No", Cause.AUTH_REQUIRES_TLS),
        ("5.7.11 No", Cause.AUTH_REQUIRES_TLS),
        ("5.7.12 No", Cause.PASSWORD_EXPIRED),
        ("5.7.13 No", Cause.ACCOUNT_DISABLED),
        ("5.7.1 Please log in via your web browser", Cause.WEB_LOGIN_REQUIRED),
    ],
)
def test_535_is_no_wrong_password_where_words_or_a_finer_code_say_what_it_is(
    text: str, cause: Cause
) -> None:
    found = meaning_of_smtp(535, text)
    assert found.cause is cause
    assert found.reason is not Reason.AUTHENTICATION_REJECTED


@pytest.mark.parametrize("enhanced", ["5.2.1", "5.2.2", "5.3.2", "5.4.3", "5.7.12", "5.7.13"])
def test_a_finer_code_is_nothing_beside_plain_words(enhanced: str) -> None:
    found = meaning_of_smtp(535, f"{enhanced} Invalid password")
    assert (found.cause, found.conclusive) == (Cause.AUTHENTICATION_FAILED, True)


def test_a_full_mailbox_is_no_refusal_of_the_password() -> None:
    for found in (meaning_of_smtp(535, "5.2.2 No"), meaning_of_imap("Your mailbox is full")):
        assert found.cause is Cause.MAILBOX_FULL
        assert not (found.conclusive or found.refuses_credentials or found.counts_as_refusal)


@pytest.mark.parametrize(
    "text",
    [
        "5.7.8 \x1b[2J\x1b[1;31mWrong\x1b[0m password\x07",
        "5.7.8 Wr\xadong pass\u200bword",
        "5.7.8 \u202eWrong\0password\u202c",
        "5.7.8 \x9b31mWrong password",
    ],
)
def test_words_are_read_however_they_are_coloured_or_hidden(text: str) -> None:
    assert meaning_of_smtp(535, text) == meaning_of_smtp(535, "5.7.8 Wrong password")


def test_greylisting_passes_at_every_step() -> None:
    for stage in (Stage.GREETING, Stage.AUTH, Stage.MAIL, Stage.RCPT, Stage.DATA):
        for code in (450, 535, 554):
            found = meaning_of_smtp(code, "5.7.1 You are greylisted", Circumstances(stage=stage))
            assert not (found.conclusive or found.refuses_credentials), (stage, code)


RIDDLES = [
    "Xyzzy plugh",
    "5.7.8 Ota yhteys",
    "Rejected by policy",
    "5.7.0 compte en sommeil",
    "ПРОБА",
]


@pytest.mark.parametrize("words", RIDDLES)
def test_words_that_nobody_knows_are_to_be_read_before_the_password_is_changed(words: str) -> None:
    for found in (meaning_of_smtp(535, words), meaning_of_imap(words.removeprefix("5.7.8 "))):
        assert (found.cause, found.refuses_credentials) == (Cause.AUTHENTICATION_FAILED, True)
        assert found.hint.startswith("Read the server's words first")
        assert found.unclear
    token = meaning_of_smtp(535, words, Circumstances(sign_in=SignIn.TOKEN))
    assert token.unclear and token.hint.startswith("Read the server's words first")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "5.7.8",
        "5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
        "Login incorrect",
        "Denied",
        "5.7.8 Authentication credentials invalid",
        "5.7.3 Authentication unsuccessful",
        "Identifiants incorrects",
        "Неверный пароль",
    ],
)
def test_words_that_say_what_the_code_says_are_no_riddle(words: str) -> None:
    for sign_in in SignIn:
        found = meaning_of_smtp(535, words, Circumstances(sign_in=sign_in))
        assert "words" not in found.hint and not found.unclear


#: What Cyrus SASL says beside "authentication failed", as Postfix and Cyrus IMAP hand it on.
CYRUS = {
    "generic failure": Cause.AUTH_TEMPORARY_FAILURE,
    "no memory available": Cause.AUTH_TEMPORARY_FAILURE,
    "overflowed buffer": Cause.AUTH_TEMPORARY_FAILURE,
    "no mechanism available": Cause.AUTH_MECHANISM_UNSUPPORTED,
    "bad protocol / cancel": Cause.AUTH_MECHANISM_UNSUPPORTED,
    "invalid parameter supplied": Cause.AUTH_TEMPORARY_FAILURE,
    "transient failure (e.g., weak key)": Cause.AUTH_TEMPORARY_FAILURE,
    "integrity check failed": Cause.AUTH_MECHANISM_UNSUPPORTED,
    "SASL library is not initialized": Cause.AUTH_TEMPORARY_FAILURE,
    "authentication failure": Cause.AUTHENTICATION_FAILED,
    "mechanism too weak for this user": Cause.AUTH_MECHANISM_UNSUPPORTED,
    "encryption needed to use mechanism": Cause.AUTH_REQUIRES_TLS,
    "passphrase expired": Cause.PASSWORD_EXPIRED,
    "account disabled": Cause.ACCOUNT_DISABLED,
    "user not found": Cause.AUTHENTICATION_FAILED,
    "version mismatch with plug-in": Cause.AUTH_TEMPORARY_FAILURE,
    "remote authentication server unavailable": Cause.AUTH_TEMPORARY_FAILURE,
    "user exists, but no verifier for user": Cause.AUTH_MECHANISM_UNSUPPORTED,
    "passphrase locked": Cause.ACCOUNT_LOCKED,
    "error when parsing configuration file": Cause.AUTH_TEMPORARY_FAILURE,
}


@pytest.mark.parametrize("words", CYRUS)
def test_a_fault_of_a_server_s_sasl_is_no_wrong_password(words: str) -> None:
    """https://manpages.debian.org/bookworm/libsasl2-dev/sasl_errors.3.en.html"""
    for found in (
        meaning_of_smtp(535, f"5.7.8 Error: authentication failed: {words}"),
        meaning_of_imap(f"Login failed: {words}"),
    ):
        assert found.cause is CYRUS[words]


@pytest.mark.parametrize(
    ("code", "text", "cause", "unclear"),
    [
        # A class of its own, which RFC 2034 section 4 forbids: the code stays, the other passes.
        (535, "4.7.8 Error", Cause.AUTHENTICATION_FAILED, True),
        (535, "4.7.0 authentication failed", Cause.AUTHENTICATION_FAILED, True),
        (535, "2.7.0 Authentication successful", Cause.AUTHENTICATION_FAILED, True),
        (535, "4.7.8 Wrong password", Cause.AUTHENTICATION_FAILED, False),
        (535, "4.3.2 no", Cause.AUTH_TEMPORARY_FAILURE, False),
        (535, "4.4.3 no", Cause.AUTH_TEMPORARY_FAILURE, False),
        (535, "4.2.2 no", Cause.MAILBOX_FULL, False),
        (535, "5.7.8 Error", Cause.AUTHENTICATION_FAILED, False),
        # Codes that are no verdict on credentials by any standard.
        (552, "no", Cause.AUTHENTICATION_FAILED, True),
        (530, "5.7.0 Authentication required", Cause.AUTHENTICATION_FAILED, True),
        (501, "5.5.2 no", Cause.AUTH_MECHANISM_UNSUPPORTED, False),
        (501, "5.5.4 no", Cause.AUTH_MECHANISM_UNSUPPORTED, False),
        (501, "5.5.2 Wrong password", Cause.AUTHENTICATION_FAILED, False),
    ],
)
def test_what_is_refused_by_codes_that_contradict_is_unclear(
    code: int, text: str, cause: Cause, unclear: bool
) -> None:
    found = meaning_of_smtp(code, text, Circumstances(encrypted=True))
    assert (found.cause, found.unclear) == (cause, unclear)
