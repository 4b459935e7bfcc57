# SPDX-License-Identifier: Apache-2.0
"""Secrets that change while a server is at their former content, on a real control plane: each
verdict is of the version that status names beside it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from cluster.api_client import apply, merge, read
from cluster.lab_process import LabProcess
from cluster.objects import eventually, is_ready, one
from kstatus import conditions_of
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import PASSWORDS
from postroom.lab.operator_process import OperatorProcess

SERVER, HOST, RELAY = Kind.MAIL_SERVER, "smtp.mail.example.org", "relay@example.com"
AUTHENTICATED = "SMTPAuthenticated"


def manifests(ca_pem: str) -> str:
    items: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "lab-ca"},
            "data": {"ca.crt": ca_pem},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login", "labels": {"postroom.dev/watch": "true"}},
            "stringData": {"username": RELAY, "password": "wrong"},
        },
        {
            "apiVersion": API_VERSION,
            "kind": SERVER.value,
            "metadata": {"name": "relay"},
            "spec": {
                "host": HOST,
                "port": 2587,
                "tls": {"mode": "StartTLS", "caBundleRef": {"name": "lab-ca"}},
                "credentialsRef": {"name": "login"},
            },
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


class Statuses:
    """Every status of the server that is seen meanwhile: the version of its Secret, and what is
    said of signing in with it."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace
        self.seen: list[tuple[str, str]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Statuses:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.02):
            told = self.now()
            if told not in self.seen[-1:]:
                self.seen.append(told)

    def now(self) -> tuple[str, str]:
        found = one(self._plane, self._namespace, SERVER, "relay")
        refs = found.get("status", {}).get("resolvedRefs", [])
        version = next((each["resourceVersion"] for each in refs if each["kind"] == "Secret"), "")
        return version, str(conditions_of(found).get(AUTHENTICATED, {}).get("status", ""))


def test_a_secret_that_changes_while_its_former_content_is_tried(
    installed: ControlPlane, lab: LabProcess, tmp_path: Path, namespace: str
) -> None:
    secret = f"/api/v1/namespaces/{namespace}/secrets/login"

    def version() -> str:
        return str(read(installed, secret)["metadata"]["resourceVersion"])

    def put(password: str) -> str:
        merge(installed, secret, {"stringData": {"password": password}})
        return version()

    apply(installed, manifests(lab.ca_pem), namespace)
    versions = {version(): "False"}
    flags = (*lab.reach.flags, f"--namespace={namespace}", "--watch-secrets", "--log-format=text")
    with OperatorProcess(installed.kubeconfig, tmp_path, flags) as running:
        with Statuses(installed, namespace) as statuses:
            eventually(lambda: statuses.now() == (version(), "False"), "the first is refused")
            with lab.stopped():
                versions[put("wrong, too")] = "False"
                # It has begun with that, and hears nothing.
                time.sleep(1.5)
                versions[put(PASSWORDS[RELAY])] = "True"
                time.sleep(0.5)
            eventually(
                lambda: is_ready(one(installed, namespace, SERVER, "relay")), "the last one works"
            )
        said = set(statuses.seen) - {("", "")}
        assert said >= set(versions.items()), running.tail()
        for at, is_well in said:
            assert is_well in (versions[at], "Unknown"), running.tail()
