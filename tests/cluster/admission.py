# SPDX-License-Identifier: Apache-2.0
"""Whether the policies that keep the operator from Secrets are in force: it takes a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from cluster.objects import eventually
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import USER

#: What each of them says.
_REFUSAL = "postroom may write"
#: No policy lets the operator write it.
FOREIGN: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "Opaque",
    "metadata": {"generateName": "tried-"},
}
#: Only the policy of bindings refuses it, for its last label.
MARKED: Mapping[str, Any] = {
    **FOREIGN,
    "type": "servicebinding.io/smtp",
    "metadata": {
        "generateName": "tried-",
        "labels": {"app.kubernetes.io/managed-by": "postroom", "postroom.dev/dry-run": "true"},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "MailServer",
                "name": "x",
                "uid": "x",
                "controller": True,
            }
        ],
    },
}


def until_refused(plane: ControlPlane, secret: Mapping[str, Any]) -> None:
    """Wait until the operator can no longer create a Secret, for a policy that came."""
    eventually(lambda: _REFUSAL in _tried(plane, secret), partial(_tried, plane, secret))


def until_taken(plane: ControlPlane, secret: Mapping[str, Any]) -> None:
    """Wait until the operator can create a Secret, for a policy that went."""
    eventually(lambda: "created" in _tried(plane, secret), partial(_tried, plane, secret))


def _tried(plane: ControlPlane, secret: Mapping[str, Any]) -> str:
    words = (f"--as={USER}", "-n", "default", "create", "--dry-run=server", "-f", "-")
    done = plane.kubectl(*words, input=json.dumps(secret), check=False)
    return done.stdout + done.stderr
