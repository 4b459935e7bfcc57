# SPDX-License-Identifier: Apache-2.0
"""Raw objects as the API server holds them, for the tests of the controller."""

from __future__ import annotations

from typing import Any

from postroom.api.names import Key, Kind

Object = dict[str, Any]

SERVER = Key(Kind.MAIL_SERVER, "mail", "smtp")
ACCOUNT = Key(Kind.EMAIL_ACCOUNT, "mail", "support")
DOMAIN = Key(Kind.SENDING_DOMAIN, "mail", "example")

SPECS: dict[Kind, Object] = {
    Kind.MAIL_SERVER: {"host": "smtp.example.com", "default": True},
    Kind.EMAIL_ACCOUNT: {"address": "support@example.com"},
    Kind.SENDING_DOMAIN: {"domain": "example.com"},
}


def stored(
    key: Key,
    *,
    version: int = 1,
    generation: int = 1,
    uid: str = "uid-1",
    spec: Object | None = None,
    status: Object | None = None,
    annotations: dict[str, str] | None = None,
) -> Object:
    """Return an object with this key."""
    metadata: Object = {
        "name": key.name,
        "namespace": key.namespace,
        "uid": uid,
        "generation": generation,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    if annotations:
        metadata["annotations"] = annotations
    spec = SPECS[key.kind] if spec is None else spec
    return {"metadata": metadata, "spec": spec, "status": status or {}}


def ready(
    status: str = "True", generation: int = 1, checked: str = "2026-06-01T12:00:00Z"
) -> Object:
    """Return a status with a Ready condition."""
    condition = {
        "type": "Ready",
        "status": status,
        "reason": "Succeeded",
        "message": "",
        "observedGeneration": generation,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {
        "observedGeneration": generation,
        "lastCheckTime": checked,
        "conditions": [condition],
    }
