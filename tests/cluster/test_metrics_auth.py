# SPDX-License-Identifier: Apache-2.0
"""Metrics behind a token on a real API server, with the rights of the component.

Covers: the component on both ways of installing, who may scrape, over TLS, and that the operator
needs no right that the component does not grant.
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
import yaml

from cluster.api_client import service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, OperatorProcess, free_port

INSTALL = ROOT / "manifests" / "install"


def scrape(port: int, authority: trustme.CA, token: str | None) -> tuple[int, str]:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"https://127.0.0.1:{port}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60, context=trust) as response:  # noqa: S310
            return int(response.status), response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("reach", ["cluster", "namespaced"])
def test_the_component_fits_both_ways_of_installing(
    plane: ControlPlane, tmp_path: Path, reach: str
) -> None:
    here = os.path.relpath(INSTALL, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        json.dumps({"resources": [f"{here}/{reach}"], "components": [f"{here}/metrics-auth"]})
    )
    rendered = plane.kubectl("kustomize", str(tmp_path), "--load-restrictor=LoadRestrictionsNone")
    kinds = {item["kind"]: item for item in yaml.load_all(rendered.stdout, Loader=yaml.CSafeLoader)}
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert "--metrics-auth" in container["args"]
    assert {port["name"] for port in container["ports"]} == {"http", "metrics"}
    assert len(kinds["NetworkPolicy"]["spec"]["ingress"]) == 2


def test_only_who_may_get_the_metrics_gets_them(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    installed.kubectl("apply", "--server-side", "-f", str(INSTALL / "metrics-auth" / "rbac.yaml"))
    for account in ("prometheus", "tenant"):
        installed.kubectl("create", "serviceaccount", account, "-n", namespace)
    installed.kubectl(
        "create",
        "clusterrolebinding",
        f"scrape-{namespace}",
        "--clusterrole=postroom-metrics-reader",
        f"--serviceaccount={namespace}:prometheus",
    )
    tokens = {
        account: installed.kubectl("create", "token", account, "-n", namespace).stdout.strip()
        for account in ("prometheus", "tenant")
    }
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    (tmp_path / "tls.key").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "tls.crt").write_bytes(issued.cert_chain_pems[0].bytes())
    port, before = free_port(), datetime.now(UTC)
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    flags = (
        "--metrics-auth",
        f"--metrics-address=127.0.0.1:{port}",
        f"--metrics-tls-directory={tmp_path}",
        "--log-format=text",
        "--log-level=debug",
    )
    with OperatorProcess(kubeconfig, tmp_path, flags) as operator:
        assert scrape(port, authority, None)[0] == 401
        assert scrape(port, authority, "guessed")[0] == 401
        assert scrape(port, authority, tokens["tenant"])[0] == 403
        status, text = scrape(port, authority, tokens["prometheus"])
        assert status == 200, text
        assert "postroom_objects" in text
        # The kubelet's port has none any more.
        assert operator.answers("/readyz")
        assert not operator.answers("/metrics")
        log = operator.log.read_text()
    assert not any(token in log for token in tokens.values())
    assert forbidden(requests_of(installed, since=before)) == []
    installed.kubectl("delete", "clusterrolebinding", f"scrape-{namespace}")
    installed.kubectl("delete", "-f", str(INSTALL / "metrics-auth" / "rbac.yaml"))
