# SPDX-License-Identifier: Apache-2.0
"""What a sign-in yields is written into a real cluster, by whoever may create and patch Secrets and
cannot read them: only its own keys, onto what was seen."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import apply as put
from cluster.api_client import service_account_kubeconfig
from postroom.api.masked import Masked
from postroom.cli.auth_secret import CannotApply, apply, secret_of, try_out
from postroom.lab.controlplane import ControlPlane

RIGHTS = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: writes-secrets, namespace: PLACE}
rules: [{apiGroups: [""], resources: [secrets], verbs: [create, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: writes-secrets, namespace: PLACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: writes-secrets}
subjects: [{kind: ServiceAccount, name: person, namespace: PLACE}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: person, namespace: PLACE}
"""
THERE = """\
apiVersion: v1
kind: Secret
metadata: {name: oauth, labels: {team: mail}}
stringData: {refreshToken: old, password: other}
"""


def secret_in(plane: ControlPlane, namespace: str) -> dict[str, Any]:
    shown = plane.kubectl("get", "secret", "oauth", "-n", namespace, "-o", "json").stdout
    found: dict[str, Any] = json.loads(shown)
    return found


def test_only_its_own_keys_are_set_of_a_secret_that_is_there(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    put(installed, RIGHTS.replace("PLACE", namespace))
    config = service_account_kubeconfig(installed, tmp_path, "person", namespace)
    made = secret_of("oauth", namespace, Masked("new"), None)

    def said() -> str:
        asyncio.run(try_out("oauth", namespace, config, None))
        return asyncio.run(apply(made, config, None))

    assert said() == "created"
    assert said() == "updated (refreshToken replaced)"
    installed.kubectl("delete", "secret", "oauth", "-n", namespace)
    put(installed, THERE, namespace)
    before = secret_in(installed, namespace)
    asyncio.run(try_out("oauth", namespace, config, None))
    assert secret_in(installed, namespace) == before, "a try writes nothing"
    assert said() == "updated (refreshToken replaced, 1 other key stays as before)"
    after = secret_in(installed, namespace)
    assert after["metadata"]["labels"] == {"team": "mail"}
    values = {name: base64.b64decode(value) for name, value in after["data"].items()}
    assert values == {"refreshToken": b"new", "password": b"other"}
    frozen = ("secret", "oauth", "-n", namespace, "--type=merge", "-p", '{"immutable": true}')
    installed.kubectl("patch", *frozen)
    with pytest.raises(CannotApply, match="is immutable"):
        said()
