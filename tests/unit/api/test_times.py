# SPDX-License-Identifier: Apache-2.0
"""metav1.Time: RFC 3339 in UTC to the second, and nothing else is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.times import SKEW, no_later, parse_timestamp, timestamp


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 1),
        max_value=datetime(2200, 1, 1),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30))]),
    )
)
def test_what_is_written_is_read_to_the_second(moment: datetime) -> None:
    read = parse_timestamp(timestamp(moment))
    assert read == moment.replace(microsecond=0)
    assert read.utcoffset() == timedelta()


@given(st.timedeltas(min_value=-timedelta(days=9999), max_value=timedelta(days=9999)))
def test_what_a_wrong_clock_told_is_told_as_of_now(ahead: timedelta) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    text = timestamp(now + ahead)
    wrong = parse_timestamp(text) - now > SKEW
    assert no_later(text, timestamp(now)) == (timestamp(now) if wrong else text)


def test_the_zone_is_utc() -> None:
    moment = datetime(2026, 1, 1, 0, 30, 0, 999_999, timezone(timedelta(hours=1)))
    assert timestamp(moment) == "2025-12-31T23:30:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-21",
        "2026-11-21T12:00:00",
        "2026-11-21T12:00:00+00:00",
        "2026-11-21T12:00:00.5Z",
        "2026-02-30T12:00:00Z",
        "2026-11-21T24:00:00Z",
    ],
)
def test_what_kubernetes_does_not_write_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not match format|unconverted|out of range"):
        parse_timestamp(text)
