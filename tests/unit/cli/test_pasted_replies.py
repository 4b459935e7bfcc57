# SPDX-License-Identifier: Apache-2.0
"""Every reply that the catalogue has an example of is explained as the catalogue means it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.cli import pasted_replies
from postroom.mail.replies.catalogue import rows, specific_rows
from postroom.mail.replies.model import Protocol

SURE = [row for row in specific_rows() if row.text and not row.only_at_provider]
SIGN_INS = [
    (example, row.cause)
    for row in SURE
    if row.protocol is Protocol.SMTP and row.app_password_shaped is None and row.sign_in is None
    for example in row.examples
    if example[:3] in {"432", "454", "525", "530", "534", "535", "538"}
]
CODES = sorted({f"{example[:3]}" for row in rows() for example in row.examples if row.codes})


@pytest.mark.parametrize(("reply", "cause"), SIGN_INS)
def test_a_whole_reply_is_what_the_catalogue_says(reply: str, cause: str) -> None:
    assert [each.meaning.cause for each in pasted_replies.explained(reply)] == [cause]


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        # Said to a command that should have come after the sign-in, and not to that (RFC 4954).
        ("530 5.7.0 Authentication Required. For more information, go to", "AuthNotAccepted"),
        ("530 5.7.0 Must issue a STARTTLS command first", "AuthRequiresTLS"),
        ("525 5.7.13 User account disabled", "AccountDisabled"),
        ("a1 NO [NONEXISTENT] Unknown Mailbox: Tickets (Failure)", "MailboxUnavailable"),
        ("a1 NO [INUSE] Mailbox in use", "MailboxTemporaryFailure"),
        ("a1 NO [UNAVAILABLE] Temporary authentication failure.", "AuthTemporaryFailure"),
    ],
)
def test_a_reply_is_judged_as_what_can_be_answered_by_it(reply: str, cause: str) -> None:
    assert [each.meaning.cause for each in pasted_replies.explained(reply)] == [cause]


@pytest.mark.parametrize("code", CODES)
def test_every_code_means_something(code: str) -> None:
    assert pasted_replies.explained(code)


@given(st.integers(400, 599), st.integers(0, 999), st.integers(0, 999))
def test_every_enhanced_code_means_something(code: int, subject: int, detail: int) -> None:
    enhanced = f"{str(code)[0]}.{subject}.{detail}"
    assert pasted_replies.explained(enhanced)
    assert pasted_replies.explained(f"{code} {enhanced}")


@given(st.text(max_size=200))
def test_nothing_that_is_pasted_fails_or_is_printed_in_part(pasted: str) -> None:
    found = pasted_replies.explained(pasted)
    assert list(pasted_replies.paragraphs(found)) if found else not found


@pytest.mark.parametrize(
    "text", ["", "hello", "192.0.2.5", "port 587", "v5.7", "mx1.example.com:465"]
)
def test_what_is_no_reply_means_nothing(text: str) -> None:
    assert pasted_replies.explained(text) == []
