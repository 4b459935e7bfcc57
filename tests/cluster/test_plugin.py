# SPDX-License-Identifier: Apache-2.0
"""kubectl-postroom against a cluster: status, verify, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import yaml

from cluster.api_client import apply
from cluster.forked import plugin
from cluster.objects import eventually, hello, is_ready, one
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

CANARY = "zq7XcanaryV93kQ"


def test_status_and_verify(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    with operator:
        apply(installed, hello(), namespace)
        apply(installed, hello("news", domain="news.example.com"), namespace)
        eventually(
            lambda: is_ready(one(installed, namespace, Kind.SENDING_DOMAIN, "hello")), "ready"
        )
        good = plugin(installed, "verify", "sdom/hello", "-n", namespace)
        assert (good.returncode, good.stderr) == (0, "")
        apply(installed, hello(mx=[{"host": "mx.other.example.org"}]), namespace)
        bad = plugin(installed, "verify", "sendingdomain", "hello", "-n", namespace)
        assert bad.returncode == 1
        assert "MX_MISMATCH" in bad.stdout
        assert "10 mx.other.example.org" in bad.stdout
        listed = plugin(installed, "status", "-n", namespace, "-o", "json")
        names = [each["metadata"]["name"] for each in json.loads(listed.stdout)["items"]]
        assert names == ["hello", "news"]


def test_a_support_bundle_holds_what_is_public(
    installed: ControlPlane, operator: OperatorProcess, namespace: str, tmp_path: Path
) -> None:
    """The operator runs beside the cluster, so that there is no Pod of it to read a log of."""
    secret = f"""
apiVersion: v1
kind: Secret
metadata: {{name: login, namespace: {namespace}}}
stringData: {{username: me, password: {CANARY}}}
"""
    with operator:
        apply(installed, secret)
        apply(installed, hello(), namespace)
        installed.kubectl("annotate", "-n", namespace, "sdom/hello", f"example.com/note={CANARY}")
        eventually(
            lambda: is_ready(one(installed, namespace, Kind.SENDING_DOMAIN, "hello")), "ready"
        )
    target = tmp_path / "support.tgz"
    done = plugin(installed, "support-bundle", "-n", namespace, f"--file={target}")
    assert done.returncode == 0, done.stderr
    with tarfile.open(target) as archive:
        files = {
            name.removeprefix("support/"): found.read().decode()
            for name in archive.getnames()
            if (found := archive.extractfile(name)) is not None
        }
    status = yaml.load(
        files[f"objects/sendingdomains/{namespace}/hello.yaml"], Loader=yaml.CSafeLoader
    )["status"]
    assert status["verification"] == "Verified"
    assert json.loads(files["versions.json"])["cluster"]["gitVersion"].startswith("v1.")
    (missing,) = json.loads(files["left-out.json"])
    assert (missing["what"], "operator" in missing["why"]) == ("Pods in postroom-system", True)
    assert not any(CANARY in text for text in files.values())


def test_what_it_cannot_do_is_one_sentence(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    gone = plugin(installed, "verify", "sdom/nobody", "-n", namespace)
    assert (gone.returncode, gone.stderr.count("\n")) == (2, 1)
    assert "nobody does not exist" in gone.stderr
    odd = plugin(installed, "status", "pods", "-n", namespace)
    assert "pods is no kind of postroom" in odd.stderr
    nowhere = plugin(tmp_path / "none", "status")
    assert nowhere.returncode == 2
    assert "does not exist" in nowhere.stderr
    (tmp_path / "empty").write_text("")
    empty = plugin(tmp_path / "empty", "status")
    assert (empty.returncode, empty.stderr.count("\n")) == (2, 1)


def test_without_an_operator_it_does_not_wait_for_ever(
    installed: ControlPlane, namespace: str
) -> None:
    apply(installed, hello(), namespace)
    answer = plugin(installed, "verify", "sdom/hello", "-n", namespace, "--timeout=1")
    assert "does the operator run" in answer.stderr


def test_it_asks_as_whom_the_kubeconfig_says(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """With no right of the user who impersonates; and kubectl is answered alike."""
    config = yaml.load(installed.kubeconfig.read_text(), Loader=yaml.CSafeLoader)
    (entry,) = config["users"]
    entry["user"] |= {"as": "jane", "as-groups": ["mail-readers"], "as-uid": "1"}
    path = tmp_path / "jane"
    path.write_text(yaml.safe_dump(config))
    apply(installed, hello(), namespace)
    refused = plugin(path, "status", "sdom", "-n", namespace)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "you may not list sendingdomains" in refused.stderr
    installed.kubectl(
        *("create", "role", "reads", "-n", namespace, "--verb=list,get"),
        "--resource=sendingdomains.postroom.dev",
    )
    installed.kubectl(
        *("create", "rolebinding", "reads", "-n", namespace, "--role=reads"),
        "--group=mail-readers",
    )
    asked = ("get", "sendingdomains.postroom.dev", "-n", namespace, "-o", "name")
    allowed = subprocess.run(
        [str(installed.kubectl_path), f"--kubeconfig={path}", *asked],
        capture_output=True,
        text=True,
        check=False,
    )
    assert allowed.stdout == "sendingdomain.postroom.dev/hello\n"
    eventually(
        lambda: plugin(path, "status", "sdom", "-n", namespace).stderr == "", "allowed to jane"
    )
