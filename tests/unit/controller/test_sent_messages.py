# SPDX-License-Identifier: Apache-2.0
"""What an operator learns of messages when it starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postroom.api.names import Key, Kind
from postroom.concurrency.shards import Shard
from postroom.controller.cache import Cache
from postroom.controller.sent_messages import learn, recall
from postroom.reconcile.tenancy.budgets import SPACING, Budgets, Spender

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-06-01T11:58:00Z"
VICTIM = "victim@example.net"


def stored(
    kind: Kind, namespace: str, name: str, status: dict[str, Any] | None, created: str = OLD
) -> tuple[Kind, dict[str, Any]]:
    metadata = {
        "namespace": namespace,
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": created,
    }
    host: dict[str, Any] = {"host": "smtp.example.com"}
    address: dict[str, Any] = {"address": f"{name}@example.com", "credentialsRef": {"name": "s"}}
    spec = address if kind is Kind.EMAIL_ACCOUNT else host
    return kind, {"metadata": metadata, "spec": spec, "status": status}


def status_after(outcome: str, minute: int) -> dict[str, Any]:
    result = {
        "outcome": outcome,
        "time": f"2026-06-01T11:{minute}:00Z",
        "recipient": VICTIM,
        "reason": "Succeeded",
        "message": "",
    }
    return {"lastCheckTime": "2026-06-01T11:59:00Z", "lastTest": {"nonce": "n", "result": result}}


def opened(*objects: tuple[Kind, dict[str, Any]]) -> Budgets:
    cache = Cache()
    for kind, raw in objects:
        cache.put(kind, raw)
    budgets = Budgets(is_open=False)
    recall(budgets, cache, NOW)
    return budgets


def of(namespace: str, name: str) -> Spender:
    return Spender(namespace, name, f"{name}@example.com", "s")


def account(name: str, status: dict[str, Any] | None) -> tuple[Kind, dict[str, Any]]:
    return stored(Kind.EMAIL_ACCOUNT, "ns", name, status)


def test_without_anything_sent_messages_may_be() -> None:
    budgets = opened(account("a", None))
    assert budgets.wait(of("ns", "a"), YOUNG, NOW, VICTIM) == timedelta()


@pytest.mark.parametrize("outcome", ["Delivered", "Accepted", "NotDelivered", "Unknown"])
def test_what_was_sent_counts(outcome: str) -> None:
    budgets = opened(
        account("a", status_after(outcome, 58)), account("b", status_after(outcome, 57))
    )
    assert budgets.wait(of("ns", "a"), OLD, NOW) == timedelta(minutes=3)
    # Two went to this recipient, and more may have of which nothing tells: what two accounts could
    # do between them, one can no more until ten minutes after the start.
    assert budgets.wait(of("ns", "c"), OLD, NOW, VICTIM) == timedelta(minutes=8)
    assert budgets.wait(of("ns", "c"), OLD, NOW, "other@example.net") == timedelta(minutes=7)
    another = Spender("ns", "c", "c@example.com", "another secret")
    assert budgets.wait(another, OLD, NOW, "other@example.net") == timedelta()


@pytest.mark.parametrize("outcome", ["Failed", "Deferred"])
def test_what_was_not_sent_does_not(outcome: str) -> None:
    budgets = opened(
        account("a", status_after(outcome, 58)), account("b", status_after(outcome, 57))
    )
    assert budgets.wait(of("ns", "a"), OLD, NOW, VICTIM) == timedelta()


def test_what_was_sent_counts_when_a_later_test_was_refused() -> None:
    """The refusal takes the place of the test that went out, and so would its recipient's count."""
    status = status_after("Failed", 59)
    status["recentMessages"] = [
        {"time": "2026-06-01T11:58:00Z", "recipient": VICTIM},
        {"time": "2026-06-01T11:53:00Z", "recipient": VICTIM},
    ]
    budgets = opened(account("a", status))
    assert budgets.wait(of("ns", "a"), OLD, NOW) == timedelta(minutes=3)
    assert budgets.wait(of("ns", "c"), OLD, NOW, VICTIM) == timedelta(minutes=8)
    another = Spender("ns", "c", "c@example.com", "another secret")
    assert budgets.wait(another, OLD, NOW, "other@example.net") == timedelta()


def test_what_was_announced_may_have_been_sent() -> None:
    flight = {
        "step": "Sending",
        "token": "0" * 32,
        "time": "2026-06-01T11:59:00Z",
        "sender": "a@example.com",
        "recipient": VICTIM,
    }
    status = {"lastCheckTime": OLD, "roundTrip": {"inFlight": flight}}
    assert opened(account("a", status)).wait(of("ns", "a"), OLD, NOW) == timedelta(minutes=4)


def test_where_an_earlier_process_worked_young_accounts_wait() -> None:
    budgets = opened(stored(Kind.MAIL_SERVER, "ns", "smtp", {"lastCheckTime": OLD}))
    assert budgets.wait(of("ns", "a"), YOUNG, NOW) == SPACING
    assert budgets.wait(of("ns", "a"), OLD, NOW) == timedelta()
    assert budgets.wait(of("new", "a"), YOUNG, NOW) == timedelta()


def test_a_spec_that_is_none_stops_nobody() -> None:
    kind, raw = account("a", status_after("Accepted", 58))
    raw["spec"] = {"address": "none"}
    assert opened((kind, raw)).wait(of("ns", "b"), OLD, NOW) == timedelta()


def test_what_another_shard_is_seen_to_send_counts_once_for_login_and_recipient() -> None:
    shard = Shard(0, 2)
    theirs = next(name for name in map("ns-{}".format, range(99)) if not shard.has(name))
    budgets = Budgets(shard=shard)
    for minute, name in enumerate("abcdef", start=52):
        kind, raw = stored(Kind.EMAIL_ACCOUNT, theirs, name, status_after("Accepted", minute))
        for _ in range(2):
            learn(budgets, Key(kind, theirs, name), raw, NOW)
    ours = next(name for name in map("ns-{}".format, range(99)) if shard.has(name))
    # Six of all namespaces to this recipient, of which the first ends to count in two minutes.
    assert budgets.wait(of(ours, "z"), OLD, NOW, VICTIM) == timedelta(minutes=2)
    assert budgets.wait(of(ours, "z"), OLD, NOW, "other@example.net") == timedelta()
