# SPDX-License-Identifier: Apache-2.0
"""How long a server asks to be left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postroom.mail.replies.waits import suggested_wait


@pytest.mark.parametrize(
    ("words", "wait"),
    [
        ("try again in 92 seconds", timedelta(seconds=92)),
        ("please wait one hour", timedelta(hours=1)),
        ("blocked for about 15 minutes", timedelta(minutes=15)),
        ("come back after another 2 days", timedelta(days=1)),
        ("suggested backoff time: 2500 milliseconds", timedelta(seconds=2.5)),
        ("suggested backoff time: 999999999999 milliseconds", timedelta(days=1)),
        ("in 99999 hours", timedelta(days=1)),
        ("retry after 1h", timedelta(hours=1)),
        ("locked for 30m.", timedelta(minutes=30)),
        ("wait 2 hrs", timedelta(hours=2)),
        ("in 5-10 minutes", timedelta(minutes=10)),
        ("in 5 to 10 minutes", timedelta(minutes=10)),
        ("for 5 months", None),
        ("in a moment", None),
        ("try again later", None),
        ("wait for it", None),
        ("", None),
    ],
)
def test_what_is_said_of_a_wait_is_believed_up_to_a_day(words: str, wait: timedelta | None) -> None:
    assert suggested_wait(words) == wait
