# SPDX-License-Identifier: Apache-2.0
"""Bindings on a real API server, with the rights and the policies that users install.

Covers: a Secret comes, follows its source, is healed, goes with a disconnection and with its name;
a foreign one is left alone; a restart in the middle; a rotation of its source; `default-mail` moves
while both accounts work; what the policies keep the operator from, with token rotation beside it;
no password is shown.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from cluster import taking_effect
from cluster.api_client import administrator, apply, merge, reinstall, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from cluster.lab_process import LabProcess
from cluster.objects import KINDS, eventually, is_ready, path_of, reason_of
from cluster.test_defaults import ACCOUNT, RELAY, SERVER, SMTP, SUPPORT, Mail
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import PASSWORDS
from postroom.lab.operator_process import ROOT, USER, OperatorProcess

INSTALL = ROOT / "manifests" / "install"
ADDED = ("postroom-binding", "postroom-token-rotation", "postroom-service-binding")
REFUSAL = "postroom may write"
OURS = {"apiVersion": "v1", "kind": "Secret", "type": "servicebinding.io/smtp"}


@pytest.fixture(scope="module")
def allowed(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """The rights of both components that write Secrets, taken back in the end."""
    scratch = tmp_path_factory.mktemp("kustomize")
    here = os.path.relpath(INSTALL, scratch)
    components = [f"{here}/token-rotation/cluster", f"{here}/binding/cluster"]
    (scratch / "kustomization.yaml").write_text(
        json.dumps({"resources": [f"{here}/cluster"], "components": components})
    )
    unrestricted = "--load-restrictor=LoadRestrictionsNone"
    rendered = installed.kubectl("kustomize", str(scratch), unrestricted).stdout
    assert "- --allow-bindings\n" in rendered
    apply(installed, rendered)
    taking_effect.await_all(administrator(installed))
    yield installed
    kinds = "clusterrolebinding,validatingadmissionpolicybinding,clusterrole"
    for kind in (*kinds.split(","), "validatingadmissionpolicy"):
        installed.kubectl("delete", kind, *ADDED, "--ignore-not-found", check=False)
    reinstall(installed)
    taking_effect.await_all(administrator(installed))


class Bound(Mail):
    """A namespace with a server, and the Secrets of its bindings."""

    def __init__(self, plane: ControlPlane, namespace: str, lab: LabProcess) -> None:
        super().__init__(plane, namespace, lab)
        self.put(SERVER, "relay", **SMTP)

    def account(self, name: str, address: str, **spec: Any) -> None:
        login = {"name": address.partition("@")[0]}
        server = {"serverRef": {"name": "relay"}}
        self.put(ACCOUNT, name, address=address, credentialsRef=login, **server, **spec)

    def secret(self, name: str) -> dict[str, Any] | None:
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}"
        status, found = administrator(self.plane).answer("GET", path, None, {})
        assert status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND), found
        return found if status == HTTPStatus.OK else None

    def text(self, name: str, key: str) -> str:
        found = self.secret(name)
        data = (found or {}).get("data") or {}
        return base64.b64decode(data.get(key, "")).decode()

    def holders(self, name: str) -> list[str]:
        found = self.secret(name) or {"metadata": {}}
        return [each["name"] for each in found["metadata"].get("ownerReferences", [])]

    def look(self, name: str) -> None:
        mark = {"postroom.dev/requested-at": uuid.uuid4().hex}
        path = f"{path_of(self.namespace, ACCOUNT)}/{name}"
        merge(self.plane, path, {"metadata": {"annotations": mark}})

    def is_ready(self, name: str) -> bool:
        return is_ready(self.get(ACCOUNT, name))

    def reason(self, name: str) -> str:
        return reason_of(self.get(ACCOUNT, name))


@pytest.fixture
def bound(allowed: ControlPlane, namespace: str, lab: LabProcess) -> Bound:
    return Bound(allowed, namespace, lab)


@pytest.fixture
def process(allowed: ControlPlane, lab: LabProcess, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that may write Secrets of bindings; nothing that it asks for is forbidden."""
    flags = (*lab.reach.flags, "--allow-bindings", "--log-format=text", "--log-level=debug")
    running = OperatorProcess(service_account_kubeconfig(allowed, tmp_path), tmp_path, flags)
    before = datetime.now(UTC)
    yield running
    running.stop()
    assert forbidden(requests_of(allowed, since=before)) == [], running.tail()


def attempt(bound: Bound, *arguments: str, **input: Any) -> str:
    """What the API server answers the operator's ServiceAccount."""
    done = bound.plane.kubectl(
        f"--as={USER}", "-n", bound.namespace, *arguments, **input, check=False
    )
    return done.stdout + done.stderr


def test_a_binding_comes_follows_and_goes(bound: Bound, process: OperatorProcess) -> None:
    bound.account("support", SUPPORT, binding={"secretName": "support-mail"})
    process.start()
    eventually(lambda: bound.is_ready("support"), "the account is ready")
    status = bound.get(ACCOUNT, "support")["status"]
    assert status["binding"]["name"] == "support-mail"
    assert bound.text("support-mail", "password") == PASSWORDS[SUPPORT]
    owners = (bound.secret("support-mail") or {})["metadata"]["ownerReferences"]
    assert [each.get("blockOwnerDeletion") for each in owners] == [None]

    edit = ("patch", "secret", "support-mail", "-n", bound.namespace, "--type=merge", "-p")
    bound.plane.kubectl(*edit, '{"data":{"host":"eA=="}}')
    bound.look("support")
    host = str(SMTP["host"])
    eventually(lambda: bound.text("support-mail", "host") == host, "the edit is healed")

    # In the middle of a change of its name.
    process.stop()
    bound.account("support", SUPPORT, binding={"secretName": "renamed"})
    process.start()
    eventually(lambda: bound.secret("renamed") is not None, "it has another name")
    eventually(lambda: bound.secret("support-mail") is None, "the old one is gone")

    asked = {"secretName": "renamed"}
    bound.account("support", SUPPORT, binding=asked, connection="Disconnected")
    eventually(lambda: bound.secret("renamed") is None, "it is withdrawn")
    eventually(lambda: "binding" not in bound.get(ACCOUNT, "support")["status"], "status says so")
    shown = bound.plane.kubectl(
        "get", f"{KINDS},events", "-n", bound.namespace, "-o", "json"
    ).stdout
    text = process.log.read_text() + shown
    for secret in (PASSWORDS[SUPPORT], base64.b64encode(PASSWORDS[SUPPORT].encode()).decode()):
        assert secret not in text
    for line in ("BindingPublished: secret support-mail", "BindingWithdrawn: secret support-mail"):
        assert line in text


@pytest.fixture
def watching(allowed: ControlPlane, lab: LabProcess, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that is told of Secrets with our label at once, with the rights for that."""
    name = "postroom-watches-secrets"
    rule = ("--verb=get,list,watch", "--resource=secrets,configmaps")
    allowed.kubectl("create", "clusterrole", name, *rule)
    user = (f"--clusterrole={name}", f"--user={USER}")
    allowed.kubectl("create", "clusterrolebinding", name, *user)
    flags = ("--allow-bindings", "--watch-secrets", "--log-format=text", "--log-level=debug")
    config = service_account_kubeconfig(allowed, tmp_path)
    running = OperatorProcess(config, tmp_path, (*lab.reach.flags, *flags))
    before = datetime.now(UTC)
    yield running
    running.stop()
    allowed.kubectl("delete", "clusterrole,clusterrolebinding", name)
    assert forbidden(requests_of(allowed, since=before)) == [], running.tail()


def test_a_rotated_secret_reaches_the_binding_and_nothing_else(
    bound: Bound, watching: OperatorProcess
) -> None:
    plane, here = bound.plane, ("-n", bound.namespace)
    plane.kubectl("label", "secret", "support", *here, "postroom.dev/watch=true")
    bound.account("support", SUPPORT, binding={"secretName": "support-mail"})
    watching.start()
    eventually(lambda: bound.is_ready("support"), "the account is ready")
    eventually(lambda: bound.text("support-mail", "password") == PASSWORDS[SUPPORT], "it is there")
    first = bound.secret("support-mail") or {}
    # Another login that the lab takes: what is passed on was proven before.
    rotated = {"stringData": {"username": RELAY, "password": PASSWORDS[RELAY]}}
    patch = ("patch", "secret", "support", *here, "--type=merge", "-p", json.dumps(rotated))
    plane.kubectl(*patch)
    eventually(
        lambda: bound.text("support-mail", "password") == PASSWORDS[RELAY], "it is passed on"
    )
    assert bound.text("support-mail", "username") == RELAY
    # The application's own object stays the same one.
    second = bound.secret("support-mail") or {}
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    eventually(lambda: bound.is_ready("support"), "the account is ready with it")
    shown = plane.kubectl("get", f"{KINDS},events", *here, "-o", "json").stdout
    metrics = watching.metrics()
    assert "postroom_condition" in metrics
    text = watching.log.read_text() + shown + metrics
    for canary in (PASSWORDS[SUPPORT], PASSWORDS[RELAY]):
        assert canary not in text
        assert base64.b64encode(canary.encode()).decode() not in text


def test_a_foreign_secret_is_left_alone(bound: Bound, process: OperatorProcess) -> None:
    taken = ("create", "secret", "generic", "taken", "-n", bound.namespace, "--from-literal=a=b")
    bound.plane.kubectl(*taken)
    before = bound.secret("taken")
    bound.account("support", SUPPORT, binding={"secretName": "taken"})
    process.start()
    eventually(lambda: bound.reason("support") == "SecretConflict", "it is told")
    bound.account("support", SUPPORT)
    eventually(lambda: bound.is_ready("support"), "nothing is asked any more")
    assert bound.secret("taken") == before


def test_default_mail_moves_without_a_gap(bound: Bound, process: OperatorProcess) -> None:
    asked = {"default": True, "binding": {"default": True}}
    bound.account("old", SUPPORT, **asked)
    process.start()
    eventually(lambda: bound.is_ready("old"), "the first is ready")
    assert bound.holders("default-mail") == ["old"]
    seen: list[list[str]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.append(bound.holders("default-mail"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        bound.account("new", RELAY, **asked)
        eventually(lambda: bound.is_ready("new"), "the second is ready")
        assert bound.holders("default-mail") == ["new"]
        bound.plane.kubectl("delete", ACCOUNT.plural, "old", "-n", bound.namespace)
        bound.look("new")
    finally:
        over.set()
        watcher.join(30)
    assert {len(holders) for holders in seen} == {1}
    assert bound.text("default-mail", "from") == RELAY
    status = bound.get(ACCOUNT, "new")["status"]
    assert status["binding"]["defaultName"] == "default-mail"


def test_the_policies_keep_the_operator_from_other_secrets(bound: Bound) -> None:
    # One that is there, or the API server would collect what it seems to own.
    uid = bound.get(SERVER, "relay")["metadata"]["uid"]
    owner = {"apiVersion": API_VERSION, "kind": "MailServer", "name": "relay", "uid": uid}
    metadata = {
        "name": "made",
        "labels": {"app.kubernetes.io/managed-by": "postroom"},
        "ownerReferences": [{**owner, "controller": True}],
    }
    ours = {**OURS, "metadata": metadata}
    kept = {**ours, "type": "postroom.dev/refresh-token"}
    create = ("create", "-f", "-")
    bound.plane.kubectl("create", "secret", "generic", "user", "-n", bound.namespace)
    patch = ("patch", "secret", "user", "--type=merge", "-p", '{"data":{"a":"Yw=="}}')
    assert REFUSAL in attempt(bound, *patch)
    assert REFUSAL in attempt(bound, "delete", "secret", "user")
    adopted = json.dumps({"metadata": {**metadata, "name": "user"}})
    assert REFUSAL in attempt(bound, *patch[:-1], adopted)
    for secret in (
        {**ours, "type": "Opaque"},
        {**ours, "type": "servicebinding.io/other"},
        {**ours, "metadata": {**metadata, "ownerReferences": []}},
        {**ours, "metadata": {**metadata, "labels": {}}},
        {**ours, "metadata": {**metadata, "labels": {"app.kubernetes.io/managed-by": "helm"}}},
    ):
        assert REFUSAL in attempt(bound, *create, input=json.dumps(secret)), secret
    for name, secret in (("bound", ours), ("kept", kept)):
        good = {**secret, "metadata": {**metadata, "name": name}}
        assert "created" in attempt(bound, *create, input=json.dumps(good))
    assert REFUSAL in attempt(bound, "delete", "secret", "kept")
    # Whoever takes our label off has taken the Secret from us.
    taken = ("label", "secret", "bound", "-n", bound.namespace)
    bound.plane.kubectl(*taken, "app.kubernetes.io/managed-by-")
    assert REFUSAL in attempt(bound, "delete", "secret", "bound")
    bound.plane.kubectl(*taken, "app.kubernetes.io/managed-by=postroom")
    assert "deleted" in attempt(bound, "delete", "secret", "bound")


@pytest.mark.parametrize(
    "lost", [("postroom-binding",), ("postroom-binding", "postroom-token-rotation")]
)
def test_without_the_policy_in_force_nothing_is_written(
    bound: Bound, process: OperatorProcess, lost: tuple[str, ...]
) -> None:
    bound.plane.kubectl("delete", "validatingadmissionpolicybinding", *lost)
    try:
        taking_effect.await_policies(administrator(bound.plane))
        bound.account("support", SUPPORT, binding={"secretName": "support-mail"})
        process.start()
        eventually(lambda: bound.reason("support") == "BindingUnguarded", "it is told")
        assert bound.secret("support-mail") is None
    finally:
        for component in ("binding", "token-rotation"):
            path = INSTALL / component / "base" / "policy.yaml"
            bound.plane.kubectl("apply", "--server-side", "-f", str(path))
        taking_effect.await_policies(administrator(bound.plane))
