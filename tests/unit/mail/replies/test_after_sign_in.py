# SPDX-License-Identifier: Apache-2.0
"""What a reply means once a sign-in was accepted, and where AUTH is offered or not.

Covers: no reply to a transaction then asks for credentials, nor is held against the sender what is
said of a sign-in; what is said of AUTH against what is offered; and that no mailbox that does not
open has its name blamed for what a response code says of something else (RFC 5530).
"""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.reasons import Reason
from postroom.mail.operations import Acceptance
from postroom.mail.replies import (
    Cause,
    Circumstances,
    Protocol,
    Stage,
    causes,
    meaning_of_imap,
    meaning_of_smtp,
    rows,
)
from postroom.mail.replies.families import families
from postroom.mail.smtp.answers import answer_to_sender
from rows import over

TRANSACTION = (Stage.MAIL, Stage.RCPT, Stage.DATA)
#: What asks for a sign-in or for other credentials.
ASKS_TO_SIGN_IN = re.compile(
    r"credentialsRef|oauth|submission port|\bsign in\b(?! from)|correct (username|the password)",
    re.I,
)
ABOUT_THE_SIGN_IN = (
    "530 5.7.0 Authentication required",
    "530 5.7.1 Client was not authenticated",
    "530 5.7.57 Client not authenticated to send mail.",
    "530 no",
    "503 5.5.1 AUTH not available",
    "503 5.5.1 Error: need AUTH command",
    "503 must issue AUTH first",
    "502 5.5.2 Please authenticate first",
    "535 5.7.8 Authentication credentials invalid",
    "535 5.7.0 Error: authentication failed",
    "535 Login incorrect",
    "535 5.7.3 Authentication unsuccessful",
    "534 5.7.9 Authentication mechanism is too weak",
    "534 no",
    "550 5.7.8 no",
    "554 5.7.8 bad credentials",
    "550 5.7.1 authentication required",
    "550 5.7.1 invalid username or password",
    "554 5.7.0 Your credentials expired",
    "550 access denied - invalid login",
    "550 5.7.1 Rejected: bad password",
    "550 5.7.1 Login failed",
    "553 5.7.1 <a@example.com>: Sender address rejected: not logged in",
)
REPLIES = [
    example
    for entry in (*rows(), *(family.entry for family in families()))
    if entry.protocol in (None, Protocol.SMTP)
    for example in entry.examples
    if example[:1] in "45"
]


def signed_in(stage: Stage) -> Circumstances:
    return Circumstances(stage, encrypted=True, authenticated=True, offered=True)


@over(product(TRANSACTION, ABOUT_THE_SIGN_IN))
def test_whoever_is_signed_in_is_asked_for_no_sign_in(row: tuple[Stage, str]) -> None:
    stage, reply = row
    code, text = int(reply[:3]), reply[4:]
    without = meaning_of_smtp(code, text, Circumstances(stage))
    assert without.cause in (Cause.AUTH_NOT_ACCEPTED, Cause.AUTH_NOT_OFFERED)
    found = meaning_of_smtp(code, text, signed_in(stage))
    assert found.cause is Cause.AUTH_DISREGARDED
    assert found.reason is Reason.SENDING_DENIED
    assert "credentials are good" in found.hint
    assert found.row == without.row
    # The sender has no part in it.
    answer = answer_to_sender(code, text, found, "x.")
    assert answer.acceptance is Acceptance.UNKNOWN


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("554 5.7.1 <a@example.com>: Relay access denied", Cause.RELAY_DENIED),
        ("454 4.7.1 Relay access denied", Cause.RELAY_DENIED),
        ("538 no", Cause.AUTH_REQUIRES_TLS),
        ("550 5.7.13 no", Cause.ACCOUNT_DISABLED),
        ("454 4.7.0 Temporary authentication failure", Cause.SEND_TEMPORARY_FAILURE),
        ("432 4.7.12 A password transition is needed", Cause.SEND_TEMPORARY_FAILURE),
        ("550 5.7.60 SMTP; Client does not have permissions", Cause.SENDER_NOT_PERMITTED),
        ("550 5.7.1 no", Cause.SEND_REFUSED),
        ("550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
         Cause.SENDER_UNAUTHENTICATED),
        ("550 Unknown username", Cause.RECIPIENT_REJECTED),
    ],
)  # fmt: skip
def test_what_is_not_about_the_sign_in_stays_what_it_is(reply: str, cause: Cause) -> None:
    for about in (Circumstances(Stage.MAIL, encrypted=True), signed_in(Stage.MAIL)):
        assert meaning_of_smtp(int(reply[:3]), reply[4:], about).cause is cause


def test_a_protected_archive_is_no_matter_of_credentials() -> None:
    for text in ("Password-protected archive: invalid", "Archive with an incorrect password"):
        found = meaning_of_smtp(554, text, signed_in(Stage.DATA))
        assert found.cause is not Cause.AUTH_DISREGARDED


def test_what_passes_by_its_code_passes_after_a_sign_in_too() -> None:
    found = meaning_of_smtp(451, "4.7.0 Authentication required", signed_in(Stage.MAIL))
    assert found.cause is Cause.AUTH_DISREGARDED
    assert not found.conclusive


@given(
    code=st.integers(400, 599),
    text=st.sampled_from(REPLIES).map(lambda reply: reply[4:]),
    stage=st.sampled_from(TRANSACTION),
)
def test_no_known_reply_asks_whoever_is_signed_in_to_sign_in(
    code: int, text: str, stage: Stage
) -> None:
    found = meaning_of_smtp(code, text, signed_in(stage))
    # That passwords are taken no longer is said of ones that were right.
    if found.cause is not Cause.BASIC_AUTH_DISABLED:
        assert not ASKS_TO_SIGN_IN.search(found.hint), found


def test_every_cause_that_asks_for_a_sign_in_says_what_it_means_after_one() -> None:
    reach = {
        entry.cause
        for entry in (*rows(), *(family.entry for family in families()))
        if entry.protocol in (None, Protocol.SMTP)
        and {Stage.SEND, *TRANSACTION} & set(entry.stages)
    }
    for cause in reach - {Cause.BASIC_AUTH_DISABLED}:
        entry = causes()[cause]
        if ASKS_TO_SIGN_IN.search(entry.remedy):
            assert entry.after_sign_in or entry.remedy_after_sign_in, cause


def test_what_is_said_of_auth_is_held_against_what_is_offered() -> None:
    off = "5.5.1 Error: authentication not enabled"
    assert "submission port" in meaning_of_smtp(503, off).hint
    offering = meaning_of_smtp(503, off, Circumstances(offered=True))
    assert offering.cause is Cause.AUTH_NOT_OFFERED
    assert "submission port" not in offering.hint
    assert "offers AUTH, and then takes none" in offering.hint

    wants = "5.7.0 Authentication required"
    unknown, lacking = (
        meaning_of_smtp(530, wants, Circumstances(Stage.MAIL, offered=offered)).hint
        for offered in (None, False)
    )
    assert "offers none here" not in unknown
    assert "offers none here: use the submission port" in lacking


#: By response code, what the answer to EXAMINE or SELECT means, and what its remedy must say.
OF_MAILBOXES = {
    "AUTHENTICATIONFAILED": (Cause.AUTH_DISREGARDED, Reason.MAILBOX_NOT_FOUND, "are good"),
    "AUTHORIZATIONFAILED": (Cause.MAILBOX_NOT_CONNECTED, Reason.MAILBOX_NOT_FOUND, "may not act"),
    "EXPIRED": (Cause.PASSWORD_EXPIRED, Reason.ACCOUNT_DISABLED, "renew it"),
    "PRIVACYREQUIRED": (Cause.AUTH_REQUIRES_TLS, Reason.ENCRYPTION_REQUIRED, "TLS"),
    "CONTACTADMIN": (Cause.MAILBOX_UNAVAILABLE, Reason.MAILBOX_NOT_FOUND, "administrator"),
    "NOPERM": (Cause.MAILBOX_UNAVAILABLE, Reason.MAILBOX_NOT_FOUND, "the right to read"),
    "CORRUPTION": (Cause.MAILBOX_UNAVAILABLE, Reason.MAILBOX_NOT_FOUND, "repaired"),
    "CANNOT": (Cause.MAILBOX_UNAVAILABLE, Reason.MAILBOX_NOT_FOUND, "imap.mailbox"),
    "NONEXISTENT": (Cause.MAILBOX_UNAVAILABLE, Reason.MAILBOX_NOT_FOUND, "imap.mailbox"),
    "UNAVAILABLE": (Cause.MAILBOX_TEMPORARY_FAILURE, Reason.TEMPORARY_FAILURE, "Wait"),
    "INUSE": (Cause.MAILBOX_TEMPORARY_FAILURE, Reason.TEMPORARY_FAILURE, "Wait"),
    "SERVERBUG": (Cause.MAILBOX_TEMPORARY_FAILURE, Reason.TEMPORARY_FAILURE, "Wait"),
    "LIMIT": (Cause.SERVER_THROTTLED, Reason.SERVER_THROTTLED, "limit"),
    "OVERQUOTA": (Cause.MAILBOX_QUOTA_EXCEEDED, Reason.PROBE_SUCCEEDED, "quota"),
    "CLIENTBUG": (Cause.PROTOCOL_ERROR, Reason.PROBE_INCONCLUSIVE, "log"),
}


@pytest.mark.parametrize("result", ["NO", "BAD"])
@pytest.mark.parametrize("response", OF_MAILBOXES)
def test_a_mailbox_that_does_not_open_is_told_by_its_response_code(
    response: str, result: str
) -> None:
    cause, reason, remedy = OF_MAILBOXES[response]
    for text in ("no", "Permission denied", "EXAMINE failed"):
        found = meaning_of_imap(f"[{response}] {text}", result, signed_in(Stage.MAILBOX))
        assert (found.cause, found.reason) == (cause, reason)
        assert remedy in found.hint
        # Nothing but the name is mended by another name, nothing by other credentials.
        assert ("imap.mailbox" in found.hint) is (response in ("CANNOT", "NONEXISTENT"))
        assert not ASKS_TO_SIGN_IN.search(found.hint)


def test_a_mailbox_that_opens_over_tls_only_asks_for_tls_where_there_is_none() -> None:
    text = "[PRIVACYREQUIRED] no"
    in_the_clear = meaning_of_imap(text, "NO", Circumstances(Stage.MAILBOX))
    assert "set tls.mode" in in_the_clear.hint
    over_tls = meaning_of_imap(text, "NO", signed_in(Stage.MAILBOX))
    assert "tls.mode" not in over_tls.hint


@pytest.mark.parametrize("response", ["AUTHENTICATIONFAILED", "CANNOT", "CONTACTADMIN", "EXPIRED"])
def test_a_mailbox_whose_words_pass_stays_closed_for_a_while_only(response: str) -> None:
    text = f"[{response}] Backend is temporarily unavailable"
    assert not meaning_of_imap(text, "NO", signed_in(Stage.MAILBOX)).conclusive
