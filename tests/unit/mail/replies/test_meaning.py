# SPDX-License-Identifier: Apache-2.0
"""What servers' refusals mean: the verdicts on replies, the codes, and their bounds."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.reasons import Reason
from postroom.mail.replies import (
    Cause,
    Circumstances,
    FailureClass,
    SignIn,
    Stage,
    enhanced_code,
    meaning_of_imap,
    meaning_of_smtp,
    rows,
)
from rows import over

SMTP: list[tuple[int, str, Reason, str]] = [
    (535, "5.7.8 wrong", Reason.AUTHENTICATION_REJECTED, "app password"),
    (535, "5.7.3 Authentication unsuccessful", Reason.AUTHENTICATION_REJECTED, "Correct"),
    (534, "5.7.9 Application-specific password required.", Reason.AUTHENTICATION_REJECTED, "app"),
    (534, "5.7.14 Please log in via your web browser", Reason.ACCOUNT_DISABLED, "web browser"),
    (534, "5.7.14 <https://x.example> Please log in via\n5.7.14 your web browser and",
     Reason.ACCOUNT_DISABLED, "web browser"),
    (534, "5.7.9 too weak", Reason.MECHANISM_UNSUPPORTED, "stronger"),
    (535, "5.7.139 SmtpClientAuthentication is disabled for the Tenant.", Reason.ACCOUNT_DISABLED,
     "Set-TransportConfig"),
    (535, "5.7.139 SmtpClientAuthentication is disabled for the Mailbox.", Reason.ACCOUNT_DISABLED,
     "Set-CASMailbox"),
    (535, "5.7.139 user is locked by your organization's security defaults policy",
     Reason.ACCOUNT_DISABLED, "security defaults"),
    (535, "5.7.139 the request did not meet the criteria", Reason.ACCOUNT_DISABLED, "Conditional"),
    (535, "5.7.139 basic authentication is disabled", Reason.MECHANISM_UNSUPPORTED, "OAuth"),
    (550, "5.7.30 Basic authentication is not supported", Reason.MECHANISM_UNSUPPORTED, "OAuth"),
    (535, "5.7.0 (#AUTH005) Too many bad auth attempts", Reason.AUTHENTICATION_REJECTED, "app"),
    (535, "5.7.8 Account locked", Reason.ACCOUNT_LOCKED, "Unlock"),
    (432, "4.7.12 password transition", Reason.ACCOUNT_DISABLED, "changed"),
    (432, "4.3.2 Concurrent connections limit exceeded", Reason.TEMPORARY_FAILURE, "Wait"),
    (530, "5.7.0 Must issue STARTTLS", Reason.ENCRYPTION_REQUIRED, "tls.mode"),
    (538, "5.7.11 encryption", Reason.ENCRYPTION_REQUIRED, "tls.mode"),
    (504, "5.5.4 unknown mechanism", Reason.MECHANISM_UNSUPPORTED, "AUTH settings"),
    (503, "5.5.1 AUTH not available", Reason.CAPABILITY_MISSING, "submission"),
    (454, "4.7.0 Too many login attempts", Reason.TEMPORARY_FAILURE, "too many logins"),
    (454, "4.7.0 backend down", Reason.TEMPORARY_FAILURE, "Wait"),
    (451, "4.3.0 later", Reason.TEMPORARY_FAILURE, "Wait"),
    (421, "4.4.2 closing", Reason.SERVICE_UNAVAILABLE, "operator"),
    (599, "?", Reason.AUTHENTICATION_REJECTED, "log"),
    (250, "what", Reason.AUTHENTICATION_REJECTED, "log"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "reason", "hint"), SMTP)
def test_smtp_replies(code: int, text: str, reason: Reason, hint: str) -> None:
    found = meaning_of_smtp(code, text)
    assert found.reason is reason
    assert hint in found.hint


IMAP: list[tuple[str, str, Reason]] = [
    ("[AUTHENTICATIONFAILED] no", "NO", Reason.AUTHENTICATION_REJECTED),
    ("[AUTHORIZATIONFAILED] no", "NO", Reason.AUTHENTICATION_REJECTED),
    ("[EXPIRED] password", "NO", Reason.ACCOUNT_DISABLED),
    ("[CONTACTADMIN] call", "NO", Reason.ACCOUNT_DISABLED),
    ("[PRIVACYREQUIRED] TLS", "NO", Reason.ENCRYPTION_REQUIRED),
    ("[UNAVAILABLE] later", "NO", Reason.TEMPORARY_FAILURE),
    ("[INUSE] later", "NO", Reason.TEMPORARY_FAILURE),
    ("[LIMIT] later", "NO", Reason.TEMPORARY_FAILURE),
    ("[ALERT] Your account is not enabled for IMAP use.", "NO", Reason.ACCOUNT_DISABLED),
    ("[ALERT] Application-specific password required", "NO", Reason.AUTHENTICATION_REJECTED),
    ("[ALERT] Too many simultaneous connections. (Failure)", "NO", Reason.TEMPORARY_FAILURE),
    ("Request is throttled. Suggested Backoff Time: 9 ms", "BAD", Reason.SERVER_THROTTLED),
    ("LOGIN failed.", "NO", Reason.AUTHENTICATION_REJECTED),
    ("see [UNAVAILABLE] in the manual", "NO", Reason.AUTHENTICATION_REJECTED),
    ("Command syntax", "BAD", Reason.PROBE_INCONCLUSIVE),
    ("closing", "BYE", Reason.PROBE_INCONCLUSIVE),
    ("odd", "HELLO", Reason.PROBE_INCONCLUSIVE),
]


@pytest.mark.parametrize(("text", "result", "reason"), IMAP)
def test_imap_replies(text: str, result: str, reason: Reason) -> None:
    assert meaning_of_imap(text, result).reason is reason


#: What servers say beside a response code, whatever that is.
BOILERPLATE = (
    "", "Sorry.", "Authentication failed.", "Login failed.", "LOGIN failed", "Access denied.",
    "Invalid credentials (Failure)", "Command failed.", "Permission denied", "Mailbox unavailable",
    "Mailbox doesn't exist: INBOX", "Server is not able to.", "Not now.",
)  # fmt: skip
CONVERSATION = (Stage.GREETING, Stage.TLS, Stage.CAPABILITIES, Stage.AUTH, Stage.MAILBOX)
PASSING = (
    "UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "OVERQUOTA", "CORRUPTION", "EXPUNGEISSUED",
    "THROTTLED",
)  # fmt: skip


@over(product(PASSING, BOILERPLATE))
def test_what_passes_by_its_response_code_passes_at_every_step(said: tuple[str, str]) -> None:
    code, text = said
    for stage, result in product(CONVERSATION, ("NO", "BAD", "BYE")):
        for known in (False, True):
            about = Circumstances(stage, authenticated=known and stage is Stage.MAILBOX)
            found = meaning_of_imap(f"[{code}] {text}", result, about)
            # What is damaged is so until somebody repairs it.
            mended = code == "CORRUPTION" and stage is Stage.MAILBOX
            assert mended or not found.conclusive, (stage, result, found)
            assert not found.refuses_credentials, (stage, result, found)


#: What a response code says of signing in, and of the mailbox, whatever is said beside it.
SAID = [
    ("LIMIT", Cause.TOO_MANY_LOGINS, Cause.SERVER_THROTTLED),
    ("THROTTLED", Cause.TOO_MANY_LOGINS, Cause.SERVER_THROTTLED),
    ("OVERQUOTA", Cause.AUTH_TEMPORARY_FAILURE, Cause.MAILBOX_QUOTA_EXCEEDED),
    ("INUSE", Cause.AUTH_TEMPORARY_FAILURE, Cause.MAILBOX_TEMPORARY_FAILURE),
    ("UNAVAILABLE", Cause.AUTH_TEMPORARY_FAILURE, Cause.MAILBOX_TEMPORARY_FAILURE),
    ("SERVERBUG", Cause.AUTH_TEMPORARY_FAILURE, Cause.MAILBOX_TEMPORARY_FAILURE),
    ("EXPUNGEISSUED", Cause.AUTH_TEMPORARY_FAILURE, Cause.MAILBOX_TEMPORARY_FAILURE),
    ("CORRUPTION", Cause.AUTH_TEMPORARY_FAILURE, Cause.MAILBOX_UNAVAILABLE),
    ("CONTACTADMIN", Cause.ACCOUNT_DISABLED, Cause.MAILBOX_UNAVAILABLE),
    ("NOPERM", Cause.PERMISSION_MISSING, Cause.MAILBOX_UNAVAILABLE),
    ("EXPIRED", Cause.PASSWORD_EXPIRED, Cause.PASSWORD_EXPIRED),
    ("PRIVACYREQUIRED", Cause.AUTH_REQUIRES_TLS, Cause.AUTH_REQUIRES_TLS),
    ("CANNOT", Cause.AUTH_MECHANISM_UNSUPPORTED, Cause.MAILBOX_UNAVAILABLE),
    ("CLIENTBUG", Cause.PROTOCOL_ERROR, Cause.PROTOCOL_ERROR),
    ("AUTHENTICATIONFAILED", Cause.AUTHENTICATION_FAILED, Cause.AUTH_DISREGARDED),
    ("AUTHORIZATIONFAILED", Cause.AUTHENTICATION_FAILED, Cause.MAILBOX_NOT_CONNECTED),
    ("NONEXISTENT", Cause.AUTHENTICATION_FAILED, Cause.MAILBOX_UNAVAILABLE),
]


@over(product(SAID, ("", "Sorry.", "Authentication failed.", "Command failed.")))
def test_a_response_code_says_the_same_at_every_step(
    row: tuple[tuple[str, Cause, Cause], str],
) -> None:
    (code, auth, mailbox), text = row
    said = f"[{code}] {text}"
    assert meaning_of_imap(said, "NO", Circumstances(Stage.AUTH)).cause is auth
    assert meaning_of_imap(said, "NO", Circumstances(Stage.MAILBOX)).cause is mailbox


def test_the_stage_decides() -> None:
    def at(stage: Stage) -> Cause:
        return meaning_of_smtp(554, "5.7.1 no", Circumstances(stage)).cause

    assert at(Stage.GREETING) is Cause.GREETING_REJECTED
    assert at(Stage.TLS) is Cause.START_TLS_REJECTED
    assert at(Stage.AUTH) is Cause.AUTHENTICATION_FAILED
    assert at(Stage.SEND) is Cause.SEND_REFUSED
    assert at(Stage.RESOLVE) is Cause.PROTOCOL_ERROR


def test_the_provider_decides() -> None:
    def at(provider: str | None) -> Cause:
        about = Circumstances(provider=provider)
        return meaning_of_imap("[AUTHENTICATIONFAILED] no", "NO", about).cause

    assert at(None) is Cause.AUTHENTICATION_FAILED
    assert at("Fastmail") is Cause.APP_PASSWORD_REQUIRED
    assert at("Zoho") is Cause.WRONG_REGION_OR_APP_PASSWORD


def test_what_was_sent_decides() -> None:
    text = "5.7.8 Username and Password not accepted."
    token = Circumstances(sign_in=SignIn.TOKEN)
    assert meaning_of_smtp(535, text, token).cause is Cause.OAUTH_TOKEN_REJECTED
    plain = Circumstances(app_password_shaped=False)
    assert meaning_of_smtp(535, text, plain).cause is Cause.APP_PASSWORD_REQUIRED
    shaped = Circumstances(app_password_shaped=True)
    assert meaning_of_smtp(535, text, shaped).cause is Cause.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("milliseconds", "wait"),
    [("9000", timedelta(seconds=9)), ("999999999999", timedelta(days=1))],
)
def test_a_suggested_back_off_is_honoured_and_bounded(milliseconds: str, wait: timedelta) -> None:
    text = f"Request is throttled. Suggested Backoff Time: {milliseconds} milliseconds"
    assert meaning_of_imap(text, "BAD").wait == wait


def test_limits_of_a_day_wait_a_day() -> None:
    found = meaning_of_smtp(550, "5.4.5 Daily sending", Circumstances(Stage.SEND))
    assert found.cause is Cause.SEND_LIMIT_EXCEEDED
    assert found.wait == timedelta(days=1)
    assert not found.conclusive


def test_a_temporary_refusal_of_starttls_passes() -> None:
    tls = Circumstances(Stage.TLS)
    assert meaning_of_smtp(454, "later", tls).failure_class is FailureClass.TRANSIENT
    assert meaning_of_smtp(501, "no", tls).failure_class is FailureClass.CONFIGURATION


@given(st.integers(400, 499), st.text(), st.sampled_from(list(Stage)))
def test_4xx_never_is_a_verdict_on_credentials(code: int, text: str, stage: Stage) -> None:
    found = meaning_of_smtp(code, text, Circumstances(stage))
    assert not found.refuses_credentials or enhanced_code(text) == "4.7.12"


@given(st.text())
def test_bad_never_is_a_verdict_on_credentials_by_itself(text: str) -> None:
    found = meaning_of_imap(f"zzz {text}", "BAD")
    fragments = [one for row in rows() for one in row.text]
    if not any(fragment in text.lower() for fragment in fragments):
        assert not found.conclusive


@given(st.integers(), st.text(), st.text(), st.sampled_from(list(Stage)))
def test_no_reply_is_repeated(code: int, text: str, result: str, stage: Stage) -> None:
    marked, about = f"canary-{text}-canary", Circumstances(stage)
    for found in (
        meaning_of_smtp(code, marked, about),
        meaning_of_imap(marked, "NO", about),
        meaning_of_imap(marked, result, about),
    ):
        assert "canary" not in found.hint
        assert found.hint


@given(st.integers(400, 599), st.text())
def test_the_same_reply_has_the_same_meaning(code: int, text: str) -> None:
    assert meaning_of_smtp(code, text) == meaning_of_smtp(code, text)
    assert meaning_of_smtp(code, text) == meaning_of_smtp(code, text.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("text", "code"), [("5.7.8 no", "5.7.8"), ("no", None), ("9.9.9 x", None), ("5.7.8999 x", None)]
)
def test_enhanced_codes(text: str, code: str | None) -> None:
    assert enhanced_code(text) == code


@given(st.text())
def test_enhanced_codes_are_short(text: str) -> None:
    found = enhanced_code(text)
    assert found is None or len(found) <= 9


@pytest.mark.parametrize(
    ("code", "text", "cause"),
    [
        # A code that demands TLS of who has it already was sent for another reason.
        (530, "5.7.0 Authentication required", Cause.AUTHENTICATION_FAILED),
        (530, "5.7.1 Access denied", Cause.AUTHENTICATION_FAILED),
        (530, "no", Cause.AUTHENTICATION_FAILED),
        (530, "5.7.0 Account disabled", Cause.ACCOUNT_DISABLED),
        (530, "5.7.0 Must issue a STARTTLS command first", Cause.AUTH_REQUIRES_TLS),
        (535, "5.7.8 Connection is not secure, use SSL", Cause.AUTH_REQUIRES_TLS),
        (538, "no", Cause.AUTH_REQUIRES_TLS),
    ],
)
def test_over_tls_no_code_alone_asks_for_tls(code: int, text: str, cause: Cause) -> None:
    found = meaning_of_smtp(code, text, Circumstances(encrypted=True))
    assert found.cause is cause
    assert "tls.mode" not in found.hint
    if cause is Cause.AUTH_REQUIRES_TLS:
        # There is nothing to change in the spec.
        assert "over TLS already" in found.hint
        assert "tls.mode" in meaning_of_smtp(code, text).hint


def test_over_tls_imap_asks_for_tls_only_by_mistake() -> None:
    text = "[PRIVACYREQUIRED] Plaintext authentication disallowed"
    assert "tls.mode" in meaning_of_imap(text).hint
    found = meaning_of_imap(text, circumstances=Circumstances(encrypted=True))
    assert found.cause is Cause.AUTH_REQUIRES_TLS
    assert "over TLS already" in found.hint


def test_what_is_known_to_be_in_the_clear_asks_for_tls_by_its_code() -> None:
    assert meaning_of_smtp(530, "5.7.0 no").cause is Cause.AUTH_REQUIRES_TLS
