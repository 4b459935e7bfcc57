# SPDX-License-Identifier: Apache-2.0
"""A leader that was stopped (SIGSTOP) while another took over: what it does when it goes on.

Covers: the standby takes over, be it of the same Lease or of another number of shards; the old
leader, which is in the midst of sending a message and finds more to do when it wakes, writes
nothing, sends nothing more, and ends.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.api_client import apply, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of, writes_of
from cluster.objects import eventually, is_ready, one
from cluster.post_office import BILLING, SUPPORT, PostOffice, account
from loopback import own_address
from postroom.api.names import Kind
from postroom.concurrency.shards import shard_of
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import NAMESPACE, OperatorProcess

ACCOUNT = Kind.EMAIL_ACCOUNT


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(11), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.fixture(params=[(1, 1), (2, 3)], ids=["replicas", "shards"])
def replicas(
    installed: ControlPlane,
    office: PostOffice,
    namespace: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[list[OperatorProcess]]:
    """One that works and one that stands by: with the same Lease, or as another number of shards.

    Both have ended in the end, whatever state they are in.
    """
    flags = (
        *office.lab.reach.flags,
        f"--namespace={namespace}",
        "--leader-election",
        f"--leader-election-namespace={NAMESPACE}",
        "--log-format=text",
    )
    parts = [f"--shard={shard_of(namespace, number)}/{number}" for number in request.param]
    running = []
    for number, part in enumerate(parts):
        place = tmp_path / str(number)
        place.mkdir()
        kubeconfig = service_account_kubeconfig(installed, place)
        running.append(OperatorProcess(kubeconfig, place, (*flags, part)))
    yield running
    for process in running:
        if process.exit_code() is None:
            os.kill(process.pid, signal.SIGCONT)
            process.stop()
    assert forbidden(requests_of(installed)) == []


def ask(plane: ControlPlane, namespace: str, name: str) -> None:
    plane.kubectl("annotate", f"emailaccount/{name}", "-n", namespace, "postroom.dev/send-test=one")


def test_a_stopped_leader_sends_and_writes_nothing_when_it_goes_on(
    installed: ControlPlane,
    office: PostOffice,
    namespace: str,
    replicas: list[OperatorProcess],
) -> None:
    leader, standby = replicas
    leader.start()
    standby.start()
    accounts = {"support": account(SUPPORT, reads=False), "billing": account(BILLING, reads=False)}
    manifests = office.manifests(**accounts)
    apply(installed, manifests, namespace)

    def all_ready() -> bool:
        return all(is_ready(one(installed, namespace, ACCOUNT, name)) for name in accounts)

    eventually(all_ready, "both are Ready")
    kinds = {each["objectRef"]["resource"] for each in writes_of(installed, by=leader)}
    assert kinds >= {"leases", "emailaccounts"}
    stood_by = {each["objectRef"]["resource"] for each in writes_of(installed, by=standby)}
    assert stood_by <= {"leases"}
    # In the midst of its work: the server has the message, and its answer comes while it sleeps.
    office.taken_over = lambda _: os.kill(leader.pid, signal.SIGSTOP)
    ask(installed, namespace, "support")
    eventually(lambda: office.delivered == [SUPPORT], "the leader sends, and is stopped")
    eventually(lambda: "objects known" in standby.tail(200), "the standby takes over")
    os.kill(standby.pid, signal.SIGSTOP)
    ask(installed, namespace, "billing")
    before = datetime.now(UTC)
    os.kill(leader.pid, signal.SIGCONT)
    eventually(lambda: leader.exit_code() is not None, "the old leader ends")
    assert leader.exit_code() == 1
    assert "lost lease" in leader.tail()
    assert writes_of(installed, since=before, by=leader) == [], leader.tail()
    assert office.delivered == [SUPPORT]
