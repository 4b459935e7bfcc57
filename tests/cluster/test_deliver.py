# SPDX-License-Identifier: Apache-2.0
"""`postroom deliver` on a real API server, with exactly the rights that users install.

Covers: a message of the lab's IMAP server reaches an application behind a Service; nothing but the
worker's own part of the status of accounts is written; whoever is told to stop lets the message on
its way get its answer, and the standby goes on with the next one; either of operator and worker is
killed, and the other goes on and overwrites nothing; an account that is created again is known by
the ids of its messages; a stream of NATS has each message once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import apply, delete, post
from cluster.audit_log import requests_of
from cluster.hastened import hasten
from cluster.mail_worker import (
    ELECTED,
    USER,
    Tickets,
    arrive,
    delivering,
    hand_over,
    worker_processes,
)
from cluster.objects import eventually, one, path_of
from cluster.post_office import SUPPORT, PostOffice, account
from lab.nats_server import STREAM, administrator, nats_server
from loopback import own_address
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

#: How soon one that is no longer at work is missed: its Lease is renewed every two seconds, and is
#: another's after fifteen.
ABSENCE = {
    "postroom.controller.inbound.absence._PERIOD": 2.0,
    "postroom.controller.inbound.absence._STILL": 20.0,
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(own_address(21), tmp_path_factory.mktemp("office")) as running:
        yield running


@pytest.fixture
def tickets() -> Iterator[Tickets]:
    with Tickets.at_work(own_address(22)) as server:
        yield server


@pytest.fixture
def workers(
    rights: ControlPlane,
    office: PostOffice,
    tickets: Tickets,
    started: OperatorProcess,
    namespace: str,
    tmp_path: Path,
) -> Iterator[list[OperatorProcess]]:
    """Two workers, not started yet, beside an operator; an account that hands its mail over."""
    hand_over(rights, office, tickets, namespace)
    with worker_processes(
        rights, office, (namespace,), tmp_path, *tickets.allowed, *ELECTED
    ) as made:
        yield made


@pytest.fixture
def at_work(
    workers: list[OperatorProcess], rights: ControlPlane, namespace: str
) -> OperatorProcess:
    """The first of the workers, which hands over already."""
    workers[0].start()
    eventually(lambda: delivering(rights, namespace) == "True Delivering", "it delivers")
    return workers[0]


def test_a_message_reaches_the_application_and_the_next_worker_goes_on(
    at_work: OperatorProcess,
    workers: list[OperatorProcess],
    rights: ControlPlane,
    office: PostOffice,
    tickets: Tickets,
    namespace: str,
) -> None:
    first, second = at_work, workers[1]
    second.start()  # stands by, and is ready
    arrive(office, "first")
    eventually(lambda: len(tickets.taken) == 1, "the first arrives")
    headers, body = tickets.taken[0]
    assert body.endswith(b"Hello.\r\n") and headers["ce-type"] == "dev.postroom.mail.received.v1"

    tickets.answering.clear()
    arrive(office, "second")
    arrive(office, "third")
    eventually(lambda: len(tickets.taken) == 2, "the second is on its way")
    threading.Timer(1.0, tickets.answering.set).start()
    assert first.stop() == 0, first.tail()
    eventually(lambda: len(tickets.taken) == 3, "the third arrives")
    assert tickets.subjects() == [b"Subject: first", b"Subject: second", b"Subject: third"]
    assert len({headers["ce-id"] for headers, _ in tickets.taken}) == 3
    assert second.stop() == 0, second.tail()
    stored = one(rights, namespace, Kind.EMAIL_ACCOUNT, "support")["status"]["inbound"]
    assert (stored["waiting"], stored["cursors"][0]["mailbox"]) == (0, "INBOX")
    written = {
        (each["objectRef"]["resource"], each["objectRef"].get("subresource"))
        for each in requests_of(rights, USER)
        if each["verb"] not in {"get", "list", "watch"}
    }
    assert written == {("emailaccounts", "status"), ("leases", None)}
    # Nor may an earlier one any more apply a part in the place of the whole.
    may = {verb: allowed(rights, verb, namespace) for verb in ("update", "patch")}
    assert may == {"update": "yes", "patch": "no"}


def test_an_account_that_is_created_again_loses_nothing_and_is_known_by_its_ids(
    at_work: OperatorProcess,
    rights: ControlPlane,
    office: PostOffice,
    tickets: Tickets,
    namespace: str,
) -> None:
    arrive(office, "before")
    eventually(lambda: len(tickets.taken) == 1, "it arrives")
    stood = one(rights, namespace, Kind.EMAIL_ACCOUNT, "support")
    place = path_of(namespace, Kind.EMAIL_ACCOUNT)
    delete(rights, f"{place}/support")
    arrive(office, "meanwhile")
    spec = stood["spec"]
    inbound = {"deliver": {**spec["inbound"]["deliver"], "start": "Backfill"}}
    again = {name: stood[name] for name in ("apiVersion", "kind")}
    metadata = {"name": "support", "namespace": namespace}
    post(rights, place, {**again, "metadata": metadata, "spec": {**spec, "inbound": inbound}})

    def ids(subject: bytes) -> set[str]:
        wanted = b"Subject: " + subject
        return {headers["ce-id"] for headers, body in tickets.taken if wanted in body}

    eventually(lambda: bool(ids(b"meanwhile")), "what came meanwhile arrives")
    assert len(ids(b"before")) == len(ids(b"meanwhile")) == 1, "what comes again has its id"
    assert ids(b"before") != ids(b"meanwhile")
    uid = one(rights, namespace, Kind.EMAIL_ACCOUNT, "support")["metadata"]["uid"]
    assert uid != stood["metadata"]["uid"]
    assert sum(b"Subject: before" in body for _, body in tickets.taken) == 2
    assert at_work.stop() == 0, at_work.tail()


def allowed(plane: ControlPlane, verb: str, namespace: str) -> str:
    """Whether the worker may do something to the status of accounts."""
    asked = ("auth", "can-i", verb, "emailaccounts", "--subresource=status", "-n", namespace)
    return plane.kubectl(*asked, f"--as={USER}", check=False).stdout.strip()


@pytest.mark.slow
def test_of_operator_and_worker_either_is_killed_and_the_other_goes_on(
    workers: list[OperatorProcess],
    started: OperatorProcess,
    rights: ControlPlane,
    office: PostOffice,
    tickets: Tickets,
    namespace: str,
) -> None:
    operator, worker = started, workers[0]

    def stored() -> dict[str, Any]:
        return dict(one(rights, namespace, Kind.EMAIL_ACCOUNT, "support")["status"])

    def parts() -> tuple[list[str], dict[str, Any]]:
        """What the operator's conditions are, and how far the worker says it is."""
        status = stored()
        told = [f"{each['type']} {each['status']}" for each in status["conditions"]]
        return sorted(each for each in told if "InboundDelivering" not in each), status["inbound"]

    def verified(token: str) -> bool:
        """The operator has looked, and written, once more."""
        request = f"postroom.dev/requested-at={token}"
        where = ("emailaccount/support", "-n", namespace)
        rights.kubectl("annotate", "--overwrite", *where, request)
        eventually(lambda: stored().get("lastHandledReconcileAt") == token, "the operator looks")
        return True

    worker.start()
    eventually(lambda: delivering(rights, namespace) == "True Delivering", "it delivers")
    verified("one")
    judged, told = parts()
    assert "Ready True" in judged and told["cursors"]

    # Without the operator mail goes on, and what it has said stays.
    operator.kill()
    arrive(office, "first")
    eventually(lambda: len(tickets.taken) == 1, "the first comes")
    assert parts()[0] == judged
    hasten(operator, ABSENCE)
    operator.start()
    assert verified("two") and delivering(rights, namespace) == "True Delivering"
    assert parts()[0] == judged and parts()[1]["cursors"][0]["owner"] == told["cursors"][0]["owner"]

    # Without the worker the operator goes on, and keeps what that has said of its cursors.
    worker.kill()
    _, told = parts()
    arrive(office, "second")
    assert verified("three") and parts() == (judged, told)
    eventually(lambda: delivering(rights, namespace) == "Unknown WorkerAbsent", "it is told", 240)
    assert verified("four") and parts() == (judged, told)
    worker.start()
    eventually(lambda: b"Subject: second" in tickets.subjects(), "the second comes")
    eventually(lambda: delivering(rights, namespace) == "True Delivering", "it delivers")
    arrive(office, "third")
    eventually(lambda: b"Subject: third" in tickets.subjects(), "the third comes")
    assert parts()[0] == judged
    # What came twice, because how far it was had not been written, came under the same id.
    came = {
        (headers["ce-id"], subject)
        for (headers, _), subject in zip(tickets.taken, tickets.subjects(), strict=True)
    }
    assert sorted(subject[9:] for _, subject in came) == [b"first", b"second", b"third"]
    assert len({event for event, _ in came}) == 3


def test_a_message_reaches_the_stream_once(
    rights: ControlPlane,
    office: PostOffice,
    started: OperatorProcess,
    namespace: str,
    tmp_path: Path,
) -> None:
    """Also where the worker is killed before it has written how far it is."""
    spec = account(SUPPORT, inbound={"deliver": {"jetStream": {}}})
    apply(rights, office.manifests(support=spec), namespace)

    async def in_stream(url: str, *, made: bool = False) -> list[Any]:
        """What is there; `made`: the stream is made first."""
        async with administrator(url) as (_, context):
            if made:
                await context.add_stream(name=STREAM, subjects=["postroom.mail.>"])
            count = (await context.stream_info(STREAM)).state.messages
            return [await context.get_msg(STREAM, seq) for seq in range(1, count + 1)]

    with ExitStack() as stack:
        (tmp_path / "nats").mkdir()
        url = f"nats://127.0.0.1:{stack.enter_context(nats_server(tmp_path / 'nats'))}"
        assert asyncio.run(in_stream(url, made=True)) == []
        flags = (f"--nats-url={url}", f"--nats-stream={STREAM}", "--no-leader-election")
        made = worker_processes(rights, office, (namespace,), tmp_path, *flags)
        first, second = stack.enter_context(made)
        first.start()
        eventually(
            lambda: delivering(rights, namespace) == "Unknown WorkerUnknown",
            "it reads",
        )
        for subject in ("first", "second"):
            arrive(office, subject)
        eventually(lambda: len(asyncio.run(in_stream(url))) == 2, "they come")
        first.kill()
        second.start()
        arrive(office, "third")
        eventually(lambda: len(asyncio.run(in_stream(url))) >= 3, "it goes on")
        assert second.stop() == 0, second.tail()
        found = asyncio.run(in_stream(url))
    source = f"/apis/{API_VERSION}/namespaces/{namespace}/emailaccounts/support"
    assert [each.data.split(b"Subject: ")[1].split()[0] for each in found] == [
        *(b"first", b"second", b"third")
    ]
    assert {each.subject for each in found} == {f"postroom.mail.{namespace}.support"}
    assert len({each.headers["Nats-Msg-Id"] for each in found}) == 3
    for each in found:
        headers = each.headers
        assert headers["ce-id"] == headers["Nats-Msg-Id"]
        assert headers["ce-type"] == "dev.postroom.mail.received.v1"
        assert (headers["ce-specversion"], headers["ce-source"]) == ("1.0", source)
        assert headers["ce-account"] == f"{namespace}/support"
        assert headers["ce-datacontenttype"] == "message/rfc822"
        assert "webhook-signature" not in headers
