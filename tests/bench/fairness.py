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
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would be taken for the package.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench.office import Office, allow_many_files, key_of, manifest, serve  # noqa: E402
from postroom.api.names import Kind  # noqa: E402

HEALTHY = int(os.environ.get("BENCH_HEALTHY", "60"))
SILENT = tuple(int(one) for one in os.environ.get("BENCH_SILENT", "200,1000").split(","))
#: How many times as long as alone the namespace may take.
GOAL = 3.0
_LIMIT_SECONDS = 300.0
_RUNS = 3


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


def _server(namespace: str, number: int, port: int) -> dict[str, Any]:
    spec = {"host": f"s{number}.{namespace}.example", "port": port, "tls": {"mode": "None"}}
    return manifest(Kind.MAIL_SERVER, namespace, f"s{number}", spec)


async def _time_of(
    office: Office, own: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]
) -> float:
    """Have all evaluated, the neighbour's first; return when the last of the own was."""
    for raw in (*others, *own):
        office.intake.seen(Kind.MAIL_SERVER, raw)
    wanted = {key_of(raw) for raw in own}
    begun = time.monotonic()
    office.intake.release()
    async with asyncio.timeout(_LIMIT_SECONDS):
        await office.until(lambda: wanted <= office.judged.keys())
    took = time.monotonic() - begun
    wrong = [key.name for key in wanted if office.judged[key] != "True"]
    if wrong:
        raise SystemExit(f"healthy servers were not found Ready: {wrong}")
    return took


async def measure() -> dict[int, float]:
    """Return by the number of silent neighbours what the healthy ones took, in seconds."""
    allow_many_files()
    took = dict[int, float]()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with ExitStack() as stack:
        silence = Silence(stack)
        port = server.sockets[0].getsockname()[1]
        # The first run warms up; of the others the best counts, as others use this machine, too.
        for silent in (0, *((0, *SILENT) * _RUNS)):
            office = Office((port, *silence.ports))
            own = [_server("a", number, port) for number in range(HEALTHY)]
            others = [_server("b", number, silence.ports[number % 2]) for number in range(silent)]
            seconds = await _time_of(office, own, others)
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
