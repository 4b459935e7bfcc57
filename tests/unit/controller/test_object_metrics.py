# SPDX-License-Identifier: Apache-2.0
"""The series that alerts are made of: from statuses as they are stored, bounded per namespace."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from postroom.api.names import Key, Kind
from postroom.metrics import METRICS, ObjectMetrics, samples_of

PLACE = 'kind="EmailAccount",name="a",namespace="mail"'
END = "postroom_certificate_not_after_timestamp_seconds"
STATUS: dict[str, Any] = {
    "imapTls": {"notAfter": "2027-01-02T00:00:00Z", "chainNotAfter": "2027-01-01T00:00:00Z"},
    "lastSync": "2026-01-01T00:00:00Z",
    "mailbox": {"name": "INBOX", "messages": 9, "unseen": 4},
    "findings": [
        {"code": "DKIM_MISSING", "severity": "Error", "subject": "one"},
        {"code": "DKIM_MISSING", "severity": "Error", "subject": "two"},
        {"code": "DMARC_WEAK", "severity": "Warning"},
    ],
}


def key(name: str = "a", namespace: str = "mail") -> Key:
    return Key(Kind.EMAIL_ACCOUNT, namespace, name)


def series(objects: dict[Key, dict[str, Any]], **bound: int) -> list[str]:
    """What Prometheus gets, without comments."""
    registry = CollectorRegistry()
    items = [(place, {"status": status}) for place, status in objects.items()]
    registry.register(ObjectMetrics(lambda: items, **bound))
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_what_a_status_tells() -> None:
    assert series({key(): STATUS}) == [
        # The first of the chain to end.
        f'{END}{{{PLACE},protocol="imap"}} 1.7987616e+09',
        f"postroom_last_sync_timestamp_seconds{{{PLACE}}} 1.7672256e+09",
        f"postroom_mailbox_unseen{{{PLACE}}} 4.0",
        # A code that is found twice is one series.
        f'postroom_finding{{code="DKIM_MISSING",{PLACE},severity="Error"}} 1.0',
        f'postroom_finding{{code="DMARC_WEAK",{PLACE},severity="Warning"}} 1.0',
    ]


def test_the_certificate_of_a_server() -> None:
    (sample,) = samples_of({"status": {"tls": {"notAfter": "2027-01-01T00:00:00Z"}}})
    assert sample == (END, ("smtp",), 1798761600.0)


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"tls": None, "findings": None, "mailbox": 3, "lastSync": None},
        {"tls": {"notAfter": "soon"}, "findings": [3, {}, {"severity": "Error"}]},
    ],
)
def test_what_is_not_told_has_no_series(status: dict[str, Any]) -> None:
    assert series({key(): status}) == []


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), unique=True),
    st.integers(1, 6),
)
def test_no_namespace_exceeds_its_bound_and_what_is_left_out_is_told(
    places: list[tuple[str, int]], most: int
) -> None:
    objects = {key(f"n{number}", space): STATUS for space, number in places}
    lines = series(objects, most=most)
    for metric in METRICS:
        each = 2 if metric == "postroom_finding" else 1
        for space in "ab":
            wanted = each * sum(namespace == space for namespace, _ in places)
            shown = sum(
                line.startswith(f"{metric}{{") and f'namespace="{space}"' in line for line in lines
            )
            assert shown == min(wanted, most)
            labels = f'metric="{metric}",namespace="{space}"'
            bound = f"postroom_series_left_out{{{labels}}}"
            left = [line for line in lines if line.startswith(bound)]
            told = [f"{bound} {float(wanted - most)}"]
            assert left == (told if wanted > most else [])
