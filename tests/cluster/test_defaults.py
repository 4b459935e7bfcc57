# SPDX-License-Identifier: Apache-2.0
"""Defaults on a real control plane: moving one is no outage, and nobody's spec is touched.

Covers: a new default beside the old one, then the old one's mark removed, while an account follows
and stays Ready; one that does not work; none at all; default accounts; what kubectl and the plugin
show.
"""

from __future__ import annotations

import json
import time
from typing import Any

import yaml

from cluster.api_client import apply
from cluster.forked import plugin
from cluster.lab_process import LabProcess
from cluster.objects import eventually, is_ready, objects, one, reason_of
from kstatus import conditions_of
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import PASSWORDS, SUBMISSION_PORT
from postroom.lab.operator_process import OperatorProcess

SERVER, ACCOUNT = Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT
RELAY, SUPPORT = "relay@example.com", "support@send.example.com"
SMTP = {
    "host": "smtp.mail.example.org",
    "port": SUBMISSION_PORT,
    "tls": {"caBundleRef": {"name": "lab-ca"}},
    "credentialsRef": {"name": "relay"},
}


class Mail:
    """A namespace with the lab's authority and Secrets, and what is said of its objects."""

    def __init__(self, plane: ControlPlane, namespace: str, lab: LabProcess) -> None:
        self.plane, self.namespace = plane, namespace
        authority = next(yaml.load_all(lab.manifest.read_text(), Loader=yaml.CSafeLoader))
        self._apply({**authority, "metadata": {"name": "lab-ca"}})
        for address in (RELAY, SUPPORT):
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": address.partition("@")[0]},
                "stringData": {"username": address, "password": PASSWORDS[address]},
            }
            self._apply(secret)

    def _apply(self, manifest: dict[str, Any]) -> None:
        apply(self.plane, json.dumps(manifest), self.namespace)

    def put(self, kind: Kind, name: str, **spec: Any) -> None:
        made = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self._apply(made)

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        return one(self.plane, self.namespace, kind, name)

    def said(self, kind: Kind, name: str) -> str:
        """The reason of the condition Default; empty where it is not there."""
        return str(conditions_of(self.get(kind, name)).get("Default", {}).get("reason", ""))

    def uses(self, name: str) -> bool:
        """Whether the account is Ready with this server."""
        account = self.get(ACCOUNT, "support")
        return is_ready(account) and account["status"].get("serverName") == name


def test_moving_a_default_is_no_outage(
    operator: OperatorProcess, installed: ControlPlane, lab: LabProcess, namespace: str
) -> None:
    mail = Mail(installed, namespace, lab)
    mail.put(SERVER, "old", **SMTP, default=True)
    mail.put(ACCOUNT, "support", address=SUPPORT, credentialsRef={"name": "support"})
    operator.start()
    eventually(lambda: mail.uses("old"), "the account sends through the default")
    began = conditions_of(mail.get(ACCOUNT, "support"))["Ready"]["lastTransitionTime"]
    time.sleep(1.1)  # a flip from here on would show in the time of the condition

    mail.put(SERVER, "new", **SMTP, default=True)
    eventually(lambda: mail.uses("new"), "the account follows")
    eventually(lambda: mail.said(SERVER, "old") == "Superseded", "the old one says so")
    old, new = mail.get(SERVER, "old"), mail.get(SERVER, "new")
    assert (old["status"]["isDefault"], new["status"]["isDefault"]) == (False, True)
    assert old["status"]["defaultSince"] < new["status"]["defaultSince"]
    assert "MailServer new" in conditions_of(old)["Default"]["message"]
    assert is_ready(old)
    shown = installed.kubectl("get", "mailservers", "-n", namespace).stdout.splitlines()
    column = shown[0].split().index("DEFAULT")
    assert {line.split()[0]: line.split()[column] for line in shown[1:]} == {
        "new": "True",
        "old": "False",
    }
    assert "Superseded" in plugin(installed, "status", "-n", namespace).stdout

    mail.put(SERVER, "old", **SMTP)
    eventually(lambda: mail.said(SERVER, "old") == "", "the old one is not marked any more")
    mail.put(SERVER, "broken", **{**SMTP, "credentialsRef": {"name": "missing"}}, default=True)
    eventually(lambda: mail.said(SERVER, "broken") == "NewestDefault", "it is marked last")
    told = "MAIL_SERVER_NOT_READY"
    eventually(lambda: told in str(mail.get(ACCOUNT, "support")), "the account tells of it")
    assert mail.uses("new")
    ready = conditions_of(mail.get(ACCOUNT, "support"))["Ready"]
    assert ready["lastTransitionTime"] == began
    events = installed.kubectl("get", "events", "-n", namespace, "-o", "json").stdout
    complaints = [
        event
        for event in json.loads(events)["items"]
        if event["type"] == "Warning" and event["involvedObject"]["name"] == "support"
    ]
    assert complaints == []

    installed.kubectl("delete", SERVER.plural, "broken", "-n", namespace)
    mail.put(SERVER, "new", **SMTP)
    none = "NoDefault"
    eventually(lambda: reason_of(mail.get(ACCOUNT, "support")) == none, "nothing is marked")
    assert "address" not in mail.get(ACCOUNT, "support")["status"]["effectiveSender"]
    mail.put(SERVER, "old", **SMTP, default=True)
    eventually(lambda: mail.uses("old"), "the default is back")
    objects(installed, namespace)


def test_the_account_that_was_marked_last_is_the_default(
    operator: OperatorProcess, installed: ControlPlane, lab: LabProcess, namespace: str
) -> None:
    mail = Mail(installed, namespace, lab)
    operator.start()

    def mark(name: str, **spec: Any) -> None:
        mail.put(ACCOUNT, name, address=f"{name}@example.com", **spec)

    def are(first: str, second: str) -> None:
        for name, reason in (("first", first), ("second", second)):
            eventually(lambda: mail.said(ACCOUNT, name) == reason, f"{name} is {reason}")  # noqa: B023

    mark("first", default=True)
    eventually(lambda: mail.said(ACCOUNT, "first") == "NewestDefault", "the only one")
    time.sleep(1.1)  # of two that are created in one second the name decides
    mark("second", default=True)
    are("Superseded", "NewestDefault")
    mark("first")
    are("", "NewestDefault")
    mark("first", default=True)
    are("NewestDefault", "Superseded")
    statuses = [mail.get(ACCOUNT, name)["status"] for name in ("first", "second")]
    assert [status["isDefault"] for status in statuses] == [True, False]
    objects(installed, namespace)
