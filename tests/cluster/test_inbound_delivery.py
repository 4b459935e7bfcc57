# SPDX-License-Identifier: Apache-2.0
"""`spec.inbound.deliver` and the two writers of its status on a real API server.

Covers: what is taken and refused, with the words that users read; operator and worker put the
status whole, in any order and at the same time, and neither touches the other's part; what is no
longer said goes; an object that was made anew, one that is gone, and one that moved on; who no
longer leads writes nothing; what an earlier worker applies is made good by the operator; the
operator says with its own rights that nobody is at work; the columns.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import service_account_kubeconfig
from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, place
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import API_VERSION, Key, Kind
from postroom.api.profile import AIBehavior, InboundAISettings, InboundStatus
from postroom.api.reasons import Reason
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import api_paths, client
from postroom.controller.cache import Cache
from postroom.controller.inbound import absence, progress
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import status_of
from postroom.controller.shared_status import without_delivery
from postroom.controller.writer import Evaluated, Writer
from postroom.delivery import status
from postroom.delivery.contract import Progress
from postroom.delivery.cursors import Cursor
from postroom.lab.controlplane import ControlPlane
from postroom.metrics import Metrics, WriteResult
from unit.api.test_inbound_delivery import ACCOUNT, BAD, DELIVER, GOOD

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SPEC: dict[str, Any] = {**ACCOUNT, "inbound": {"deliver": DELIVER}}
APPLICATION = "Service tickets"


def manifest(spec: Mapping[str, Any]) -> dict[str, Any]:
    made = {"apiVersion": API_VERSION, "kind": Kind.EMAIL_ACCOUNT.value}
    return {**made, "metadata": {"name": "support"}, "spec": dict(spec)}


@dataclass
class Side:
    """A process: its way to the API server, and what it has seen."""

    cluster: client.Cluster
    intake: Intake
    key: Key

    async def see(self) -> Mapping[str, Any]:
        """Learn of the object, as by the watch."""
        raw = await self.cluster.get(self.key)
        assert raw is not None
        self.intake.seen(self.key.kind, raw)
        return raw


@asynccontextmanager
async def side(kubeconfig: Path, namespace: str) -> AsyncIterator[Side]:
    cluster = await client.connect(kubeconfig, connections=4)
    try:
        key = Key(Kind.EMAIL_ACCOUNT, namespace, "support")
        yield Side(cluster, Intake(Cache(), KeyedQueue()), key)
    finally:
        await cluster.close()


@asynccontextmanager
async def both(
    installed: ControlPlane, namespace: str, directory: Path
) -> AsyncIterator[tuple[Side, Side]]:
    """An account, the operator with its own rights, and a worker."""
    installed.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(manifest(SPEC)))
    own = service_account_kubeconfig(installed, directory)
    async with (
        side(own, namespace) as operator,
        side(installed.kubeconfig, namespace) as worker,
    ):
        yield operator, worker


def teller(worker: Side) -> progress.InboundStatus:
    bucket = TokenBucket(1000, 1000)
    return progress.InboundStatus(
        worker.cluster,
        worker.intake,
        bucket,
        lambda: NOW,
        worker="postroom-system/postroom-deliver",
    )


async def tell(worker: Side, found: Progress | None, uid: str) -> None:
    told = teller(worker)
    told.tell(worker.key, uid, APPLICATION, found)
    await told.flush()


def at(uid: int, **more: Any) -> Progress:
    return replace(Progress({"INBOX": Cursor("INBOX", 7, uid, NOW)}, delivered_at=NOW), **more)


async def judge(operator: Side, state: ConditionStatus, message: str) -> WriteResult:
    """Write a verdict as the operator does."""
    raw = operator.intake.cache.get(operator.key)
    assert raw is not None
    metadata = raw["metadata"]
    verdict = Verdict(
        type=ConditionType.READY, status=state, reason=Reason.SUCCEEDED, message=message
    )
    found = EmailAccountStatus(
        observed_generation=metadata["generation"],
        conditions=place([verdict], (), metadata["generation"], "2026-11-29T12:00:00Z"),
        inbound=InboundStatus(ai=InboundAISettings(enabled=True, behavior=AIBehavior.TRIAGE_ONLY)),
    )
    writer = Writer(operator.cluster, operator.intake, TokenBucket(1000, 1000), Metrics())
    evaluated = Evaluated(
        operator.key, metadata["uid"], metadata["generation"], timedelta(minutes=5)
    )
    return await writer.write(evaluated, found)


def told_of(raw: Mapping[str, Any]) -> dict[str, str]:
    conditions = status_of(raw).get("conditions", [])
    return {each["type"]: f"{each['status']} {each['message']}" for each in conditions}


async def test_what_is_taken_and_what_is_refused(installed: ControlPlane, namespace: str) -> None:
    query = [("dryRun", "All"), ("fieldValidation", "Strict")]
    path = api_paths.collection(Kind.EMAIL_ACCOUNT, namespace)
    async with side(installed.kubeconfig, namespace) as admin:

        async def create(spec: Mapping[str, Any]) -> Mapping[str, Any]:
            return await admin.cluster.request("POST", path, query=query, body=manifest(spec))

        for change in GOOD:
            made = await create({**ACCOUNT, "inbound": {"deliver": {**DELIVER, **change}}})
            stored = made["spec"]["inbound"]["deliver"]
            assert stored["mailboxes"] and stored["maxSize"]
            assert ("jetStream" in stored) != bool(stored.get("service", {}).get("scheme"))
        for change, where, words in BAD:
            with pytest.raises(client.ApiError) as caught:
                await create({**ACCOUNT, "inbound": {"deliver": {**DELIVER, **change}}})
            sentence = str(caught.value)
            # What an answer says is cut for the log: the place stands first.
            assert where.split("[")[0] in sentence, (change, sentence)
            assert words[:40] in sentence or len(sentence) > 250, (change, sentence)
        with pytest.raises(client.ApiError, match="must be set where inbound"):
            await create({**{k: v for k, v in SPEC.items() if k != "imap"}})


async def test_each_writes_its_own_part_and_nothing_of_the_other(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    async with both(installed, namespace, tmp_path) as (operator, worker):
        raw = await worker.see()
        uid = raw["metadata"]["uid"]
        await operator.see()
        await tell(worker, at(5, waiting=3), uid)
        # The operator has not seen it: the precondition has it look again, and keep it.
        assert await judge(operator, ConditionStatus.TRUE, "one") is WriteResult.WRITTEN
        raw = await worker.see()
        assert told_of(raw)["Ready"] == "True one"
        assert told_of(raw)["InboundDelivering"].startswith("True ")
        inbound = status_of(raw)["inbound"]
        assert inbound["cursors"][0]["uid"] == 5 and inbound["ai"]["behavior"] == "TriageOnly"
        # Once it is said, it is not said again, whatever order the API server keeps.
        await operator.see()
        assert await judge(operator, ConditionStatus.TRUE, "one") is WriteResult.UNCHANGED
        version = raw["metadata"]["resourceVersion"]
        await tell(worker, at(5, waiting=3), uid)
        assert (await worker.see())["metadata"]["resourceVersion"] == version
        # Each changes its own, in turns.
        for number in range(3):
            away = at(6 + number, reason=Reason.CONSUMER_UNAVAILABLE, message=f"away {number}")
            await tell(worker, away, uid)
            await operator.see()
            await judge(operator, ConditionStatus.FALSE, f"two {number}")
            raw = await worker.see()
            assert told_of(raw)["Ready"] == f"False two {number}"
            assert told_of(raw)["InboundDelivering"] == f"False away {number}"
            assert status.read(status_of(raw)).cursors["INBOX"].uid == 6 + number
        shown = installed.kubectl("get", "emailaccounts", "-n", namespace, "-o", "wide").stdout
        head, row = shown.splitlines()
        assert "DELIVERING" in head and "WAITING" in head and "False" in row

        # Who no longer leads writes nothing.
        worker.cluster.may_write = lambda: False
        await tell(worker, at(99), uid)
        worker.cluster.may_write = lambda: True
        assert status.read(status_of(await worker.see())).cursors["INBOX"].uid == 8

        # What is no longer asked for goes with the operator's next word, worker or not; and a
        # word of the worker's that comes late goes with the one after that.
        nothing = json.dumps({"spec": {"inbound": None}})
        installed.kubectl(
            *("patch", "emailaccount/support", "-n", namespace, "--type=merge", "-p", nothing)
        )
        await operator.see()
        await judge(operator, ConditionStatus.TRUE, "three")
        raw = await operator.see()
        assert status.part_of(status_of(raw)) == {} and told_of(raw)["Ready"] == "True three"
        await tell(worker, at(9), uid)
        await operator.see()
        await judge(operator, ConditionStatus.TRUE, "three")
        assert status.part_of(status_of(await operator.see())) == {}
        # And the worker can take its own away itself.
        await tell(worker, at(9), uid)
        await worker.see()
        await tell(worker, None, uid)
        raw = await worker.see()
        assert status.part_of(status_of(raw)) == {}
        assert status_of(raw)["inbound"]["ai"]["enabled"] is True


async def test_both_at_once_lose_nothing(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    async with both(installed, namespace, tmp_path) as (operator, worker):
        uid = (await worker.see())["metadata"]["uid"]
        await operator.see()
        rounds = 25
        told = teller(worker)

        async def judging() -> None:
            for number in range(rounds):
                await judge(operator, ConditionStatus.TRUE, f"verdict {number}")

        async def handing_over() -> None:
            # Neither is shown anything: each learns of the other by what is refused.
            for number in range(rounds):
                told.tell(worker.key, uid, APPLICATION, at(5 + number), 1)
                await told.flush()

        await asyncio.gather(judging(), handing_over())
        # One that lost too many races in a row has its next turn in peace.
        await told.flush()
        await judge(operator, ConditionStatus.TRUE, f"verdict {rounds - 1}")
        raw = await worker.see()
        assert told_of(raw)["Ready"] == f"True verdict {rounds - 1}"
        assert status_of(raw)["inbound"]["ai"]["enabled"] is True
        assert status.read(status_of(raw)).cursors["INBOX"].uid == 4 + rounds


async def test_what_an_earlier_worker_applies_is_made_good(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """It applied its part to definitions of which that was no whole."""
    async with both(installed, namespace, tmp_path) as (operator, worker):
        uid = (await worker.see())["metadata"]["uid"]
        await operator.see()
        assert await judge(operator, ConditionStatus.TRUE, "one") is WriteResult.WRITTEN
        await worker.see()
        await tell(worker, at(5), uid)
        stood = await operator.see()
        part = {**manifest(SPEC), "status": status.part_of(status_of(stood))}
        del part["spec"]
        applied = ("apply", "--server-side", "--subresource=status", "--force-conflicts")
        manager = f"--field-manager={progress.MANAGER}"
        text = json.dumps(part)
        installed.kubectl(*applied, manager, "-n", namespace, "-f", "-", input=text)
        # The watch shows it, and has the account looked at.
        operator.intake.release()
        operator.intake.queue.done(await operator.intake.queue.take())
        assert operator.intake.queue.waiting == 0
        assert told_of(await operator.see()).keys() == {"InboundDelivering"}
        assert operator.intake.queue.waiting == 1
        assert await judge(operator, ConditionStatus.TRUE, "one") is WriteResult.WRITTEN
        stands = status_of(await operator.see())
        assert without_delivery(stands) == without_delivery(status_of(stood))
        assert status.part_of(stands) == status.part_of(status_of(stood))


async def test_an_object_of_the_same_name_is_another_one(
    installed: ControlPlane, namespace: str
) -> None:
    text = json.dumps(manifest(SPEC))
    installed.kubectl("create", "-n", namespace, "-f", "-", input=text)
    async with side(installed.kubeconfig, namespace) as worker:
        old = copy.deepcopy(dict(await worker.see()))
        await tell(worker, at(5), old["metadata"]["uid"])
        stored = dict(await worker.see())
        installed.kubectl("delete", "emailaccount/support", "-n", namespace)
        # Gone, and nobody has told us.
        await tell(worker, at(6), old["metadata"]["uid"])
        assert await worker.cluster.get(worker.key) is None
        # Made anew from what was kept of the old one, its status included.
        kept = {**manifest(SPEC), "status": stored["status"]}
        installed.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(kept))
        await tell(worker, at(7), old["metadata"]["uid"])
        raw = await worker.see()
        assert raw["metadata"]["uid"] != old["metadata"]["uid"]
        assert status.part_of(status_of(raw)) == {} and not status.read(status_of(raw)).cursors
        await tell(worker, at(8), old["metadata"]["uid"])
        assert status.part_of(status_of(await worker.see())) == {}


async def test_the_operator_takes_back_what_nobody_is_there_to_take_back(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    seconds = 0.0
    async with both(installed, namespace, tmp_path) as (operator, worker):
        uid = (await worker.see())["metadata"]["uid"]
        await tell(worker, at(5), uid)
        await operator.see()
        bucket = TokenBucket(1000, 1000)
        looking = absence.Absence(
            *(operator.cluster, operator.intake, bucket),
            now=lambda: NOW,
            clock=lambda: seconds,
        )
        for _ in range(5):
            await looking.look()
            seconds += 20
        raw = await worker.see()
        assert told_of(raw)["InboundDelivering"].startswith("Unknown `postroom deliver` is not")
        assert status.read(status_of(raw)).cursors["INBOX"].uid == 5
        # Whoever comes back goes on from there, and is the one writer again.
        await tell(worker, at(6), uid)
        raw = await operator.see()
        assert told_of(raw)["InboundDelivering"].startswith("True ")
        managers = {each["manager"] for each in raw["metadata"]["managedFields"]}
        assert progress.MANAGER in managers
        # Seen before it came back: nothing of it is written.
        installed.kubectl("annotate", "emailaccount/support", "-n", namespace, "a=b")
        for _ in range(5):
            await looking.look()
            seconds += 20
        raw = await worker.see()
        assert told_of(raw)["InboundDelivering"].startswith("True ")
