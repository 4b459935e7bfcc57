# SPDX-License-Identifier: Apache-2.0
"""What servers' refusals mean: the table, its rows, the standard's codes, and its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postroom.api.reasons import Reason
from postroom.mail.replies import (
    ImapRow,
    SmtpRow,
    enhanced_code,
    meaning_of_imap,
    meaning_of_smtp,
    table,
)

SMTP: list[tuple[int, str, Reason, str]] = [
    (535, "5.7.8 wrong", Reason.AUTHENTICATION_REJECTED, "app password"),
    (535, "5.7.3 Authentication unsuccessful", Reason.AUTHENTICATION_REJECTED, "Correct"),
    (534, "5.7.9 Application-specific password required.", Reason.AUTHENTICATION_REJECTED, "app"),
    (534, "5.7.14 Please log in via your web browser", Reason.ACCOUNT_DISABLED, "web browser"),
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
    (535, "5.7.8 Account locked", Reason.ACCOUNT_DISABLED, "Unlock"),
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
    ("Request is throttled. Suggested Backoff Time: 9 ms", "BAD", Reason.TEMPORARY_FAILURE),
    ("LOGIN failed.", "NO", Reason.AUTHENTICATION_REJECTED),
    ("see [UNAVAILABLE] in the manual", "NO", Reason.AUTHENTICATION_REJECTED),
    ("Command syntax", "BAD", Reason.PROBE_INCONCLUSIVE),
    ("closing", "BYE", Reason.PROBE_INCONCLUSIVE),
]


@pytest.mark.parametrize(("text", "result", "reason"), IMAP)
def test_imap_replies(text: str, result: str, reason: Reason) -> None:
    assert meaning_of_imap(text, result).reason is reason


@given(st.integers(400, 499), st.text())
def test_4xx_never_is_a_verdict_on_credentials(code: int, text: str) -> None:
    found = meaning_of_smtp(code, text)
    assert not found.refuses_credentials or enhanced_code(text) == "4.7.12"


@given(st.text())
def test_bad_never_is_a_verdict_on_credentials_by_itself(text: str) -> None:
    found = meaning_of_imap(f"zzz {text}", "BAD")
    fragments = [row.text for row in table().imap if row.text]
    if not any(one in text.lower() for one in fragments):
        assert not found.conclusive


@given(st.integers(400, 599), st.text())
def test_no_reply_is_repeated(code: int, text: str) -> None:
    marked = f"canary-{text}-canary"
    for found in (meaning_of_smtp(code, marked), meaning_of_imap(marked)):
        assert "canary" not in found.hint
        assert found.hint


def test_every_row_can_be_reached() -> None:
    for row in table().smtp:
        text = f"{row.enhanced} {row.text}"
        hints = {meaning_of_smtp(code, text).hint for code in row.codes}
        assert not row.hint or row.hint in hints
    for one in table().imap:
        text = f"[{one.response}] {one.text}" if one.response else one.text
        assert meaning_of_imap(text).reason is one.reason


@pytest.mark.parametrize(
    "row",
    [
        {"codes": [535], "reason": "AuthenticationRejected"},
        {"codes": [], "reason": "AuthenticationRejected", "source": "x"},
        {"codes": [535], "text": "Capital", "reason": "AuthenticationRejected", "source": "x"},
        {"codes": [535], "reason": "NoSuchReason", "source": "x"},
        {"codes": [535], "enhanced": "5.x", "reason": "AccountDisabled", "source": "x"},
        {"codes": [535], "hint": "no capital", "reason": "AccountDisabled", "source": "x"},
        {"codes": [535], "typo": "", "reason": "AccountDisabled", "source": "x"},
    ],
)
def test_bad_rows_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SmtpRow.model_validate(row)


def test_a_row_that_matches_everything_is_refused() -> None:
    with pytest.raises(ValidationError):
        ImapRow.model_validate({"reason": "AccountDisabled", "source": "x"})


@pytest.mark.parametrize(
    ("text", "code"), [("5.7.8 no", "5.7.8"), ("no", None), ("9.9.9 x", None), ("5.7.8999 x", None)]
)
def test_enhanced_codes(text: str, code: str | None) -> None:
    assert enhanced_code(text) == code


@given(st.text())
def test_enhanced_codes_are_short(text: str) -> None:
    found = enhanced_code(text)
    assert found is None or len(found) <= 9
