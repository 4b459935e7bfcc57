# SPDX-License-Identifier: Apache-2.0
"""How long after a message of an account there is none, as its status tells."""

from datetime import datetime, timedelta

from postroom.reconcile.status import schedule
from postroom.reconcile.tenancy.budgets import SPACING


def too_early(last: str | None, now: datetime) -> timedelta | None:
    """Return what is left of the five minutes after a message; None: nothing."""
    if last is None:
        return None
    left = schedule.past(last, now) + SPACING - now
    return left if left > timedelta() else None
