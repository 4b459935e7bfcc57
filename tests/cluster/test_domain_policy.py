# SPDX-License-Identifier: Apache-2.0
"""Accounts and the SendingDomain that covers them, on a real control plane with the lab's DNS.

Covers: `domainPolicy` takes no other word; accounts that wait for a domain are released within
seconds; a second address takes no look at the domain; a subdomain is not covered; a domain that is
Degraded does not stop its accounts; one that has Failed does, or has them fall back, until it is
verified again; bulk mail from an organisation's own domain is advised against.
"""

from __future__ import annotations

import json

from cluster.api_client import apply
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
    account("covered", fallbackSender="sales@news.example.com")
    operator.start()
    none = "SendingDomainNotFound"
    eventually(lambda: reason_of(mail.get(ACCOUNT, "other")) == none, "a domain is missed")
    assert sender("other") == (None, none)
    (finding,) = mail.get(ACCOUNT, "other")["status"]["findings"]
    printed = finding["fix"]["manifest"]
    # What is printed is an object as it can be applied.
    plane.kubectl("apply", "--dry-run=server", "-f", "-", input=printed)

    spare = hello("spare", domain="news.example.com", ownership={"value": "provider-verify=n3ws"})
    for made_now in (hello("send"), spare):
        apply(plane, made_now, namespace)
    for name in ("first", "other", "covered"):
        eventually(lambda: is_ready(mail.get(ACCOUNT, name)), f"{name} is released")  # noqa: B023
        assert sender(name) == (f"{name}@send.example.com", "DomainVerified")

    def found() -> dict[str, object]:
        """What looks found; who uses the domain is told without one, some seconds later."""
        status = one(plane, namespace, DOMAIN, "send")["status"]
        return {name: value for name, value in status.items() if not name.startswith("usedBy")}

    looked = found()
    account("second")
    account("deep", "x.send.example.com")
    eventually(lambda: is_ready(mail.get(ACCOUNT, "second")), "a second address is ready")
    assert found() == looked
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
        eventually(lambda: sender("first")[1] == degraded, "the accounts follow it")
        assert is_ready(mail.get(ACCOUNT, "first"))
        assert sender("second") == ("second@send.example.com", degraded)
        assert sender("covered") == ("covered@send.example.com", degraded)

        # Its grace period has begun long ago, and ends with the next look that sees it failing.
        began = json.dumps({"status": {"degradedAt": "2020-01-01T00:00:00Z"}})
        patch = ("patch", "sdom", "send", "-n", namespace, "--subresource=status", "--type=merge")
        plane.kubectl(*patch, "-p", began)
        failed = (None, "SendingDomainNotReady")
        eventually(lambda: sender("first") == failed, "nobody sends any more")
        eventually(lambda: sender("second") == failed, "nor as the second address")
        assert one(plane, namespace, DOMAIN, "send")["status"]["verification"] == "Failed"
        told = conditions_of(mail.get(ACCOUNT, "first"))["Ready"]["message"]
        assert "Degraded for longer than its gracePeriod, and is Failed" in told
        fallen = ("sales@news.example.com", "FallbackUsed")
        eventually(lambda: sender("covered") == fallen, "the fallback stands in")
    finally:
        lab.put("example.com", "send.example.com.", "TXT", *(f'"{text}"' for text in TEXTS))
    ask("mended")
    for name in ("first", "second", "covered"):
        own = (f"{name}@send.example.com", "DomainVerified")
        eventually(lambda: sender(name) == own, f"{name} is itself again")  # noqa: B023

    mail.put(DOMAIN, "apex", domain="example.com")
    account("offers", "example.com", domainPolicy="IfDeclared", purpose="NewBusiness")
    code = "BULK_FROM_APEX"
    eventually(lambda: code in str(mail.get(DOMAIN, "apex")), "a subdomain is advised")
    assert "EmailAccount offers (spec.purpose NewBusiness)" in str(mail.get(DOMAIN, "apex"))
    objects(plane, namespace)  # each honours the status contract
