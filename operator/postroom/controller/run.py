# SPDX-License-Identifier: Apache-2.0
"""The operator as a process: what it starts on a cluster."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from postroom import __version__
from postroom.api.names import Key, Kind
from postroom.concurrency.shards import WHOLE
from postroom.concurrency.shares import Shares
from postroom.controller import (
    bindings,
    children,
    client,
    dns_endpoints,
    lifecycle,
    network,
    rotation,
    sent_messages,
)
from postroom.controller.audit import Audit
from postroom.controller.cache import Cache
from postroom.controller.events import EventPoster
from postroom.controller.inbound.absence import Absence
from postroom.controller.intake import Intake, utc_now
from postroom.controller.object_metrics import ObjectMetrics
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import Raw
from postroom.controller.set_clock import SetClock
from postroom.controller.shard_objects import ShardObjects
from postroom.controller.status_page import StatusPage
from postroom.controller.sweep import Sweep
from postroom.controller.worker import Evaluator, Worker
from postroom.controller.world import ClusterWorld
from postroom.controller.writer import SecretWriter, Writer
from postroom.mail.oauth.refresh_token_store import RefreshTokenStore
from postroom.mail.oauth.tokens import TokenSource
from postroom.mail.probes import NetworkProbes
from postroom.metrics import Metrics
from postroom.reconcile import engine
from postroom.reconcile.account.reviews import Thresholds
from postroom.reconcile.tenancy.budgets import Budgets
from postroom.reconcile.tenancy.claims import ClaimBook
from postroom.reconcile.world import EndpointReader, Outbound
from postroom.settings import Settings

logger = logging.getLogger(__name__)

PROGRAM = "postroom"
#: Evaluations that use the API server at a time have connections of their own; more would not be
#: faster.
_EVALUATIONS_AT_THE_API = 32


async def run(settings: Settings, reach: network.Reach = network.reach) -> int:
    """Run the operator until a signal or a failure; returns the exit code of the process."""
    connections = 2 * min(settings.workers, _EVALUATIONS_AT_THE_API) + 8
    return await lifecycle.live(
        settings.kubeconfig, connections, lambda cluster: _Operator(cluster, settings, reach)
    )


def run_process(settings: Settings) -> int:
    """Run the operator in an event loop of its own; returns the exit code."""
    return lifecycle.in_its_own_loop(run(settings))


class _Operator(lifecycle.Lifecycle):
    """Everything that runs, wired together once."""

    def __init__(self, cluster: client.Cluster, settings: Settings, reach: network.Reach) -> None:
        self._reach = reach
        self._outbound: Outbound | None = None
        self._metrics = Metrics()
        shares = Shares(settings.workers, settings.workers_per_namespace)
        queue = KeyedQueue(shares=shares, admits=lambda key: settings.shard.has(key.namespace))
        intake = Intake(Cache(ClaimBook(settings.ownership.keys)), queue)
        sweep = Sweep(cluster, intake, settings.namespaces, self._metrics)
        super().__init__(
            cluster,
            settings,
            intake,
            self._metrics,
            sweep,
            PROGRAM,
            StatusPage(intake.cache, settings.ui_namespaces, lambda: sweep.age() >= 0),
        )
        self._bucket = lifecycle.write_bucket(settings)
        self._audit = Audit()
        self._writer = Writer(cluster, self._intake, self._bucket, self._metrics, audit=self._audit)
        self._events = EventPoster(self._writer.post, self._identity, self._metrics)
        self._observe()
        if not settings.ownership_key:
            logger.warning(
                "no ownership key is set, so no ownership token is offered or accepted: "
                "set POSTROOM_OWNERSHIP_KEY or --ownership-key-file"
            )

    def _leads_by(self, holds: Callable[[], bool]) -> None:
        super()._leads_by(holds)
        self._writer.may_write = holds

    def _observe(self) -> None:
        metrics, queue = self._metrics, self._queue
        cache = self._intake.cache
        told = ObjectMetrics(cache.get)
        counted = ShardObjects(cache, queue.admits)

        refused = self._writer.refused

        def changed(key: Key) -> None:
            counted.changed(key)
            if (now := cache.get(key)) is None or children.is_ending(now):
                refused.forget(key)  # nothing is written to it any more
            # Each shard tells of its own, so that Prometheus has every series once.
            if queue.admits(key):
                told.changed(key)
            elif now is not None and self._outbound is not None:
                self._overhear(self._outbound, key, now)

        cache.observers.append(changed)
        scope, works = self._lease_of(WHOLE), lambda: self._sweep.age() >= 0
        counted.tell(metrics, scope, self._settings.shard, works)
        metrics.observe_objects(told.pieces)
        metrics.observe_gauge("postroom_objects", lambda: len(cache))
        metrics.observe_gauge("postroom_queue_depth", lambda: queue.waiting)
        metrics.observe_gauge("postroom_queue_running", lambda: queue.running)
        metrics.observe_gauge("postroom_queue_oldest_seconds", queue.oldest_wait)
        metrics.observe_gauge("postroom_sweep_age_seconds", self._sweep.age)

    async def _start(self) -> None:
        settings, clock = self._settings, SetClock()
        outbound = self._outbound = self._reach(settings, self._cluster.server)
        if isinstance(outbound.mail, NetworkProbes):
            outbound.mail.observe = self._metrics.observe_session
            outbound.mail.signed_in = self._audit.signed_in
        is_there = children.known_to(self._intake.cache)
        secrets = SecretWriter(self._cluster, self._bucket, is_there, self._audit)
        writers, endpoints = self._child_writers(secrets, is_there)
        outbound = replace(outbound, endpoints=endpoints)
        if isinstance(outbound.tokens, TokenSource):
            kept: RefreshTokenStore = rotation.NoRotation()
            if settings.allow_token_rotation:
                kept = rotation.OwnedSecrets(self._cluster, secrets)
            outbound.tokens.keep_in(kept)
            outbound.tokens.asked = self._audit.token_asked
        if outbound.messages is not None:
            # Closed until it is known what was sent before.
            counted = Budgets(is_open=False, shard=settings.shard, clock=clock.even)
            may_send = self._writer.may_write
            messages = replace(outbound.messages, budgets=counted, may_send=may_send)
            outbound = self._outbound = replace(outbound, messages=messages)
        world = ClusterWorld(
            self._intake.cache,
            self._cluster,
            outbound,
            settings.ownership,
            require_consent=settings.require_secret_consent,
            namespaces=settings.namespaces,
        )
        policy = policy_of(settings)
        evaluator = Evaluator(
            lambda kind, raw, memory: engine.reconcile(
                kind, raw, world, clock.settled(memory), policy
            ),
            engine.progressing,
            engine.syncing,
        )
        worker = Worker(
            self._intake,
            evaluator,
            self._writer,
            self._events,
            self._metrics,
            children=children.Children(writers),
        )
        self._intake.on_stale_sources = world.forget_sources
        self._workers = [asyncio.create_task(worker.run()) for _ in range(settings.workers)]
        self._spawn(self._events.run(), "events")
        watch = Absence(self._cluster, self._intake, self._bucket, utc_now)
        watch.erred = self._metrics.reconcile_errors.labels(kind=Kind.EMAIL_ACCOUNT.value).inc
        self._spawn(watch.run(), "absence")
        logger.info("postroom %s serves %s", __version__, lifecycle.served(settings))

    def _child_writers(
        self, secrets: SecretWriter, is_there: children.IsThere
    ) -> tuple[Mapping[str, children.ChildWriter], EndpointReader]:
        """Who makes children of which kind come true, and who tells of DNSEndpoints."""
        writers: dict[str, children.ChildWriter] = {}
        if self._settings.allow_bindings:
            writers["Secret"] = bindings.BindingSecrets(self._cluster, secrets)
        if not self._settings.publish_dns_endpoints:
            return writers, dns_endpoints.NoEndpoints()
        handed = dns_endpoints.of_cluster(self._cluster, self._bucket, is_there, self._audit)
        return {**writers, "DNSEndpoint": handed}, handed

    def _overhear(self, outbound: Outbound, key: Key, raw: Raw) -> None:
        """Learn what another shard sends: a login and a recipient are the same for all."""
        if outbound.messages is not None:
            sent_messages.learn(outbound.messages.budgets, key, raw, utc_now())

    def _filled(self) -> None:
        """Learn what was sent before; until then nothing is."""
        if self._outbound is not None and self._outbound.messages is not None:
            sent_messages.recall(self._outbound.messages.budgets, self._intake.cache, utc_now())

    async def _end(self, *, failed: bool) -> None:
        if self._outbound is not None:
            await self._outbound.close()


def policy_of(settings: Settings) -> engine.Policy:
    """The settings that reach into verdicts."""
    thresholds = Thresholds(
        settings.review_password_age, settings.review_sync_gap, settings.review_backfill_days
    )
    return engine.Policy(
        regression_confirmation=settings.regression_confirmation, reviews=thresholds
    )
