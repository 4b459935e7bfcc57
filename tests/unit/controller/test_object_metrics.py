# SPDX-License-Identifier: Apache-2.0
"""The series that alerts are made of: from objects as they are stored, bounded per namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parsed

from postroom.api.names import Key, Kind
from postroom.controller.object_metrics import CONDITION, METRICS, ObjectMetrics, samples_of

PLACE = 'kind="EmailAccount",namespace="mail",name="a"'
END = "postroom_certificate_not_after_timestamp_seconds"
STATUS: dict[str, Any] = {
    "conditions": [
        {"type": "Ready", "status": "Unknown", "reason": "Progressing"},
        {"type": "SMTPAvailable", "status": "True", "reason": "ProbeSucceeded"},
        {"type": "Odd", "status": "Perhaps", "reason": "Odd"},
    ],
    "lastCheckTime": "2026-01-01T00:00:02Z",
    "lastReadyTime": "2026-01-01T00:00:01Z",
    "lastReadyGeneration": 3,
    "serverName": "relay",
    "sendPlan": {"daily": 500, "dailyFrom": "MailServer", "hourly": 50, "hourlyFrom": "Window"},
    "imapTls": {"notAfter": "2027-01-02T00:00:00Z", "chainNotAfter": "2027-01-01T00:00:00Z"},
    "lastSync": "2026-01-01T00:00:00Z",
    "mailbox": {"name": "INBOX", "messages": 9, "unseen": 4},
    "roundTrip": {
        "result": {
            "outcome": "DeliveredToSpam",
            "time": "2026-01-01T00:00:00Z",
            "recipient": "someone@example.com",
            "latencySeconds": 7,
        }
    },
    "findings": [
        {"code": "DKIM_MISSING", "severity": "Error", "subject": "one"},
        {"code": "DKIM_MISSING", "severity": "Error", "subject": "two"},
        {"code": "DMARC_WEAK", "severity": "Warning"},
    ],
}
#: How often one object with that status is in each metric.
TIMES = {metric: 1 for metric in METRICS if metric != "postroom_verification"} | {
    CONDITION: 2,
    "postroom_send_plan_messages": 2,
    "postroom_finding": 2,
}


def key(name: str = "a", namespace: str = "mail") -> Key:
    return Key(Kind.EMAIL_ACCOUNT, namespace, name)


def stored(status: Any) -> dict[str, Any]:
    spec = {"sendLimits": {"daily": 600}}
    return {"metadata": {"generation": 3}, "spec": spec, "status": status}


def lines_of(objects: dict[Key, dict[str, Any]], **bound: int) -> list[str]:
    """What Prometheus gets, without comments."""
    text = asyncio.run(ObjectMetrics(objects.items, **bound).text())
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_what_an_object_tells() -> None:
    plan = f"postroom_send_plan_messages{{{PLACE}"
    assert lines_of({key(): stored(STATUS)}) == [
        # Only the reason of Ready is a label, and a status that is none has no series.
        f'postroom_condition{{{PLACE},type="Ready",reason="Progressing"}} -1.0',
        f'postroom_condition{{{PLACE},type="SMTPAvailable",reason=""}} 1.0',
        f"postroom_been_ready{{{PLACE}}} 1.0",
        f"postroom_last_check_timestamp_seconds{{{PLACE}}} 1767225602.0",
        f"postroom_last_ready_timestamp_seconds{{{PLACE}}} 1767225601.0",
        # The first of the chain to end.
        f'{END}{{{PLACE},protocol="imap"}} 1798761600.0',
        f"postroom_last_sync_timestamp_seconds{{{PLACE}}} 1767225600.0",
        f"postroom_mailbox_unseen{{{PLACE}}} 4.0",
        f'postroom_round_trip{{{PLACE},outcome="DeliveredToSpam"}} 1.0',
        f"postroom_round_trip_timestamp_seconds{{{PLACE}}} 1767225600.0",
        f"postroom_round_trip_latency_seconds{{{PLACE}}} 7.0",
        f'{plan},period="day",source="MailServer",server_namespace="mail",server="relay"}} 500.0',
        f'{plan},period="hour",source="Window",server_namespace="mail",server="relay"}} 50.0',
        f'postroom_send_limit_messages{{{PLACE},period="day"}} 600.0',
        # A code that is found twice is one series.
        f'postroom_finding{{{PLACE},code="DKIM_MISSING",severity="Error"}} 1.0',
        f'postroom_finding{{{PLACE},code="DMARC_WEAK",severity="Warning"}} 1.0',
    ]


def test_a_server_tells_its_certificate_and_its_limits() -> None:
    status = {"tls": {"notAfter": "2027-01-01T00:00:00Z"}}
    raw = {"spec": {"limits": {"daily": 900, "hourly": 90}}, "status": status}
    assert list(samples_of(Key(Kind.MAIL_SERVER, "mail", "relay"), raw)) == [
        (END, ("smtp",), 1798761600.0),
        ("postroom_send_limit_messages", ("day",), 900),
        ("postroom_send_limit_messages", ("hour",), 90),
    ]


def test_a_spec_that_was_never_ready_is_told_from_one_that_was() -> None:
    domain = Key(Kind.SENDING_DOMAIN, "mail", "example")
    status = {"verification": "Degraded", "lastReadyGeneration": 2}
    assert list(samples_of(domain, stored(status)))[:2] == [
        ("postroom_been_ready", (), 0.0),
        ("postroom_verification", ("Degraded",), 1.0),
    ]


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"tls": None, "findings": None, "mailbox": 3, "lastSync": None, "roundTrip": []},
        {"tls": {"notAfter": "soon"}, "findings": [3, {}, {"severity": "Error"}]},
        {"lastCheckTime": "2026-01-01T00:00:00", "sendPlan": {"daily": "many"}},
        {"conditions": [{"type": "Ready"}, 3], "roundTrip": {"result": {"latencySeconds": "7"}}},
    ],
)
def test_what_is_not_told_has_no_series(status: Any) -> None:
    assert lines_of({key(): {"spec": None, "status": status}}) == []


@given(st.text(), st.text())
def test_whatever_stands_in_a_status_the_text_can_be_read(code: str, severity: str) -> None:
    finding = {"code": code, "severity": severity}
    text = asyncio.run(ObjectMetrics({key(): stored({"findings": [finding]})}.items).text())
    family = {found.name: found.samples for found in parsed(text)}["postroom_finding"]
    told = [(sample.labels["code"], sample.labels["severity"]) for sample in family]
    assert told == ([(code, severity)] if code else [])


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), unique=True),
    st.integers(1, 6),
)
def test_no_namespace_exceeds_its_bound_and_what_is_left_out_is_told(
    places: list[tuple[str, int]], most: int
) -> None:
    objects = {key(f"n{number}", space): stored(STATUS) for space, number in places}
    lines = lines_of(objects, most=most)
    for metric, each in TIMES.items():
        for space in "ab":
            wanted = each * sum(namespace == space for namespace, _ in places)
            shown = sum(
                line.startswith(f"{metric}{{") and f'namespace="{space}"' in line for line in lines
            )
            # Whether something is Ready is told of all.
            assert shown == (wanted if metric == CONDITION else min(wanted, most))
            bound = f'postroom_series_left_out{{metric="{metric}",namespace="{space}"}}'
            left = [line for line in lines if line.startswith(bound)]
            assert left == ([f"{bound} {float(wanted - most)}"] if wanted > shown else [])


async def test_others_run_while_many_objects_are_told_and_may_change_what_there_is() -> None:
    objects = {key(f"n{number}"): stored(STATUS) for number in range(1000)}
    told: list[str] = []

    def changing() -> Iterator[tuple[Key, dict[str, Any]]]:
        yield from objects.items()

    async def tell() -> None:
        told.append(await ObjectMetrics(changing).text())

    telling, turns = asyncio.ensure_future(tell()), 0
    while not telling.done():
        await asyncio.sleep(0)
        objects.pop(key(f"n{turns}"), None)
        turns += 1
    assert turns >= 10
    assert told[0].count('type="Ready"') == 1000
    # The series of what is gone end.
    assert (await ObjectMetrics(changing).text()).count('type="Ready"') == 1000 - turns
