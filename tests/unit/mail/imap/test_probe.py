# SPDX-License-Identifier: Apache-2.0
"""What STATUS is asked for: what every server knows, and what this one offers."""

from __future__ import annotations

import pytest

from postroom.mail.imap.probe import counts_asked

ALWAYS = "MESSAGES UNSEEN UIDNEXT UIDVALIDITY"


@pytest.mark.parametrize(
    ("offered", "items"),
    [
        (set(), f"({ALWAYS})"),
        ({"STATUS=SIZE"}, f"({ALWAYS} SIZE)"),
        ({"IMAP4REV2"}, f"({ALWAYS} SIZE)"),
        ({"APPENDLIMIT"}, f"({ALWAYS} APPENDLIMIT)"),
        # One for all mailboxes (RFC 7889 section 4) is no answer of STATUS.
        ({"APPENDLIMIT=35651584", "IMAP4REV1", "SIZE"}, f"({ALWAYS})"),
        ({"STATUS=SIZE", "APPENDLIMIT"}, f"({ALWAYS} SIZE APPENDLIMIT)"),
    ],
)
def test_counts_that_are_asked_for(offered: set[str], items: str) -> None:
    assert counts_asked(offered) == items
