# SPDX-License-Identifier: Apache-2.0
"""Argo CD's ConfigMap and actions on a real API server, with an operator that answers.

Covers: what else is in the ConfigMap stays; each action, applied as Argo CD applies it (a merge
patch of what the script changed), is accepted and answered, and health follows.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

import lua
from cluster.api_client import apply, create_namespace, delete_namespace
from cluster.objects import eventually, is_judged, is_ready, one
from cluster.post_office import SUPPORT, PostOffice, account
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from state_map import CUSTOMIZATIONS, INTEGRATIONS

PLACE = CUSTOMIZATIONS / Kind.EMAIL_ACCOUNT
Raw = dict[str, Any]


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(16), tmp_path_factory.mktemp("office")) as running:
        yield running


def changes(before: Any, after: Any) -> Any:
    """What a merge patch must hold to make one of the other."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    return {
        name: changes(before.get(name), after.get(name))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }


@pytest.mark.usefixtures("started")
def test_an_operator_answers_the_actions(
    installed: ControlPlane, office: PostOffice, namespace: str
) -> None:
    def get() -> Raw:
        return one(installed, namespace, Kind.EMAIL_ACCOUNT, "support")

    def status() -> Raw:
        found: Raw = get()["status"]
        return found

    def health() -> str:
        return str(lua.run((PLACE / "health.lua").read_text(), get())["status"])

    def act(name: str) -> Raw:
        before = get()
        discovery = lua.run((PLACE / "actions" / "discovery.lua").read_text(), before)
        assert discovery[name]["disabled"] is False
        script = (PLACE / "actions" / name / "action.lua").read_text()
        patch: Raw = changes(before, lua.run(script, before))
        what = ("patch", "eacct", "support", "-n", namespace, "--type=merge")
        installed.kubectl(*what, "-p", json.dumps(patch))
        return patch

    text = office.manifests(support=account(SUPPORT))
    apply(installed, text, namespace)
    eventually(lambda: is_ready(get()), "it is Ready")
    assert health() == "Healthy"
    for name in ("verify", "sync"):
        time.sleep(1.1)  # a request of the same second is the same request
        asked = act(name)["metadata"]["annotations"]["postroom.dev/requested-at"]
        eventually(lambda at=asked: status().get("lastHandledReconcileAt") == at, name)  # type: ignore[misc]
    nonce = act("send-test")["metadata"]["annotations"]["postroom.dev/send-test"]
    eventually(lambda: status().get("lastTest", {}).get("nonce") == nonce, "a message is sent")
    assert act("suspend") == {"spec": {"suspend": True}}
    eventually(lambda: is_judged(get()) and health() == "Suspended", "it is suspended")
    assert act("resume") == {"spec": {"suspend": False}}
    eventually(lambda: is_ready(get()) and health() == "Healthy", "it is resumed")


def test_the_config_map_keeps_what_else_is_in_it(installed: ControlPlane) -> None:
    create_namespace(installed, "argocd")
    try:
        own = ("configmap", "argocd-cm", "-n", "argocd")
        installed.kubectl("create", *own, "--from-literal=url=https://argocd.example.com")
        patch = INTEGRATIONS / "argocd" / "argocd-cm.yaml"
        installed.kubectl("patch", *own, f"--patch-file={patch}")
        data = json.loads(installed.kubectl("get", *own, "-o", "json").stdout)["data"]
        assert data["url"] == "https://argocd.example.com"
        health = "resource.customizations.health.postroom.dev_EmailAccount"
        assert data[health] == (PLACE / "health.lua").read_text()
        assert len(data) == 1 + 2 * len(Kind)
    finally:
        delete_namespace(installed, "argocd")
