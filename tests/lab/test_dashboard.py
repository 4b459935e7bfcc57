# SPDX-License-Identifier: Apache-2.0
"""The dashboard by promtool: each query is one, names metrics and labels that /metrics has, and
returns something where there is something to show.

promtool is that of Debian, as for the alerts.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from lab.promtool import promtool
from postroom.api.mailserver import ProbeStage
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.concurrency.shards import WHOLE
from postroom.controller.inbound import figures
from postroom.controller.inbound.figures import Figures
from postroom.controller.shard_objects import ShardObjects
from postroom.delivery.contract import Progress
from postroom.mail.report import ProbeReport
from postroom.metrics import GAUGES, Metrics, WriteResult
from promql import alerts, labels_in, panels, unknown_in
from scrapes import scraped, told_of

_TIME = "2026-01-01T00:00:00Z"


def _condition(kind: str, status: str, reason: str = "Odd") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason}


#: An account of which much is wrong, one that waits for an edit, one at rest, a server, a domain.
OBJECTS: dict[tuple[Kind, str], dict[str, Any]] = {
    (Kind.EMAIL_ACCOUNT, "regressed"): {
        "conditions": [
            _condition("Ready", "False", "RoundTripFailed"),
            _condition("RoundTripHealthy", "False"),
        ],
        "lastReadyGeneration": 1,
        "lastReadyTime": _TIME,
        "lastCheckTime": _TIME,
        "lastSync": _TIME,
        "credentials": [{"use": "RefreshToken", "changedAt": _TIME, "endsAt": _TIME}],
        "mailbox": {"unseen": 3},
        "serverName": "relay",
        "sendPlan": {"daily": 50, "dailyFrom": "SendLimits"},
        "imapTls": {"notAfter": _TIME},
        "roundTrip": {"result": {"outcome": "DeliveredToSpam", "time": _TIME, "latencySeconds": 9}},
        "findings": [
            {"code": "PASSWORD_OLD", "severity": "Info"},
            {"code": "SYNC_OVERDUE", "severity": "Warning"},
            {"code": "REFRESH_TOKEN_AGING", "severity": "Warning"},
            {"code": "MAILBOX_FULL", "severity": "Error"},
            {"code": "WITHOUT_A_PLACE", "severity": "Info"},
        ],
    },
    (Kind.EMAIL_ACCOUNT, "stalled"): {
        "conditions": [_condition("Ready", "Unknown"), _condition("Stalled", "True")]
    },
    (Kind.EMAIL_ACCOUNT, "resting"): {"conditions": [_condition("Suspended", "True")]},
    (Kind.MAIL_SERVER, "relay"): {
        "conditions": [_condition("Ready", "True")],
        "tls": {"notAfter": _TIME},
    },
    (Kind.SENDING_DOMAIN, "failed"): {
        "conditions": [_condition("Ready", "False")],
        "verification": "Failed",
    },
}


SPECS: dict[tuple[Kind, str], dict[str, Any]] = {
    (Kind.MAIL_SERVER, "relay"): {"limits": {"daily": 40}},
    (Kind.EMAIL_ACCOUNT, "regressed"): {"inbound": {"deliver": {}}},
}


@pytest.fixture(scope="module")
def scrape() -> str:
    """What an operator that knows these objects, and has been busy, says."""

    metrics = Metrics()
    for kind in Kind:
        metrics.reconcile_seconds.labels(kind=kind).observe(0.1)
        metrics.reconcile_errors.labels(kind=kind).inc()
    for result in ("written", "forbidden"):
        metrics.status_writes.labels(result=result).inc()
    metrics.status_refused.labels("mail", "forbidden").set(1)
    metrics.events.labels(result="created").inc()
    metrics.observe_session(
        "smtp", 0.2, ProbeReport(ProbeStage.DONE, Reason.PROBE_SUCCEEDED, "", True)
    )
    for name in GAUGES:
        metrics.observe_gauge(name, lambda: 1.0)
    ShardObjects(set(), lambda key: True).tell(metrics, "postroom", WHOLE, lambda: True)
    stored = {
        Key(kind, "mail", name): {
            "metadata": {"generation": 1},
            "spec": SPECS.get((kind, name), {}),
            "status": status,
        }
        for (kind, name), status in OBJECTS.items()
    }
    # So few that one is left out, which is shown, too.
    metrics.observe_objects(told_of(stored, most=4).pieces)
    # Of the process both say the same.
    other = asyncio.run(scraped(worker())).splitlines(keepends=True)
    own = "".join(line for line in other if "postroom_deliver_" in line)
    return asyncio.run(scraped(metrics)) + own


def worker() -> Figures:
    """What a worker that has been busy says of the same accounts."""
    told = Figures()
    for result in ("HandedOver", "Later"):
        told.offered("mail", result, 100)
    for name in figures.GAUGES:
        told.observe_gauge(name, lambda: 1.0)
    waiting = Progress(waiting=2, waiting_since=datetime(2026, 1, 1, tzinfo=UTC))
    account = Key(Kind.EMAIL_ACCOUNT, "mail", "regressed")
    told.wrote(account, WriteResult.FORBIDDEN)
    told.observe_accounts(lambda: [(account, waiting)], lambda: datetime.now(UTC))
    return told


def unanswered(queries: Sequence[tuple[str, str]], scrape: str, directory: Path) -> list[str]:
    """Have promtool ask each query at that scrape; the titles of those that have no answer."""
    series = [
        {"series": f"{sample.name}{_braced(sample.labels)}", "values": f"{sample.value}x30"}
        for family in parsed(scrape)
        for sample in family.samples
    ]
    firing = {"alertname": "PostroomRegressed", "alertstate": "firing", "severity": "critical"}
    series.append({"series": f"ALERTS{_braced(firing)}", "values": "1x30"})
    cases = [
        # What stands for nothing found is left out, so that something must be.
        {"expr": f"count({query.replace(' or vector(0)', '')}) >= bool 1", "eval_time": "20m"}
        | {"exp_samples": [{"labels": "{}", "value": 1}]}
        for _, query in queries
    ]
    test = {
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}],
    }
    (directory / "dashboard.test.json").write_text(json.dumps(test))
    ran = subprocess.run(
        [promtool(), "test", "rules", "dashboard.test.json"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode in (0, 1), ran
    said = ran.stdout + ran.stderr
    return [
        title
        for (title, _), case in zip(queries, cases, strict=True)
        if f"expr: {json.dumps(case['expr'])}," in said
    ]


def _braced(labels: dict[str, str]) -> str:
    scraped = labels | {"instance": "10.0.0.1:8080", "job": "postroom"}
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in scraped.items()) + "}"


def test_each_query_is_one(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(panels())
    ]
    (tmp_path / "panels.yaml").write_text(
        json.dumps({"groups": [{"name": "panels", "rules": rules}]})
    )
    command = [promtool(), "check", "rules", "--lint-fatal", "panels.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (ran.returncode, f"{len(rules)} rules found" in ran.stdout) == (0, True), ran


def test_each_query_names_what_metrics_have(scrape: str) -> None:
    known = labels_in(scrape)
    assert {
        title: missing
        for title, query in (*panels(), *alerts())
        if (missing := unknown_in(query, known))
    } == {}


def test_each_query_returns_something(scrape: str, tmp_path: Path) -> None:
    assert unanswered(list(panels()), scrape, tmp_path) == []


def test_a_query_without_an_answer_is_noticed(scrape: str, tmp_path: Path) -> None:
    wrong = [
        ("Verified", 'count(postroom_verification{verification="Verified"}) or vector(0)'),
        ("No such join", "postroom_been_ready and on (type) postroom_condition"),
        ("Right", "postroom_verification"),
    ]
    assert unanswered(wrong, scrape, tmp_path) == ["Verified", "No such join"]
