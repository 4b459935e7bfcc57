# SPDX-License-Identifier: Apache-2.0
"""What the servers of a neighbour cost: a namespace alone, and beside hundreds that say nothing.

    make bench                               among the other rows
    python tests/bench/fairness.py           this alone; BENCH_HEALTHY=60 BENCH_SILENT=200,1000

Everything of an operator but the API server is real: queue, workers, engine, writer, probes and
sockets. Half of the silent servers take the connection and say nothing, half drop the handshake.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "tests")]

from postroom.api.names import API_VERSION, Key, Kind  # noqa: E402
from postroom.concurrency.shares import Shares  # noqa: E402
from postroom.concurrency.token_bucket import TokenBucket  # noqa: E402
from postroom.controller.cache import Cache  # noqa: E402
from postroom.controller.client import Cluster  # noqa: E402
from postroom.controller.events import EventPoster  # noqa: E402
from postroom.controller.intake import Intake  # noqa: E402
from postroom.controller.queue import KeyedQueue  # noqa: E402
from postroom.controller.worker import Evaluator, Worker  # noqa: E402
from postroom.controller.world import ClusterWorld  # noqa: E402
from postroom.controller.writer import Writer  # noqa: E402
from postroom.dns.asking.resolver import DnsAsker  # noqa: E402
from postroom.dns.ownership import OwnershipRules  # noqa: E402
from postroom.dns.tls.mta_sts_host import PolicyFetcher  # noqa: E402
from postroom.mail.connect.guard import DialPolicy  # noqa: E402
from postroom.mail.probes import NetworkProbes  # noqa: E402
from postroom.metrics import Metrics  # noqa: E402
from postroom.reconcile import engine  # noqa: E402
from postroom.reconcile.world import Outbound  # noqa: E402
from postroom.settings import Settings  # noqa: E402

HEALTHY = int(os.environ.get("BENCH_HEALTHY", "60"))
SILENT = tuple(int(one) for one in os.environ.get("BENCH_SILENT", "200,1000").split(","))
#: How many times as long as alone the namespace may take.
GOAL = 3.0
_LIMIT_SECONDS = 300.0
_RUNS = 3
#: Seconds that a healthy server takes to answer, as on the way to another city.
_ROUND_TRIP = 0.03
_OPEN_FILES = 8192


class Silence:
    """Two servers on loopback: one that takes connections and says nothing, one that drops them."""

    def __init__(self, stack: ExitStack) -> None:
        self.mute = stack.enter_context(socket.socket())
        self.mute.bind(("127.0.0.1", 0))
        self.mute.listen(4096)
        self.hole = stack.enter_context(socket.socket())
        self.hole.bind(("127.0.0.1", 0))
        self.hole.listen(0)
        # A full backlog: the kernel drops what else would shake hands.
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(self.hole.getsockname())

    @property
    def ports(self) -> tuple[int, int]:
        return self.mute.getsockname()[1], self.hole.getsockname()[1]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A mail server as far as a check without credentials goes."""
    with suppress(asyncio.CancelledError, ConnectionError):
        await _talk(reader, writer)
    writer.close()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 healthy.example ESMTP\r\n")
    while line := await reader.readline():
        await asyncio.sleep(_ROUND_TRIP)
        verb = line[:4].upper()
        writer.write(
            b"221 bye\r\n" if verb == b"QUIT" else b"250-healthy.example\r\n250 PIPELINING\r\n"
        )
        if verb == b"QUIT":
            return


def _server(namespace: str, number: int, port: int) -> dict[str, Any]:
    name = f"s{number}"
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.MAIL_SERVER.value,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {"host": f"{name}.{namespace}.example", "port": port, "tls": {"mode": "None"}},
    }


class Office:
    """An operator in this process, whose API server takes every write."""

    def __init__(self, ports: Sequence[int]) -> None:
        settings = Settings()
        self.judged: dict[Key, str] = {}
        self._wanted: set[Key] = set()
        self._all_judged = asyncio.Event()
        shares = Shares(settings.workers, settings.workers_per_namespace)
        self.intake = Intake(Cache(), KeyedQueue(shares=shares))
        metrics = Metrics()
        bucket = TokenBucket(settings.status_writes_per_second, settings.status_write_burst)
        writer = Writer(self, self.intake, bucket, metrics)
        policy = DialPolicy((ip_network("127.0.0.0/8"),), frozenset(ports))
        probes = NetworkProbes(policy, _loopback, per_host=settings.probes_per_target)
        out = Outbound(DnsAsker(), probes, cast("PolicyFetcher", None))
        world = ClusterWorld(self.intake.cache, cast("Cluster", self), out, OwnershipRules())
        evaluator = Evaluator(
            lambda kind, raw, memory: engine.reconcile(kind, raw, world, memory, engine.Policy()),
            engine.progressing,
        )
        events = EventPoster(writer.post, "bench", metrics)
        self._worker = Worker(self.intake, evaluator, writer, events, metrics)
        self._tasks = [asyncio.create_task(self._worker.run()) for _ in range(settings.workers)]

    async def secret(self, namespace: str, name: str) -> None:
        """There is none, and nobody names one."""

    config_map = secret

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        return self.intake.cache.get(key)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Nobody reads them here."""

    async def patch_status(self, key: Key, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        raw = dict(self.intake.cache.get(key) or {})
        for condition in patch["status"].get("conditions", ()):
            if condition["type"] == "Ready" and condition["reason"] != "Progressing":
                self.judged[key] = condition["status"]
        if self._wanted <= self.judged.keys():
            self._all_judged.set()
        return {**raw, "status": {**raw.get("status", {}), **patch["status"]}}

    async def time_of(
        self, own: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]
    ) -> float:
        """Have all evaluated, the neighbour's first; return when the last of the own was."""
        for raw in (*others, *own):
            self.intake.seen(Kind.MAIL_SERVER, raw)
        wanted = self._wanted = {_key(one) for one in own}
        begun = time.monotonic()
        self.intake.release()
        async with asyncio.timeout(_LIMIT_SECONDS):
            await self._all_judged.wait()
        took = time.monotonic() - begun
        wrong = [one.name for one in wanted if self.judged[one] != "True"]
        if wrong:
            raise SystemExit(f"healthy servers were not found Ready: {wrong}")
        return took

    async def close(self) -> None:
        self.intake.queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _key(raw: Mapping[str, Any]) -> Key:
    return Key(Kind.MAIL_SERVER, raw["metadata"]["namespace"], raw["metadata"]["name"])


async def _loopback(host: str) -> tuple[str, ...] | None:
    return ("127.0.0.1",)


async def measure() -> dict[int, float]:
    """Return by the number of silent neighbours what the healthy ones took, in seconds."""
    limit = min(_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    took = dict[int, float]()
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    with ExitStack() as stack:
        silence = Silence(stack)
        port = server.sockets[0].getsockname()[1]
        # The first run warms up; of the others the best counts, as others use this machine, too.
        for silent in (0, *((0, *SILENT) * _RUNS)):
            office = Office((port, *silence.ports))
            own = [_server("a", number, port) for number in range(HEALTHY)]
            others = [_server("b", number, silence.ports[number % 2]) for number in range(silent)]
            seconds = await office.time_of(own, others)
            await office.close()
            warm = silent not in took
            took[silent] = seconds if warm else min(took[silent], seconds)
    server.close()
    return took


async def main() -> int:
    took = await measure()
    alone = took.pop(0)
    print(f"{'fairness':48}  {'value':>10}  goal")
    print(f"{f'{HEALTHY} healthy servers alone':48}  {f'{alone:.2f} s':>10}  -")
    missed = False
    for silent, seconds in took.items():
        ratio = seconds / alone
        missed = missed or ratio > GOAL
        name = f"beside {silent} silent ones of a neighbour / alone"
        mark = "MISSED" if ratio > GOAL else "ok"
        print(f"{name:48}  {ratio:>10.2f}  <= {GOAL:.0f}     {mark}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
