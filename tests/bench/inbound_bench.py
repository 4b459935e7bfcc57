# SPDX-License-Identifier: Apache-2.0
"""What it costs to hand incoming mail over, beside the bare libraries.

    make bench                                  or alone: python tests/bench/inbound_bench.py
    python tests/bench/inbound_bench.py --quick    a small run of every part; says little of speed

The floor fetches each message whole with aioimaplib and posts it with aiohttp: no cursor, no
signature, no bound on memory. Counts are gated (exit code 1): messages and octets that arrive, and
memory of a large message. Times are only printed. See README.md beside this file.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would hide the package of its own name.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

import aiohttp  # noqa: E402
from aioimaplib import aioimaplib  # noqa: E402

from bench.inbound_servers import HOST, PASSWORD, USER, InboundServers, Place  # noqa: E402
from postroom.api.mailserver import TLSMode  # noqa: E402
from postroom.api.masked import Masked  # noqa: E402
from postroom.delivery import cursors, signing  # noqa: E402
from postroom.delivery.contract import Plan, Progress, Route  # noqa: E402
from postroom.delivery.courier import Courier  # noqa: E402
from postroom.delivery.events import Format  # noqa: E402
from postroom.delivery.sinks.choice import Sinks  # noqa: E402
from postroom.delivery.sinks.http import Destination  # noqa: E402
from postroom.delivery.spool import Spool  # noqa: E402
from postroom.mail.connect.guard import DEFAULT_PORTS, DialPolicy  # noqa: E402
from postroom.mail.connect.tls import build_context  # noqa: E402
from postroom.mail.probes import NetworkProbes  # noqa: E402
from postroom.mail.report import Endpoint, Login  # noqa: E402

_MEBI = 1024 * 1024
_MOST_CPU = 1.5
_MOST_LATENCY = 0.2
_MOST_MEMORY = 4 * _MEBI
_LARGE = 25 * _MEBI


@dataclass(frozen=True)
class Scale:
    """How much is run; sizes in octets."""

    messages: int = 500
    rounds: int = 5
    small: int = 4_000
    middle: int = 60_000
    arrivals: int = 100


QUICK = Scale(messages=40, rounds=1, arrivals=5)


@dataclass(frozen=True)
class Speed:
    """What handing so many messages over took, in seconds; CPU of this process."""

    messages: int
    wall: float
    cpu: float


def now() -> datetime:
    return datetime.now(UTC)


class Ours:
    """The courier as `postroom deliver` runs it, without a cluster."""

    def __init__(self, place: Place) -> None:
        async def resolve(host: str) -> tuple[str, ...]:
            return (place.address,)

        policy = DialPolicy(
            (ipaddress.ip_network("127.0.0.0/8"),), frozenset({*DEFAULT_PORTS, place.imap})
        )
        self._probes = NetworkProbes(policy, resolve, quiet=0)
        self._sinks = Sinks(now)
        self._destination = Destination(place.address, place.http, "tickets.mail.svc", "/mail")
        self._endpoint = Endpoint(HOST, place.imap, TLSMode.IMPLICIT, HOST, place.authority, "mail")
        self._spool = Spool(64 * _MEBI)

    def courier(self, start: cursors.Start, told: Callable[[Progress], None]) -> Courier:
        key = signing.parse_key("whsec_" + base64.b64encode(b"k" * 32).decode())

        async def login() -> Login:
            return Login(USER, Masked(PASSWORD))

        plan = Plan(("INBOX",), start, timedelta(days=7), 32 * _MEBI, timedelta(minutes=5))
        sink = self._sinks.sink(self._destination, [key], Format.RAW)
        route = Route("uid", "mail", "support", plan, self._endpoint, login, sink)
        return Courier(route, self._probes, self._spool, now, told)

    @asynccontextmanager
    async def carrying(
        self, start: cursors.Start, told: Callable[[Progress], None]
    ) -> AsyncIterator[None]:
        task = asyncio.create_task(self.courier(start, told).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def hand_over(self, messages: int) -> None:
        """Hand over what lies in the mailbox."""
        done = asyncio.Event()

        def told(progress: Progress) -> None:
            if progress.delivered >= messages:
                done.set()

        async with self.carrying(cursors.Start.BACKFILL, told):
            await done.wait()

    async def close(self) -> None:
        await self._sinks.close()


class Floor:
    """The bare libraries."""

    def __init__(self, place: Place) -> None:
        self._place, self._trust = place, build_context(place.authority)
        self._session = aiohttp.ClientSession()

    async def hand_over(self, messages: int) -> None:
        place = self._place
        # Its name is in the certificate, and nobody resolves it.
        self._trust.check_hostname = False
        client = aioimaplib.IMAP4_SSL(place.address, place.imap, ssl_context=self._trust)
        await client.wait_hello_from_server()
        await client.login(USER, PASSWORD)
        await client.protocol.execute(
            aioimaplib.Command("EXAMINE", client.protocol.new_tag(), "INBOX")
        )
        client.protocol.state = aioimaplib.SELECTED
        _, lines = await client.uid_search("ALL", charset=None)
        for uid in lines[0].split():
            _, fetched = await client.uid("fetch", uid.decode(), "(BODY.PEEK[])")
            body = max((line for line in fetched), key=len)
            url = f"http://{place.address}:{place.http}/mail"
            headers = {"Content-Type": "message/rfc822"}
            async with self._session.post(url, data=bytes(body), headers=headers) as answer:
                assert answer.status == 204
        await client.logout()

    async def close(self) -> None:
        await self._session.close()


async def measured(hand_over: Callable[[int], Awaitable[None]], messages: int) -> Speed:
    wall, cpu = time.perf_counter(), time.process_time()
    await hand_over(messages)
    return Speed(messages, time.perf_counter() - wall, time.process_time() - cpu)


@dataclass(frozen=True)
class Pair:
    """Ours beside the floor, round by round."""

    name: str
    ours: list[Speed]
    floor: list[Speed]

    def ratio(self, what: Callable[[Speed], float]) -> float:
        pairs = zip(self.ours, self.floor, strict=True)
        return statistics.median(what(mine) / what(bare) for mine, bare in pairs)

    def __str__(self) -> str:
        rows = []
        for whose, speeds in (("postroom", self.ours), ("bare libraries", self.floor)):
            rate = statistics.median(speed.messages / speed.wall for speed in speeds)
            cost = statistics.median(speed.cpu / speed.messages for speed in speeds)
            rows.append(f"{self.name}: {whose:16} {rate:7.0f}/s {cost * 1000:7.2f} ms CPU each")
        return "\n".join(rows)


class Gate:
    """Goals; only counts decide the exit code."""

    def __init__(self) -> None:
        self.failed = False

    def row(self, name: str, goal: str, measured: str, met: bool, *, counts: bool) -> None:
        self.failed |= counts and not met
        mark = "ok" if met else "MISSED" if counts else "missed (not gated)"
        print(f"{name:44} {goal:12} {measured:22} {mark}")


async def pair(
    servers: InboundServers, ours: Ours, floor: Floor, name: str, size: int, scale: Scale
) -> tuple[Pair, bool]:
    """Both in turn, the other way round every second time; and whether all arrived each time."""
    speeds: dict[str, list[Speed]] = {"ours": [], "floor": []}
    ways = {"ours": ours.hand_over, "floor": floor.hand_over}
    complete = True
    for number in range(-1, scale.rounds):
        counts = set()
        for whose in sorted(ways, reverse=bool(number % 2)):
            await servers.ask("fill", scale.messages, size)
            speed = await measured(ways[whose], scale.messages)
            counts.add(await servers.ask("count"))
            if number >= 0:
                speeds[whose].append(speed)
        complete &= len(counts) == 1 and next(iter(counts))[0] == scale.messages
    return Pair(name, speeds["ours"], speeds["floor"]), complete


async def latencies(servers: InboundServers, ours: Ours, arrivals: int) -> list[float]:
    """Seconds from the arrival of a message until the application has it, with IDLE."""
    await servers.ask("fill", 1, 100)
    ready = asyncio.Event()
    found = []
    async with ours.carrying(cursors.Start.NOW, lambda _: ready.set()):
        await ready.wait()
        for _ in range(arrivals):
            await asyncio.sleep(0.05)  # until it waits again
            found.append(await servers.ask("latency"))
    return found


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most memory that this process had since it was last forgotten, in octets."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


async def large(servers: InboundServers, ours: Ours) -> tuple[int, int]:
    """Memory that one large message takes beyond what was there, and the octets that arrived."""
    await servers.ask("fill", 1, _MEBI)
    await ours.hand_over(1)
    await servers.ask("fill", 1, _LARGE)
    _forget_peak()
    before = _peak()
    await ours.hand_over(1)
    return _peak() - before, (await servers.ask("count"))[1]


async def run(servers: InboundServers, scale: Scale) -> bool:
    gate, ours, floor = Gate(), Ours(servers.place), Floor(servers.place)
    try:
        memory, octets = await large(servers, ours)
        small, all_small = await pair(servers, ours, floor, "4 KB", scale.small, scale)
        middle, all_middle = await pair(servers, ours, floor, "60 KB", scale.middle, scale)
        waits = await latencies(servers, ours, scale.arrivals)
    finally:
        await ours.close()
        await floor.close()
    print(f"{small}\n{middle}\n")
    for each in (small, middle):
        for what, share in (
            ("CPU", each.ratio(lambda speed: speed.cpu)),
            ("wall", each.ratio(lambda speed: speed.wall)),
        ):
            name = f"{each.name}: {what} over the bare libraries'"
            gate.row(name, f"<= {_MOST_CPU}", f"{share:.2f}", share <= _MOST_CPU, counts=False)
    median, worst = statistics.median(waits), max(waits)
    said = f"{median * 1000:.0f} ms (worst {worst * 1000:.0f})"
    gate.row(
        "arrival to POST with IDLE, p50", "<= 200 ms", said, median <= _MOST_LATENCY, counts=False
    )
    said = f"{memory / _MEBI:.1f} MiB"
    gate.row("memory of a message of 25 MiB", "<= 4 MiB", said, memory <= _MOST_MEMORY, counts=True)
    whole = all_small and all_middle and octets > _LARGE - 100
    gate.row("all arrived, octet for octet", "all", str(whole), whole, counts=True)
    return gate.failed


def main() -> int:
    scale = QUICK if "--quick" in sys.argv else Scale()
    with InboundServers() as servers:
        return int(asyncio.run(run(servers, scale)))


if __name__ == "__main__":
    sys.exit(main())
