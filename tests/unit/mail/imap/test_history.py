# SPDX-License-Identifier: Apache-2.0
"""Counts of messages by day, and of those that are there again."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from postroom.mail.imap.history import by_day, repeated


def test_days_are_utc_and_sorted() -> None:
    moments = [datetime(2026, 5, day, 23, tzinfo=UTC) for day in (3, 1, 3, 2)]
    counted = by_day(moments, date(2026, 5, 2))
    assert list(counted.items()) == [(date(2026, 5, 2), 1), (date(2026, 5, 3), 2)]


@pytest.mark.parametrize(
    ("names", "again"),
    [
        ([], 0),
        (["<a>", "<b>"], 0),
        (["<a>", "<b>", "<a>"], 1),
        (["<a>"] * 3, 2),
        (["<a>", "<a>", "<b>", "<b>"], 2),
        # A message without a Message-ID is nobody's double.
        (["", "", "<a>"], 0),
    ],
)
def test_messages_that_are_there_again(names: list[str], again: int) -> None:
    assert repeated(names) == again
