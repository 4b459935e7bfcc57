# SPDX-License-Identifier: Apache-2.0
"""Five minutes between two messages, told by a status that another clock may have written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from postroom.api.times import SKEW, timestamp
from postroom.reconcile.account.messages.spacing import too_early

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AHEAD = -timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ago", "left"),
    [
        (None, None),
        (timedelta(minutes=5), None),
        (timedelta(minutes=2), timedelta(minutes=3)),
        (timedelta(), timedelta(minutes=5)),
        (AHEAD, timedelta(minutes=5)),
        (AHEAD - SKEW, None),
    ],
)
def test_five_minutes_lie_between_two_messages(
    ago: timedelta | None, left: timedelta | None
) -> None:
    last = timestamp(NOW - ago) if ago is not None else None
    assert too_early(last, NOW) == left
