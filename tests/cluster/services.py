# SPDX-License-Identifier: Apache-2.0
"""Services that really lead somewhere, without the network of a cluster: at addresses of loopback.

The API server gives out addresses of any ServiceCIDR, and whoever listens there is behind the
Service, with the same port.
"""

from __future__ import annotations

import json

from cluster.api_client import apply
from cluster.objects import eventually
from postroom.lab.controlplane import ControlPlane

#: What `loopback.own_address` gives out.
_LOOPBACK = "127.64.0.0/10"


def allow_loopback(plane: ControlPlane) -> None:
    """Have Services be at addresses of loopback."""
    cidr = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "loopback"},
        "spec": {"cidrs": [_LOOPBACK]},
    }
    apply(plane, json.dumps(cidr))


def expose(plane: ControlPlane, namespace: str, name: str, address: str, port: int) -> None:
    """Make a Service that leads to a port of an address of `loopback.own_address`, as soon as the
    one of a namespace that is being deleted has let it go."""
    allow_loopback(plane)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": [{"port": port}]},
    }

    def is_made() -> bool:
        try:
            apply(plane, json.dumps(service))
        except AssertionError as refused:
            if "already allocated" not in str(refused):
                raise
            return False
        return True

    eventually(is_made, f"{address} is free")
