# SPDX-License-Identifier: Apache-2.0
"""Objects as the API server holds them, for reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from postroom.report import reading, shape

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
SINCE = "2026-11-29T08:00:00Z"
RECORD = {
    "id": "spf",
    "purpose": "SPF",
    "name": "a.example",
    "hostLabel": "@",
    "type": "TXT",
    "value": "v=spf1 include:spf.example.net -all",
    "required": True,
    "state": "Wrong",
    "observed": ["v=spf1 -all"],
}
FIX = {
    "action": "Replace",
    "name": "a.example",
    "hostLabel": "@",
    "type": "TXT",
    "value": "v=spf1 include:spf.example.net -all",
    "remove": [{"name": "a.example", "type": "TXT", "value": "v=spf1 -all"}],
}
FINDING = {
    "code": "SPF_MISSING_INCLUDE",
    "severity": "Error",
    "subject": "spf",
    "message": "The TXT at a.example does not authorise include:spf.example.net. Until then SPF "
    "does not pass; caches keep what is there for at most five minutes. Change TXT @ from "
    "v=spf1 -all to: v=spf1 include:spf.example.net -all",
    "summary": "The TXT at a.example does not authorise include:spf.example.net. Until then SPF "
    "does not pass; caches keep what is there for at most five minutes.",
    "cachedSeconds": 300,
    "ask": "dig +norecurse TXT a.example @ns.example.net",
    "fix": FIX,
}


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    """A condition as status stores it."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": SINCE,
    }


def stored(
    kind: str = "SendingDomain",
    name: str = "a",
    *conditions: dict[str, Any],
    namespace: str = "mail",
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """An object with its status; without conditions it is Ready."""
    return {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"domain": f"{name}.example"} if spec is None else spec,
        "status": {
            "conditions": list(conditions) or [condition("Ready", "True", "Succeeded")],
            **status,
        },
    }


def broken(name: str = "a", **status: Any) -> dict[str, Any]:
    """A domain whose SPF record has to change."""
    told = {"findings": [FINDING], "records": [RECORD], **status}
    return stored(
        "SendingDomain",
        name,
        condition("Ready", "False", "RequiredMechanismMissing", str(FINDING["message"])),
        condition("Reconciling", "True", "AwaitingDNS"),
        **told,
    )


def report_of(
    *objects: Any, source: shape.ReportSource = shape.ReportSource.CLUSTER
) -> shape.EmailReport:
    """The report of some objects."""
    return reading.report_of(objects, source, NOW)
