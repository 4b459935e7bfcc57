# SPDX-License-Identifier: Apache-2.0
"""When rights, policies and tokens that were made or deleted are in force, or no longer.

An API server decides by caches, which learn of a change a moment after whoever made it is
answered: mostly within milliseconds, within seconds where the machine has other things to do. Each
cache learns in the order of the changes: once something that is made now is in force, all that was
changed before is so, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from cluster.client import Client
from cluster.waiting import eventually

Raw = Mapping[str, Any]
_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
_HERE, _GROUP = "namespaces/default/", "taking-effect.example"
_CONFIG_MAPS = f"/api/v1/{_HERE}configmaps"


def await_all(client: Client) -> None:
    """Wait until rights are in force, and policies, which ask for them."""
    await_rights(client)
    await_policies(client)


def await_rights(client: Client) -> None:
    """Wait until all roles and bindings that were changed before are in force."""
    name, group = _new_name(), f"/apis/{_RBAC}/v1"
    made: dict[str, Raw] = {}
    for scope, where, verb in (("Cluster", "", "get"), ("", _HERE, "list")):
        rule = {"apiGroups": [_GROUP], "resources": ["tries"], "verbs": [verb]}
        role = {"apiGroup": _RBAC, "kind": f"{scope}Role", "name": name}
        user = {"apiGroup": _RBAC, "kind": "User", "name": name}
        made[f"{group}/{where}{scope.lower()}roles"] = {"rules": [rule]}
        bound = {"roleRef": role, "subjects": [user]}
        made[f"{group}/{where}{scope.lower()}rolebindings"] = bound
    with _made(client, name, made):
        for verb in ("get", "list"):
            eventually(partial(_is_allowed, client, name, verb), "rights are in force")


def _is_allowed(client: Client, user: str, verb: str) -> bool:
    asked = {"group": _GROUP, "resource": "tries", "verb": verb, "namespace": "default"}
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(client.request("POST", path, review)["status"]["allowed"])


def await_policies(client: Client) -> None:
    """Wait until all policies and bindings of admission that were changed before are in force."""
    name, group = _new_name(), f"/apis/{_ADMISSION}/v1/validatingadmissionpolic"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    matched = {"resourceRules": [{**rule, "operations": ["CREATE"]}]}
    refusing = {"expression": f"object.metadata.name != '{name}'", "message": name}
    policy = {"matchConstraints": matched, "validations": [refusing]}
    bound = {"policyName": name, "validationActions": ["Deny"]}
    made: dict[str, Raw] = {
        f"{group}ies": {"spec": policy},
        f"{group}ybindings": {"spec": bound},
    }
    with _made(client, name, made):
        eventually(partial(_is_refused, client, name), "policies are in force")


def _is_refused(client: Client, name: str) -> bool:
    tried = {"metadata": {"name": name}}
    status, _ = client.answer("POST", f"{_CONFIG_MAPS}?dryRun=All", tried, {})
    return status >= 400


def await_token(client: Client, token: str) -> None:
    """Wait until a token is known for that of a ServiceAccount as it is now."""
    path = "/apis/authentication.k8s.io/v1/tokenreviews"

    def is_known() -> bool:
        reviewed = client.request("POST", path, {"spec": {"token": token}})
        return bool(reviewed["status"].get("authenticated"))

    eventually(is_known, "the token is known")


def _new_name() -> str:
    return f"taking-effect-{uuid.uuid4().hex[:12]}"


@contextmanager
def _made(client: Client, name: str, made: Mapping[str, Raw]) -> Iterator[None]:
    """Objects of one name, each in its collection, for as long as the block takes."""
    for collection, body in made.items():
        client.request("POST", collection, {"metadata": {"name": name}, **body})
    try:
        yield
    finally:
        for collection in made:
            client.request("DELETE", f"{collection}/{name}")
