# SPDX-License-Identifier: Apache-2.0
"""One real control plane for all cluster tests, and a fresh namespace for each."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import create_namespace, delete_namespace
from cluster.lab_process import LabProcess
from cluster.post_office import PostOffice
from loopback import own_address
from postroom.lab.controlplane import ControlPlane, ControlPlaneUnavailable, obtain
from postroom.lab.operator_process import ROOT, USER, OperatorProcess, service_account_kubeconfig

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


def obtain_or_skip() -> ControlPlane:
    """Prepare a control plane; where none is to be had, skip loudly, or fail if CI requires one."""
    try:
        return obtain(lambda line: print(line, file=sys.__stderr__, flush=True))
    except ControlPlaneUnavailable as error:
        if os.environ.get("POSTROOM_REQUIRE_CLUSTER"):
            pytest.fail(f"POSTROOM_REQUIRE_CLUSTER is set, but: {error}", pytrace=False)
        pytest.skip(f"NO CLUSTER TESTS: {error}")


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """The control plane that all tests share."""
    with obtain_or_skip() as running:
        yield running


@contextmanager
def new_namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace of another name each time, which goes with the block."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    create_namespace(plane, name)
    yield name
    delete_namespace(plane, name)


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own."""
    with new_namespace(plane) as name:
        yield name


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """The mail lab that all operators under test look at."""
    with LabProcess(own_address(3), tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def installed(plane: ControlPlane) -> ControlPlane:
    """The control plane with definitions, RBAC and ServiceAccount as users install them."""
    plane.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests" / "install" / "cluster"))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    return plane


@pytest.fixture
def operator(installed: ControlPlane, lab: LabProcess, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator, not started yet; no request of it may have been forbidden."""
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    flags = (*lab.reach.flags, "--regression-confirmation=1s", "--log-format=text")
    process = OperatorProcess(kubeconfig, tmp_path, flags)
    yield process
    process.stop()
    denied = forbidden(requests_of(installed))
    assert denied == [], f"{denied[:1]}\n{process.tail()}"


@pytest.fixture
def started(
    installed: ControlPlane, office: PostOffice, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """An operator at work on the post office of the test's own module."""
    kubeconfig = service_account_kubeconfig(installed, tmp_path)
    flags = (*office.lab.reach.flags, "--log-format=text")
    process = OperatorProcess(kubeconfig, tmp_path, flags).start()
    yield process
    process.stop()


def forbidden(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The requests that RBAC denied; an Event for a namespace that is being deleted is denied by
    its life cycle, whatever the rights are."""
    return [
        request
        for request in requests
        if request["responseStatus"]["code"] == 403
        and "being terminated" not in request["responseStatus"].get("message", "")
    ]


def requests_of(plane: ControlPlane, user: str = USER) -> list[dict[str, Any]]:
    """Every request of a ServiceAccount, the operator's unless another is named.

    Without what an API server that was starting denied: it did not know the rights yet.
    """
    return [
        event
        for event in plane.audit_events()
        if event["user"]["username"] == user and not _denied_while_starting(plane, event)
    ]


def _denied_while_starting(plane: ControlPlane, request: dict[str, Any]) -> bool:
    received = datetime.fromisoformat(request["requestReceivedTimestamp"])
    return request["responseStatus"]["code"] == 403 and any(
        began <= received <= ready for began, ready in plane.outages
    )


def writes_of(plane: ControlPlane) -> list[dict[str, Any]]:
    """Every request of the operator that writes."""
    reading = {"get", "list", "watch"}
    return [request for request in requests_of(plane) if request["verb"] not in reading]
