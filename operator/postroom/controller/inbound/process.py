# SPDX-License-Identifier: Apache-2.0
"""`postroom deliver` as a process: what it starts on a cluster, and how it stops.

It reads what the operator has judged, and never writes what is the operator's.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from postroom import __version__
from postroom.api.names import Key, Kind
from postroom.concurrency.places import Places
from postroom.controller import children, client, kubeconfig, lifecycle, network, rotation
from postroom.controller.audit import Audit
from postroom.controller.cache import Cache
from postroom.controller.inbound.dispatch import Dispatcher
from postroom.controller.inbound.figures import Figures
from postroom.controller.inbound.progress import InboundStatus
from postroom.controller.inbound.services import SeenServices
from postroom.controller.intake import Intake, utc_now
from postroom.controller.queue import KeyedQueue
from postroom.controller.sweep import Sweep
from postroom.controller.world import ClusterWorld, unavailable
from postroom.controller.writer import SecretWriter
from postroom.deliver_settings import DeliverSettings
from postroom.delivery.contract import Mailboxes
from postroom.delivery.sinks.choice import Sinks
from postroom.delivery.spool import Spool
from postroom.mail.oauth.tokens import TokenSource
from postroom.mail.probes import NetworkProbes
from postroom.reconcile.world import Outbound

logger = logging.getLogger(__name__)

PROGRAM = "postroom-deliver"
#: Accounts that are looked at at a time: that means a Secret and a Service each.
_LOOKS = 16


async def serve(settings: DeliverSettings, reach: network.Reach = network.reach) -> int:
    """Hand mail over until a signal or a failure; returns the exit code of the process."""
    return await lifecycle.live(
        settings.common.kubeconfig,
        2 * _LOOKS,
        lambda cluster: _Delivering(cluster, settings, reach),
    )


def run_process(settings: DeliverSettings) -> int:
    """Hand mail over in an event loop of its own; returns the exit code."""
    return lifecycle.in_its_own_loop(serve(settings))


class _Services:
    """Reads Services as the world reads Secrets."""

    def __init__(self, cluster: client.Cluster) -> None:
        self._cluster = cluster

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return one Service, None if there is none; raises `LookupUnavailable`."""
        try:
            return await self._cluster.service(namespace, name)
        except client.ApiError as error:
            raise unavailable(error, "Service", namespace, name) from None


class _Delivering(lifecycle.Lifecycle):
    """Everything that runs, wired together once."""

    def __init__(
        self, cluster: client.Cluster, settings: DeliverSettings, reach: network.Reach
    ) -> None:
        common, shard = settings.common, settings.common.shard
        self._own, self._reach = settings, reach
        self._outbound: Outbound | None = None
        self._figures = Figures()

        def is_served(key: Key) -> bool:
            return key.kind is Kind.EMAIL_ACCOUNT and shard.has(key.namespace)

        queue = KeyedQueue(admits=is_served)
        # Whatever was looked at by the operator, and when: here everything begins anew.
        intake = Intake(Cache(), queue, due=lambda *_: timedelta())
        sweep = Sweep(cluster, intake, common.namespaces, self._figures)
        super().__init__(cluster, common, intake, self._figures, sweep, PROGRAM)
        self._bucket = lifecycle.write_bucket(common)
        self._told = InboundStatus(cluster, intake, self._bucket, utc_now)
        self._told.wrote = self._figures.wrote
        intake.cache.observers.append(self._changed)
        self._spool = Spool(settings.spool, settings.spool_dir)
        self._places = Places(settings.sessions, settings.sessions_per_namespace)
        self._places.ceded = self._figures.ceded
        self._holds = lambda: True
        self._sinks: Sinks | None = None
        self._dispatcher: Dispatcher | None = None

    def _changed(self, key: Key) -> None:
        if key not in self._intake.cache:
            self._figures.refused.forget(key)

    def _leads_by(self, holds: Any) -> None:
        super()._leads_by(holds)
        self._holds = holds
        # Where no Lease is held, none tells that we are at work.
        namespace = self._settings.leader_election_namespace or kubeconfig.own_namespace()
        self._told.worker = f"{namespace}/{self._lease_name}"

    async def _start(self) -> None:
        common = self._settings
        outbound = self._outbound = self._reach(common, self._cluster.server)
        audit = Audit()
        if isinstance(outbound.mail, NetworkProbes):
            outbound.mail.signed_in = audit.signed_in
        if isinstance(outbound.tokens, TokenSource):
            secrets = SecretWriter(
                self._cluster, self._bucket, children.known_to(self._intake.cache), audit
            )
            outbound.tokens.keep_in(rotation.OthersSecrets(self._cluster, secrets))
            outbound.tokens.asked = audit.token_asked
        world = ClusterWorld(
            self._intake.cache,
            self._cluster,
            outbound,
            common.ownership,
            require_consent=common.require_secret_consent,
            namespaces=common.namespaces,
        )
        self._intake.on_stale_sources = world.forget_sources
        policy = network.dial_policy(common, self._cluster.server)
        self._sinks = Sinks(utc_now, nats=self._own.nats, policy=policy)
        services = SeenServices(_Services(self._cluster), self._intake.dependants, self._queue)
        self._dispatcher = Dispatcher(
            self._intake,
            world,
            services,
            cast("Mailboxes", outbound.mail),
            self._told,
            self._spool,
            self._sinks,
            self._places,
            utc_now,
            observe=self._figures.offered,
            begun=self._figures.begun,
            erred=self._figures.errors.inc,
            may_carry=self._holds,
        )
        self._observe(self._dispatcher)
        self._workers = [asyncio.create_task(self._dispatcher.run()) for _ in range(_LOOKS)]
        self._spawn(self._told.run(), "progress")
        self._spawn(services.run(), "services")
        where = lifecycle.served(common)
        logger.info("postroom %s hands over the mail of %s", __version__, where)

    def _observe(self, dispatcher: Dispatcher) -> None:
        figures, spool, places = self._figures, self._spool, self._places
        figures.observe_gauge("postroom_deliver_couriers", lambda: dispatcher.accounts)
        figures.observe_gauge("postroom_deliver_spool_bytes", lambda: spool.used)
        figures.observe_gauge("postroom_deliver_spool_limit_bytes", lambda: spool.limit)
        figures.observe_gauge("postroom_deliver_sessions", lambda: places.taken)
        figures.observe_gauge("postroom_deliver_sessions_limit", lambda: places.total)
        figures.observe_gauge("postroom_deliver_sessions_waiting", lambda: places.waiting)
        figures.observe_gauge("postroom_deliver_queue_depth", lambda: self._queue.waiting)
        figures.observe_gauge("postroom_deliver_sweep_age_seconds", self._sweep.age)
        figures.observe_accounts(dispatcher.progresses, utc_now)

    async def _settle(self) -> None:
        """Let the message that an application has before it get its answer; begin no other."""
        await super()._settle()
        if self._dispatcher is not None:
            await self._dispatcher.finish()

    async def _end(self, *, failed: bool) -> None:
        """Write how far all are, unless another may already do so."""
        if self._dispatcher is not None:
            await self._dispatcher.close()
        if not failed:
            await self._told.flush()
        if self._sinks is not None:
            await self._sinks.close()
        if self._outbound is not None:
            await self._outbound.close()
