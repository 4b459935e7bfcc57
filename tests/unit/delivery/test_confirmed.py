# SPDX-License-Identifier: Apache-2.0
"""No message goes to an address that is another's by now."""

from collections.abc import Mapping
from typing import Any

import pytest

from postroom.api.inbound_delivery import ConsumerService
from postroom.delivery import confirmed, routes
from postroom.delivery.answers import Answer, Meaning
from postroom.delivery.spool import SpooledMessage
from postroom.reconcile.world import LookupUnavailable

SERVICE = ConsumerService(name="tickets", port=8080)
Raw = dict[str, Any]


def service(uid: str = "s1", address: str = "10.0.0.7", port: int = 8080, **spec: Any) -> Raw:
    ports = [{"port": port, "protocol": "TCP"}]
    return {"metadata": {"uid": uid}, "spec": {"clusterIP": address, "ports": ports, **spec}}


class Cluster:
    """A Service that changes, and an application that takes whatever comes to its address."""

    def __init__(self) -> None:
        self.found: Raw | LookupUnavailable | None = service()
        self.looks = self.seconds = 0.0
        self.changes = 0
        self.taken: list[str] = []
        standing = routes.standing(service(), SERVICE)
        assert isinstance(standing, routes.Standing)
        same = confirmed.SameService(
            "mail", SERVICE, standing, self, self.change, lambda: self.seconds
        )
        self.sink = confirmed.ConfirmedSink(self, same)

    def change(self) -> None:
        self.changes += 1

    async def service(self, namespace: str, name: str) -> Raw | None:
        assert (namespace, name) == ("mail", "tickets")
        self.looks += 1
        if isinstance(self.found, LookupUnavailable):
            raise self.found
        return self.found

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        self.taken.append(told["id"])
        return Answer(204)

    async def offer(self, after: float = 2.0) -> Answer:
        self.seconds += after
        return await self.sink.send({"id": "a"}, None)


OTHERS = [
    None,
    service(uid="s2"),
    service(address="10.0.0.8"),
    service(port=80),
    service(address="None"),
    service(type="ExternalName"),
    {"metadata": {"uid": "s1"}},
]


@pytest.mark.parametrize("other", OTHERS)
async def test_what_is_another_service_by_now_gets_nothing(other: Raw | None) -> None:
    cluster = Cluster()
    assert (await cluster.offer()).status == 204
    cluster.found = other
    answer = await cluster.offer()
    assert (answer.meaning, answer.status) == (Meaning.LATER, None)
    assert answer.trouble.startswith("Service tickets is no longer what it was")
    # Nor a moment later, and who sends couriers out hears of it each time.
    assert (await cluster.offer(0.1)).meaning is Meaning.LATER
    assert (len(cluster.taken), cluster.changes) == (1, 2)
    cluster.found = service()
    assert (await cluster.offer(0.1)).status == 204


async def test_what_cannot_be_looked_at_gets_nothing_however_long() -> None:
    cluster = Cluster()
    await cluster.offer()
    cluster.found = LookupUnavailable("The API server does not answer.")
    for _ in range(5):
        answer = await cluster.offer()
        assert answer.meaning is Meaning.LATER
        assert answer.trouble == (
            "Whether Service tickets still has its address is not known: The API server does not "
            "answer"
        )
    assert (len(cluster.taken), cluster.changes) == (1, 0)


async def test_many_messages_a_second_are_one_look_a_second() -> None:
    cluster = Cluster()
    for _ in range(100):
        await cluster.offer(0.05)
    assert len(cluster.taken) == 100 and 5 <= cluster.looks <= 6


async def test_nothing_goes_out_of_a_mailbox_before_its_beginning_is_kept() -> None:
    cluster, kept, asked = Cluster(), set[str](), list[str]()

    async def is_kept(mailbox: str) -> bool:
        asked.append(mailbox)
        return mailbox in kept

    sink = confirmed.ConfirmedSink(cluster, confirmed.Begun(is_kept))

    async def offer(mailbox: str) -> Answer:
        return await sink.send({"id": mailbox, "mailbox": mailbox}, None)

    for _ in range(2):
        answer = await offer("INBOX")
        assert answer.meaning is Meaning.LATER
        assert answer.trouble == "Where the mailbox begins could not be written into status yet"
    kept.add("INBOX")
    for _ in range(3):
        assert (await offer("INBOX")).status == 204
    assert (await offer("Other")).meaning is Meaning.LATER
    assert cluster.taken == ["INBOX"] * 3 and asked == ["INBOX"] * 3 + ["Other"]
