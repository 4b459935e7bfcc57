# SPDX-License-Identifier: Apache-2.0
"""Mailboxes as LIST tells of them: the last part of a name, and where mail arrives."""

from __future__ import annotations

import pytest

from postroom.mail.imap.listing import Listed, where_mail_arrives


def mailbox(name: str, delimiter: str | None = "/", *uses: str) -> Listed:
    return Listed(name, delimiter, frozenset(uses))


@pytest.mark.parametrize(
    ("name", "delimiter", "leaf"),
    [
        ("Spam", "/", "Spam"),
        ("INBOX.Spam", ".", "Spam"),
        ("INBOX.Spam", "/", "INBOX.Spam"),
        ("a/b/Junk E-mail", "/", "Junk E-mail"),
        ("a/b/", "/", ""),
        ("Bulk Mail", None, "Bulk Mail"),
    ],
)
def test_the_last_part_of_a_name(name: str, delimiter: str | None, leaf: str) -> None:
    assert mailbox(name, delimiter).leaf == leaf


def test_a_special_use_goes_before_a_name() -> None:
    found = where_mail_arrives([mailbox("Spam"), mailbox("Werbung", "/", "Junk")])
    assert found == {"Junk": "Werbung"}


def test_without_a_special_use_the_first_by_name_is_for_junk() -> None:
    mailboxes = [mailbox("Spam"), mailbox("INBOX/junk"), mailbox("Spamming"), mailbox("All")]
    assert where_mail_arrives(mailboxes) == {"Junk": "INBOX/junk"}


def test_all_mail_is_known_by_its_special_use_alone() -> None:
    assert where_mail_arrives([mailbox("All"), mailbox("x", "/", "All")]) == {"All": "x"}
