# SPDX-License-Identifier: Apache-2.0
"""What messages of ours an earlier process sent, or that of another shard, as far as statuses
tell."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from postroom.api.names import Key, Kind
from postroom.api.resource import EmailAccount, InvalidSpec, parse
from postroom.controller.cache import Cache
from postroom.controller.raw_objects import Raw, status_of
from postroom.reconcile.account.messages import spending
from postroom.reconcile.tenancy.budgets import Budgets

_TELL_OF_MESSAGES = ("lastTest", "roundTrip", "forwarding")


def recall(budgets: Budgets, cache: Cache, now: datetime) -> None:
    """Learn from all statuses, and open the budgets.

    Where a status tells that an earlier process looked at something of a namespace, that one may
    also have sent messages of accounts that are gone.
    """
    inherited = set()
    for key, raw in cache.objects():
        status = raw.get("status")
        if not isinstance(status, Mapping) or not status.get("lastCheckTime"):
            continue
        inherited.add(key.namespace)
        learn(budgets, key, raw, now)
    budgets.open(now, inherited)


def learn(budgets: Budgets, key: Key, raw: Raw, now: datetime) -> None:
    """Learn from the status of an object, if it is an account and tells of messages."""
    status = status_of(raw)
    if key.kind is Kind.EMAIL_ACCOUNT and any(name in status for name in _TELL_OF_MESSAGES):
        try:
            account = cast("EmailAccount", parse(key.kind, raw))
        except InvalidSpec:
            return
        spending.learn(budgets, account, None, now)
