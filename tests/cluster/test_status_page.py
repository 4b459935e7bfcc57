# SPDX-License-Identifier: Apache-2.0
"""The operator's page on a real API server: who may see what of it, with the component's rights.

And the same report by the plugin and by `postroom report`, as the cluster holds it.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from cluster.api_client import apply, merge, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from cluster.forked import plugin
from cluster.objects import eventually, hello, is_judged, objects, path_of
from postroom.api.names import Kind
from postroom.cli.report import objects_in
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, OperatorProcess
from postroom.report import reading
from postroom.report.shape import ReportSource

INSTALL = ROOT / "manifests" / "install"
RBAC = str(INSTALL / "ui" / "rbac.yaml")


def read(running: OperatorProcess, path: str, token: str | None = None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{running.port}{path}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=60
        ) as got:
            return int(got.status), got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("reach", ["cluster", "namespaced"])
def test_the_component_fits_both_ways_of_installing_and_stands_with_that_of_metrics(
    plane: ControlPlane, tmp_path: Path, reach: str
) -> None:
    here = os.path.relpath(INSTALL, tmp_path)
    components = [f"{here}/metrics-auth", f"{here}/ui"]
    (tmp_path / "kustomization.yaml").write_text(
        json.dumps({"resources": [f"{here}/{reach}"], "components": components})
    )
    rendered = plane.kubectl("kustomize", str(tmp_path), "--load-restrictor=LoadRestrictionsNone")
    kinds = {item["kind"]: item for item in yaml.load_all(rendered.stdout, Loader=yaml.CSafeLoader)}
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert {"--ui", "--ui-auth", "--metrics-auth"} <= set(container["args"])


def test_each_sees_what_a_token_may_get(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    installed.kubectl("apply", "--server-side", "-f", RBAC)
    mine = {"resource": f"--non-resource-url=/ui/{namespace}", "role": f"page-{namespace}"}
    installed.kubectl("create", "clusterrole", mine["role"], "--verb=get", mine["resource"])
    tokens = {}
    for account, role in (("admin", "postroom-ui-reader"), ("tenant", mine["role"])):
        installed.kubectl("create", "serviceaccount", account, "-n", namespace)
        binding, subject = f"{account}-{namespace}", f"--serviceaccount={namespace}:{account}"
        installed.kubectl("create", "clusterrolebinding", binding, f"--clusterrole={role}", subject)
        told = installed.kubectl("create", "token", account, "-n", namespace)
        tokens[account] = told.stdout.strip()
    apply(installed, hello(domain="a.example"), namespace)
    before = datetime.now(UTC)
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    flags = ("--ui", "--ui-auth", "--log-format=text", "--log-level=debug")
    with OperatorProcess(kubeconfig, tmp_path, flags) as running:
        eventually(lambda: all(map(is_judged, objects(installed, namespace))), "all are judged")
        assert [read(running, "/ui")[0], read(running, "/ui", "guessed")[0]] == [401, 401]
        assert read(running, "/ui", tokens["tenant"])[0] == 403
        assert read(running, "/ui/kube-system", tokens["tenant"])[0] == 403
        for path, account in ((f"/ui/{namespace}", "tenant"), ("/ui", "admin")):
            status, text = read(running, path, tokens[account])
            assert (status, f'id="sendingdomain/{namespace}/hello"' in text) == (200, True)
        # What is asked for, the address says; what was judged since is on the page as it is now.
        for query, shown in ((f"q={namespace}/hello", True), ("q=hello+nothing", False)):
            status, text = read(running, f"/ui?{query}", tokens["admin"])
            assert (status, f'id="sendingdomain/{namespace}/hello"' in text) == (200, shown)
        assert read(running, "/ui?state=Broken", tokens["admin"])[0] == 400
        suspend = {"spec": {"suspend": True}}
        merge(installed, f"{path_of(namespace, Kind.SENDING_DOMAIN)}/hello", suspend)
        eventually(
            lambda: (
                f'id="sendingdomain/{namespace}/hello"'
                in read(running, f"/ui/{namespace}?state=Resting", tokens["tenant"])[1]
            ),
            "it is switched off on the page",
        )
        log = running.log.read_text()
    assert not any(token in log for token in tokens.values())
    assert forbidden(requests_of(installed, since=before)) == []
    for account in tokens:
        installed.kubectl("delete", "clusterrolebinding", f"{account}-{namespace}")
    installed.kubectl("delete", "clusterrole", mine["role"])
    installed.kubectl("delete", "-f", RBAC)


def test_the_report_of_a_cluster_is_that_of_what_kubectl_prints(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    apply(installed, hello(), namespace)
    page = tmp_path / "report.html"
    wanted = ("sdom/hello", "--html", str(page), "--json", "--exit-code")
    shown = plugin(installed, "report", *wanted, "-n", namespace)
    assert shown.stderr == f"Nothing for you to do; 1 of 1 is waiting: {page}\n"
    assert shown.returncode == 3
    assert f'id="sendingdomain/{namespace}/hello"' in page.read_text()
    code = "from postroom.cli.main import main; main()"
    place = ("-n", namespace, f"--kubeconfig={installed.kubeconfig}")
    ran = subprocess.run(
        [sys.executable, "-c", code, "report", *place, "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
    )
    listed = installed.kubectl("get", "sendingdomains", "-n", namespace, "-o", "json").stdout
    given = objects_in(io.BytesIO(listed.encode()))
    made = reading.report_of(given, ReportSource.CLUSTER, datetime.now(UTC))
    told = json.loads(made.model_dump_json(by_alias=True))["objects"]
    assert [json.loads(each)["objects"] for each in (shown.stdout, ran.stdout)] == [told, told]
