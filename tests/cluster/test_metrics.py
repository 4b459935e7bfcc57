# SPDX-License-Identifier: Apache-2.0
"""What a real operator says at /metrics is what the dashboard and the alerts ask for: every metric,
and every label that they name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.api_client import apply, service_account_kubeconfig
from cluster.objects import eventually
from cluster.post_office import BILLING, SUPPORT, PostOffice, account
from lab.test_dashboard import worker
from loopback import own_address
from postroom.controller.object_metrics import METRICS
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess
from promql import alerts, labels_in, panels, unknown_in
from scrapes import scraped

#: Of a refresh token, which no server of this lab takes; of mail that is handed over; of a message
#: that arrived, for which other tests wait; of what is too much for one namespace; and of what has
#: not gone wrong here.
_OF_OBJECTS = frozenset({"kind", "namespace", "name"})
NOT_HERE = {
    "postroom_refresh_token_not_after_timestamp_seconds": _OF_OBJECTS,
    "postroom_round_trip_latency_seconds": _OF_OBJECTS,
    "postroom_inbound_declared": _OF_OBJECTS,
    "postroom_inbound_rejected": _OF_OBJECTS,
    "postroom_series_left_out": frozenset({"metric", "namespace"}),
    "postroom_reconcile_errors_total": frozenset({"kind"}),
    "postroom_status_refused": frozenset({"namespace", "result"}),
}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[PostOffice]:
    with PostOffice(own_address(27), tmp_path / "office") as running:
        yield running


def test_the_dashboard_and_the_alerts_ask_for_what_an_operator_says(
    installed: ControlPlane, office: PostOffice, namespace: str, tmp_path: Path
) -> None:
    flags = (*office.lab.reach.flags, "--log-format=text", "--review-password-age=1s")
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    manifests = office.manifests(
        support=account(SUPPORT, roundTrip={"enabled": True}, sendLimits={"daily": 50}),
        billing=account(BILLING, reads=False, suspend=True),
    )
    domain = {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "SendingDomain",
        "metadata": {"name": "send"},
        "spec": {"domain": "send.example.com", "spf": {"ip4": ["192.0.2.1"]}},
    }
    with OperatorProcess(kubeconfig, tmp_path, flags) as operator:
        apply(installed, manifests, namespace)
        apply(installed, json.dumps(domain), namespace)
        installed.kubectl(
            *("patch", "mailserver/smtp", "-n", namespace, "--type=merge"),
            '-p={"spec":{"limits":{"daily":40}}}',
        )

        def told() -> bool:
            known = labels_in(operator.metrics())
            return {*METRICS} <= {*known, *NOT_HERE}

        eventually(told, "every metric of objects is told")
        known = NOT_HERE | labels_in(operator.metrics())
    # What another process says, which is held against real mail where that is handed over.
    known |= labels_in(asyncio.run(scraped(worker())))
    missing = {
        title: names
        for title, query in (*panels(), *alerts())
        if (names := unknown_in(query, known))
    }
    assert missing == {}
