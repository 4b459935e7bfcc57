# SPDX-License-Identifier: Apache-2.0
"""The profile on a real control plane: what the API server refuses, the launch checklist from the
first look to a test and a change, and a review that comes at its threshold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import apply, service_account_kubeconfig
from cluster.objects import eventually, is_ready, one
from cluster.post_office import SUPPORT, PostOffice, account
from loopback import own_address
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

ACCOUNT = Kind.EMAIL_ACCOUNT
PROFILE: dict[str, Any] = {
    "displayName": "Support",
    "replyTo": "help@example.com",
    "purpose": "Support",
    "owner": {"team": "support", "contact": "ops@example.com"},
    "recoveryContact": "it@example.net",
    "inbound": {"ai": {"enabled": True, "behavior": "TriageOnly"}},
    "senderProfiles": [{"match": "*@send.example.com", "profile": "desk"}],
}


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(10), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"inbound": {"ai": {}}}, "must say enabled, behavior, or both"),
        ({"inbound": {"ai": {"enabled": True}}}, "must be set where enabled is true"),
        (
            {"inbound": {"ai": {"enabled": True, "behavior": "Disabled"}}},
            "may not be Disabled where enabled is true",
        ),
        (
            {"inbound": {"ai": {"enabled": False, "behavior": "FullAuto"}}},
            "may not be FullAuto, ReplyOnly or TriageOnly where enabled is false",
        ),
        ({"owner": {}}, "must name a team, a contact, or both"),
        ({"recoveryContact": " a"}, "must say whom to turn to"),
        ({"purpose": "Sales"}, "supported values"),
        ({"replyTo": "Help <help@example.com>"}, "must be an email address"),
        (
            {"senderProfiles": [{"match": "*example.com", "profile": "a"}]},
            "must be an address such as billing@example.com",
        ),
        (
            {"senderProfiles": [{"match": "*@a.example", "profile": each} for each in "ab"]},
            "must have each match once",
        ),
    ],
)
def test_the_api_server_refuses_what_contradicts_itself(
    installed: ControlPlane, namespace: str, spec: dict[str, Any], sentence: str
) -> None:
    made = {"apiVersion": API_VERSION, "kind": ACCOUNT, "metadata": {"name": "support"}}
    text = json.dumps({**made, "spec": {"address": SUPPORT, **spec}})
    tried = ("apply", "-n", namespace, "--dry-run=server", "-f", "-")
    answer = installed.kubectl(*tried, input=text, check=False)
    assert answer.returncode != 0 and sentence in answer.stderr, answer.stderr


def test_the_checklist_from_the_first_look_to_a_test_and_a_change(
    installed: ControlPlane, office: PostOffice, namespace: str, tmp_path: Path
) -> None:
    plane, reviewed = installed, "--review-password-age=2s"

    def status() -> dict[str, Any]:
        return dict(one(plane, namespace, ACCOUNT, "support").get("status") or {})

    def open_items() -> set[str]:
        items = (status().get("launch") or {}).get("items", [])
        return {each["item"] for each in items if each["state"] == "Open"}

    def old() -> bool:
        return "PASSWORD_OLD" in {each["code"] for each in status().get("findings", [])}

    def annotate(name: str, value: str) -> None:
        target = ("emailaccount/support", "-n", namespace, "--overwrite")
        plane.kubectl("annotate", *target, f"postroom.dev/{name}={value}")

    kubeconfig = service_account_kubeconfig(plane, tmp_path)
    operator = OperatorProcess(kubeconfig, tmp_path, (*office.lab.reach.flags, reviewed)).start()
    try:
        made = office.manifests(support=account(SUPPORT, **PROFILE))
        apply(plane, made, namespace)
        eventually(lambda: is_ready(one(plane, namespace, ACCOUNT, "support")), "it is Ready")
        assert open_items() == {"SendProven", "ReceiveProven", "TestSinceLastChange"}
        found = status()
        assert found["inbound"] == {"ai": {"enabled": True, "behavior": "TriageOnly"}}
        assert found["identities"][0]["senderProfile"] == "desk"
        # Nothing changes but the time, and the interval is five minutes.
        eventually(old, "the threshold is met by a look of its own")
        assert is_ready(one(plane, namespace, ACCOUNT, "support"))

        annotate("send-test", "one")
        eventually(lambda: "result" in (status().get("lastTest") or {}), "the test is over")
        result = status()["lastTest"]["result"]
        assert (result["outcome"], result.get("warnings", [])) == ("Delivered", [])
        assert result["replyTo"] == PROFILE["replyTo"]
        eventually(lambda: open_items() == set(), "everything is done")
        assert status()["launch"]["summary"] == "8/8"
        shown = plane.kubectl("get", "emailaccounts", "-n", namespace, "-o", "wide").stdout
        assert "LAUNCH" in shown.splitlines()[0] and "8/8" in shown

        since = {each["item"]: each.get("since") for each in status()["launch"]["items"]}
        change = json.dumps({"spec": {"displayName": "Helpdesk"}})
        target = ("emailaccount/support", "-n", namespace, "--type=merge", "-p", change)
        plane.kubectl("patch", *target)
        eventually(lambda: open_items() == {"TestSinceLastChange"}, "a change asks for a test")
        after = {each["item"]: each.get("since") for each in status()["launch"]["items"]}
        moved = {item for item, time in after.items() if time != since[item]}
        assert moved <= {"TestSinceLastChange"}
        assert is_ready(one(plane, namespace, ACCOUNT, "support"))
    finally:
        operator.stop()
