# SPDX-License-Identifier: Apache-2.0
"""What the worker tells Prometheus of messages and of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from postroom.api.names import Key, Kind
from postroom.controller.inbound import figures
from postroom.delivery.answers import PASSED_BY, Meaning
from postroom.delivery.contract import Progress
from postroom.metrics import WriteResult

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def value(told: figures.Figures, metric: str, **labels: str) -> float | None:
    return told.registry.get_sample_value(metric, labels)


def test_each_outcome_is_counted_once_by_namespace() -> None:
    told = figures.Figures()
    for meaning in Meaning:
        told.offered("mail", meaning.value, 100)
    told.offered("mail", PASSED_BY, 100)
    assert value(told, "postroom_deliver_delivered_total", namespace="mail") == 1
    assert value(told, "postroom_deliver_bytes_total", namespace="mail") == 100
    assert value(told, "postroom_deliver_rejected_total", namespace="mail") == 1
    for meaning in ("Later", "Refused", "Stop"):
        labels = {"namespace": "mail", "meaning": meaning}
        assert value(told, "postroom_deliver_retries_total", **labels) == 1
    assert value(told, "postroom_deliver_delivered_total", namespace="other") is None


def test_what_is_known_beforehand_is_told_before_the_first_event() -> None:
    """Of a namespace: once the first of its accounts is looked after."""
    told = figures.Figures()
    assert value(told, "postroom_deliver_errors_total") == 0
    for result in WriteResult:
        assert value(told, "postroom_deliver_status_writes_total", result=result) == 0
    told.begun("mail")
    for metric in ("delivered", "bytes", "rejected", "sessions_ceded"):
        assert value(told, f"postroom_deliver_{metric}_total", namespace="mail") == 0
    for meaning in ("Later", "Refused", "Stop"):
        labels = {"namespace": "mail", "meaning": meaning}
        assert value(told, "postroom_deliver_retries_total", **labels) == 0
    assert value(told, "postroom_deliver_delivered_total", namespace="other") is None


def test_sessions_that_make_way_are_counted_by_whose_they_are() -> None:
    told = figures.Figures()
    told.ceded("mail")
    told.ceded("mail")
    assert value(told, "postroom_deliver_sessions_ceded_total", namespace="mail") == 2


def accounts(progresses: Mapping[str, Progress]) -> figures.Figures:
    told = figures.Figures()
    keys = {Key(Kind.EMAIL_ACCOUNT, "mail", name): each for name, each in progresses.items()}
    told.observe_accounts(keys.items, lambda: NOW)
    return told


def test_what_waits_is_told_of_each_account() -> None:
    behind = Progress(waiting=3, waiting_since=NOW - timedelta(minutes=5))
    told = accounts({"a": behind, "b": replace(behind, waiting=0, waiting_since=None)})
    for name, waiting, lag in (("a", 3, 300), ("b", 0, 0)):
        labels = {"namespace": "mail", "name": name}
        assert value(told, "postroom_deliver_waiting", **labels) == waiting
        assert value(told, "postroom_deliver_lag_seconds", **labels) == lag


def test_a_clock_of_a_server_that_is_ahead_is_no_lag() -> None:
    told = accounts({"a": Progress(waiting=1, waiting_since=NOW + timedelta(hours=1))})
    assert value(told, "postroom_deliver_lag_seconds", namespace="mail", name="a") == 0


def test_a_namespace_has_so_many_series_and_no_more() -> None:
    most = figures.MOST_OF_A_NAMESPACE
    told = accounts({str(number): Progress() for number in range(most + 5)})
    (family,) = (one for one in told.registry.collect() if one.name == "postroom_deliver_waiting")
    assert len(family.samples) == most
