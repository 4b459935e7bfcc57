# SPDX-License-Identifier: Apache-2.0
"""Disconnecting an account on a real control plane, with servers of the lab.

Covers: it stops and says what stops, others notice within seconds, kstatus and Argo CD, the Event,
``kubectl postroom``, the way back, an account that is taken out of use before anybody looked at it,
and an identity that is turned off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.api_client import apply
from cluster.objects import eventually, is_judged, is_ready, objects, one
from cluster.post_office import BILLING, SUPPORT, PostOffice, account
from kstatus import argo_health, compute, conditions_of
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane

ACCOUNT = Kind.EMAIL_ACCOUNT


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(11), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.mark.usefixtures("started")
def test_an_account_is_disconnected_and_connected_again(
    installed: ControlPlane, office: PostOffice, namespace: str
) -> None:
    plane = installed

    def get(name: str = "support") -> dict[str, Any]:
        return one(plane, namespace, ACCOUNT, name)

    def sender(name: str = "support") -> dict[str, Any]:
        return dict((get(name).get("status") or {}).get("effectiveSender") or {})

    def patch(spec: dict[str, Any], name: str = "support") -> None:
        change = json.dumps({"spec": spec})
        plane.kubectl("patch", "eacct", name, "-n", namespace, "--type=merge", "-p", change)

    identity = {"address": BILLING, "enabled": False}
    trip = {"enabled": True, "receiverRef": {"name": "support"}}
    made = office.manifests(
        support=account(SUPPORT, identities=[identity]), billing=account(BILLING, roundTrip=trip)
    )
    apply(plane, made, namespace)
    eventually(lambda: is_ready(get()) and sender().get("address") == SUPPORT, "it sends")
    states = {each["address"]: each["state"] for each in get()["status"]["identities"]}
    assert states == {SUPPORT: "Verified", BILLING: "Disabled"}
    eventually(lambda: is_ready(get("billing")), "its mailbox receives the round trip")

    patch({"connection": "Disconnected"})
    eventually(lambda: sender() == {"reason": "Disconnected"}, "nobody sends as it")
    found = get()
    assert conditions_of(found)["Suspended"]["reason"] == "Disconnected"
    assert (compute(found), argo_health(found)) == ("Current", "Suspended")
    assert found["status"]["disconnection"] == {
        "reliedOnBy": [{"kind": "EmailAccount", "name": "billing", "use": "Receiver"}],
        "stoppedIdentities": [SUPPORT],
    }
    told = "ReceiverDisconnected"

    def trips() -> dict[str, Any]:
        return dict(conditions_of(get("billing")).get("RoundTripHealthy", {}))

    eventually(lambda: trips().get("reason") == told, "who relied on it says so")
    assert "EmailAccount support" in trips()["message"]

    def notes() -> list[str]:
        events = plane.kubectl("get", "events", "-n", namespace, "-o", "json").stdout
        items = json.loads(events)["items"]
        return [each["type"] for each in items if each["reason"] == "Disconnected"]

    eventually(lambda: notes() != [], "an Event tells of it")
    assert notes() == ["Warning"]
    shown = plane.kubectl("get", "eacct", "-n", namespace, "-o", "wide").stdout
    assert "Disconnected" in shown
    objects(plane, namespace)  # each honours the status contract

    patch({"connection": "Connected"})
    eventually(lambda: sender().get("address") == SUPPORT, "it sends again")
    assert "disconnection" not in get()["status"]
    eventually(lambda: trips().get("reason") != told, "and receives again")

    fresh = account(SUPPORT, connection="Disconnected")
    plane.kubectl("delete", "eacct", "support", "-n", namespace)
    manifests = office.manifests(support=fresh)
    apply(plane, manifests, namespace)
    eventually(lambda: is_judged(get()), "it is answered for")
    assert conditions_of(get())["Ready"]["status"] == "Unknown"
    assert argo_health(get()) == "Suspended"
