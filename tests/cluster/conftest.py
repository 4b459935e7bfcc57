# SPDX-License-Identifier: Apache-2.0
"""One real control plane for all cluster tests, and a fresh namespace for each."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.lab.controlplane import ControlPlane, ControlPlaneUnavailable, obtain

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


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    plane.kubectl("create", "namespace", name)
    yield name
    plane.kubectl("delete", "namespace", name, "--wait=false")
