# SPDX-License-Identifier: Apache-2.0
"""Dates of IMAP (RFC 9051 section 9): as servers write them, absurd ones, and those of a SEARCH."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.dates import internal_date, search_date


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
)
def test_dates_are_read_back(naive: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment = naive.replace(microsecond=0, tzinfo=zone)
    sign, size = "+-"[minutes < 0], abs(minutes)
    text = f"{search_date(moment.date()):>11} {moment:%H:%M:%S} {sign}{size // 60:02}{size % 60:02}"
    assert internal_date(text.encode()) == moment


@given(st.binary(max_size=30))
def test_any_text_is_a_date_or_none(text: bytes) -> None:
    found = internal_date(text)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        b"31-Feb-2026 00:00:00 +0000",
        b"01-Foo-2026 00:00:00 +0000",
        b"01-Jan-0000 00:00:00 +0000",
        b"01-Jan-1904 00:00:00 +0000",
        b"01-Jan-2026 24:00:00 +0000",
        b"01-Jan-2026 00:00:00 +9900",
        b"31-Dec-9999 23:59:59 -1200",
        b"01-Jan-2026",
        b"",
    ],
)
def test_absurd_dates_are_none(text: bytes) -> None:
    assert internal_date(text) is None


def test_a_date_as_servers_write_it() -> None:
    expected = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
    assert internal_date(b"17-Jul-1996 02:44:25 -0700") == expected
    assert search_date(date(2026, 1, 5)) == "5-Jan-2026"
