# SPDX-License-Identifier: Apache-2.0
"""What servers say of a sign-in that failed, behind whatever they say of the connection, access or
transaction: made of parts, each of which servers do say.

A refused sign-in stays refused, at AUTH as a verdict on the credentials, at MAIL and RCPT as a
server that wants one; what speaks of systems behind the server, of many tries, or of the message's
proof is none of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product

import pytest

from postroom.mail.replies import (
    Cause,
    Circumstances,
    Meaning,
    Stage,
    meaning_of_imap,
    meaning_of_smtp,
)

LEADS = (
    "Access denied", "Connection refused", "Connection rejected", "Connection closed",
    "Connection reset", "Connection lost", "Your connection was refused", "Rejected", "Denied",
    "Sorry", "Error", "Transaction failed", "Permission denied", "Not allowed", "Command rejected",
    "Session terminated", "Service refused", "Request denied", "Client refused", "Login denied",
    "Access to this service denied", "Submission refused", "5.7.1 Access denied",
    "5.7.0 Connection refused",
)  # fmt: skip
JOINS = (": ", " - ", ", ", "; ", " because of ", " due to ", " after ", " (")
#: As Exchange, Postfix, Exim, Dovecot, Zimbra, sendmail, Courier, qmail, Gmail, Yahoo, GMX,
#: mail.ru, Yandex, SES, SendGrid and Mailgun word it, without what each puts around it.
FAILED = (
    "authentication failed", "authentication failure", "authentication unsuccessful",
    "authentication rejected", "authentication denied", "failed authentication", "auth failed",
    "incorrect authentication data", "authentication credentials invalid", "invalid credentials",
    "bad credentials", "credentials rejected", "failed login", "login failed", "login incorrect",
    "invalid login", "bad login", "sign-in failed", "bad password", "wrong password",
    "incorrect password", "password mismatch", "wrong username or password",
    "bad username or password", "unknown user or bad password", "invalid user or password",
    "username and password not accepted", "user not authenticated", "not logged in",
    "login expired",
)  # fmt: skip


def smtp(code: int, text: str, stage: Stage) -> Meaning:
    return meaning_of_smtp(code, text, Circumstances(stage, encrypted=True))


def texts_of(failed: str) -> Iterator[str]:
    """Every lead, and every way to join one that speaks of access, or of the connection."""
    yield failed.capitalize()
    yield from (f"{lead}: {failed}" for lead in LEADS)
    for lead, join in product(("Access denied", "Connection refused"), JOINS):
        yield f"{lead}{join}{failed}{')' if join == ' (' else ''}"


@pytest.mark.parametrize("failed", FAILED)
def test_a_sign_in_that_failed_is_one_whatever_is_said_before(failed: str) -> None:
    for text, code in zip(texts_of(failed), cycle((535, 550, 554)), strict=False):
        found = smtp(code, text, Stage.AUTH)
        assert (found.cause, found.conclusive) == (Cause.AUTHENTICATION_FAILED, True), text
        for stage in (Stage.MAIL, Stage.RCPT):
            found = smtp(code, text, stage)
            assert (found.cause, found.conclusive) == (Cause.AUTH_NOT_ACCEPTED, True), text
        over_imap = meaning_of_imap(text, "NO", Circumstances(Stage.AUTH))
        assert (over_imap.cause, over_imap.conclusive) == (Cause.AUTHENTICATION_FAILED, True), text
        # By its code it passes, whatever the words.
        assert not smtp(454, text, Stage.AUTH).conclusive


@pytest.mark.parametrize(
    ("text", "stage", "cause", "conclusive"),
    [
        # A system behind the server is not reached.
        ("Connection refused", Stage.AUTH, Cause.AUTH_TEMPORARY_FAILURE, False),
        ("LDAP: connection refused", Stage.AUTH, Cause.AUTH_TEMPORARY_FAILURE, False),
        ("LDAP connection refused, login failed", Stage.AUTH, Cause.AUTH_TEMPORARY_FAILURE, False),
        ("Login failed: connection refused", Stage.AUTH, Cause.AUTH_TEMPORARY_FAILURE, False),
        (
            "Connection refused by the LDAP server, login failed",
            Stage.AUTH,
            Cause.AUTH_TEMPORARY_FAILURE,
            False,
        ),
        (
            "Connection lost while checking, authentication failed",
            Stage.AUTH,
            Cause.AUTH_TEMPORARY_FAILURE,
            False,
        ),
        (
            "Connection refused: authentication server error",
            Stage.AUTH,
            Cause.AUTH_TEMPORARY_FAILURE,
            False,
        ),
        # Many tries are a block, which ends.
        ("Connection refused: too many failed logins", Stage.AUTH, Cause.TOO_MANY_LOGINS, False),
        ("Connection refused: too many failed logins", Stage.MAIL, Cause.TOO_MANY_LOGINS, False),
        # What failed may be the message's proof, or that of the sender's domain.
        ("Message rejected: authentication failed", Stage.RCPT, Cause.SEND_REFUSED, True),
        ("Authentication failed for domain example.com", Stage.MAIL, Cause.SEND_REFUSED, True),
        ("Authentication failed", Stage.DATA, Cause.MESSAGE_REJECTED, True),
        ("DKIM authentication failed", Stage.RCPT, Cause.SENDER_UNAUTHENTICATED, True),
        ("SPF authentication failed", Stage.MAIL, Cause.SENDER_UNAUTHENTICATED, True),
        # Who is denied is another.
        ("Relay access denied: authentication failed", Stage.RCPT, Cause.RELAY_DENIED, True),
        ("Sender rejected: authentication failed", Stage.MAIL, Cause.SENDER_NOT_PERMITTED, True),
        ("Access denied", Stage.RCPT, Cause.SEND_REFUSED, True),
    ],
)
def test_what_only_looks_like_a_sign_in_that_failed_stays_what_it_is(
    text: str, stage: Stage, cause: Cause, conclusive: bool
) -> None:
    found = smtp(550, text, stage)
    assert (found.cause, found.conclusive) == (cause, conclusive)


def test_after_a_sign_in_that_was_accepted_no_credentials_are_asked_for() -> None:
    about = Circumstances(Stage.MAIL, encrypted=True, authenticated=True)
    found = meaning_of_smtp(550, "Access denied: authentication failed", about)
    assert found.cause is Cause.AUTH_DISREGARDED
    assert "credentialsRef" not in found.hint
