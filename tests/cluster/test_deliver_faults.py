# SPDX-License-Identifier: Apache-2.0
"""What users and clusters do to `postroom deliver` while it works, on a real API server.

Covers: the application's Service gets other ports, is deleted and comes back; the signing key is
emptied, spoilt and deleted; the list of mailboxes changes while a message is on its way; a worker
that stood still while another took over gets its answer late; a namespace is deleted in the midst.
Each time status says what is so within seconds, nothing is lost, and what comes twice has one id.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from cluster import services
from cluster.api_client import create_namespace, delete, merge, read
from cluster.audit_log import writes_of
from cluster.hastened import hasten
from cluster.mail_worker import (
    ELECTED,
    USER,
    Tickets,
    arrive,
    delivering,
    hand_over,
    make_key,
    new_key,
    worker_processes,
)
from cluster.objects import eventually, one, path_of
from cluster.post_office import BILLING, PostOffice
from kstatus import conditions_of
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

GOOD = "True Delivering"
#: Verdicts that change again and again are not held back for a minute: of that, and not of what is
#: asked here, a test would wait as often as chance had one more written.
TOLD_SOON = {"postroom.controller.inbound.progress._PAUSE": 4.0}
#: How soon a Service at rest is looked at, and what somebody is likely mending, where another test
#: waits for it as long as users do.
SOONER = TOLD_SOON | {
    "postroom.controller.inbound.services._PERIOD": 2.0,
    "postroom.controller.inbound.dispatch._PASSING": 4.0,
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(23), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.fixture
def tickets() -> Iterator[Tickets]:
    with Tickets.at_work(own_address(24)) as server:
        yield server


@pytest.fixture
def intervals(request: pytest.FixtureRequest) -> Mapping[str, float]:
    """What is shorter for the workers of a test than for users."""
    return TOLD_SOON | dict(getattr(request, "param", {}))


@pytest.fixture
def workers(
    rights: ControlPlane,
    office: PostOffice,
    tickets: Tickets,
    started: OperatorProcess,
    namespace: str,
    tmp_path: Path,
    intervals: Mapping[str, float],
) -> Iterator[list[OperatorProcess]]:
    """Two workers, of which the first is at work, beside an operator."""
    hand_over(rights, office, tickets, namespace)
    with worker_processes(
        rights, office, (namespace,), tmp_path, *tickets.allowed, *ELECTED
    ) as made:
        for each in made:
            hasten(each, intervals)
        made[0].start()
        eventually(lambda: delivering(rights, namespace) == GOOD, "it delivers")
        yield made


class Scene:
    """What happens to one account, and what came of it."""

    def __init__(
        self, plane: ControlPlane, office: PostOffice, tickets: Tickets, namespace: str
    ) -> None:
        self._plane, self._office, self._tickets = plane, office, tickets
        self.namespace = namespace
        self.came: list[bytes] = []

    def path(self, plural: str, name: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/{plural}/{name}"

    def arrive(self) -> None:
        subject = f"m{len(self.came)}"
        arrive(self._office, subject)
        self.came.append(f"Subject: {subject}".encode())

    def says(self, verdict: str, worker: OperatorProcess) -> None:
        """Wait until status says so."""
        eventually(
            lambda: delivering(self._plane, self.namespace) == verdict,
            verdict,
        )

    def all_arrive(self, worker: OperatorProcess) -> None:
        """Wait until all has arrived: in order, each under one id, and each id with one message."""
        eventually(lambda: set(self.came) <= set(self._tickets.subjects()), "all arrives")
        taken = zip(self._tickets.taken, self._tickets.subjects(), strict=True)
        ids = {(headers["ce-id"], subject) for (headers, _), subject in taken}
        assert len(ids) == len(self.came) == len({event for event, _ in ids})
        assert list(dict.fromkeys(self._tickets.subjects())) == self.came


@pytest.fixture
def scene(rights: ControlPlane, office: PostOffice, tickets: Tickets, namespace: str) -> Scene:
    return Scene(rights, office, tickets, namespace)


def test_a_port_that_changes_is_noticed_at_rest_and_mail_comes_when_it_is_back(
    workers: list[OperatorProcess], rights: ControlPlane, tickets: Tickets, scene: Scene
) -> None:
    worker, path, port = workers[0], scene.path("services", "tickets"), tickets.server_port
    merge(rights, path, {"spec": {"ports": [{"name": "renamed", "port": port}]}})
    scene.arrive()
    scene.all_arrive(worker)
    assert delivering(rights, scene.namespace) == GOOD
    merge(rights, path, {"spec": {"ports": [{"name": "other", "port": port - 1}]}})
    scene.says("False ServiceNotFound", worker)
    scene.arrive()
    merge(rights, path, {"spec": {"ports": [{"name": "again", "port": port}]}})
    scene.says(GOOD, worker)
    scene.all_arrive(worker)


@pytest.mark.parametrize(
    ("at_rest", "intervals"),
    [(True, SOONER), (False, SOONER)],
    ids=["at rest", "on its way"],
    indirect=["intervals"],
)
def test_a_service_that_is_gone_is_noticed_and_mail_comes_when_it_is_back(
    at_rest: bool,
    workers: list[OperatorProcess],
    rights: ControlPlane,
    tickets: Tickets,
    scene: Scene,
) -> None:
    worker = workers[0]
    if not at_rest:
        tickets.answering.clear()
        scene.arrive()
        scene.arrive()
        eventually(partial(tickets.has_taken, 1), "one is on its way")
    delete(rights, scene.path("services", "tickets"))
    if not at_rest:
        time.sleep(1.1)  # a look at a Service holds for a second
        tickets.answering.set()
    scene.says("False ServiceNotFound", worker)
    assert len(tickets.taken) <= 1
    scene.arrive()
    services.expose(rights, scene.namespace, "tickets", tickets.address, tickets.server_port)
    scene.says(GOOD, worker)
    scene.all_arrive(worker)


@pytest.mark.parametrize(
    ("spoilt", "verdict", "intervals"),
    [
        ({}, "SecretKeyMissing", SOONER),
        ({"current": "garbage"}, "SigningKeyInvalid", SOONER),
        ({"current": ""}, "SigningKeyInvalid", SOONER),
        (None, "SecretNotFound", {}),
    ],
    ids=["no key", "spoilt", "empty", "gone, as users wait"],
    indirect=["intervals"],
)
def test_a_signing_key_that_is_spoilt_signs_nothing_and_its_mending_is_noticed(
    spoilt: dict[str, str] | None,
    verdict: str,
    workers: list[OperatorProcess],
    rights: ControlPlane,
    tickets: Tickets,
    scene: Scene,
) -> None:
    """Somebody spoils it, and asks for a check; nobody asks for one when it is mended."""
    worker = workers[0]
    delete(rights, scene.path("secrets", "tickets-hook"))
    if spoilt is not None:
        make_key(rights, scene.namespace, **spoilt)
    request = {"reconcile.fluxcd.io/requestedAt": verdict}
    account = f"{path_of(scene.namespace, Kind.EMAIL_ACCOUNT)}/support"
    merge(rights, account, {"metadata": {"annotations": request}})
    scene.says(f"False {verdict}", worker)
    scene.arrive()
    time.sleep(1.0)  # it is left alone
    assert tickets.taken == []
    make_key(rights, scene.namespace, current=new_key())
    scene.says(GOOD, worker)
    scene.all_arrive(worker)


def test_other_mailboxes_while_a_message_is_on_its_way_lose_nothing(
    workers: list[OperatorProcess], rights: ControlPlane, tickets: Tickets, scene: Scene
) -> None:
    worker, path = workers[0], f"{path_of(scene.namespace, Kind.EMAIL_ACCOUNT)}/support"
    for mailboxes in (["INBOX", "Junk"], ["Junk"], ["INBOX"]):
        tickets.answering.clear()
        sent = len(tickets.taken)
        scene.arrive()
        scene.arrive()
        if "INBOX" in _mailboxes(rights, path):
            eventually(partial(tickets.has_taken, sent + 1), "one is on its way")
        merge(rights, path, {"spec": {"inbound": {"deliver": {"mailboxes": mailboxes}}}})
        generation = read(rights, path)["metadata"]["generation"]
        eventually(partial(_observes, rights, path, generation), "the worker has seen it")
        tickets.answering.set()
    # The operator does not look at once at what is changed so often.
    scene.says(GOOD, worker)
    scene.all_arrive(worker)


def test_an_answer_that_comes_after_the_lease_is_lost_moves_nothing_and_loses_nothing(
    workers: list[OperatorProcess],
    rights: ControlPlane,
    tickets: Tickets,
    scene: Scene,
) -> None:
    first, second = workers
    second.start()
    scene.arrive()
    scene.all_arrive(first)
    tickets.answering.clear()
    scene.arrive()
    scene.arrive()
    eventually(lambda: len(tickets.taken) == 2, "one is on its way")
    os.kill(first.pid, signal.SIGSTOP)
    try:
        tickets.answering.set()  # its answer is there, and it does not read it
        eventually(lambda: set(scene.came) <= set(tickets.subjects()), "the second goes on")
        os.kill(second.pid, signal.SIGSTOP)
        before = datetime.now(UTC)
        os.kill(first.pid, signal.SIGCONT)
        eventually(lambda: first.exit_code() is not None, "the first ends")
        assert first.exit_code() == 1 and "lost lease" in first.tail()
        assert writes_of(rights, USER, before, first) == [], first.tail()
    finally:
        for process in workers:
            if process.exit_code() is None:
                os.kill(process.pid, signal.SIGCONT)
    scene.arrive()
    scene.all_arrive(second)
    # What was on its way came twice, and what came before may have: it was not written yet.
    assert len(scene.came) < len(tickets.taken) <= len(scene.came) + 2
    assert second.stop() == 0, second.tail()
    inbound = one(rights, scene.namespace, Kind.EMAIL_ACCOUNT, "support")["status"]["inbound"]
    assert inbound["waiting"] == 0


def test_a_namespace_that_is_deleted_in_the_midst_is_in_nobodys_way(
    rights: ControlPlane,
    office: PostOffice,
    tickets: Tickets,
    started: OperatorProcess,
    namespace: str,
    tmp_path: Path,
) -> None:
    doomed = f"{namespace}-doomed"
    create_namespace(rights, doomed)
    with Tickets.at_work(own_address(25)) as others:
        hand_over(rights, office, tickets, namespace)
        hand_over(rights, office, others, doomed, BILLING)
        flags = (*tickets.allowed, *others.allowed, *ELECTED)
        with worker_processes(rights, office, (namespace, doomed), tmp_path, *flags) as (
            worker,
            _,
        ):
            worker.start()
            for name in (namespace, doomed):
                eventually(partial(_is_good, rights, name), f"it delivers in {name}")
            others.answering.clear()
            scene = Scene(rights, office, tickets, namespace)
            arrive(office, "first", BILLING)
            eventually(partial(others.has_taken, 1), "one is on its way")
            delete(rights, f"/api/v1/namespaces/{doomed}")
            gone = path_of(doomed, Kind.EMAIL_ACCOUNT)
            eventually(lambda: not read(rights, gone)["items"], "it is gone")
            others.answering.set()
            for _ in range(3):
                arrive(office, "after", BILLING)
                scene.arrive()
            scene.all_arrive(worker)
            eventually(lambda: _couriers(worker) == 1, "one account is left")
            # Of what came after it was gone, nothing went there.
            assert len(others.taken) == 1
            assert worker.stop() == 0
            text = worker.log.read_text()
            assert "Traceback" not in text and "ERROR" not in text, text


def _mailboxes(plane: ControlPlane, path: str) -> list[str]:
    found: list[str] = read(plane, path)["spec"]["inbound"]["deliver"].get("mailboxes", ["INBOX"])
    return found


def _is_good(plane: ControlPlane, namespace: str) -> bool:
    return delivering(plane, namespace) == GOOD


def _observes(plane: ControlPlane, path: str, generation: int) -> bool:
    """Whether the worker's verdict is about a spec."""
    found = conditions_of(read(plane, path)).get("InboundDelivering", {})
    return bool(found.get("observedGeneration") == generation)


def _couriers(worker: OperatorProcess) -> float:
    """How many accounts are at work."""
    name, lines = "postroom_deliver_couriers ", worker.metrics().splitlines()
    return float(next(line for line in lines if line.startswith(name)).removeprefix(name))
