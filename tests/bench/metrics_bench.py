# SPDX-License-Identifier: Apache-2.0
"""What a scrape costs the event loop at ten thousand objects: the first one, one at rest, and one
after some objects changed.

    make bench                               among the other rows
    python tests/bench/metrics_bench.py      this alone; BENCH_OBJECTS=1000,10000

Printed are octets, the CPU time of the loop for the whole scrape, sending left out, and the longest
time for which nothing else ran. Gated is what a scrape at rest takes, over the floor of the same
run: to put the same texts into one, object by object, as whoever keeps them all could at best.
"""

from __future__ import annotations

import asyncio
import copy
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would be taken for the package.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from postroom.api.names import Kind  # noqa: E402
from postroom.controller.cache import Cache  # noqa: E402
from postroom.controller.object_metrics import ObjectMetrics  # noqa: E402
from postroom.metrics import Metrics  # noqa: E402

OBJECTS = tuple(int(number) for number in os.environ.get("BENCH_OBJECTS", "1000,10000").split(","))
#: How many times as long as the floor a scrape at rest may take; of few objects, the operator's own
#: series are most of it, so that the largest number counts.
GOAL = 1.0
#: As many statuses are written in half a minute where each is refreshed every quarter of an hour.
_CHANGED_OF = 30
_RUNS = 5

_CONDITIONS = ("Ready", "ReferencesResolved", "SMTPAvailable", "SMTPAuthenticated", "IMAPAvailable")
_STATUS: dict[str, Any] = {
    "conditions": [
        {"type": kind, "status": "True", "reason": "Succeeded", "message": "All is well."}
        for kind in _CONDITIONS
    ],
    "lastCheckTime": "2026-01-01T00:00:00Z",
    "lastReadyTime": "2026-01-01T00:00:00Z",
    "lastReadyGeneration": 1,
    "serverName": "relay",
    "sendPlan": {"daily": 500, "dailyFrom": "MailServer"},
    "imapTls": {"notAfter": "2027-01-01T00:00:00Z"},
    "lastSync": "2026-01-01T00:00:00Z",
    "mailbox": {"name": "INBOX", "messages": 9, "unseen": 4},
    "findings": [{"code": "NO_OWNER", "severity": "Info", "subject": "owner"}],
}


class World:
    """A cache that is told of, as in the operator."""

    def __init__(self, number: int) -> None:
        self.cache, self.metrics, self.version = Cache(), Metrics(), 0
        told = ObjectMetrics(self.cache.get)
        self.cache.observers.append(told.changed)
        self.metrics.observe_objects(told.pieces)
        self.names = [(f"team-{each % 100}", f"account-{each}") for each in range(number)]
        self.write(1)

    def write(self, every: int) -> None:
        """Refresh each so-manieth object."""
        self.version += 1
        for number, (namespace, name) in enumerate(self.names):
            if number % every == 0:
                status = copy.deepcopy(_STATUS) | {
                    "lastCheckTime": f"2026-01-01T00:00:{self.version:02}Z"
                }
                metadata = {"name": name, "namespace": namespace, "uid": name, "generation": 1}
                raw = {
                    "metadata": metadata | {"resourceVersion": str(self.version)},
                    "spec": {"address": f"{name}@example.com"},
                    "status": status,
                }
                self.cache.put(Kind.EMAIL_ACCOUNT, raw)

    async def scraped(self, *, beside: bool = True) -> tuple[int, float, float]:
        """Octets, milliseconds of the loop, and the longest of these in one piece; `beside`:
        something else wants to run all the time, which takes some milliseconds of its own."""
        longest, last, ended = 0.0, time.thread_time(), False

        def measured() -> None:
            nonlocal longest, last
            now = time.thread_time()
            longest, last = max(longest, now - last), now

        async def others() -> None:
            while beside and not ended:
                measured()
                await asyncio.sleep(0)

        running = asyncio.ensure_future(others())
        await asyncio.sleep(0)
        octets, begun = 0, time.thread_time()
        async for piece in self.metrics.render():
            octets += len(piece)
            if beside:
                # As sending does once the socket is full.
                await asyncio.sleep(0)
        took, ended = time.thread_time() - begun, True
        measured()
        await running
        return octets, took * 1000, longest * 1000

    async def floor(self) -> float:
        """Milliseconds to join the lines of each object to one text, without making any."""
        text = b"".join([piece async for piece in self.metrics.render()])
        step = len(text) // len(self.names)
        lines = [text[at : at + step] for at in range(0, len(text), step)]
        begun = time.thread_time()
        b"".join(lines)
        return (time.thread_time() - begun) * 1000


async def rows(number: int) -> bool:
    """Print the rows of so many objects; whether rest costs no more than it may."""
    world = World(number)
    octets, *first = await world.scraped()
    rest = [(await world.scraped(beside=False))[1] for _ in range(_RUNS)]
    beside = [(await world.scraped())[2] for _ in range(_RUNS)]
    changed = []
    for _ in range(_RUNS):
        world.write(_CHANGED_OF)
        changed.append((await world.scraped())[1:])
    floor = min([await world.floor() for _ in range(_RUNS)])
    print(f"{number} objects, {octets / 1e6:.1f} MB; floor {floor:.1f} ms")
    for title, (took, longest) in (
        ("first", first),
        ("at rest", (min(rest), min(beside))),
        (f"1 of {_CHANGED_OF} changed", min(changed)),
    ):
        print(f"  {title:18}{took:10.1f} ms of the loop, longest {longest:.1f} ms")
    return min(rest) <= GOAL * floor


if __name__ == "__main__":
    good = [asyncio.run(rows(number)) for number in OBJECTS]
    most = good[OBJECTS.index(max(OBJECTS))]
    print(f"at rest, {max(OBJECTS)} objects <= {GOAL} x the floor: {'ok' if most else 'MISSED'}")
    sys.exit(0 if most else 1)
