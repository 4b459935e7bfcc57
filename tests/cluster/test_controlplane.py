# SPDX-License-Identifier: Apache-2.0
"""The control plane itself keeps what the other cluster tests rely on.

Covers: CEL validation, isolation of the status subresource, tokens and RBAC, garbage collection,
namespace deletion, the audit log, and restarts that keep data and port.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from cluster.conftest import obtain_or_skip
from cluster.objects import eventually
from postroom.lab.controlplane import ControlPlane

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.postroom.dev}
spec:
  group: test.postroom.dev
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: {size: {type: integer}}
              x-kubernetes-validations: [{rule: "self.size < 10", message: "must be small"}]
            status:
              type: object
              properties: {seen: {type: integer}}
"""


def widget(name: str, size: int) -> str:
    return json.dumps(
        {
            "apiVersion": "test.postroom.dev/v1",
            "kind": "Widget",
            "metadata": {"name": name},
            "spec": {"size": size},
            "status": {"seen": 7},
        }
    )


@pytest.fixture(scope="module")
def widgets(plane: ControlPlane) -> None:
    plane.kubectl("apply", "-f", "-", input=WIDGETS)
    plane.kubectl("wait", "--for=condition=Established", "crd/widgets.test.postroom.dev")
    eventually(lambda: plane.kubectl("get", "widgets", "-A", check=False).returncode == 0, "served")


def test_cel_rules_reject(plane: ControlPlane, widgets: None, namespace: str) -> None:
    answer = plane.kubectl("create", "-n", namespace, "-f", "-", input=widget("w", 11), check=False)
    assert answer.returncode != 0
    assert "must be small" in answer.stderr


def test_status_is_a_subresource(plane: ControlPlane, widgets: None, namespace: str) -> None:
    plane.kubectl("create", "-n", namespace, "-f", "-", input=widget("w", 1))
    stored = json.loads(plane.kubectl("get", "widget", "w", "-n", namespace, "-o", "json").stdout)
    assert "status" not in stored


def test_a_service_account_may_do_only_what_it_is_granted(
    plane: ControlPlane, namespace: str
) -> None:
    plane.kubectl("create", "serviceaccount", "who", "-n", namespace)
    assert plane.kubectl("create", "token", "who", "-n", namespace).stdout.count(".") == 2
    user = f"system:serviceaccount:{namespace}:who"
    answer = plane.kubectl("get", "secrets", f"--as={user}", check=False)
    assert "Forbidden" in answer.stderr


def test_children_are_collected(plane: ControlPlane, namespace: str) -> None:
    if not plane.has_controllers:
        pytest.skip("envtest's binaries bring no garbage collector")
    owner = plane.kubectl("create", "configmap", "owner", "-n", namespace, "-o", "json").stdout
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    reference["uid"] = json.loads(owner)["metadata"]["uid"]
    child = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "child", "ownerReferences": [reference]},
    }
    plane.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(child))
    plane.kubectl("delete", "configmap", "owner", "-n", namespace)
    command = ("get", "configmap", "child", "-n", namespace)
    eventually(lambda: "NotFound" in plane.kubectl(*command, check=False).stderr, "it is gone")


def test_namespaces_go_away(plane: ControlPlane) -> None:
    if not plane.has_controllers:
        pytest.skip("envtest's binaries bring no namespace controller")
    plane.kubectl("create", "namespace", "short-lived")
    plane.kubectl("delete", "namespace", "short-lived", "--timeout=120s")


def test_the_audit_log_names_user_verb_and_object(plane: ControlPlane, namespace: str) -> None:
    if plane.audit_log is None:
        pytest.skip("the audit log of a cluster that is not ours cannot be read")
    plane.kubectl("create", "configmap", "audited", "-n", namespace)

    def creators() -> list[str]:
        return [
            event["user"]["username"]
            for event in plane.audit_events()
            if event["verb"] == "create" and event.get("objectRef", {}).get("name") == "audited"
        ]

    # The line may come a moment after the answer.
    eventually(lambda: creators() != [], "it is in the audit log")
    assert creators() == ["admin"]


@pytest.mark.parametrize("kill", [False, True])
def test_a_restart_keeps_data_and_address(kill: bool) -> None:
    with obtain_or_skip() as own:
        if own.audit_log is None:
            pytest.skip("a cluster that is not ours is not restarted")
        own.kubectl("create", "configmap", "kept")
        before = own.kubeconfig.read_text()
        own.restart(kill=kill)
        answer: subprocess.CompletedProcess[str] = own.kubectl("get", "configmap", "kept")
        assert "kept" in answer.stdout
        assert own.kubeconfig.read_text() == before
