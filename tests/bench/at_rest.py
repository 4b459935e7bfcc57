# SPDX-License-Identifier: Apache-2.0
"""What watching costs when nothing changes: objects that are looked at every five minutes.

    make bench                               among the other rows
    python tests/bench/at_rest.py            this alone; BENCH_REST=10000 for more objects

Domains, servers and accounts of a hundred namespaces, as 20, 5 and 75 of a hundred, are judged
once; then an operator starts that has their statuses and nothing else, and ten minutes pass. All
of it but the API server is real; DNS and mail servers are in processes of their own. Time is
virtual: it passes at once while nobody works.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would be taken for the package.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench import virtual_time  # noqa: E402 - before anything that reads the clock
from bench.dns_client import LoopbackTransport  # noqa: E402
from bench.dns_server import ServedWorld  # noqa: E402
from bench.dns_world import RESOLVER, mail_providers, publish, spec_for  # noqa: E402
from bench.mail_servers import (  # noqa: E402
    IMAP_TLS,
    NAME,
    PASSWORD,
    SMTP_STARTTLS,
    USER,
    MailServers,
    Place,
)
from bench.office import Office, allow_many_files, key_of, manifest  # noqa: E402
from dnsworld.world import World  # noqa: E402
from postroom.api.names import Kind  # noqa: E402
from postroom.api.sendingdomain import SendingDomainSpec  # noqa: E402
from postroom.api.times import timestamp  # noqa: E402
from postroom.concurrency import full_passes, tls_buffers  # noqa: E402
from postroom.controller.health import Health  # noqa: E402
from postroom.dns.asking.resolver import DnsAsker  # noqa: E402
from postroom.reconcile.status.schedule import HEARTBEAT, share  # noqa: E402

N = int(os.environ.get("BENCH_REST", "1000"))
NAMESPACES, PROVIDERS, HOSTS = 100, 10, 100
INTERVAL = "5m"
MINUTES = 10
#: Seconds in which looks are counted.
WINDOW = 10
#: How many times the mean the busiest window may have; what one core may have to do, in per cent;
#: seconds by which a timer may come too late, in 99 of 100 cases.
BURST, CPU, LAG = 2.0, 60.0, 0.05


def specs(count: int) -> Iterator[tuple[World, SendingDomainSpec]]:
    """Publish so many domains, all as they must be."""
    world = World()
    providers = mail_providers(world, PROVIDERS)
    for number in range(count):
        host, proof = number % HOSTS, {"value": f"provider-verify={number}"}
        names = [f"ns{server}.host{host}.net" for server in (1, 2, 3)]
        provider = providers[number % PROVIDERS]
        spec = spec_for(f"domain{number}.com", provider, ownership=proof, interval=INTERVAL)
        publish(world, spec, names)
        yield world, spec


def world_of(count: int) -> World:
    """Build only the world."""
    (*_, (world, _)) = specs(count)
    return world


def objects(count: int) -> Iterator[dict[str, Any]]:
    """The objects as somebody applies them, spread over the namespaces."""
    spaces = [f"t{number}" for number in range(NAMESPACES)]
    ca = {"caBundleRef": {"name": "ca"}}
    login = {"credentialsRef": {"name": "login"}}
    for number, (_, spec) in enumerate(specs(count // 5)):
        raw = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        yield manifest(Kind.SENDING_DOMAIN, spaces[number % NAMESPACES], f"d{number}", raw)
    servers = max(count // 20, NAMESPACES)
    server = {"host": NAME, "port": SMTP_STARTTLS, "tls": {"mode": "StartTLS", **ca}}
    for number in range(servers):
        made = {**server, **login, "interval": INTERVAL}
        yield manifest(Kind.MAIL_SERVER, spaces[number % NAMESPACES], f"s{number}", made)
    for number in range(count - count // 5 - servers):
        own = number % servers
        account = {
            "address": f"a{number}@example.com",
            "serverRef": {"name": f"s{own}"},
            **login,
            "imap": {"host": NAME, "port": IMAP_TLS, "tls": ca},
            "sync": {"interval": INTERVAL},
        }
        yield manifest(Kind.EMAIL_ACCOUNT, spaces[own % NAMESPACES], f"a{number}", account)


@dataclass
class Rest:
    """What ten minutes brought: looks by the window, CPU seconds, seconds that timers were late."""

    looks: Counter[int] = field(default_factory=Counter)
    writes: int = 0
    cpu: float = 0.0
    late: list[float] = field(default_factory=list)

    @property
    def burst(self) -> float:
        """The busiest window over the mean."""
        return max(self.looks.values()) * (MINUTES * 60 / WINDOW) / sum(self.looks.values())


class Bench:
    """Operators one after another, in front of the same servers."""

    def __init__(self, place: Place, port: int) -> None:
        self._place, self._port = place, port
        self.office: Office | None = None

    def idle(self) -> bool:
        """Whether nobody waits for the network."""
        return self.office is not None and not self.office.intake.queue.running

    async def _resolve(self, host: str) -> tuple[str, ...] | None:
        return (self._place.address,)

    def start(self, made: list[dict[str, Any]]) -> Office:
        """Start an operator that finds these objects."""
        asker = DnsAsker(
            [(RESOLVER, self._port)],
            authoritative_port=self._port,
            transport=LoopbackTransport(),
        )
        ports = (SMTP_STARTTLS, IMAP_TLS)
        self.office = office = Office(ports, self._resolve, asker, virtual_time.now)
        for number in range(NAMESPACES):
            texts = {"username": USER, "password": PASSWORD}
            office.source("Secret", f"t{number}", "login", texts)
            office.source("ConfigMap", f"t{number}", "ca", {"ca.crt": self._place.authority})
        for raw in made:
            office.intake.seen(Kind(raw["kind"]), raw)
        return office

    async def judged(self, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Have all judged, and return them as they are after long at rest."""
        office = self.start(made)
        office.intake.release()
        wanted = {key_of(raw) for raw in made}
        await office.until(lambda: wanted <= office.judged.keys())
        await office.close()
        wrong = [str(key) for key in wanted if office.judged[key] != "True"]
        if wrong:
            raise SystemExit(f"healthy objects were not found Ready: {sorted(wrong)[:5]}")
        moment, aged = virtual_time.now(), []
        for key in wanted:
            raw = dict(office.intake.cache.get(key) or {})
            # Their stored times are refreshed once in a heartbeat, each at a time of its own.
            looked = timestamp(moment - HEARTBEAT * share(f"age {key}"))
            status = {**raw["status"], "lastCheckTime": looked}
            aged.append({**raw, "kind": key.kind.value, "status": status})
        return aged

    async def rest(self, stored: list[dict[str, Any]]) -> Rest:
        """Start with what is stored, and let ten minutes pass."""
        found = Rest()
        with full_passes.FullPasses() as passes:
            office = self.start(stored)
            passes.settle()
            await self._pass(office, found)
        wrong = {key.name for key, verdict in office.judged.items() if verdict != "True"}
        if wrong:
            raise SystemExit(f"healthy objects were not found Ready: {sorted(wrong)[:5]}")
        return found

    async def _pass(self, office: Office, found: Rest) -> None:
        """Note what ten minutes bring."""
        health = Health(office.intake.queue, 600.0)
        health.late = found.late.append
        begun = time.monotonic()

        def look() -> None:
            found.looks[int((time.monotonic() - begun) / WINDOW)] += 1

        office.on_evaluation = look
        beat = asyncio.create_task(health.beat())
        cpu = time.process_time()
        office.intake.release()
        await asyncio.sleep(MINUTES * 60)
        found.cpu = time.process_time() - cpu
        found.writes = office.writes
        beat.cancel()
        await office.close()


def main() -> int:
    allow_many_files()
    # As a process on a cluster begins.
    full_passes.set_aside()
    tls_buffers.shrink()
    made = list(objects(N))
    with MailServers(0.0) as mail, ServedWorld() as dns:
        dns.show(partial(world_of, N // 5))
        bench = Bench(mail.place, dns.port)
        with asyncio.Runner(loop_factory=lambda: virtual_time.loop(bench.idle)) as runner:
            stored = runner.run(bench.judged(made))
            rest = runner.run(bench.rest(stored))
    late = sorted(rest.late)[len(rest.late) * 99 // 100]
    share_of_core = 100 * rest.cpu / (MINUTES * 60)
    looks = sum(rest.looks.values())
    print(f"{f'{N} objects at rest, every {INTERVAL}, {MINUTES} minutes':48}  measured    goal")
    _row("looks of each object", f"{looks / N:.2f}", "-")
    _row("status writes of each object", f"{rest.writes / N:.2f}", "-")
    _row("CPU of one look", f"{1000 * rest.cpu / looks:.1f} ms", "-")
    _row("CPU, of one core", f"{share_of_core:.1f} %", f"<= {CPU:.0f} %", share_of_core <= CPU)
    _row("event loop late, p99", f"{1000 * late:.0f} ms", f"<= {1000 * LAG:.0f} ms", late <= LAG)
    good = _row("busiest 10 s / mean", f"{rest.burst:.2f}", f"<= {BURST:.0f}", rest.burst <= BURST)
    return int(not good)


def _row(name: str, value: str, goal: str, good: bool | None = None) -> bool:
    mark = {True: "ok", False: "MISSED", None: ""}[good]
    print(f"{name:48}  {value:>8}    {goal:9} {mark}")
    return good is not False


if __name__ == "__main__":
    sys.exit(main())
