# SPDX-License-Identifier: Apache-2.0
"""Reading and waiting for objects of our kinds on the real API server."""

from __future__ import annotations

import json
from typing import Any

from cluster.api_client import read
from cluster.waiting import eventually as eventually
from kstatus import conditions_of, lint
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane

KINDS = ",".join(kind.plural for kind in Kind)


def objects(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    """Every object of our kinds in a namespace, each of which must honour the status contract."""
    found: list[dict[str, Any]] = [
        item for kind in Kind for item in read(plane, path_of(namespace, kind))["items"]
    ]
    for one in found:
        assert lint(one) == [], one["metadata"]["name"]
        assert_untouched(one)
    return found


def assert_untouched(one: dict[str, Any]) -> None:
    """Nothing but status may be ours."""
    metadata = one["metadata"]
    assert "finalizers" not in metadata
    for entry in metadata.get("managedFields", []):
        if entry.get("subresource") != "status":
            # What people do with the plugin is theirs.
            assert entry["manager"] == "kubectl-postroom" or "postroom" not in entry["manager"]
            assert "kopf" not in entry["manager"]


def one(plane: ControlPlane, namespace: str, kind: Kind, name: str) -> dict[str, Any]:
    return read(plane, f"{path_of(namespace, kind)}/{name}")


def path_of(namespace: str, kind: Kind) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{kind.plural}"


def reason_of(obj: dict[str, Any]) -> str:
    """The reason of Ready."""
    return str(conditions_of(obj).get("Ready", {}).get("reason", ""))


def is_ready(obj: dict[str, Any]) -> bool:
    """Ready for the current generation."""
    ready = conditions_of(obj).get("Ready", {})
    return ready.get("status") == "True" and is_observed(obj)


def is_judged(obj: dict[str, Any]) -> bool:
    """Evaluated at its current generation, and not only at it: that is told of what takes long."""
    at_it = conditions_of(obj).get("Reconciling", {}).get("reason") == "Progressing"
    return is_observed(obj) and not at_it


def is_observed(obj: dict[str, Any]) -> bool:
    """Whether its status is about its current generation, be it that that is being evaluated."""
    observed = obj.get("status", {}).get("observedGeneration")
    return bool(observed == obj["metadata"]["generation"])


def domains(count: int, first: int = 0) -> str:
    """A List of SendingDomains that exist nowhere."""
    items = [
        {
            "apiVersion": API_VERSION,
            "kind": "SendingDomain",
            "metadata": {"name": f"d{number}"},
            "spec": {"domain": f"d{number}.example.com"},
        }
        for number in range(first, first + count)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def hello(name: str = "hello", **spec: Any) -> str:
    """A SendingDomain that proves control by a value of the zone send.example.com of the lab."""
    return json.dumps(
        {
            "apiVersion": API_VERSION,
            "kind": "SendingDomain",
            "metadata": {"name": name},
            "spec": {
                "domain": "send.example.com",
                "ownership": {"value": "provider-verify=k7f3a9"},
                **spec,
            },
        }
    )
