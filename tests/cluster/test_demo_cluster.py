# SPDX-License-Identifier: Apache-2.0
"""``postroom demo --kubeconfig`` tells its story to the end on a real control plane."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cluster import services
from loopback import own_address
from postroom.lab.controlplane import ControlPlane

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_the_story_ends_well(plane: ControlPlane) -> None:
    services.allow_loopback(plane)
    told = subprocess.run(
        [
            *(sys.executable, "-m", "postroom", "demo"),
            *("--kubeconfig", str(plane.kubeconfig), "--address", own_address(9)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "SPF_MISSING_INCLUDE" in told.stdout
    assert "Verified again." in told.stdout
    tickets = [line for line in told.stdout.splitlines() if line.startswith("  ticket ")]
    assert [line.split(":")[0] for line in tickets] == ["  ticket 1"] * 2
    assert "printer.jpg (20000 octets)" in told.stdout and '"deliveredAt":' in told.stdout
    # As a reader would have to type it.
    assert "-o 'jsonpath={.status.inbound}'\n" in told.stdout
    # Other tests apply the same samples.
    plane.kubectl("wait", "--for=delete", "namespace/mail", "--timeout=120s", check=False)


def test_by_default_the_lab_is_not_where_the_api_server_is(plane: ControlPlane) -> None:
    server = plane.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").stdout
    assert "127.0.0.2" not in server
