# SPDX-License-Identifier: Apache-2.0
"""An operator in this process: queue, workers, engine, writer, probes and sockets are real, and the
API server takes every write at once."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_network
from typing import Any, cast

from postroom.api.names import API_VERSION, Key, Kind
from postroom.concurrency.shares import Shares
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.cache import Cache
from postroom.controller.client import Cluster
from postroom.controller.events import EventPoster
from postroom.controller.intake import Intake, utc_now
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import Raw, metadata_of
from postroom.controller.worker import Evaluator, Worker
from postroom.controller.world import ClusterWorld
from postroom.controller.writer import Writer
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.ownership import OwnershipRules
from postroom.dns.tls.mta_sts_host import PolicyFetcher
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.limits.limiter import BeforeLogin, HostSpeed, ProbeLimiter, ResultT
from postroom.mail.probes import NetworkProbes
from postroom.metrics import Metrics
from postroom.reconcile import engine
from postroom.reconcile.status.outcome import Memory, Outcome
from postroom.reconcile.world import Outbound
from postroom.settings import Settings

_OPEN_FILES = 8192
#: Seconds that a healthy server takes to answer, as on the way to another city.
ROUND_TRIP = 0.03


def manifest(kind: Kind, namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An object as the API server has it when it is new."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind.value,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": dict(spec),
    }


def key_of(raw: Raw) -> Key:
    return Key(Kind(raw["kind"]), raw["metadata"]["namespace"], raw["metadata"]["name"])


async def loopback(host: str) -> tuple[str, ...] | None:
    return ("127.0.0.1",)


def allow_many_files() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, most), most))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A mail server as far as a check without credentials goes."""
    with suppress(asyncio.CancelledError, ConnectionError):
        await _talk(reader, writer)
    writer.close()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 healthy.example ESMTP\r\n")
    while line := await reader.readline():
        await asyncio.sleep(ROUND_TRIP)
        verb = line[:4].upper()
        writer.write(
            b"221 bye\r\n" if verb == b"QUIT" else b"250-healthy.example\r\n250 PIPELINING\r\n"
        )
        if verb == b"QUIT":
            return


class Sessions(ProbeLimiter):
    """Counts how many are under way at one host."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way: Counter[HostSpeed] = Counter()
        self.most = 0

    async def run(
        self,
        speed: HostSpeed,
        namespace: str,
        probe: Callable[[BeforeLogin], Awaitable[ResultT]],
    ) -> ResultT:
        async def counted(before_login: BeforeLogin) -> ResultT:
            self._under_way[speed] += 1
            self.most = max(self.most, self._under_way[speed])
            try:
                return await probe(before_login)
            finally:
                self._under_way[speed] -= 1

        return await super().run(speed, namespace, counted)


class Office:
    """An operator whose API server takes every write, and counts.

    `ports` are those that it may dial, `resolve` finds hosts, `asker` asks DNS. `sources` are the
    Secrets and ConfigMaps by kind, namespace and name.
    """

    def __init__(
        self,
        ports: Sequence[int],
        resolve: Resolve = loopback,
        asker: DnsAsker | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        settings = Settings()
        self.sources: dict[tuple[str, str, str], dict[str, Any]] = {}
        #: How often each object was evaluated.
        self.evaluations: Counter[Key] = Counter()
        #: The status of the Ready condition of what was judged, and of which generation it is.
        self.judged: dict[Key, str] = {}
        self.generations: dict[Key, int] = {}
        #: Told of every evaluation; how many statuses were written.
        self.on_evaluation: Callable[[], None] = lambda: None
        self.writes = 0
        self._moved = asyncio.Event()
        shares = Shares(settings.workers, settings.workers_per_namespace)
        self.intake = Intake(Cache(), KeyedQueue(shares=shares), now)
        metrics = Metrics()
        bucket = TokenBucket(settings.status_writes_per_second, settings.status_write_burst)
        writer = Writer(self, self.intake, bucket, metrics, now=now)
        policy = DialPolicy((ip_network("127.0.0.0/8"),), frozenset(ports))
        self.sessions = Sessions()
        limit = settings.probes_per_target
        probes = NetworkProbes(policy, resolve, limiter=self.sessions, per_host=limit)
        out = Outbound(asker or DnsAsker(), probes, cast("PolicyFetcher", None))
        cluster = cast("Cluster", self)
        self._world = ClusterWorld(self.intake.cache, cluster, out, OwnershipRules(), now)
        self.intake.on_stale_sources = self._world.forget_sources
        evaluator = Evaluator(self._evaluate, engine.progressing)
        events = EventPoster(writer.post, "bench", metrics)
        self._worker = Worker(self.intake, evaluator, writer, events, metrics, now)
        self._tasks = [asyncio.create_task(self._worker.run()) for _ in range(settings.workers)]

    async def _evaluate(self, kind: Kind, raw: Raw, memory: Memory) -> Outcome:
        self.evaluations[Key(kind, raw["metadata"]["namespace"], raw["metadata"]["name"])] += 1
        self.on_evaluation()
        return await engine.reconcile(kind, raw, self._world, memory, engine.Policy())

    # -- what the API server does -------------------------------------------------------------

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.sources.get(("Secret", namespace, name))

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.sources.get(("ConfigMap", namespace, name))

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.intake.cache.get(key)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Nobody reads them here."""

    async def replace_status(
        self, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        self.writes += 1
        raw = self.intake.cache.get(key) or {}
        metadata = metadata_of(raw)
        for condition in status.get("conditions", ()):
            if condition["type"] == "Ready" and condition["reason"] != "Progressing":
                self.judged[key] = condition["status"]
                self.generations[key] = condition["observedGeneration"]
        self._moved.set()
        return {"metadata": {**metadata, "resourceVersion": str(int(version) + 1)}}

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for what writes bring about."""
        while not done():
            self._moved.clear()
            await self._moved.wait()

    # -- what people do -----------------------------------------------------------------------

    def source(self, kind: str, namespace: str, name: str, texts: Mapping[str, str]) -> None:
        """Create or change a Secret or ConfigMap that is watched."""
        before = self.sources.get((kind, namespace, name))
        version = "1" if before is None else str(int(before["metadata"]["resourceVersion"]) + 1)
        self.sources[kind, namespace, name] = {
            "metadata": {"name": name, "uid": f"{namespace}-{name}", "resourceVersion": version},
            "stringData" if kind == "Secret" else "data": dict(texts),
        }
        self.intake.source_seen(kind, namespace, name, version)

    def change(self, key: Key, spec: Mapping[str, Any]) -> None:
        """Change fields of an object's spec."""
        raw = self.intake.cache.get(key)
        assert raw is not None
        metadata = metadata_of(raw)
        moved = {
            "generation": metadata["generation"] + 1,
            "resourceVersion": str(int(metadata["resourceVersion"]) + 1),
        }
        changed = {"metadata": {**metadata, **moved}, "spec": {**raw["spec"], **spec}}
        self.intake.seen(key.kind, {**raw, **changed})

    async def close(self) -> None:
        self.intake.queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
