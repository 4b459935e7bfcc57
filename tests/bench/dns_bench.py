# SPDX-License-Identifier: Apache-2.0
"""What looking at a domain costs in time and queries, beside a bare round trip and checkdmarc.

    make bench                           1,000 domains
    BENCH_DOMAINS=200 make bench         fewer

Counts are gated (exit code 1): queries, questions repeated in flight, politeness, wrong verdicts.
Times are only printed, because machines differ. See README.md beside this file.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would hide the package of its own name.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench.dns_count import politeness, questions  # noqa: E402
from bench.dns_mistakes import Verdicts, coverage  # noqa: E402
from bench.dns_peer import HOW_TO_INSTALL, Peer  # noqa: E402
from bench.dns_runs import (  # noqa: E402
    STORM,
    Crowd,
    Lossy,
    Runs,
    crowd,
    losses,
    one_domain,
    peer_on_one_domain,
)
from bench.dns_server import ServedWorld  # noqa: E402
from bench.dns_world import Layout  # noqa: E402
from postroom.dns.asking.limiter import NAMESERVER_LIMITS  # noqa: E402

DOMAINS = int(os.environ.get("BENCH_DOMAINS", "1000"))
#: Five mail providers, and enough DNS hosts that politeness to one of them is not what is measured.
CROWD = Layout(domains=DOMAINS, providers=5, hosts=40, servers=3)
_MOST_QUERIES, _MOST_REPETITION = 16, 1.05


@dataclass(frozen=True)
class Goal:
    """A goal, what was measured, and whether that is enough; only counts decide the exit code."""

    name: str
    goal: str
    measured: str
    met: bool
    counts: bool = False


@dataclass(frozen=True)
class Results:
    """Everything that was measured; `repeated` is of one domain."""

    one: dict[str, Runs]
    repeated: int
    peer: dict[str, Runs]
    many: Crowd
    storm: Crowd
    lossy: Lossy


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def goals(results: Results) -> Iterator[Goal]:
    yield from _goals_of_one(results.one["re-check"])
    yield from _goals_of_many(results.many)
    yield from _goals_of_losses(results.lossy)
    yield from _goals_of_politeness(results)


def _goals_of_one(checked: Runs) -> Iterator[Goal]:
    quiet = f"{ms(checked.beyond)} (quiet: {ms(checked.least_beyond)})"
    yield Goal("re-check beyond 1 RTT", "<= 10 ms", quiet, checked.beyond <= 0.01)
    enough = checked.queries <= _MOST_QUERIES
    yield Goal("re-check, queries", f"<= {_MOST_QUERIES}", str(checked.queries), enough, True)


def _goals_of_many(many: Crowd) -> Iterator[Goal]:
    for name, cost, base in (
        ("first look", many.first, len(_distinct(many))),
        ("re-check", many.again, many.names),
    ):
        share = cost.queries / base
        measured = f"{share:.3f} ({cost.queries} of {base})"
        label = f"{DOMAINS} domains, {name}: queries / names"
        yield Goal(label, f"<= {_MOST_REPETITION}", measured, share <= _MOST_REPETITION, True)
    for name, cost in (("first look", many.first), ("re-check", many.again)):
        speed = DOMAINS / cost.cpu
        measured = f"{speed:.0f}/s of CPU, {DOMAINS / cost.wall:.0f}/s of wall"
        yield Goal(f"domains, {name}", ">= 40/s of CPU", measured, speed >= 40)


def _distinct(many: Crowd) -> set[tuple[object, ...]]:
    """What there was to ask in the first look: the serial counts once for each server."""
    return {
        (one.recursive, one.name, one.type, one.server if one.type == "SOA" else "")
        for one in many.first.log
    }


def _goals_of_losses(lossy: Lossy) -> Iterator[Goal]:
    bound = 3 * lossy.runs.floor + 0.3
    p99 = lossy.runs.quantile(0.99)
    label = "2 % loss, 1 of 3 servers dead: p99"
    yield Goal(label, "<= 3 RTT + 300 ms", f"{ms(p99)} of {ms(bound)}", p99 <= bound)
    ratio = p99 / lossy.runs.floor
    yield Goal("2 % loss: p99 / bare round trip", "<= 18", f"{ratio:.1f}", ratio <= 18)
    load = lossy.queries_per_look
    yield Goal("2 % loss: queries of a look", "<= 13", f"{load:.1f}", load <= 13, True)
    sound = lossy.faults == lossy.unknown == 0
    verdicts = f"{lossy.faults} ({lossy.unknown} unknown)"
    yield Goal("2 % loss: wrong verdicts, unknown", "0", verdicts, sound, True)


def _goals_of_politeness(results: Results) -> Iterator[Goal]:
    many, storm = results.many, results.storm.first.log + results.storm.again.log
    healthy = [cost.log for runs in results.one.values() for cost in runs.costs]
    healthy += [many.first.log, many.again.log]
    repeated = results.repeated + many.repeated + results.storm.repeated
    yield Goal("questions repeated in flight", "0", str(repeated), repeated == 0, True)
    worst = politeness(storm)
    kept = all(politeness(one).kept for one in (*healthy, storm))
    measured = f"{worst.in_flight} in flight, {worst.in_a_second} in the busiest second"
    limits = NAMESERVER_LIMITS
    rule = f"<= {limits.in_flight}, {limits.burst} + {limits.rate:.0f}/s"
    yield Goal(f"storm of {STORM.domains} domains, one DNS host", rule, measured, kept, True)
    verdicts = f"{results.storm.faults} ({results.storm.unknown} unknown)"
    sound = results.storm.faults == results.storm.unknown == 0
    yield Goal("storm: wrong verdicts, unknown", "0", verdicts, sound, True)


def print_one(results: Results) -> None:
    print(f"\n{'one domain, ten records, four servers':40} {'wall':>10} {'/ RTT':>6}", end="")
    print(f" {'queries':>8} {'CPU/query':>10}")
    floor = results.one["re-check"].floor
    print(f"{'one bare round trip (the floor)':40} {ms(floor):>10} {1:6.1f}")
    rows = [(_LABELS.get(name, f"postroom, {name}"), runs) for name, runs in results.one.items()]
    rows += [(f"checkdmarc, {name}", runs) for name, runs in results.peer.items()]
    for label, runs in rows:
        print(f"{label:40} {ms(runs.wall):>10} {runs.wall / runs.floor:6.1f}", end="")
        print(f" {runs.queries:8} {ms(runs.cpu_per_query):>10}")


_LABELS = {"dnspython": "the queries of the re-check, dnspython"}


def print_coverage(results: Results, verdicts: list[Verdicts]) -> None:
    print(f"\n{'mistake':34} {'postroom says':24} {'fix':4} checkdmarc says")
    for verdict in verdicts:
        says = (
            verdict.code
            if verdict.named
            else f"({verdict.code or verdict.state})"
            if verdict.noticed
            else "-"
        )
        print(
            f"{verdict.mistake.name:34} {says:24} {'yes' if verdict.has_fix else '-':4} "
            f"{_peer(verdict)}"
        )
    ours = (
        sum(verdict.noticed for verdict in verdicts),
        sum(verdict.named for verdict in verdicts),
    )
    theirs = (
        sum(bool(verdict.peer_noticed) for verdict in verdicts),
        sum(bool(verdict.peer_named) for verdict in verdicts),
    )
    label = f"of {len(verdicts)}: noticed, cause named"
    print(f"{label:34} {f'{ours[0]}, {ours[1]}':29} {f'{theirs[0]}, {theirs[1]}'}")
    for name, runs in (("postroom", results.one), ("checkdmarc", results.peer)):
        if runs:
            asked = questions(runs["cold"].costs[0].log)
            print(f"distinct questions of a cold look, {name}: {len(asked)}")


def _peer(one: Verdicts) -> str:
    if one.peer_noticed is None:
        return "not asked"
    if one.peer_named:
        return "names it"
    return "something else" if one.peer_noticed else "-"


def print_goals(found: list[Goal]) -> None:
    width = max(len(one.name) for one in found)
    print(f"\n{'goal':{width}}  {'wanted':20} {'measured':44}")
    for one in found:
        mark = "ok" if one.met else "MISSED" if one.counts else "missed (time: not gated)"
        print(f"{one.name:{width}}  {one.goal:20} {one.measured:44} {mark}")


async def measure(served: ServedWorld, peer: Peer | None) -> tuple[Results, list[Verdicts]]:
    one, repeated = await one_domain(served)
    results = Results(
        one=one,
        repeated=repeated,
        peer=await peer_on_one_domain(served, peer) if peer else {},
        many=await crowd(served, CROWD),
        storm=await crowd(served, STORM, at_once=STORM.domains),
        lossy=await losses(served),
    )
    return results, await coverage(served, peer)


def main() -> int:
    try:
        peer = Peer()
    except ImportError:
        peer = None
        print(HOW_TO_INSTALL, file=sys.stderr)
    with ServedWorld() as served:
        results, verdicts = asyncio.run(measure(served, peer))
    print_one(results)
    print_coverage(results, verdicts)
    found = list(goals(results))
    print_goals(found)
    return int(any(one.counts and not one.met for one in found))


if __name__ == "__main__":
    sys.exit(main())
