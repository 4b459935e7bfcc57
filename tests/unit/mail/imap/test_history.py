# SPDX-License-Identifier: Apache-2.0
"""Counts of messages by day."""

from __future__ import annotations

from datetime import UTC, date, datetime

from postroom.mail.imap.history import by_day


def test_days_are_utc_and_sorted() -> None:
    moments = [datetime(2026, 5, day, 23, tzinfo=UTC) for day in (3, 1, 3, 2)]
    counted = by_day(moments, date(2026, 5, 2))
    assert list(counted.items()) == [(date(2026, 5, 2), 1), (date(2026, 5, 3), 2)]
