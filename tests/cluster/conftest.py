# SPDX-License-Identifier: Apache-2.0
"""One real control plane for all cluster tests, and a fresh namespace for each."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.api_client import (
    await_definitions,
    create_namespace,
    leave_namespace,
    service_account_kubeconfig,
)
from cluster.audit_log import forbidden, requests_of
from cluster.forked import spawned
from cluster.lab_process import LabProcess
from cluster.mail_worker import worker_rights
from cluster.post_office import PostOffice
from cluster.telling import sections
from loopback import own_address
from postroom.lab.controlplane import ControlPlane, ControlPlaneUnavailable, obtain
from postroom.lab.operator_process import ROOT, OperatorProcess

HERE = Path(__file__).parent
_BEGAN = pytest.StashKey[float]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beneath a failure what was so then."""
    report = yield
    began = item.stash.setdefault(_BEGAN, call.start)
    if report.failed:
        report.sections += sections(item, began)
    return report


def obtain_or_skip() -> ControlPlane:
    """Prepare a control plane; where none is to be had, skip loudly, or fail if CI requires one."""
    try:
        return obtain(lambda line: print(line, file=sys.__stderr__, flush=True))
    except ControlPlaneUnavailable as error:
        if os.environ.get("POSTROOM_REQUIRE_CLUSTER"):
            pytest.fail(f"POSTROOM_REQUIRE_CLUSTER is set, but: {error}", pytrace=False)
        pytest.skip(f"NO CLUSTER TESTS: {error}")


@pytest.fixture(scope="module", autouse=True)
def forked_operators(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fork operators from a process that has imported them, but where a file has them real."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "OPERATORS_ARE_REAL", False):
            patch.setattr(OperatorProcess, "_spawned", spawned)
        yield


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
    leave_namespace(plane, name)


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
    await_definitions(plane)
    return plane


@pytest.fixture(scope="module")
def rights(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """The same with the component of the worker that hands mail over."""
    with worker_rights(installed, tmp_path_factory.mktemp("kustomize")):
        yield installed


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
