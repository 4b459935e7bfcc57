# SPDX-License-Identifier: Apache-2.0
"""What only a person mends, and where mail is sent on to, with the real operator on a real API
server and servers of the lab.

Covers: a refused password of a new server and of a new account fails kstatus and Argo CD at once,
and recovers by a new Secret; the technical address that is derived of the receiver: the same after
the account was created again, seen by the receiver, proven by a message, missed when the receiver
goes; that the phase of a sync can be waited for.
"""

from __future__ import annotations

import json
import re
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
from postroom.lab.lab import PASSWORDS

ACCOUNT, SERVER = Kind.EMAIL_ACCOUNT, Kind.MAIL_SERVER


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(15), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.mark.usefixtures("started")
def test_a_refused_password_fails_at_once_and_a_new_secret_mends_it(
    installed: ControlPlane, office: PostOffice, namespace: str
) -> None:
    plane = installed

    def get(kind: Kind = ACCOUNT, name: str = "support") -> dict[str, Any]:
        return one(plane, namespace, kind, name)

    def put(password: str, user: str = SUPPORT, name: str = "support") -> None:
        change = json.dumps({"stringData": {"username": user, "password": password}})
        plane.kubectl("patch", "secret", name, "-n", namespace, "--type=merge", "-p", change)

    secrets = json.loads(office.manifests())
    secrets["items"] = [item for item in secrets["items"] if item["kind"] == "Secret"]
    apply(plane, json.dumps(secrets), namespace)
    put("wrong")
    specs = json.loads(office.manifests(support=account(SUPPORT)))
    specs["items"] = [item for item in specs["items"] if item["kind"] != "Secret"]
    apply(plane, json.dumps(specs), namespace)
    eventually(lambda: compute(get()) == "Failed", "it fails long before its deadline")
    found = get()
    assert argo_health(found) == "Degraded"
    assert conditions_of(found)["Stalled"]["reason"] == "AuthenticationRejected"
    assert found["status"]["findings"][0]["fix"]["instruction"]
    objects(plane, namespace)  # each honours the status contract

    put(PASSWORDS[SUPPORT])
    now = "postroom.dev/requested-at=now"
    plane.kubectl("annotate", "eacct", "support", "-n", namespace, now)
    eventually(lambda: is_ready(get()), "the new Secret is enough")
    assert (compute(get()), argo_health(get())) == ("Current", "Healthy")
    idle = "--for=jsonpath={.status.sync.phase}=Idle"
    plane.kubectl("wait", idle, "eacct/support", "-n", namespace, "--timeout=120s")


@pytest.mark.usefixtures("started")
def test_mail_is_sent_on_to_an_address_that_stays(
    installed: ControlPlane, office: PostOffice, namespace: str
) -> None:
    plane = installed

    def get(name: str = "support") -> dict[str, Any]:
        return one(plane, namespace, ACCOUNT, name)

    def technical() -> str:
        return str(get()["status"].get("forwarding", {}).get("technicalAddress", ""))

    office.redirects = {SUPPORT: BILLING}
    to_billing = account(SUPPORT, reads=False, forwarding={"receiverRef": {"name": "billing"}})
    text = office.manifests(support=to_billing, billing=account(BILLING))
    apply(plane, text, namespace)
    wait = ("wait", "--for=condition=ForwardingVerified", "eacct/support", "-n", namespace)
    plane.kubectl(*wait, "--timeout=120s")
    local, _, domain = BILLING.partition("@")
    address = technical()
    assert re.fullmatch(rf"{local}\+[a-z2-7]{{16}}@{domain}", address)
    seen = {"name": "support", "address": SUPPORT, "technicalAddress": address}
    eventually(lambda: get("billing")["status"].get("forwardedFrom") == [seen], "billing knows")

    plane.kubectl("delete", "eacct", "support", "-n", namespace)
    eventually(lambda: not get("billing")["status"].get("forwardedFrom"), "nobody forwards")
    apply(plane, text, namespace)
    eventually(lambda: is_judged(get()) and technical() == address, "it is the same again")

    plane.kubectl("delete", "eacct", "billing", "-n", namespace)

    def reasons() -> set[str]:
        found = conditions_of(get())
        wanted = ("ForwardingVerified", "ReferencesResolved", "Ready")
        return {str(found.get(each, {}).get("reason")) for each in wanted}

    eventually(lambda: reasons() == {"EmailAccountNotFound"}, "the receiver is missed")
    assert technical() == address
