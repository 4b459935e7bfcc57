# SPDX-License-Identifier: Apache-2.0
"""One lab, one door before the API server, and one operator behind it for the faults of a file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.api_client import service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from cluster.faults.api_proxy import ApiProxy
from cluster.faults.scene import Keeper, Place, standing
from cluster.post_office import PostOffice
from loopback import own_address
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ACCOUNT, NAMESPACE, OperatorProcess


class Identity:
    """The operator's token, in a file, good as long as a Secret of its own is there."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        self._plane, self._file = plane, directory / "token"
        self.kubeconfig = service_account_kubeconfig(plane, directory)
        config = yaml.load(self.kubeconfig.read_text(), Loader=yaml.CSafeLoader)
        config["users"][0]["user"] = {"tokenFile": str(self._file)}
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.issue()

    def issue(self) -> str:
        """Put a new token into the file; what to revoke it by."""
        name, here = f"token-{uuid.uuid4().hex[:8]}", ("-n", NAMESPACE)
        self._plane.kubectl("create", "secret", "generic", name, *here)
        bound = ("--bound-object-kind=Secret", f"--bound-object-name={name}")
        made = self._plane.kubectl("create", "token", ACCOUNT, *here, *bound, "--duration=2h")
        self._file.write_text(made.stdout)
        self.current = name
        return name

    def revoke(self, name: str) -> None:
        """Have the API server take a token no more, once it has forgotten that it did."""
        self._plane.kubectl("delete", "secret", name, "-n", NAMESPACE)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(31), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(installed: ControlPlane) -> Iterator[ApiProxy]:
    if installed.audit_log is None:
        pytest.skip("no fault is inflicted on a cluster that is not ours")
    with ApiProxy(installed) as door:
        yield door


@pytest.fixture(scope="module")
def identity(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Identity]:
    made = Identity(installed, tmp_path_factory.mktemp("operator"))
    yield made
    made.revoke(made.current)


@pytest.fixture(scope="module")
def keeper(
    installed: ControlPlane, proxy: ApiProxy, office: PostOffice, identity: Identity
) -> Iterator[Keeper]:
    """An operator behind the door; it was forbidden nothing."""
    flags = (
        *office.reach.flags,
        "--sweep-interval=2s",
        "--log-format=text",
    )
    directory = identity.kubeconfig.parent
    operator = OperatorProcess(proxy.kubeconfig(identity.kubeconfig), directory, flags).start()
    yield Keeper(operator)
    operator.stop()
    assert forbidden(requests_of(installed)) == []


@pytest.fixture
def place(installed: ControlPlane, office: PostOffice, keeper: Keeper) -> Iterator[Place]:
    """Where everything stands, and may be shaken."""
    with standing(installed, office, keeper.operator) as made:
        yield made
