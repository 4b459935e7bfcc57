# SPDX-License-Identifier: Apache-2.0
"""How IMAP writes dates (RFC 9051 section 9: date, date-time)."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE_TIME = re.compile(
    rb"\s?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"
)
#: The earliest year that a message can have come in; servers write others where they know none.
_FIRST_YEAR = 1970


def internal_date(text: bytes) -> datetime | None:
    """Return when a message arrived, in UTC; None for what is no date-time."""
    found = _DATE_TIME.fullmatch(text)
    month = found[2].decode().capitalize() if found else ""
    if found is None or month not in _MONTHS or int(found[3]) < _FIRST_YEAR:
        return None
    away = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        return datetime(
            int(found[3]),
            _MONTHS.index(month) + 1,
            int(found[1]),
            int(found[4]),
            int(found[5]),
            min(int(found[6]), 59),  # a leap second
            tzinfo=timezone(-away if found[7] == b"-" else away),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def search_date(day: date) -> str:
    """Write a day for SEARCH, in English whatever the locale is."""
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04}"
