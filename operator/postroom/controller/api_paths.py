# SPDX-License-Identifier: Apache-2.0
"""Where the API server has what we ask for."""

from urllib.parse import quote

from postroom.api.names import API_VERSION, Key, Kind


def collection(kind: Kind, namespace: str | None) -> str:
    """The objects of a kind, in one namespace or in all."""
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/apis/{API_VERSION}{scope}/{kind.plural}"


def of_object(key: Key) -> str:
    """One object."""
    return f"{collection(key.kind, key.namespace)}/{quote(key.name, safe='')}"


def core(namespace: str | None, plural: str, name: str = "", part: str = "") -> str:
    """What belongs to no group, such as Pods and their logs; all of a kind without a name."""
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    steps = [plural, *(quote(step, safe="") for step in (name,) if step)]
    return "/".join([f"/api/v1{scope}", *steps, *([part] if part else [])])


#: The Leases of all namespaces.
LEASES = "/apis/coordination.k8s.io/v1/leases"


def lease(namespace: str, name: str) -> str:
    """One Lease, or all of the namespace without a name."""
    base = f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}/leases"
    return f"{base}/{quote(name, safe='')}" if name else base
