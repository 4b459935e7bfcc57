# SPDX-License-Identifier: Apache-2.0
"""The admission policy of token rotation under other names, and what the operator does without it.

Covers: an installation moved by kustomize (namespace, prefix, suffix) is restricted as before; who
else writes Secrets is not; the operator keeps nothing while the policy, or its binding, is missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import taking_effect
from cluster.api_client import administrator, apply
from cluster.lab_process import LabProcess
from cluster.objects import eventually
from cluster.test_token_rotation import (  # noqa: F401 - `login` and `directory` are fixtures
    ACCOUNT,
    INSTALL,
    Login,
    codes,
    directory,
    login,
    make_both,
    operator,
    secrets,
)
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane

MOVED = "acme-mail"
MOVED_USER = f"system:serviceaccount:{MOVED}:acme-postroom-eu"
REFUSAL = "postroom may write no Secrets but those in which it keeps refresh tokens"
OWNER = {
    "apiVersion": API_VERSION,
    "kind": "EmailAccount",
    "name": "x",
    "uid": "x",
    "controller": True,
}


def rendered(plane: ControlPlane, scratch: Path, **fields: Any) -> str:
    """The cluster-wide installation with the component, as a kustomization beside it makes it."""
    here = os.path.relpath(INSTALL, scratch)
    kustomization = {
        "resources": [f"{here}/cluster"],
        "components": [f"{here}/token-rotation/cluster"],
        **fields,
    }
    (scratch / "kustomization.yaml").write_text(json.dumps(kustomization))
    return plane.kubectl("kustomize", str(scratch), "--load-restrictor=LoadRestrictionsNone").stdout


def without_definitions(text: str) -> list[dict[str, Any]]:
    return [
        item
        for item in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if item["kind"] not in ("CustomResourceDefinition", "Namespace")
    ]


@pytest.fixture
def moved(installed: ControlPlane, tmp_path: Path) -> Iterator[ControlPlane]:
    """A second installation under other names, beside that of the other tests."""
    text = rendered(installed, tmp_path, namespace=MOVED, namePrefix="acme-", nameSuffix="-eu")
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": without_definitions(text)})
    installed.kubectl("create", "namespace", MOVED, check=False)
    apply(installed, items)
    taking_effect.await_all(administrator(installed))
    yield installed
    installed.kubectl("delete", "-f", "-", "--wait=false", input=items, check=False)
    taking_effect.await_all(administrator(installed))


@pytest.fixture
def allowed(installed: ControlPlane, tmp_path: Path) -> Iterator[ControlPlane]:
    """The installation of the other tests with the component, taken back in the end."""
    items = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [
                item
                for item in without_definitions(rendered(installed, tmp_path))
                if item["metadata"]["name"] == "postroom-token-rotation"
            ],
        }
    )
    apply(installed, items)
    taking_effect.await_all(administrator(installed))
    yield installed
    installed.kubectl("delete", "-f", "-", input=items, check=False)
    taking_effect.await_all(administrator(installed))


def attempt(plane: ControlPlane, user: str, namespace: str, *args: str, **kind: Any) -> str:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "made"},
        "type": "Opaque",
        **kind,
    }
    done = plane.kubectl(
        f"--as={user}",
        "-n",
        namespace,
        *(args or ("create", "-f", "-")),
        input=json.dumps(body),
        check=False,
    )
    return done.stdout + done.stderr


def test_an_installation_under_other_names_is_restricted_as_before(
    moved: ControlPlane, namespace: str
) -> None:
    moved.kubectl("create", "secret", "generic", "-n", namespace, "user", "--from-literal=a=b")
    assert REFUSAL in attempt(moved, MOVED_USER, namespace)
    patch = ("patch", "secret", "user", "--type=merge", "-p", '{"data":{"a":"Yw=="}}')
    assert REFUSAL in attempt(moved, MOVED_USER, namespace, *patch)
    good = {"type": "postroom.dev/refresh-token"}
    metadata = {"name": "kept", "ownerReferences": [OWNER]}
    assert "created" in attempt(moved, MOVED_USER, namespace, **good, metadata=metadata)


def test_who_else_writes_secrets_is_not_restricted(moved: ControlPlane, namespace: str) -> None:
    assert REFUSAL in attempt(moved, MOVED_USER, namespace)
    # A team's administrator with everything on our kinds, which includes the policy's mark.
    for role, rules in {
        "team": ("--verb=*", "--resource=secrets"),
        "ours": ("--verb=*", "--resource=emailaccounts.postroom.dev"),
    }.items():
        moved.kubectl("create", "role", role, *rules, "-n", namespace)
        moved.kubectl(
            "create", "rolebinding", role, f"--role={role}", "--user=alice", "-n", namespace
        )
    wildcard = [
        {"op": "replace", "path": "/rules/0/resources", "value": ["*"]},
    ]
    moved.kubectl(
        "patch", "role", "ours", "-n", namespace, "--type=json", "-p", json.dumps(wildcard)
    )
    # Somebody who may only create Secrets, and has nothing to do with postroom.
    moved.kubectl("create", "role", "ci", "--verb=create", "--resource=secrets", "-n", namespace)
    moved.kubectl("create", "rolebinding", "ci", "--role=ci", "--user=robot", "-n", namespace)
    taking_effect.await_rights(administrator(moved))
    for number, user in enumerate(("alice", "robot")):
        made = attempt(moved, user, namespace, metadata={"name": f"by-{number}"})
        assert "created" in made, user
    made = json.dumps(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "by-administrator"}}
    )
    moved.kubectl("create", "-n", namespace, "-f", "-", input=made)


def test_without_its_binding_nothing_is_written(
    allowed: ControlPlane,
    lab: LabProcess,
    login: Login,  # noqa: F811
    namespace: str,
    directory: Path,  # noqa: F811
) -> None:
    allowed.kubectl("delete", "validatingadmissionpolicybinding", "postroom-token-rotation")
    taking_effect.await_policies(administrator(allowed))
    make_both(allowed, namespace, login, lab)
    with operator(allowed, lab, login, directory, "--allow-token-rotation"):
        eventually(
            lambda: "REFRESH_TOKEN_NOT_KEPT" in codes(allowed, namespace, ACCOUNT),
            "it is told",
        )
    assert secrets(allowed, namespace).keys() == {"user"}
