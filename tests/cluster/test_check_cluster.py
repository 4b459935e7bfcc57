# SPDX-License-Identifier: Apache-2.0
"""`postroom check` reads what kubectl prints, and takes credentials from a real API server by name,
where it may."""

from __future__ import annotations

import json

import yaml

from cluster import forked
from cluster.api_client import apply
from cluster.lab_process import LabProcess
from postroom.cli.options import ExitCode
from postroom.lab.controlplane import ControlPlane


def server(namespace: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "postroom.dev/v1alpha1",
            "kind": "MailServer",
            "metadata": {"name": "relay", "namespace": namespace},
            # The lab knows no such host, so that nobody is dialled.
            "spec": {"host": "relay.mail.example.org", "credentialsRef": {"name": "relay"}},
        }
    )


def check(text: str, *arguments: str) -> tuple[int, str]:
    done = forked.check(text, "-o", "json", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def test_a_list_of_the_cluster_is_read(installed: ControlPlane, namespace: str) -> None:
    apply(installed, server(namespace))
    listed = installed.kubectl("get", "mailservers", "-n", namespace, "-o", "yaml").stdout
    code, out = check(listed, "--offline")
    assert code == ExitCode.READY
    assert [item["metadata"]["name"] for item in json.loads(out)["items"]] == ["relay"]


def test_credentials_of_the_cluster_are_found_by_name(
    installed: ControlPlane, namespace: str, lab: LabProcess
) -> None:
    cluster = ("--secrets-from", "cluster", "--kubeconfig", str(installed.kubeconfig))
    where = (*cluster, *lab.reach.flags)

    def reason() -> str:
        (item,) = json.loads(check(server(namespace), *where)[1])["items"]
        return str(item["status"]["conditions"][0]["reason"])

    assert reason() == "SecretNotFound"
    login = ("--from-literal=username=me", "--from-literal=password=canary")
    installed.kubectl("create", "secret", "generic", "relay", "-n", namespace, *login)
    assert reason() != "SecretNotFound"
