# SPDX-License-Identifier: Apache-2.0
"""A MailServer that accounts of another namespace use, on a real control plane.

Covers: what the API server refuses; a server that is not there, one that admits nobody, and one
that admits the account; a Secret that names no host; permission withdrawn and the server deleted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.api_client import create_namespace, delete_namespace
from cluster.lab_process import LabProcess
from cluster.objects import eventually, reason_of
from cluster.test_defaults import ACCOUNT, SERVER, SMTP, SUPPORT, Mail
from kstatus import conditions_of
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess


@pytest.fixture
def neighbour(installed: ControlPlane) -> Iterator[str]:
    name = f"platform-{uuid.uuid4().hex[:8]}"
    create_namespace(installed, name)
    yield name
    delete_namespace(installed, name)


def test_a_server_of_another_namespace_is_used_while_it_lets_us(
    operator: OperatorProcess,
    installed: ControlPlane,
    lab: LabProcess,
    namespace: str,
    neighbour: str,
) -> None:
    theirs, ours = Mail(installed, neighbour, lab), Mail(installed, namespace, lab)
    operator.start()

    def account() -> dict[str, Any]:
        return ours.get(ACCOUNT, "support")

    def sends() -> bool:
        return "address" in (account().get("status") or {}).get("effectiveSender", {})

    def permitted(**allowed: Any) -> None:
        theirs.put(SERVER, "relay", **SMTP, allowedNamespaces=allowed)

    reference = {"name": "relay", "namespace": neighbour}
    login = {"credentialsRef": {"name": "support"}}
    ours.put(ACCOUNT, "support", address=SUPPORT, serverRef=reference, **login)
    eventually(lambda: reason_of(account()) == "MailServerNotPermitted", "there is no server")
    missing = conditions_of(account())["Ready"]["message"]
    permitted()
    eventually(
        lambda: theirs.get(SERVER, "relay").get("status", {}).get("accounts") == 0, "counted"
    )
    assert conditions_of(account())["Ready"]["message"] == missing, "nobody learns that it is there"
    permitted(**{"from": "Names", "names": [namespace]})
    eventually(lambda: reason_of(account()) == "ReferenceNotPermitted", "the Secret names no host")
    assert not sends()
    host = f"postroom.dev/allowed-hosts={SMTP['host']}"
    installed.kubectl("annotate", "secret", "support", "-n", namespace, host)
    installed.kubectl(
        "annotate", "eacct", "support", "-n", namespace, "postroom.dev/requested-at=now"
    )
    eventually(sends, "it sends")
    status = account()["status"]
    assert (status["serverName"], status["serverNamespace"]) == ("relay", neighbour)
    eventually(lambda: theirs.get(SERVER, "relay")["status"]["accounts"] == 1, "it is counted")
    shown = theirs.get(SERVER, "relay")["status"]
    assert (shown["usedByCount"], "usedBy" in shown) == (1, False)
    assert namespace not in json.dumps(shown), "it is counted, and not named"
    ours.put(
        ACCOUNT,
        "second",
        address="second@example.net",
        roundTrip={"receiverRef": {"name": "support"}},
    )
    uses = [{"kind": "EmailAccount", "name": "second", "use": "Receiver"}]
    eventually(lambda: account()["status"].get("usedBy") == uses, "an account shows who uses it")

    permitted(**{"from": "Names", "names": ["nobody"]})
    eventually(lambda: reason_of(account()) == "MailServerNotPermitted", "it is withdrawn")
    assert not sends() and conditions_of(account())["Ready"]["message"] == missing
    permitted(**{"from": "All"})
    eventually(sends, "it is granted again")
    installed.kubectl("delete", "msrv", "relay", "-n", neighbour)
    eventually(lambda: reason_of(account()) == "MailServerNotPermitted", "it is gone")
    assert not sends()


def test_the_api_server_refuses_what_is_ambiguous(
    installed: ControlPlane, lab: LabProcess, namespace: str
) -> None:
    mail = Mail(installed, namespace, lab)
    for wrong in ({"from": "Names"}, {"from": "All", "names": ["a"]}, {"names": ["a"]}):
        with pytest.raises(Exception, match="must name namespaces"):
            mail.put(SERVER, "relay", **SMTP, allowedNamespaces=wrong)
    with pytest.raises(Exception, match="must come with oauth of an application itself"):
        mail.put(SERVER, "relay", **SMTP, mailboxes=[{"addresses": [SUPPORT]}])
