# SPDX-License-Identifier: Apache-2.0
"""What the answer to EXAMINE or SELECT tells of a mailbox."""

from __future__ import annotations

from postroom.mail.imap.examine import Opened, opened


def test_what_opening_tells() -> None:
    lines = [b"3 EXISTS", b"OK [UIDVALIDITY 7] valid", b"OK [UIDNEXT 9] next", b"0 RECENT"]
    assert opened(lines) == Opened(3, 7, 9)
    assert opened([b"0 EXISTS", b"OK [UIDNEXT 0]"]) == Opened(0, None, None)


def test_without_the_number_of_messages_nothing_is_told() -> None:
    assert opened([b"OK [UIDVALIDITY 7] valid", b"OK [UIDNEXT 9] next", b"x EXISTS"]) is None
    assert opened([]) is None
