# SPDX-License-Identifier: Apache-2.0
"""What the answer to EXAMINE or SELECT tells of a mailbox."""

from __future__ import annotations

from postroom.mail.imap.examine import Opened, opened


def test_what_opening_tells() -> None:
    lines = [b"3 EXISTS", b"OK [UIDVALIDITY 7] valid", b"OK [UIDNEXT 9] next", b"0 RECENT"]
    assert opened(lines) == Opened(3, 7, 9)
    assert opened([b"OK [UIDNEXT 0]", b"x EXISTS"]) == Opened(0, None, None)
