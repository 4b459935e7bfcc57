# SPDX-License-Identifier: Apache-2.0
"""Who has an address, on a real control plane with servers of the lab.

Covers: one address in two namespaces, of which neither is named in the other; handing it over by
disconnecting; a domain that is verified goes before age; one application for each address.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.api_client import apply, create_namespace, delete_namespace
from cluster.objects import eventually, hello, is_ready, objects, one, reason_of
from cluster.post_office import BILLING, SUPPORT, PostOffice, account
from kstatus import compute, conditions_of
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane

ACCOUNT, DOMAIN = Kind.EMAIL_ACCOUNT, Kind.SENDING_DOMAIN


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(12), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.fixture
def neighbour(installed: ControlPlane) -> Iterator[str]:
    name = f"secret-{uuid.uuid4().hex[:8]}"
    create_namespace(installed, name)
    yield name
    delete_namespace(installed, name)


@pytest.mark.usefixtures("started")
def test_an_address_belongs_to_one(
    installed: ControlPlane, office: PostOffice, namespace: str, neighbour: str
) -> None:
    plane = installed

    def make(place: str, manifests: str) -> None:
        apply(plane, manifests, place)

    def get(place: str, name: str = "support") -> dict[str, Any]:
        return one(plane, place, ACCOUNT, name)

    def patch(place: str, spec: dict[str, Any], name: str = "support") -> None:
        change = json.dumps({"spec": spec})
        plane.kubectl("patch", "eacct", name, "-n", place, "--type=merge", "-p", change)

    def sender(place: str) -> str | None:
        found = (get(place).get("status") or {}).get("effectiveSender") or {}
        return str(found["address"]) if "address" in found else None

    def refused(place: str) -> bool:
        return reason_of(get(place)) == "AddressConflict" and sender(place) is None

    make(neighbour, office.manifests(support=account(SUPPORT)))
    eventually(lambda: sender(neighbour) == SUPPORT, "the first one has the address")
    make(namespace, office.manifests(support=account(SUPPORT)))
    eventually(lambda: refused(namespace), "the second one is refused")
    assert compute(get(namespace)) == "Failed"
    assert neighbour not in json.dumps(get(namespace)["status"])

    def told() -> list[str]:
        return [finding["code"] for finding in get(neighbour)["status"].get("findings", [])]

    eventually(lambda: told() == ["ADDRESS_CONFLICT"], "the first one is told")
    assert sender(neighbour) == SUPPORT, "nothing else changes for it"
    assert namespace not in json.dumps(get(neighbour)["status"])

    patch(neighbour, {"connection": "Disconnected"})
    eventually(lambda: sender(namespace) == SUPPORT, "it is handed over")
    patch(neighbour, {"connection": "Connected"})
    eventually(lambda: refused(namespace), "and taken back")

    make(namespace, hello("send"))
    eventually(lambda: is_ready(one(plane, namespace, DOMAIN, "send")), "the domain is verified")
    eventually(lambda: sender(namespace) == SUPPORT, "who has the domain has its addresses")
    eventually(lambda: refused(neighbour), "who has not gives way")
    plane.kubectl("delete", "sdom", "send", "-n", namespace)
    eventually(lambda: sender(neighbour) == SUPPORT, "age counts again")
    plane.kubectl("delete", "eacct", "support", "-n", neighbour)

    # One application for each address.
    plane.kubectl("delete", "eacct", "support", "-n", namespace)
    support = account(SUPPORT, consumer={"name": "support-bot"}, identities=[{"address": BILLING}])
    billing = account(BILLING, consumer={"name": "billing-bot"})
    make(namespace, office.manifests(support=support, billing=billing))

    def identity() -> str:
        entries = (get(namespace).get("status") or {}).get("identities", [])
        return next((each["reason"] for each in entries if each["address"] == BILLING), "")

    eventually(lambda: identity() == "ConsumerConflict", "the address is another application's")
    eventually(lambda: is_ready(get(namespace, "billing")), "which has it")
    assert get(namespace, "billing")["status"]["consumer"] == "billing-bot"
    message = conditions_of(get(namespace))["Ready"]["message"]
    assert "application billing-bot" in message and "EmailAccount billing" in message
    patch(namespace, {"consumer": {"name": "support-bot"}}, "billing")
    eventually(lambda: is_ready(get(namespace)), "one application may have both")
    shown = plane.kubectl("get", "eacct", "-n", namespace, "-o", "wide").stdout
    assert "support-bot" in shown
    objects(plane, namespace)
