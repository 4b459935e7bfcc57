# SPDX-License-Identifier: Apache-2.0
"""What convergence costs per object, in counts that no machine changes: how often each spec and
status is understood where many more objects are there than what is remembered of them, and how many
octets are held once all is settled."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from postroom.api import conditions, resource
from postroom.api.fields import Model
from postroom.api.names import Key, Kind
from postroom.api.status import DEFAULT_STATUS
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import text_pool
from postroom.controller.cache import Cache
from postroom.controller.events import EventPoster
from postroom.controller.intake import Intake, utc_now
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import metadata_of
from postroom.controller.worker import Evaluator, Worker
from postroom.controller.world import ClusterWorld
from postroom.controller.writer import Writer
from postroom.dns.ownership import OwnershipRules
from postroom.metrics import Metrics
from postroom.reconcile import engine
from postroom.reconcile.account import launch
from postroom.reconcile.signing_in import references
from postroom.reconcile.status import assessment
from postroom.reconcile.world import Outbound
from unit.controller.samples import stored
from unit.controller.test_run import Probes

ACCOUNTS, REMEMBERED = 40, 16
#: Octets of an account and its status, as Python 3.11 counts them.
MOST_HELD = 5_200


def forget_what_is_alike() -> None:
    """Have what many statuses say in one second made anew."""
    for made_once in (launch._entry, conditions._condition, assessment._passed):
        made_once.cache_clear()


class Office:
    """An operator whose API server takes every write; everything else of it is real."""

    def __init__(self) -> None:
        self.intake, metrics, began = Intake(Cache(), KeyedQueue()), Metrics(), utc_now()
        writer = Writer(self, self.intake, TokenBucket(1e6, 1e6), metrics)
        nobody, policy = cast("Any", None), engine.Policy()
        world = ClusterWorld(
            self.intake.cache,
            cast("Any", self),
            Outbound(nobody, Probes(), nobody),
            OwnershipRules((b"a-key",)),
            # However long it takes here: what is written in one second is much the same.
            now=lambda: began,
        )
        evaluator = Evaluator(
            lambda kind, raw, memory: engine.reconcile(kind, raw, world, memory, policy),
            engine.progressing,
        )
        events = EventPoster(self.create_event, "pod", metrics)
        self.worker = Worker(self.intake, evaluator, writer, events, metrics)
        self.written: Counter[Kind] = Counter()
        self.moved = asyncio.Event()

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        raise AssertionError("no object names one")

    config_map = secret

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.intake.cache.get(key)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Nobody reads them here."""

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        self.written[key.kind] += 1
        self.moved.set()
        raw = self.intake.cache.get(key) or {}
        return {"metadata": {**metadata_of(raw), "resourceVersion": str(int(version) + 1)}}


async def converged(accounts: int) -> Office:
    """An operator that has judged a server and so many accounts behind it, each once."""
    office, keys = Office(), [Key(Kind.MAIL_SERVER, "mail", "smtp")]
    keys += [Key(Kind.EMAIL_ACCOUNT, "mail", f"a{number:04}") for number in range(accounts)]
    for key in keys:
        spec = {"host": "smtp.example.com", "interval": "24h"}
        if key.kind is Kind.EMAIL_ACCOUNT:
            spec = {"address": f"{key.name}@example.com", "serverRef": {"name": "smtp"}}
        raw = stored(key, uid=f"uid-{key.name}", spec=spec, status=dict(DEFAULT_STATUS))
        # As it comes over the network: nothing of it is anybody else's.
        office.intake.seen(key.kind, json.loads(json.dumps(raw)))
    office.intake.release()
    running = asyncio.ensure_future(office.worker.run())
    while office.written.total() < len(keys):
        office.moved.clear()
        await asyncio.wait_for(office.moved.wait(), 60)
    office.intake.queue.close()
    await running
    assert office.written == {Kind.MAIL_SERVER: 1, Kind.EMAIL_ACCOUNT: accounts}
    return office


async def test_a_spec_is_understood_twice_and_a_status_that_says_nothing_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    understood: Counter[str] = Counter()

    @functools.lru_cache(maxsize=REMEMBERED)
    def remembered(model: type[Model], raw: resource.Kept) -> Model:
        understood[model.__name__] += 1
        return model.model_validate(raw, by_name=False, by_alias=True)

    monkeypatch.setattr(resource, "_remembered", remembered)
    await converged(ACCOUNTS)
    # To know where it stands and what on, and to judge it: never to judge its server.
    assert understood["EmailAccountSpec"] <= 2 * ACCOUNTS
    assert understood["EmailAccountStatus"] <= 2


async def test_an_evaluation_takes_no_task_and_makes_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: Counter[str] = Counter()

    def counted(owner: Any, name: str, told: str) -> None:
        call = getattr(owner, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            made[told] += 1
            return call(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    counted(asyncio, "ensure_future", "tasks")
    counted(asyncio, "timeout", "bounds")
    # A series is looked for by its labels once for all objects.
    counted(MetricWrapperBase, "labels", "labels")
    counted(BaseModel, "__init__", "models")
    counted(BaseModel, "model_copy", "copies")
    runs: list[Counter[str]] = []
    for accounts in (ACCOUNTS, 2 * ACCOUNTS):
        # Both runs, which may be in one second or in two, make what they say alike of all.
        forget_what_is_alike()
        made.clear()
        await converged(accounts)
        runs.append(made.copy())
    each = {told: (number - runs[0][told]) / ACCOUNTS for told, number in runs[1].items()}
    assert each == {"tasks": 0, "bounds": 1, "labels": 0, "models": 7, "copies": 1}


def test_a_server_is_understood_once_for_all_accounts_that_take_turns_with_others() -> None:
    servers = [resource.Kept({"host": f"smtp{number}.example.com"}) for number in range(400)]
    before = resource._remembered_longer.cache_info().misses
    for turn in range(3):
        for number, server in enumerate(servers):
            resource.parse_spec(Kind.MAIL_SERVER, server)
            account = resource.Kept({"address": f"a{turn}-{number}@example.com"})
            resource.parse_spec(Kind.EMAIL_ACCOUNT, account)
    assert resource._remembered_longer.cache_info().misses - before == len(servers)


async def test_what_is_held_of_an_object_is_little_more_than_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Typed specs that are kept take 2.5 KB each, items and conditions that are kept more than once
    as much, empty dicts of a memory and sets of one dependant 0.6 to 0.8 KB."""
    for name in ("_remembered", "_remembered_longer", "_remembered_metadata"):
        forgetful = functools.lru_cache(maxsize=REMEMBERED)(getattr(resource, name).__wrapped__)
        monkeypatch.setattr(resource, name, forgetful)
    # What is made but once, and what is remembered beside, is in neither run.
    await converged(ACCOUNTS)
    held = []
    tracemalloc.start()
    try:
        for accounts in (ACCOUNTS, 2 * ACCOUNTS):
            # With the texts of the tests before, its table would grow in the one run or the other.
            monkeypatch.setattr(text_pool, "_pool", {})
            monkeypatch.setattr(text_pool, "_objects", {})
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            office = await converged(accounts)
            references.reference_to.cache_clear()
            forget_what_is_alike()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0] - before)
            assert len(office.intake.cache) == accounts + 1
            del office
    finally:
        tracemalloc.stop()
    assert held[1] - held[0] <= MOST_HELD * ACCOUNTS
