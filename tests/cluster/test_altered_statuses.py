# SPDX-License-Identifier: Apache-2.0
"""A cluster whose own admission changes statuses as they are written, on the real API server: what
stands is what the operator goes by, and it does not write against it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cluster.api_client import administrator, apply, merge, read
from cluster.audit_log import comes_to_rest, writes_of
from cluster.objects import eventually, hello, is_ready, one, path_of
from kstatus import conditions_of
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

DOMAIN = Kind.SENDING_DOMAIN
ZONE = "changed.example"
JSON = {"Content-Type": "application/json"}
_POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolic"


@pytest.fixture
def altering(installed: ControlPlane, namespace: str) -> Iterator[str]:
    """A namespace in which each status gets another zone than the operator writes."""
    name = f"{namespace}-zones"
    rule = {"apiGroups": ["postroom.dev"], "apiVersions": ["*"], "operations": ["UPDATE"]}
    patch = f'[JSONPatch{{op: "replace", path: "/status/zone", value: "{ZONE}"}}]'
    expression = f"has(object.status.zone) ? {patch} : []"
    policy = {
        "matchConstraints": {
            "resourceRules": [{**rule, "resources": ["sendingdomains/status"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        },
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    client = administrator(installed)
    for plural, spec in (("ies", policy), ("ybindings", {"policyName": name})):
        client.request("POST", f"{_POLICIES}{plural}", {"metadata": {"name": name}, "spec": spec})
    yield namespace
    for plural in ("ybindings", "ies"):
        client.request("DELETE", f"{_POLICIES}{plural}/{name}")


def zone_of(plane: ControlPlane, namespace: str) -> object:
    return one(plane, namespace, DOMAIN, "hello").get("status", {}).get("zone")


def test_a_status_that_admission_changes_is_seen_and_not_written_against(
    installed: ControlPlane, operator: OperatorProcess, altering: str
) -> None:
    place = f"{path_of(altering, DOMAIN)}/hello"
    apply(installed, hello(), altering)

    def is_in_force() -> bool:
        """Whether what an administrator writes comes to stand otherwise."""
        stored = read(installed, place)
        status = {**stored.get("status", {}), "zone": "example.com"}
        code, written = administrator(installed).answer(
            "PUT", f"{place}/status", {**stored, "status": status}, JSON
        )
        # Admission learns of definitions by a cache of its own, up to half a minute later.
        assert code in (200, 503), written
        return code == 200 and bool(written["status"]["zone"] == ZONE)

    eventually(is_in_force, "the policy is in force")
    with operator:
        eventually(lambda: is_ready(one(installed, altering, DOMAIN, "hello")), "ready")
        assert zone_of(installed, altering) == ZONE
        said = "changes the status of sendingdomains as it is written"
        eventually(lambda: said in operator.log.read_text(), "told")
        nonce = "again"
        annotations = {"postroom.dev/requested-at": nonce}
        merge(installed, place, {"metadata": {"annotations": annotations}})

        def is_handled() -> bool:
            return bool(read(installed, place)["status"].get("lastHandledReconcileAt") == nonce)

        eventually(is_handled, "looked at once more")
        assert zone_of(installed, altering) == ZONE
        before = comes_to_rest(installed)
        time.sleep(5)
        assert writes_of(installed, since=before) == []
        assert conditions_of(one(installed, altering, DOMAIN, "hello"))
        assert operator.log.read_text().count(said) == 1
