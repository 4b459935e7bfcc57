# SPDX-License-Identifier: Apache-2.0
"""The send plan on a real control plane: what ``kubectl`` shows of limits, and how they follow."""

from __future__ import annotations

import json
from typing import Any

from cluster.api_client import apply
from cluster.objects import eventually, is_judged, one
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

SERVER, ACCOUNT = Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT
WINDOW = {"timeZone": "Europe/Berlin", "days": ["Fri", "Mon"], "start": "09:00", "end": "17:00"}
RAMP_UP = {"startDaily": 5, "dailyIncrease": 5}


def manifest(kind: Kind, name: str, spec: dict[str, Any]) -> str:
    made = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    return json.dumps(made)


def codes(plane: ControlPlane, namespace: str, kind: Kind, name: str) -> set[str]:
    status = one(plane, namespace, kind, name).get("status") or {}
    return {str(finding["code"]) for finding in status.get("findings", [])}


def test_the_plan_follows_the_limits_of_account_and_server(
    operator: OperatorProcess, installed: ControlPlane, namespace: str
) -> None:
    plane = installed

    def make(kind: Kind, name: str, **spec: Any) -> None:
        apply(plane, manifest(kind, name, spec), namespace)

    def plan(name: str) -> dict[str, Any]:
        status = one(plane, namespace, ACCOUNT, name).get("status") or {}
        return dict(status.get("sendPlan") or {})

    operator.start()
    server = {"host": "smtp.mail.example.org", "limits": {"daily": 60, "connections": 2}}
    make(SERVER, "smtp", **server)
    limits = {"daily": 100, "window": WINDOW, "rampUp": RAMP_UP}
    for name in ("sales", "support"):
        address = f"{name}@limits.example.com"
        make(ACCOUNT, name, address=address, serverRef={"name": "smtp"}, sendLimits=limits)
    eventually(lambda: plan("sales").get("daily") == 60, "the server's limit holds")
    found = plan("sales")
    assert (found["dailyFrom"], found["hourly"], found["connections"]) == ("MailServer", 8, 2)
    assert found["window"] == {**WINDOW, "days": ["Mon", "Fri"]}
    assert sum(hour["messages"] for hour in found["hours"]) == 60
    assert found["rampUp"] == {**RAMP_UP, "fullAfterDays": 11}
    assert codes(plane, namespace, ACCOUNT, "sales") >= {"SEND_LIMIT_ABOVE_SERVER"}
    told = "SEND_LIMITS_OVERCOMMITTED"
    eventually(lambda: told in codes(plane, namespace, SERVER, "smtp"), "the sum is told of")

    shown = plane.kubectl("get", "emailaccounts", "-n", namespace, "-o", "wide").stdout
    assert "DAILY" in shown.splitlines()[0]
    server["limits"] = {"daily": 200}
    make(SERVER, "smtp", **server)
    eventually(lambda: plan("sales").get("daily") == 100, "an account follows its server")
    eventually(lambda: told not in codes(plane, namespace, SERVER, "smtp"), "there is room now")
    assert "SEND_LIMIT_ABOVE_SERVER" not in codes(plane, namespace, ACCOUNT, "sales")

    plane.kubectl("delete", SERVER.plural, "smtp", "-n", namespace)
    eventually(lambda: plan("sales") == {}, "without its server nobody knows the ceiling")
    eventually(lambda: is_judged(one(plane, namespace, ACCOUNT, "sales")), "it was looked at")
