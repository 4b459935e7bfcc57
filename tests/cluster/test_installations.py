# SPDX-License-Identifier: Apache-2.0
"""Two installations for all namespaces, in two namespaces: the second one stands by, says so, and
takes over when the first is gone.

Covers: the Leases of two namespaces, by the roles of the project; readiness, log and metric.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.api_client import forget_installations, post, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from cluster.objects import eventually
from cluster.waiting import said_at
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import NAMESPACE, OperatorFailed, OperatorProcess


@pytest.fixture
def two(installed: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[list[OperatorProcess]]:
    """That of the project's manifests, and one of an administrator in another namespace."""
    forget_installations(installed)
    running = []
    for place in (NAMESPACE, namespace):
        folder = tmp_path / place
        folder.mkdir()
        config = (
            service_account_kubeconfig(installed, folder)
            if place == NAMESPACE
            else installed.kubeconfig
        )
        flags = ("--leader-election", f"--leader-election-namespace={place}", "--log-format=text")
        running.append(OperatorProcess(config, folder, flags))
    yield running
    for process in running:
        process.stop()
    forget_installations(installed)
    assert forbidden(requests_of(installed)) == []


#: What somebody writes who may write Leases, and no statuses, in a namespace.
FORGED = """\
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: postroom
  namespace: default
  labels: {postroom.dev/scope: postroom}
  annotations: {postroom.dev/works: "true", postroom.dev/service-account: default}
spec:
  holderIdentity: nobody
  renewTime: "2026-01-01T00:00:00.000000Z"
"""


#: More than one page, and of a namespace that comes before those of installations.
_CROWD = 501


def crowd(plane: ControlPlane) -> None:
    """Have a tenant write so many Leases that those of others come late in any list of all."""
    lease = yaml.load(FORGED, Loader=yaml.CSafeLoader)
    for number in range(_CROWD):
        made = {**lease, "metadata": {**lease["metadata"], "name": f"crowd-{number}"}}
        post(plane, "/apis/coordination.k8s.io/v1/namespaces/default/leases", made)


def test_the_second_of_two_installations_stands_by_until_the_first_is_gone(
    installed: ControlPlane, namespace: str, two: list[OperatorProcess]
) -> None:
    first, second = two
    installed.kubectl("apply", "-f", "-", input=FORGED)
    crowd(installed)
    first.start()
    # It does not get ready.
    with pytest.raises(OperatorFailed):
        second.start(ready_within=0)
    lease = f"by lease {NAMESPACE}/postroom"
    eventually(lambda: lease in said_at(second, "/readyz")[1], "it says whom it stands by for")
    assert said_at(second, "/readyz")[0] == 503
    assert said_at(second, "/healthz") == (200, "ok")
    assert f"another installation, in namespace {NAMESPACE}" in second.tail(200)
    assert "postroom_other_installation 1.0" in second.metrics()
    assert "postroom_other_installation 0.0" in first.metrics()
    assert "objects known" not in second.tail(200), "it looks at nothing"
    assert first.stop() == 0
    installed.kubectl("delete", "lease", "postroom", "-n", NAMESPACE)
    eventually(lambda: second.answers("/readyz"), "it takes the place of the first")
    assert "postroom_other_installation 0.0" in second.metrics()
