# SPDX-License-Identifier: Apache-2.0
"""Two installations for all namespaces, in two namespaces: the second one stands by, says so, and
takes over when the first is gone.

Covers: the Leases of two namespaces, by the roles of the project; two operators of which each has
namespaces of its own, and both the same one; readiness, log and metric.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.api_client import (
    create_namespace,
    delete_namespace,
    forget_installations,
    post,
    service_account_kubeconfig,
)
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


def test_of_two_operators_that_share_a_namespace_the_second_stands_by(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    places = [namespace, f"{namespace}-b", f"{namespace}-c"]
    for place in places[1:]:
        create_namespace(installed, place)
    running = []
    for name, served in (("first", places[:2]), ("second", places[1:]), ("third", places[2:])):
        (tmp_path / name).mkdir()
        flags = [f"--namespace={place}" for place in served]
        flags += ["--leader-election", f"--leader-election-namespace={namespace}"]
        config = installed.kubeconfig
        running.append(OperatorProcess(config, tmp_path / name, (*flags, "--log-format=text")))
    first, second, third = running
    try:
        first.start()
        with pytest.raises(OperatorFailed):
            second.start(ready_within=0)
        told = f"serves namespace {places[1]}, too"
        eventually(lambda: told in said_at(second, "/readyz")[1], "it says whom it stands by for")
        assert said_at(second, "/readyz")[0] == 503
        assert said_at(second, "/healthz") == (200, "ok")
        assert told in second.tail(200) and "objects known" not in second.tail(200)
        assert "postroom_other_installation 1.0" in second.metrics()
        # It shares nothing with the one that works.
        third.start()
        assert third.stop() == 0
        assert first.stop() == 0
        eventually(lambda: second.answers("/readyz"), "it takes the place of the first")
        assert "postroom_other_installation 0.0" in second.metrics()
    finally:
        for process in running:
            process.stop()
    for place in places[1:]:
        delete_namespace(installed, place)
