# SPDX-License-Identifier: Apache-2.0
"""A scan fetches every header field that conclusions are drawn from: what it leaves out would look
as if a server on the way had dropped it. And what it knows of mailboxes and their positions."""

from __future__ import annotations

from postroom.mail.imap import scan
from postroom.mail.imap.listing import listed
from postroom.mail.imap.scan import positions_in, same_mailbox, special_use_of
from postroom.mail.operations import Position
from postroom.mail.round_trip import FIELD_NAMES


def test_every_field_that_is_judged_is_fetched() -> None:
    assert {name.upper() for name in FIELD_NAMES} <= set(scan.FIELDS.split())


def test_the_special_use_of_a_mailbox() -> None:
    mailboxes = listed([b'LIST (\\Junk) "/" "Spam"'])
    assert special_use_of("Spam", mailboxes) == "\\Junk"
    assert special_use_of("spam", mailboxes) is None
    assert same_mailbox("inbox", "INBOX")


def test_positions() -> None:
    lines = [b'STATUS "Entw&APw-rfe" (UIDNEXT 4 UIDVALIDITY 2)', b"STATUS x (UIDNEXT 4)"]
    assert positions_in(lines) == [Position("Entwürfe", 2, 4)]
