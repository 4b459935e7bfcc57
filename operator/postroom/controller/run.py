# SPDX-License-Identifier: Apache-2.0
"""The operator as a process: what starts in which order, what ends it, and how it stops."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from postroom import __version__
from postroom.api.names import Kind
from postroom.concurrency.shares import Shares
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import bindings, children, client, dns_endpoints, lease, network, rotation
from postroom.controller.audit import Audit
from postroom.controller.cache import Cache
from postroom.controller.endpoints import Endpoints, StartError
from postroom.controller.events import EventPoster
from postroom.controller.feed import Feed
from postroom.controller.health import Health
from postroom.controller.intake import Intake, utc_now
from postroom.controller.kubeconfig import own_namespace
from postroom.controller.object_metrics import ObjectMetrics
from postroom.controller.queue import KeyedQueue
from postroom.controller.sent_messages import recall
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

EXIT_STOPPED, EXIT_FAILED = 0, 1
_CLOSE_SECONDS = 10.0
#: Evaluations that use the API server at a time have connections of their own; more would not be
#: faster.
_EVALUATIONS_AT_THE_API = 32


#: Gives what leads out of the cluster, from the settings and the URL of the API server.
Reach = Callable[[Settings, str], Outbound]


async def run(settings: Settings, reach: Reach = network.reach) -> int:
    """Run the operator until a signal or a failure; returns the exit code of the process."""
    try:
        connections = 2 * min(settings.workers, _EVALUATIONS_AT_THE_API) + 8
        cluster = await client.connect(settings.kubeconfig, connections=connections)
    except client.ConnectionSettingsError as error:
        logger.error("%s", error)  # noqa: TRY400 - one sentence, no traceback
        return EXIT_FAILED
    try:
        return await _Operator(cluster, settings, reach).run()
    except (StartError, lease.LeaseLost) as error:
        logger.error("%s", error)  # noqa: TRY400
        return EXIT_FAILED
    finally:
        await cluster.close()


def run_process(settings: Settings) -> int:
    """Run the operator in an event loop of its own; returns the exit code, and does so in time.

    A library's task that cannot be cancelled would keep asyncio from ever closing the loop, and
    with it a process alive that has stopped working.
    """
    with asyncio.Runner() as runner:
        code = runner.run(run(settings))
        limit = threading.Timer(_CLOSE_SECONDS, os._exit, (code,))
        limit.daemon = True
        limit.start()
    limit.cancel()
    return code


class _Operator:
    """Everything that runs, wired together once."""

    def __init__(self, cluster: client.Cluster, settings: Settings, reach: Reach) -> None:
        self._cluster = cluster
        self._settings = settings
        self._reach = reach
        self._outbound: Outbound | None = None
        self._identity = lease.own_identity()
        self._metrics = Metrics()
        shares = Shares(settings.workers, settings.workers_per_namespace)
        self._queue = KeyedQueue(shares=shares)
        self._intake = Intake(Cache(ClaimBook(settings.ownership.keys)), self._queue)
        self._sweep = Sweep(cluster, self._intake, settings.namespaces, self._metrics)
        self._health = Health(self._queue, settings.stuck_after.total_seconds())
        rate, burst = settings.status_writes_per_second, settings.status_write_burst
        self._bucket = TokenBucket(rate, burst)
        self._audit = Audit()
        self._writer = Writer(cluster, self._intake, self._bucket, self._metrics, audit=self._audit)
        self._events = EventPoster(self._writer.post, self._identity, self._metrics)
        self._stop = asyncio.Event()
        #: Tasks that must not end before we stop; when one does, that is the end.
        self._vital: set[asyncio.Task[None]] = set()
        self._workers: list[asyncio.Task[None]] = []
        self._feed_ready = asyncio.Event()
        self._stop_feed = asyncio.Event()
        self._endpoints = Endpoints(
            settings,
            self._health,
            self._metrics,
            cluster,
            spawn=lambda work: self._spawn(work, "certificate"),
        )

    async def run(self) -> int:
        self._observe()
        if not self._settings.ownership_key:
            logger.warning(
                "no ownership key is set, so no ownership token is offered or accepted: "
                "set POSTROOM_OWNERSHIP_KEY or --ownership-key-file"
            )
        self._catch_signals()
        self._spawn(self._health.beat(), "heartbeat")
        election: lease.LeaderElection | None = None
        try:
            await self._endpoints.serve()
            election = self._election()
            if election is not None:
                self._cluster.may_write = self._writer.may_write = election.holds
                await self._lead(election)
            if not self._stop.is_set():
                await self._check_crds()
                self._start()
                await self._until_end()
            return await self._shut_down()
        finally:
            tasks = (*self._vital, *self._workers)
            for task in tasks:
                task.cancel()
            done, _ = await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
            for task in done:
                if not task.cancelled():
                    task.exception()  # the first one was told in `_shut_down`
            if election is not None:
                await election.release()
            await self._endpoints.close()

    # -- start --------------------------------------------------------------------------------

    def _observe(self) -> None:
        metrics, queue = self._metrics, self._queue
        cache = self._intake.cache
        metrics.observe_objects(ObjectMetrics(cache.objects).text)
        metrics.observe_gauge("postroom_objects", "Objects known.", lambda: len(cache))
        metrics.observe_gauge("postroom_queue_depth", "Keys waiting.", lambda: queue.waiting)
        metrics.observe_gauge("postroom_queue_running", "Keys in work.", lambda: queue.running)
        metrics.observe_gauge(
            "postroom_queue_oldest_seconds", "Age of the oldest waiting key.", queue.oldest_wait
        )
        metrics.observe_gauge(
            "postroom_sweep_age_seconds",
            "Time since the watch was last compared with a list; -1 before the first.",
            self._sweep.age,
        )

    def _catch_signals(self) -> None:
        """Stop gracefully on SIGTERM and SIGINT; kopf installs its own handlers, so twice."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self._stop.set)

    def _election(self) -> lease.LeaderElection | None:
        settings = self._settings
        namespace = settings.leader_election_namespace or own_namespace()
        if settings.leader_election is None:
            # A Deployment may have a second replica, even if only for a moment.
            wanted = own_namespace() is not None and settings.kubeconfig is None
        else:
            wanted = settings.leader_election
        if not wanted:
            return None
        if namespace is None:
            raise StartError("--leader-election needs --leader-election-namespace outside of a Pod")
        name = lease.lease_name(settings.namespaces)
        return lease.LeaderElection(self._cluster, namespace, self._identity, name=name)

    async def _lead(self, election: lease.LeaderElection) -> None:
        """Wait as a standby, which counts as ready where it could take over, for the lease."""
        self._health.waiting_for = None
        self._health.obstacle = lambda: election.obstacle
        acquired = asyncio.ensure_future(election.acquire())
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({acquired, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if acquired.done():
                acquired.result()
        finally:
            acquired.cancel()
            stopped.cancel()
            await asyncio.gather(acquired, stopped, return_exceptions=True)
        self._health.waiting_for = "the first list of objects"
        if not self._stop.is_set():
            self._spawn(election.hold(), "lease")

    async def _check_crds(self) -> None:
        """See that the API server answers and knows our kinds.

        Cluster-wide, kinds may come later: the watch notices them. In namespaces it does not.
        """
        try:
            served = await self._cluster.served_kinds()
        except client.ApiError as error:
            if error.status != 404:
                raise StartError(
                    f"the API server cannot be asked for its resources: {error}"
                ) from None
            served = frozenset()
        missing = sorted(set(Kind) - served)
        if missing:
            names = ", ".join(missing)
            text = f"{names} not served: install the CRDs: kubectl apply -k crds"
            if self._settings.namespaces:
                raise StartError(text)
            logger.warning("%s", text)

    def _start(self) -> None:
        """Start everything; kopf comes last, as it cancels what started after it when it ends."""
        settings = self._settings
        outbound = self._outbound = self._reach(settings, self._cluster.server)
        if isinstance(outbound.mail, NetworkProbes):
            outbound.mail.observe = self._metrics.observe_session
            outbound.mail.signed_in = self._audit.signed_in
        secrets = SecretWriter(self._cluster, self._bucket, self._audit)
        writers, endpoints = self._child_writers(secrets)
        outbound = replace(outbound, endpoints=endpoints)
        if isinstance(outbound.tokens, TokenSource):
            kept: RefreshTokenStore = rotation.NoRotation()
            if settings.allow_token_rotation:
                kept = rotation.OwnedSecrets(self._cluster, secrets)
            outbound.tokens.keep_in(kept)
            outbound.tokens.asked = self._audit.token_asked
        if outbound.messages is not None:
            # Closed until it is known what was sent before.
            counted, may_send = Budgets(is_open=False), self._writer.may_write
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
            lambda kind, raw, memory: engine.reconcile(kind, raw, world, memory, policy),
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
        self._spawn(self._fill_and_sweep(), "sweep")
        self._spawn(self._feed(), "watch")
        where = ", ".join(settings.namespaces) or "all namespaces"
        logger.info("postroom %s serves %s", __version__, where)

    def _child_writers(
        self, secrets: SecretWriter
    ) -> tuple[Mapping[str, children.ChildWriter], EndpointReader]:
        """Who makes children of which kind come true, and who tells of DNSEndpoints."""
        writers: dict[str, children.ChildWriter] = {}
        if self._settings.allow_bindings:
            writers["Secret"] = bindings.BindingSecrets(self._cluster, secrets)
        if not self._settings.publish_dns_endpoints:
            return writers, dns_endpoints.NoEndpoints()
        handed = dns_endpoints.of_cluster(self._cluster, self._bucket, self._audit)
        return {**writers, "DNSEndpoint": handed}, handed

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._vital.add(asyncio.create_task(work, name=name))

    async def _fill_and_sweep(self) -> None:
        self._health.waiting_for = "the first list of objects"
        await self._sweep.fill(self._recall_messages)
        self._health.waiting_for = None
        await self._sweep.run(self._settings.sweep_interval.total_seconds())

    def _recall_messages(self) -> None:
        """Learn what was sent before; until then nothing is."""
        if self._outbound is not None and self._outbound.messages is not None:
            recall(self._outbound.messages.budgets, self._intake.cache, utc_now())

    async def _feed(self) -> None:
        feed = Feed(self._cluster, self._intake, self._settings)
        reclaim = asyncio.ensure_future(self._reclaim_signals())
        try:
            await feed.run(self._stop_feed, self._feed_ready)
        finally:
            self._health.feed_ended = True
            reclaim.cancel()

    async def _reclaim_signals(self) -> None:
        await self._feed_ready.wait()
        self._catch_signals()

    # -- end ----------------------------------------------------------------------------------

    async def _until_end(self) -> None:
        """Wait for the signal to stop, or for the end of anything vital."""
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait(
                {stopped, *self._vital, *self._workers}, return_when="FIRST_COMPLETED"
            )
        finally:
            stopped.cancel()

    async def _shut_down(self) -> int:
        """Let running evaluations end within the grace, then stop the watch.

        After a failure there is no grace: whoever lost the lease must not write any more.
        """
        failure = self._failure()
        self._queue.close()
        if failure is None:
            logger.info("stopping")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.shutdown_grace.total_seconds()):
                    await self._queue.settled()
        # Their connections are tasks that kopf would wait for.
        await self._endpoints.close()
        if self._outbound is not None:
            await self._outbound.close()
        self._stop_feed.set()
        feed = [task for task in self._vital if task.get_name() == "watch"]
        if feed:
            await asyncio.wait(feed, timeout=5.0)
        if failure is not None:
            logger.error("%s", failure)
            return EXIT_FAILED
        return EXIT_STOPPED

    def _failure(self) -> str | None:
        """Return what ended without being told to; None when we were told to stop."""
        for task in (*self._vital, *self._workers):
            if not task.done() or task.cancelled():
                continue
            error = task.exception()
            if error is not None:
                return f"{task.get_name()} ended: {type(error).__name__}: {error}"
            if task.get_name() != "watch" and not self._stop.is_set():
                return f"{task.get_name()} ended"
        return None


def policy_of(settings: Settings) -> engine.Policy:
    """The settings that reach into verdicts."""
    thresholds = Thresholds(
        settings.review_password_age, settings.review_sync_gap, settings.review_backfill_days
    )
    return engine.Policy(
        regression_confirmation=settings.regression_confirmation, reviews=thresholds
    )
