# SPDX-License-Identifier: Apache-2.0
"""How long looks take while datagrams are lost and a name server is dead, by the pause between.

    make bench                               among the other rows
    python tests/bench/dns_losses.py         this alone; BENCH_LOOKS=120 for fewer looks

In virtual time, with the same losses in each run: what is measured is what the client decides, and
nothing of the machine. After longer pauses what is known of the zone has expired, so that its
servers are looked for anew, and the resolver is asked for whatever many domains share.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would hide the package of its own name.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench.dns_runs import LOSS, THREE_SERVERS, faults, unknown  # noqa: E402
from bench.dns_server import LATENCY  # noqa: E402
from bench.dns_world import RESOLVER, build  # noqa: E402
from dnsworld.clock import run  # noqa: E402
from dnsworld.message import TCP_LIMIT, read_query, udp_limit, write_reply  # noqa: E402
from dnsworld.world import World  # noqa: E402
from postroom.dns.asking.resolver import DnsAsker  # noqa: E402
from postroom.dns.asking.transport import ServerAddress  # noqa: E402
from postroom.dns.verifying.verify import Scope, verify  # noqa: E402

LOOKS = int(os.environ.get("BENCH_LOOKS", "300"))
PAUSES = (0.15, 5.0, 60.0, 300.0)
#: What 99 of 100 looks may take, in seconds; of those with a pause of five minutes, each of which
#: looks for the zone anew, it is printed only.
BOUND = 3 * LATENCY + 0.3
GATED = 60.0


@dataclass
class Losing:
    """Carries queries to a world; some datagrams, and all to the `dead`, get no answer."""

    world: World
    dead: frozenset[str]
    chance: Random = field(default_factory=lambda: Random(7))  # noqa: S311
    queries: int = 0

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        lost = self.chance.random() < LOSS
        return await self._carried(server, query, timeout, tcp=False, lost=lost)

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        return await self._carried(server, query, timeout, tcp=True, lost=False)

    async def _carried(
        self, server: ServerAddress, wire: bytes, seconds: float, *, tcp: bool, lost: bool
    ) -> bytes:
        self.queries += 1
        query = read_query(wire)
        reply, _ = self.world.exchange(server.address, query, tcp=tcp)
        if reply is None or lost or server.address in self.dead:
            await asyncio.sleep(seconds)
            raise TimeoutError
        await asyncio.sleep(LATENCY)
        return write_reply(query, reply, TCP_LIMIT if tcp else udp_limit(query))


@dataclass
class Looks:
    """What looks took, in seconds, and what they said that is not so."""

    took: list[float] = field(default_factory=list)
    queries: int = 0
    faults: int = 0
    unknown: int = 0

    def quantile(self, share: float) -> float:
        """The time that this share of the looks did not exceed."""
        return sorted(self.took)[min(int(len(self.took) * share), len(self.took) - 1)]


async def looks(count: int, pause: float) -> Looks:
    """Look so often at a domain that is as it must be, with a pause before each look."""
    world, (plan,) = build(THREE_SERVERS)
    transport = Losing(world, frozenset(world.servers_of(plan.domain)[1].addresses))
    asker = DnsAsker([(RESOLVER, 53)], transport=transport)
    clock, found = asyncio.get_running_loop().time, Looks()
    told = {finding.code for finding in (await verify(plan, asker)).findings}
    scope = Scope(known_valid=[record.id for record in plan.records], reported=told)
    transport.queries = 0
    for _ in range(count):
        await asyncio.sleep(pause)
        begun = clock()
        report = await verify(plan, asker, scope)
        found.took.append(clock() - begun)
        found.faults += len(faults(report))
        found.unknown += unknown(report)
    found.queries = transport.queries
    await asker.close()
    return found


def main() -> int:
    print(
        f"{LOOKS} looks, 2 % loss, 1 of 3 servers dead; pause      p50   p90   p99   queries  goal"
    )
    good = True
    for pause in PAUSES:
        found = run(looks(LOOKS, pause))
        times = [f"{1000 * found.quantile(share):4.0f}" for share in (0.5, 0.9, 0.99)]
        met = found.quantile(0.99) <= BOUND + 1e-9 and not (found.faults or found.unknown)
        good &= met or pause > GATED
        mark = "ok" if met else "MISSED" if pause <= GATED else "missed (not gated)"
        print(
            f"{f'{pause:g} s':>55}     {'  '.join(times)}  {found.queries / LOOKS:8.1f}  "
            f"<= {1000 * BOUND:.0f} ms {mark}"
        )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
