# SPDX-License-Identifier: Apache-2.0
"""A process on a cluster from its start to its end: in which order things begin, what ends them,
and how they stop. The operator and `postroom deliver` are two of them."""

import asyncio
import logging
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from postroom.api.names import APPLY_CRDS, Kind
from postroom.concurrency import full_passes, tls_buffers
from postroom.concurrency.shards import WHOLE, Shard
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import client, lease
from postroom.controller.endpoints import Endpoints, StartError
from postroom.controller.feed import Feed, FeedEnded
from postroom.controller.health import Health
from postroom.controller.installations import Installations, OtherInstallation
from postroom.controller.intake import Intake
from postroom.controller.kubeconfig import own_namespace
from postroom.controller.overlaps import Overlaps
from postroom.controller.reviews import Reviews
from postroom.controller.shard_map import ShardMap
from postroom.controller.status_page import StatusPage
from postroom.controller.sweep import Sweep
from postroom.metrics import Registry
from postroom.settings import Settings

logger = logging.getLogger(__name__)

EXIT_STOPPED, EXIT_FAILED = 0, 1
_CLOSE_SECONDS = 10.0
#: What ends a process and says itself why; any other is a bug, whose name helps to find it.
_TOLD = (FeedEnded, OtherInstallation, lease.LeaseLost)
_FIRST_LIST = "the first list of objects"


async def live(
    kubeconfig: Path | None, connections: int, born: Callable[[client.Cluster], "Lifecycle"]
) -> int:
    """Live until a signal or a failure; returns the exit code of the process."""
    try:
        cluster = await client.connect(kubeconfig, connections=connections)
    except client.ConnectionSettingsError as error:
        logger.error("%s", error)  # noqa: TRY400 - one sentence, no traceback
        return EXIT_FAILED
    try:
        return await born(cluster).run()
    except (StartError, lease.LeaseLost) as error:
        logger.error("%s", error)  # noqa: TRY400
        return EXIT_FAILED
    finally:
        await cluster.close()


def in_its_own_loop(life: Coroutine[Any, Any, int]) -> int:
    """Live in an event loop of its own; returns the exit code of the process, and does so in time.

    A library's task that cannot be cancelled would keep asyncio from ever closing the loop, and
    with it a process alive that has stopped working.
    """
    tls_buffers.shrink()
    with asyncio.Runner() as runner:
        code = runner.run(life)
        limit = threading.Timer(_CLOSE_SECONDS, os._exit, (code,))
        limit.daemon = True
        limit.start()
    limit.cancel()
    return code


def write_bucket(settings: Settings) -> TokenBucket:
    """How fast this process may write: the API server bears all shards together."""
    shard = settings.shard
    rate, burst = settings.status_writes_per_second, settings.status_write_burst
    return TokenBucket(rate / shard.of, shard.share(burst))


def served(settings: Settings) -> str:
    """What this process serves, for the log."""
    where, shard = ", ".join(settings.namespaces) or "all namespaces", settings.shard
    return where if shard.of == 1 else f"{where}, shard {shard}"


class Lifecycle(ABC):
    """Serves, leads, watches, works, and stops; what the work is, a subclass says."""

    def __init__(
        self,
        cluster: client.Cluster,
        settings: Settings,
        intake: Intake,
        metrics: Registry,
        sweep: Sweep,
        program: str,
        page: StatusPage | None = None,
    ) -> None:
        self._cluster, self._settings = cluster, settings
        self._intake, self._queue = intake, intake.queue
        self._sweep, self._program = sweep, program
        self._lease_name = self._lease_of(settings.shard)
        self._identity = lease.own_identity()
        self._health = Health(self._queue, settings.stuck_after.total_seconds())
        self._health.late = metrics.loop_lag.observe
        self._stop = asyncio.Event()
        #: Told to stop a second time: there is no grace any more.
        self._hurry = asyncio.Event()
        #: Tasks that must not end before we stop; when one does, that is the end.
        self._vital: set[asyncio.Task[None]] = set()
        self._workers: list[asyncio.Task[None]] = []
        self._feed_ready = asyncio.Event()
        self._stop_feed = asyncio.Event()
        self._stands_by: Callable[[], bool] = lambda: False
        metrics.other_installation.set_function(lambda: float(self._stands_by()))
        self._passes = full_passes.FullPasses()
        self._endpoints = Endpoints(
            settings,
            self._health,
            metrics,
            Reviews(cluster),
            spawn=lambda work: self._spawn(work, "certificate"),
            status_page=page,
        )

    async def run(self) -> int:
        """Live; returns the exit code."""
        with self._passes:
            return await self._run()

    async def _run(self) -> int:
        self._catch_signals()
        self._spawn(self._health.beat(), "heartbeat")
        election: lease.LeaderElection | None = None
        try:
            await self._endpoints.serve()
            election = self._election()
            if election is not None:
                self._leads_by(election.holds)
                await self._lead(election)
            if not self._stop.is_set() and self._failure() is None:
                await self._check_crds()
                await self._start()
                self._spawn(self._fill_and_sweep(), "sweep")
                # Last, as kopf cancels what started after it when it ends.
                self._spawn(self._feed(), "watch")
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

    # -- what the work is ---------------------------------------------------------------------

    @abstractmethod
    async def _start(self) -> None:
        """Begin to work: what is vital by `_spawn`, what takes keys into `_workers`."""

    def _leads_by(self, holds: Callable[[], bool]) -> None:
        """Know who tells whether the lease is ours at this moment."""
        self._cluster.may_write = holds

    def _filled(self) -> None:  # noqa: B027 - most have nothing to do then
        """Everything that there is is known; nothing is in the queue yet."""

    async def _settle(self) -> None:
        """Let what is under way end; cancelled at the end of the grace."""
        await self._queue.settled()

    @abstractmethod
    async def _end(self, *, failed: bool) -> None:
        """Let go of everything outside, while the watch still runs."""

    # -- start --------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        """Stop gracefully on SIGTERM and SIGINT; kopf installs its own handlers, so twice."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _election(self) -> lease.LeaderElection | None:
        settings = self._settings
        namespace = settings.leader_election_namespace or own_namespace()
        if settings.leader_election is None:
            # A Deployment may have a second replica, even if only for a moment.
            in_a_pod = own_namespace() is not None and settings.kubeconfig is None
            wanted = in_a_pod or settings.shard.of > 1
        else:
            wanted = settings.leader_election
        if not wanted:
            return None
        if namespace is None:
            asked = "--leader-election" if settings.leader_election else "--shard"
            raise StartError(f"{asked} needs --leader-election-namespace outside of a Pod")
        return lease.LeaderElection(
            self._cluster, namespace, self._identity, name=self._lease_name, scope=self._scope
        )

    @property
    def _scope(self) -> str | None:
        """What other installations may work on, too; None: namespaces of our own, which nobody may
        look beyond."""
        return None if self._settings.namespaces else self._lease_of(WHOLE)

    def _lease_of(self, shard: Shard) -> str:
        return lease.lease_name(self._settings.namespaces, self._program, shard)

    async def _lead(self, election: lease.LeaderElection) -> None:
        """Wait as a standby, which counts as ready where it could take over: for the lease, for the
        end of those who count the shards differently, and, never ready, for the end of whoever
        else works on what this one serves, here or in another installation."""
        self._health.waiting_for = None
        self._health.obstacle = lambda: election.obstacle
        self._health.standing_by = True
        if await self._waited(election.acquire()):
            self._spawn(election.hold(), "lease")
            found = ShardMap(
                self._cluster, election.namespace, self._settings.shard, self._lease_of
            )
            self._health.obstacle = lambda: found.obstacle
            if not await self._waited(found.join()):
                return
            served = self._settings.namespaces
            overlaps = Overlaps(self._cluster, election.namespace, self._program, served)
            self._health.obstacle = lambda: overlaps.obstacle
            self._stands_by = lambda: overlaps.waiting_for is not None
            if await self._waited(overlaps.join()) and self._scope is not None:
                others = Installations(self._cluster, Reviews(self._cluster), election, self._scope)
                self._health.obstacle = lambda: others.obstacle
                self._stands_by = lambda: others.waiting_for is not None
                if await self._waited(others.join()):
                    self._spawn(others.keep_watch(), "installation")
        self._health.standing_by = False
        self._health.waiting_for = _FIRST_LIST

    async def _waited(self, work: Coroutine[Any, Any, None]) -> bool:
        """Wait for the end of what comes before our own work; False: ours ends before."""
        waits = asyncio.ensure_future(work)
        ended = asyncio.ensure_future(self._until_end())
        try:
            await asyncio.wait({waits, ended}, return_when=asyncio.FIRST_COMPLETED)
            if waits.done():
                waits.result()
            return not ended.done()
        finally:
            waits.cancel()
            ended.cancel()
            await asyncio.gather(waits, ended, return_exceptions=True)

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
            text = f"{names} not served: install the CRDs: {APPLY_CRDS}"
            if self._settings.namespaces:
                raise StartError(text)
            logger.warning("%s", text)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._vital.add(asyncio.create_task(work, name=name))

    async def _fill_and_sweep(self) -> None:
        self._health.waiting_for = _FIRST_LIST
        await self._sweep.fill(self._all_known)
        await self._sweep.run(self._settings.sweep_interval.total_seconds())

    def _all_known(self) -> None:
        """Begin with what there is; nothing of it is at work yet, or refers to itself."""
        self._filled()
        self._passes.settle()
        self._health.waiting_for = None

    async def _feed(self) -> None:
        feed = Feed(self._cluster, self._intake, self._settings)
        # The first list misses what a watch does not bring, but only where there are objects.
        self._health.obstacle = lambda: self._sweep.obstacle or feed.obstacle
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
        """Let what is under way end within the grace, then stop the watch.

        After a failure there is no grace: whoever lost the lease must not write any more.
        """
        failure = self._failure()
        self._queue.close()
        if failure is None:
            logger.info("stopping")
            await self._grace()
        # Their connections are tasks that kopf would wait for.
        await self._endpoints.close()
        await self._end(failed=failure is not None)
        self._stop_feed.set()
        feed = [task for task in self._vital if task.get_name() == "watch"]
        if feed:
            await asyncio.wait(feed, timeout=5.0)
        if failure is not None:
            logger.error("%s", failure)
            return EXIT_FAILED
        return EXIT_STOPPED

    async def _grace(self) -> None:
        """Until all is settled, the grace is over, or somebody tells us to stop a second time."""
        settled = asyncio.ensure_future(self._settle())
        hurried = asyncio.ensure_future(self._hurry.wait())
        grace = self._settings.shutdown_grace.total_seconds()
        await asyncio.wait({settled, hurried}, timeout=grace, return_when="FIRST_COMPLETED")
        for task in (settled, hurried):
            task.cancel()
        for ended in await asyncio.gather(settled, hurried, return_exceptions=True):
            if isinstance(ended, Exception):
                logger.error("stopping: %s: %s", type(ended).__name__, ended)

    def _failure(self) -> str | None:
        """Return what ended without being told to; None when we were told to stop."""
        for task in (*self._vital, *self._workers):
            if not task.done() or task.cancelled():
                continue
            error = task.exception()
            if isinstance(error, _TOLD):
                return str(error)
            if error is not None:
                return f"{task.get_name()} ended: {type(error).__name__}: {error}"
            if task.get_name() != "watch" and not self._stop.is_set():
                return f"{task.get_name()} ended"
        return None
