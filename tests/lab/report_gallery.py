# SPDX-License-Identifier: Apache-2.0
"""Objects in every state that a report tells of, as a cluster holds them."""

from __future__ import annotations

from typing import Any

from unit.report.samples import FINDING, FIX, RECORD, broken, condition, stored

#: A TXT of more than 255 bytes, as keys are.
KEY = "v=DKIM1; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12
MANIFEST = "apiVersion: postroom.dev/v1alpha1\nkind: SendingDomain\n  indented: 'it stays'\n"


def finding(
    code: str, message: str, instruction: str, severity: str = "Error", manifest: str = ""
) -> dict[str, Any]:
    """A cause that no record mends."""
    fix = {"action": "External", "instruction": instruction, "manifest": manifest}
    return {"code": code, "severity": severity, "message": message, "fix": fix, "subject": "SMTP"}


def gallery() -> list[dict[str, Any]]:
    """One object for each turn, and some with more to tell."""
    key = {
        **FIX,
        "name": "s1._domainkey.shop.example",
        "hostLabel": "s1._domainkey",
        "value": KEY,
        "presentation": f'"{KEY[:255]}" "{KEY[255:]}"',
        "action": "Create",
        "remove": [],
    }
    missing = {**FINDING, "code": "DKIM_MISSING", "subject": "s1", "fix": key, "because": ["X_Y"]}
    there = [{**RECORD, "id": "mx", "state": "Valid", "type": "MX", "value": "10 mx.example.net"}]
    refused = condition("Ready", "False", "AuthenticationRejected", "535 5.7.8.")
    behind = condition("Ready", "False", "MailServerNotReady", "MailServer relay is not ready.")
    desk = {"address": "desk@shop.example", "serverRef": {"name": "relay"}}
    return [
        broken(
            "shop", findings=[missing, FINDING], records=[RECORD, *there], dnsHost="Example DNS"
        ),
        stored(
            "MailServer",
            "relay",
            refused,
            condition("Stalled", "True", "AuthenticationRejected", "535 5.7.8."),
            spec={"host": "smtp.example.net"},
            findings=[
                finding(
                    "AUTHENTICATION_REJECTED",
                    "smtp.example.net:587 answers AUTH with 535 5.7.8.",
                    "Correct the Secret; many providers want an app password here.",
                )
            ],
            lastCheckTime="2026-11-29T08:55:00Z",
        ),
        stored(
            "EmailAccount",
            "new",
            condition("Ready", "False", "SendingDomainNotFound", "No SendingDomain."),
            spec={"address": "new@other.example"},
            findings=[
                finding(
                    "SENDING_DOMAIN_NOT_FOUND",
                    "No SendingDomain.",
                    "Apply this:",
                    manifest=MANIFEST,
                )
            ],
        ),
        stored("EmailAccount", "desk", behind, spec=desk),
        stored(
            "MailServer",
            "away",
            condition("Ready", "False", "TemporaryFailure", "It asks to come back later."),
            condition("Reconciling", "True", "ProgressingWithRetry"),
            spec={"host": "smtp.away.example"},
        ),
        broken(
            "spread",
            findings=[{**FINDING, "severity": "Warning", "fix": {"action": "Wait"}}],
            records=[{**RECORD, "state": "Propagating"}],
        ),
        stored("SendingDomain", "unseen", condition("Ready", "Unknown", "Pending", "Waiting.")),
        stored(
            name="advised",
            findings=[finding("DMARC_WEAK", "p=none.", "Ask for more.", "Warning")],
            namespace="other",
        ),
        stored(name="well", namespace="other", lastCheckTime="2026-11-29T08:55:00Z"),
        stored(
            "SendingDomain",
            "resting",
            condition("Ready", "True", "Succeeded"),
            condition("Suspended", "True", "SuspendedBySpec"),
        ),
    ]
