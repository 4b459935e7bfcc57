# SPDX-License-Identifier: Apache-2.0
"""New refresh tokens kept by the operator on a real API server, with the rights that users install.

Covers: a Secret for an account and one for a server, used by the next process; the user's Secret
left alone; that nothing else is written and no token shown; deletion with the owner; a foreign
Secret; the operator without the flag; what the admission policy keeps the operator from.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import taking_effect
from cluster.api_client import administrator, apply, reinstall, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of, writes_of
from cluster.lab_process import LabProcess
from cluster.objects import KINDS, eventually, one
from lab.token_server import HOST, MICROSOFT_PATH, Client, Refresh, TokenServer
from loopback import own_address
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, USER, OperatorProcess

ACCOUNT, SERVER = Kind.EMAIL_ACCOUNT, Kind.MAIL_SERVER
KEPT = {"EmailAccount": "support-oauth", "MailServer": "support-server-oauth"}
INSTALL = ROOT / "manifests" / "install"
ADDED = "clusterrolebinding,validatingadmissionpolicybinding,validatingadmissionpolicy,clusterrole"


class Login:
    """A token server that rotates, in a thread of its own."""

    def __init__(self) -> None:
        # The operator never dials the address of the API server.
        self.server = TokenServer(address=own_address(4))
        self.server.rotates = True
        self.server.clients = {"mid": Client()}
        self.seed = f"seed-{uuid.uuid4().hex}"
        self.server.refreshes = {self.seed: Refresh("mid", "alice@example.com", "mail")}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.__aenter__(), self._loop).result(60)

    def stop(self) -> None:
        stopped = self.server.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(stopped, self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    @property
    def flags(self) -> tuple[str, ...]:
        port = self.server.port
        return (
            f"--allow-token-host={HOST}",
            f"--allow-cidr={self.server.address}/32",
            f"--allow-port={port}",
        )

    @property
    def shown(self) -> set[str]:
        """The refresh tokens that came."""
        return {form["refresh_token"] for form in list(self.server.forms)}


@pytest.fixture
def login(lab: LabProcess) -> Iterator[Login]:
    made = Login()
    made.start()
    lab.put("example.com", "login", "A", made.server.address)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def allowed(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """The rights of the component, taken back in the end."""
    scratch = tmp_path_factory.mktemp("kustomize")
    here = os.path.relpath(INSTALL, scratch)
    (scratch / "kustomization.yaml").write_text(
        json.dumps(
            {
                "resources": [f"{here}/cluster"],
                "components": [f"{here}/token-rotation/cluster"],
            }
        )
    )
    rendered = installed.kubectl(
        "kustomize", str(scratch), "--load-restrictor=LoadRestrictionsNone"
    )
    assert "- --allow-token-rotation\n" in rendered.stdout
    apply(installed, rendered.stdout)
    taking_effect.await_all(administrator(installed))
    yield installed
    for kind in ADDED.split(","):
        installed.kubectl("delete", kind, "postroom-token-rotation", check=False)
    reinstall(installed)
    taking_effect.await_all(administrator(installed))


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operator")


def operator(
    plane: ControlPlane, lab: LabProcess, login: Login, directory: Path, *flags: str
) -> OperatorProcess:
    kubeconfig = service_account_kubeconfig(plane, directory)
    given = (*lab.reach.flags, *login.flags, *flags, "--log-format=text", "--log-level=debug")
    return OperatorProcess(kubeconfig, directory, given)


def oauth(login: Login) -> dict[str, Any]:
    return {
        "provider": "Generic",
        "clientID": "mid",
        "subject": "alice@example.com",
        "scopes": ["mail"],
        "tokenURL": login.server.url(MICROSOFT_PATH),
        "refreshTokenRef": {"name": "user", "key": "refreshToken"},
        "caBundleRef": {"kind": "ConfigMap", "name": "login-ca", "key": "ca.crt"},
        "rotation": "WriteBack",
    }


def make_both(plane: ControlPlane, namespace: str, login: Login, lab: LabProcess) -> None:
    """A server and an account, both named support, that sign in with the same refresh token."""
    authority = next(yaml.load_all(lab.manifest.read_text(), Loader=yaml.CSafeLoader))
    tls = {"mode": "Implicit", "caBundleRef": {"name": "lab-ca"}}
    host = "smtp.mail.example.org"
    specs = {
        "MailServer": {"host": host, "port": 2465, "tls": tls, "oauth": oauth(login)},
        "EmailAccount": {
            "address": "alice@example.com",
            "serverRef": {"name": "support"},
            "oauth": oauth(login),
            "imap": {"host": "imap.mail.example.org", "port": 2993, "tls": tls},
        },
    }
    items: list[dict[str, Any]] = [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "support"}, "spec": spec}
        for kind, spec in specs.items()
    ]
    items += [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "user"},
            "stringData": {"refreshToken": login.seed},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "login-ca"},
            "data": {"ca.crt": login.server.ca_bundle},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "lab-ca"},
            "data": authority["data"],
        },
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    apply(plane, text, namespace)


def secrets(plane: ControlPlane, namespace: str) -> dict[str, dict[str, Any]]:
    answer = plane.kubectl("get", "secrets", "-n", namespace, "-o", "json")
    return {item["metadata"]["name"]: item for item in json.loads(answer.stdout)["items"]}


def token_in(secret: dict[str, Any]) -> str:
    return base64.b64decode(secret["data"]["refreshToken"]).decode()


def codes(plane: ControlPlane, namespace: str, kind: Kind) -> set[str]:
    status = one(plane, namespace, kind, "support").get("status", {})
    return {each["code"] for each in status.get("findings", [])}


def test_new_refresh_tokens_are_kept_and_used_by_the_next_process(
    allowed: ControlPlane, lab: LabProcess, login: Login, namespace: str, directory: Path
) -> None:
    before, flag = datetime.now(UTC), "--allow-token-rotation"
    make_both(allowed, namespace, login, lab)
    users = secrets(allowed, namespace)["user"]
    wanted = {"user", *KEPT.values()}
    with operator(allowed, lab, login, directory, flag) as first:
        eventually(lambda: secrets(allowed, namespace).keys() == wanted, "both are kept")
    kept = {token_in(one) for name, one in secrets(allowed, namespace).items() if name != "user"}
    assert len(kept) == 2
    for kind in (ACCOUNT, SERVER):
        owned = secrets(allowed, namespace)[KEPT[kind.value]]["metadata"]["ownerReferences"]
        uid = one(allowed, namespace, kind, "support")["metadata"]["uid"]
        assert [(each["uid"], each["controller"]) for each in owned] == [(uid, True)]
        assert "REFRESH_TOKEN_NOT_KEPT" not in codes(allowed, namespace, kind)
    ask = ("annotate", "emailaccounts,mailservers", "--all", "-n", namespace)
    with operator(allowed, lab, login, directory, flag) as second:
        allowed.kubectl(*ask, "postroom.dev/requested-at=now")
        eventually(lambda: kept <= login.shown, "what was kept is used")
    assert secrets(allowed, namespace)["user"] == users
    assert_only_ours_is_written(allowed, before)
    shown = allowed.kubectl("get", f"{KINDS},events", "-n", namespace, "-o", "json").stdout
    text = first.log.read_text() + second.log.read_text() + shown
    for token in login.server.refreshes:
        encoded = base64.b64encode(token.encode()).decode()
        assert token not in text
        assert encoded not in text


def assert_only_ours_is_written(plane: ControlPlane, before: datetime) -> None:
    """Nothing was forbidden, and of Secrets only those of the operator were written."""
    since = requests_of(plane, since=before)
    assert forbidden(since) == []
    for request in since:
        target = request.get("objectRef", {})
        if target.get("resource") == "secrets" and request["verb"] != "get":
            assert request["verb"] in ("create", "patch")
            assert target.get("name") in {None, *KEPT.values()}


def test_they_go_with_their_owner(
    allowed: ControlPlane, lab: LabProcess, login: Login, namespace: str, directory: Path
) -> None:
    make_both(allowed, namespace, login, lab)
    with operator(allowed, lab, login, directory, "--allow-token-rotation"):
        eventually(lambda: len(secrets(allowed, namespace)) == 3, "both are kept")
    allowed.kubectl("delete", "emailaccounts,mailservers", "--all", "-n", namespace)
    if allowed.has_controllers:
        gone = {"user"}
        eventually(lambda: secrets(allowed, namespace).keys() == gone, "both are collected")


def test_a_foreign_secret_is_left_alone(
    allowed: ControlPlane, lab: LabProcess, login: Login, namespace: str, directory: Path
) -> None:
    create = ("create", "secret", "generic", "-n", namespace)
    for name in KEPT.values():
        allowed.kubectl(*create, name, "--from-literal=refreshToken=foreign")
    before = secrets(allowed, namespace)
    make_both(allowed, namespace, login, lab)
    with operator(allowed, lab, login, directory, "--allow-token-rotation"):
        for kind in (ACCOUNT, SERVER):
            eventually(
                lambda kind=kind: "REFRESH_TOKEN_NOT_KEPT" in codes(allowed, namespace, kind),  # type: ignore[misc]
                "it is told",
            )
    after = secrets(allowed, namespace)
    assert {name: after[name] for name in before} == before
    assert "foreign" not in login.shown


def test_without_the_flag_nothing_is_written(
    installed: ControlPlane, lab: LabProcess, login: Login, namespace: str, directory: Path
) -> None:
    before = datetime.now(UTC)
    make_both(installed, namespace, login, lab)
    with operator(installed, lab, login, directory):
        for kind in (ACCOUNT, SERVER):
            eventually(
                lambda kind=kind: "REFRESH_TOKEN_NOT_KEPT" in codes(installed, namespace, kind),  # type: ignore[misc]
                "it is told",
            )
    assert secrets(installed, namespace).keys() == {"user"}
    written = {each["objectRef"]["resource"] for each in writes_of(installed, since=before)}
    assert "secrets" not in written


def attempt(plane: ControlPlane, namespace: str, *args: str, input: str | None = None) -> str:
    """What the API server answers the operator's ServiceAccount."""
    done = plane.kubectl(f"--as={USER}", "-n", namespace, *args, input=input, check=False)
    return done.stdout + done.stderr


def test_the_policy_keeps_the_operator_from_other_secrets(
    allowed: ControlPlane, namespace: str
) -> None:
    allowed.kubectl("create", "secret", "generic", "-n", namespace, "user", "--from-literal=a=b")
    refusal = "postroom may write no Secrets but those in which it keeps refresh tokens"
    patch = ("patch", "secret", "user", "--type=merge", "-p")
    assert refusal in attempt(allowed, namespace, *patch, '{"data":{"a":"Yw=="}}')
    owner = {"apiVersion": API_VERSION, "kind": "EmailAccount", "name": "x", "uid": "x"}
    metadata = {"name": "made", "ownerReferences": [{**owner, "controller": True}]}
    typed = {"apiVersion": "v1", "kind": "Secret", "type": "postroom.dev/refresh-token"}
    adopted = json.dumps({"metadata": {"ownerReferences": metadata["ownerReferences"]}})
    assert refusal in attempt(allowed, namespace, *patch, adopted)
    bad = [
        {**typed, "type": "Opaque", "metadata": metadata},
        {**typed, "metadata": {"name": "made"}},
        {**typed, "metadata": {"name": "made", "ownerReferences": [owner]}},
    ]
    for secret in bad:
        made = attempt(allowed, namespace, "create", "-f", "-", input=json.dumps(secret))
        assert refusal in made, secret
    good = json.dumps({**typed, "metadata": metadata})
    assert "created" in attempt(allowed, namespace, "create", "-f", "-", input=good)
