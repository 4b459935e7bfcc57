# SPDX-License-Identifier: Apache-2.0
"""A thousand probes at servers that accept and say nothing: memory, and a healthy probe among them.

Twice: without our limits, where all are in flight at once, and through `NetworkProbes`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bench.mail_clients import LOGIN, Attempt, bare_smtp, endpoint, limited, ours, works
from bench.mail_runs import Scale
from bench.mail_servers import SILENT, SMTP_TLS, Place, allow_many_sockets
from postroom.api.mailserver import TLSMode
from postroom.mail.connect.dial import Deadlines
from postroom.mail.limits.limiter import PATIENCE, ProbeLimiter

_ALONE = 20
_AMONG = 20
_STALLED_OF_ONE = 32
#: Until all have connected and nothing moves any more.
_SECONDS_TO_STALL = 4.0
#: Long enough for no stalled probe to end while others are measured.
_PATIENT = Deadlines(tls=300, greeting=300, total=300)


@dataclass(frozen=True)
class Crowded:
    """Many stalled probes in flight, without limits; times in seconds, memory in bytes.

    `floor` is the memory of as many clients of the bare library that are stalled in the same way.
    """

    mode: TLSMode
    in_flight: int
    memory: float
    floor: float
    alone: float
    among: float
    wrong: int


@dataclass(frozen=True)
class Queued:
    """The same through all limits: what a healthy probe took that came last, and the longest.

    Seconds; deadlines and patience were shorter by the factor `hurry`. `in_flight` stalled ones
    were seen.
    """

    mode: TLSMode
    hurry: float
    in_flight: int
    alone: float
    worst: float
    wrong: int

    @property
    def worst_at_full_length(self) -> float:
        """What the longest would take with the deadlines of production."""
        return (self.worst - self.alone) * self.hurry + self.alone


def resident() -> int:
    """Bytes of memory that this process has."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def open_files() -> int:
    """Count the open files of this process, sockets among them."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def crowded(place: Place, mode: TLSMode, scale: Scale) -> Crowded:
    """All in flight at once; in fresh processes, whose memory does not know of other runs."""
    loop, fresh = asyncio.get_running_loop(), multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        bare = await loop.run_in_executor(pool, _crowded_here, place, mode, scale, True)
        made = await loop.run_in_executor(pool, _crowded_here, place, mode, scale, False)
    return replace(made, floor=bare.memory)


def _crowded_here(place: Place, mode: TLSMode, scale: Scale, bare: bool) -> Crowded:
    allow_many_sockets()
    return asyncio.run(_crowded(place, mode, scale, bare))


async def _crowded(place: Place, mode: TLSMode, scale: Scale, bare: bool) -> Crowded:
    mine = ours(place, _PATIENT)
    healthy = mine.attempt(SMTP_TLS, TLSMode.IMPLICIT)
    alone, ill = await _timed(healthy, _ALONE)
    theirs, target = bare_smtp(place, mode, SILENT), endpoint(place, SILENT, mode)

    def stalled(number: int) -> Awaitable[object]:
        return theirs(number) if bare else mine.smtp(target)

    before, sockets = resident(), open_files()
    async with _Stalling(stalled, scale.stalled):
        await asyncio.sleep(_SECONDS_TO_STALL)
        held = open_files() - sockets
        memory = (resident() - before) / scale.stalled
        among, also_ill = await _timed(healthy, _AMONG)
    typical, crowd = statistics.median(alone), statistics.median(among)
    return Crowded(mode, held, memory, memory, typical, crowd, ill + also_ill)


async def queued(place: Place, mode: TLSMode, scale: Scale) -> Queued:
    """Through the limits, each at a host of its own; the healthy one comes when all are there.

    No namespace has more of them than evaluations that it may have at a time.
    """
    full = Deadlines()
    shorter = Deadlines(*(getattr(full, field.name) / scale.hurry for field in fields(full)))
    probes = limited(place, shorter, ProbeLimiter(patience=PATIENCE / scale.hurry))

    async def healthy(number: int) -> bool:
        host = f"healthy{number}.example.com"
        target = endpoint(place, SMTP_TLS, TLSMode.IMPLICIT, host)
        return works(await probes.probe(target, LOGIN))

    def stalled(number: int) -> Awaitable[object]:
        target = endpoint(place, SILENT, mode, f"stalled{number}.example.com")
        neighbour = f"neighbour{number // _STALLED_OF_ONE}"
        return probes.probe(replace(target, namespace=neighbour), LOGIN)

    alone, ill = await _timed(healthy, _ALONE)
    sockets = open_files()
    async with _Stalling(stalled, scale.stalled) as stalling:
        await asyncio.sleep(min(shorter.connect, shorter.tls) / 2)
        held = open_files() - sockets
        among = list[float]()
        while not stalling.over and len(among) < _AMONG:
            took, more_ill = await _timed(healthy, 1)
            among += took
            ill += more_ill
    return Queued(mode, scale.hurry, held, statistics.median(alone), max(among), ill)


class _Stalling:
    """Begins all stalled probes; at the end gives up those that are left."""

    def __init__(self, begin: Callable[[int], Awaitable[object]], number: int) -> None:
        self._begin, self._number = begin, number
        self._tasks: Sequence[asyncio.Future[object]] = ()

    async def __aenter__(self) -> _Stalling:
        self._tasks = [asyncio.ensure_future(self._begin(one)) for one in range(self._number)]
        return self

    @property
    def over(self) -> bool:
        return all(task.done() for task in self._tasks)

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _timed(attempt: Attempt, repeats: int) -> tuple[list[float], int]:
    """Probe alone, so often; return the seconds of each, and how many were called ill."""
    taken, ill = list[float](), 0
    for number in range(repeats):
        began = time.perf_counter()
        went_well = await attempt(number)
        ill += not went_well
        taken.append(time.perf_counter() - began)
    return taken, ill
