# SPDX-License-Identifier: Apache-2.0
"""Accounts and the SendingDomain that covers them, on a real control plane with the lab's DNS.

Covers: `domainPolicy` takes no other word; accounts that wait for a domain are released within
seconds; a second address takes no look at the domain; a subdomain is not covered; a domain that is
Degraded does not stop its accounts; bulk mail from an organisation's own domain is advised against.
"""

from __future__ import annotations

import json

from cluster.lab_process import LabProcess
from cluster.objects import eventually, hello, is_ready, objects, one, reason_of
from cluster.test_defaults import ACCOUNT, SERVER, SMTP, Mail
from kstatus import conditions_of
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

DOMAIN = Kind.SENDING_DOMAIN
TEXTS = ("provider-verify=k7f3a9", "v=spf1 include:spf.provider.example.net ~all")
REQUIRED = {"domainPolicy": "Required"}


def test_accounts_follow_the_domain_that_covers_them(
    operator: OperatorProcess, installed: ControlPlane, lab: LabProcess, namespace: str
) -> None:
    plane, mail = installed, Mail(installed, namespace, lab)

    def account(name: str, domain: str = "send.example.com", **spec: object) -> None:
        mail.put(ACCOUNT, name, address=f"{name}@{domain}", **{**REQUIRED, **spec})

    def sender(name: str) -> tuple[str | None, str]:
        found = mail.get(ACCOUNT, name).get("status", {}).get("effectiveSender", {})
        return found.get("address"), found.get("reason", "")

    made = {"apiVersion": API_VERSION, "kind": ACCOUNT, "metadata": {"name": "odd"}}
    odd = {**made, "spec": {"address": "a@example.com", "domainPolicy": "Sometimes"}}
    refused = plane.kubectl(
        "apply", "-n", namespace, "-f", "-", input=json.dumps(odd), check=False
    ).stderr
    assert 'supported values: "IfDeclared", "Required"' in refused

    mail.put(SERVER, "smtp", **SMTP, default=True)
    account("first")
    account("other")
    operator.start()
    none = "SendingDomainNotFound"
    eventually(lambda: reason_of(mail.get(ACCOUNT, "other")) == none, "a domain is missed")
    assert sender("other") == (None, none)
    (finding,) = mail.get(ACCOUNT, "other")["status"]["findings"]
    printed = finding["fix"]["instruction"].partition("\n")[2]
    # What is printed is an object as it can be applied.
    plane.kubectl("apply", "--dry-run=server", "-f", "-", input=printed)

    plane.kubectl("apply", "-n", namespace, "-f", "-", input=hello("send"))
    for name in ("first", "other"):
        eventually(lambda: is_ready(mail.get(ACCOUNT, name)), f"{name} is released", 15)  # noqa: B023
        assert sender(name) == (f"{name}@send.example.com", "DomainVerified")
    looked = one(plane, namespace, DOMAIN, "send")["metadata"]["resourceVersion"]
    account("second")
    account("deep", "x.send.example.com")
    eventually(lambda: is_ready(mail.get(ACCOUNT, "second")), "a second address is ready", 15)
    assert one(plane, namespace, DOMAIN, "send")["metadata"]["resourceVersion"] == looked
    eventually(lambda: reason_of(mail.get(ACCOUNT, "deep")) == none, "a subdomain is not covered")
    told = conditions_of(mail.get(ACCOUNT, "deep"))["Ready"]["message"]
    assert "SendingDomain send is for send.example.com alone" in told

    def ask(token: str) -> None:
        asked = f"postroom.dev/requested-at={token}"
        plane.kubectl("annotate", "sdom", "send", "-n", namespace, "--overwrite", asked)

    lab.put("example.com", "send.example.com.", "TXT", f'"{TEXTS[1]}"')
    try:
        for look in ("first", "second"):  # a regression is seen twice
            ask(look)
            eventually(
                lambda: (
                    one(plane, namespace, DOMAIN, "send")["status"].get("lastHandledReconcileAt")
                    == look  # noqa: B023
                ),
                "the domain is looked at",
            )
        degraded = "DomainDegraded"
        eventually(lambda: sender("first")[1] == degraded, "the accounts follow it", 30)
        assert is_ready(mail.get(ACCOUNT, "first"))
        assert sender("second") == ("second@send.example.com", degraded)
    finally:
        lab.put("example.com", "send.example.com.", "TXT", *(f'"{text}"' for text in TEXTS))

    mail.put(DOMAIN, "apex", domain="example.com")
    account("offers", "example.com", domainPolicy="IfDeclared", purpose="NewBusiness")
    code = "BULK_FROM_APEX"
    eventually(lambda: code in str(mail.get(DOMAIN, "apex")), "a subdomain is advised", 15)
    assert "EmailAccount offers (spec.purpose NewBusiness)" in str(mail.get(DOMAIN, "apex"))
    objects(plane, namespace)  # each honours the status contract
