# SPDX-License-Identifier: Apache-2.0
"""The runs of the DNS benchmark: one domain, many domains, a storm, and losses."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bench.dns_client import Cost, asking, bare_queries, look, many, measuring, round_trip
from bench.dns_peer import Peer
from bench.dns_server import ServedWorld
from bench.dns_world import Layout, build
from dnsworld.world import World
from postroom.api.sendingdomain import RecordState
from postroom.dns.requirements import DomainPlan
from postroom.dns.verifying.report import DomainReport

ONE = Layout()
#: One DNS host with more domains than its servers may be asked about at once.
STORM = Layout(domains=150, servers=3)
THREE_SERVERS = Layout(servers=3)
LOSS = 0.02
_REPEATS, _PEER_REPEATS, _LOSSY_LOOKS = 20, 5, 120
#: Seconds between looks with losses, so that none waits for the pace of those before it.
_REST = 0.15
_AT_ONCE = 32

#: What a look may say of a healthy record: that it is valid, or that it could not look.
_RIGHT = frozenset({RecordState.VALID, RecordState.UNKNOWN})


@dataclass(frozen=True)
class Runs:
    """Several runs of the same thing, each beside the bare round trip of the same moment.

    Times in seconds.
    """

    costs: tuple[Cost, ...]
    floors: tuple[float, ...]

    @property
    def wall(self) -> float:
        """The median."""
        return statistics.median(cost.wall for cost in self.costs)

    @property
    def floor(self) -> float:
        """The median of the round trips."""
        return statistics.median(self.floors)

    @property
    def beyond(self) -> float:
        """What the median run took beyond its round trip."""
        return statistics.median(self._differences())

    @property
    def least_beyond(self) -> float:
        """The same in a quiet moment: of ten runs, the best."""
        return sorted(self._differences())[len(self.costs) // 10]

    def _differences(self) -> list[float]:
        pairs = zip(self.costs, self.floors, strict=True)
        return [cost.wall - floor for cost, floor in pairs]

    def quantile(self, share: float) -> float:
        """The wall time that this share of the runs did not exceed."""
        ordered = sorted(cost.wall for cost in self.costs)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    @property
    def queries(self) -> int:
        """The most of any run."""
        return max(cost.queries for cost in self.costs)

    @property
    def cpu_per_query(self) -> float:
        """The median."""
        return statistics.median(cost.cpu / max(cost.queries, 1) for cost in self.costs)


def world_of(layout: Layout) -> World:
    """Build only the world."""
    return build(layout)[0]


async def one_domain(served: ServedWorld) -> tuple[dict[str, Runs], int]:
    """Look at one domain: cold, again, and again when all is known to be valid; and the floor.

    With the count of questions that were repeated in flight.
    """
    served.show(partial(world_of, ONE))
    (plan,) = build(ONE)[1]
    names = ("cold", "again", "re-check", "dnspython")
    runs: dict[str, list[tuple[Cost, float]]] = {name: [] for name in names}
    repeated = 0
    for _ in range(_REPEATS):
        async with asking(served) as (asker, transport):
            for name in names[:3]:
                floor = await round_trip(served)
                with measuring(served) as cost:
                    report = await look(plan, asker, known=name == "re-check")
                assert faults(report) == [], report.findings
                runs[name].append((cost, floor))
            repeated += transport.repeated
        floor = await round_trip(served)
        with measuring(served) as bare:
            await bare_queries(served, cost.log)
        runs["dnspython"].append((bare, floor))
    return {name: _runs(made) for name, made in runs.items()}, repeated


async def peer_on_one_domain(served: ServedWorld, peer: Peer) -> dict[str, Runs]:
    """The same for the peer, which blocks."""
    served.show(partial(world_of, ONE))
    runs: dict[str, list[tuple[Cost, float]]] = {"cold": [], "again": []}
    for _ in range(_PEER_REPEATS):
        peer.forget()
        for made in runs.values():
            floor = await round_trip(served)
            with measuring(served) as cost:
                peer.check(served, "domain0.com")
            made.append((cost, floor))
    return {name: _runs(made) for name, made in runs.items()}


def _runs(made: Sequence[tuple[Cost, float]]) -> Runs:
    return Runs(tuple(cost for cost, _ in made), tuple(floor for _, floor in made))


def faults(report: DomainReport) -> list[str]:
    """Return the records of a healthy domain that are called anything but valid or unknown."""
    return [record.id for record in report.records if record.state not in _RIGHT]


def unknown(report: DomainReport) -> int:
    """Count the records that could not be looked at."""
    return sum(record.state is RecordState.UNKNOWN for record in report.records)


@dataclass(frozen=True)
class Crowd:
    """What many domains took, the first time and again.

    `names` is the sum of the distinct names and types that the plans ask for, and of the zones'
    servers; `repeated` counts the questions that were repeated in flight.
    """

    first: Cost
    again: Cost
    names: int
    faults: int
    unknown: int
    repeated: int


async def crowd(served: ServedWorld, layout: Layout, at_once: int = _AT_ONCE) -> Crowd:
    """Look twice at many domains that are known to be valid, as after a restart."""
    served.show(partial(world_of, layout))
    plans = build(layout)[1]
    reports, costs = list[DomainReport](), list[Cost]()
    async with asking(served) as (asker, transport):
        looks = [partial(look, plan, asker, known=True) for plan in plans]
        for _ in range(2):
            with measuring(served) as cost:
                reports += await many(looks, at_once)
            costs.append(cost)
    return Crowd(
        first=costs[0],
        again=costs[1],
        names=sum(distinct(plan) + layout.servers for plan in plans),
        faults=sum(len(faults(report)) for report in reports),
        unknown=sum(map(unknown, reports)),
        repeated=transport.repeated,
    )


def distinct(plan: DomainPlan) -> int:
    """Count the distinct names and types of a plan: no look can do with fewer questions."""
    return len({(record.name, record.type) for record in plan.records})


@dataclass(frozen=True)
class Lossy:
    """Many looks at one domain with datagrams lost and a server dead."""

    runs: Runs
    faults: int
    unknown: int

    @property
    def queries_per_look(self) -> float:
        """The mean: what was lost is asked again, and no more."""
        return sum(cost.queries for cost in self.runs.costs) / len(self.runs.costs)


async def losses(served: ServedWorld) -> Lossy:
    """Look again and again while 2 % of datagrams are lost and one of three servers is dead."""
    served.show(partial(world_of, THREE_SERVERS))
    world, (plan,) = build(THREE_SERVERS)
    floors = [await round_trip(served) for _ in range(5)]
    served.fail(LOSS, world.servers_of(plan.domain)[1])
    made, reports = list[tuple[Cost, float]](), list[DomainReport]()
    async with asking(served) as (asker, _transport):
        told = {finding.code for finding in (await look(plan, asker)).findings}
        for _ in range(_LOSSY_LOOKS):
            with measuring(served) as cost:
                reports.append(await look(plan, asker, known=True, told=told))
            made.append((cost, statistics.median(floors)))
            await asyncio.sleep(_REST)
    return Lossy(
        _runs(made), sum(len(faults(report)) for report in reports), sum(map(unknown, reports))
    )
