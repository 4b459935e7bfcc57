# SPDX-License-Identifier: Apache-2.0
"""The audit of the real operator: what it found out and did, with who asked, in its log alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import service_account_kubeconfig
from cluster.objects import eventually, is_ready, one
from cluster.post_office import SUPPORT, PostOffice, account
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import PASSWORDS
from postroom.lab.operator_process import OperatorProcess

ACCOUNT = Kind.EMAIL_ACCOUNT


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(11), tmp_path_factory.mktemp("office")) as running:
        yield running


def audit_of(process: OperatorProcess) -> list[dict[str, Any]]:
    """The audit's lines so far, each with its object."""
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line[:1] == "{"]
    return [
        {**line["audit"], "object": line.get("object")}
        for line in lines
        if line["logger"] == "audit"
    ]


def test_verdicts_requests_messages_and_secrets_are_told_without_content(
    installed: ControlPlane, office: PostOffice, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    flags = (*office.lab.reach.flags, "--log-format=json", "--log-level=warning")
    operator = OperatorProcess(kubeconfig, tmp_path, flags).start()
    try:
        manifests = office.manifests(support=account(SUPPORT))
        installed.kubectl(
            "apply", "--server-side", "--field-manager=the-team", "-n", namespace, "-f", "-",
            input=manifests,
        )  # fmt: skip
        eventually(lambda: is_ready(one(installed, namespace, ACCOUNT, "support")), "it is Ready")
        installed.kubectl(
            "annotate", "emailaccount/support", "-n", namespace, "postroom.dev/send-test=one",
            "--field-manager=the-tester",
        )  # fmt: skip

        def tested() -> bool:
            status = one(installed, namespace, ACCOUNT, "support")["status"]
            return "result" in status.get("lastTest", {})

        eventually(tested, "the message was found")
        eventually(
            lambda: any(entry["action"] == "MessageSent" for entry in audit_of(operator)),
            "the message is told",
        )
        entries = [entry for entry in audit_of(operator) if namespace in str(entry)]
        content = operator.log.read_text()
    finally:
        operator.stop()
    ready = [
        entry
        for entry in entries
        if entry.get("condition") == "Ready" and entry["object"]["name"] == "support"
    ]
    assert (ready[-1]["to"], ready[0]["changedBy"]) == ("True", "the-team")
    (asked,) = (entry for entry in entries if entry["action"] == "RequestHandled")
    assert (asked["request"], asked["requestedBy"]) == ("test", "the-tester")
    (sent,) = (entry for entry in entries if entry["action"] == "MessageSent")
    assert (sent["recipient"], sent["purpose"]) == (SUPPORT, "lastTest")
    used = [entry for entry in entries if entry["action"] == "SecretUsed"]
    places = [(entry["secret"], entry["target"]) for entry in used]
    assert len(places) == len(set(places)) >= 2  # SMTP and IMAP
    assert not any(password in content for password in PASSWORDS.values())
