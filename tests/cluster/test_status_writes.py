# SPDX-License-Identifier: Apache-2.0
"""How the operator's client writes, and what it is refused, at the real API server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from postroom.api.names import Key, Kind
from postroom.controller.client import ApiError, connect
from postroom.lab.controlplane import ControlPlane


async def test_a_status_is_replaced_and_what_is_not_kept_of_it_is_noticed(
    installed: ControlPlane, namespace: str
) -> None:
    key = Key(Kind.MAIL_SERVER, namespace, "smtp")
    made = {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "MailServer",
        "metadata": {"name": "smtp", "labels": {"team": "mail"}},
        "spec": {"host": "smtp.example.com"},
    }
    installed.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(made))
    cluster = await connect(installed.kubeconfig, connections=2)

    async def stored() -> Mapping[str, Any]:
        found = await cluster.get(key)
        assert found is not None
        return found

    try:
        before = await stored()
        version = before["metadata"]["resourceVersion"]
        status = {"observedGeneration": 1, "accounts": 3}
        answer = await cluster.replace_status(key, version, status)
        now = await stored()
        # Nothing else has moved, and no more is answered than that.
        assert (now["spec"], now["status"]) == (before["spec"], status)
        assert now["metadata"]["labels"] == {"team": "mail"}
        assert now["metadata"]["generation"] == before["metadata"]["generation"]
        assert answer["metadata"] == now["metadata"]
        assert answer.keys() == {"apiVersion", "kind", "metadata"}
        with pytest.raises(ApiError) as outdated:
            await cluster.replace_status(key, version, {"observedGeneration": 1})
        assert outdated.value.status == 409
        version = now["metadata"]["resourceVersion"]
        answer = await cluster.replace_status(key, version, {**status, "newer": True})
        assert answer == await stored()
        assert answer["status"] == status
    finally:
        await cluster.close()


async def test_the_end_of_a_namespace_is_told_from_a_lack_of_rights(
    installed: ControlPlane, namespace: str
) -> None:
    """A namespace that something holds stands for as long as that lasts."""
    held: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
    held |= {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    installed.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(held))
    installed.kubectl("delete", "namespace", namespace, "--wait=false")
    cluster = await connect(installed.kubeconfig, connections=2)
    try:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
        for dry_run in (True, False):
            with pytest.raises(ApiError) as refused:
                await cluster.create_secret(namespace, secret, dry_run=dry_run)
            assert (refused.value.status, refused.value.of_ending_namespace) == (403, True)
    finally:
        await cluster.close()
        freed = json.dumps([{"op": "remove", "path": "/metadata/finalizers"}])
        installed.kubectl("patch", "configmap", "held", "-n", namespace, "--type=json", "-p", freed)
