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
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would be taken for the package.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench.office import Office, allow_many_files, key_of, manifest, serve  # noqa: E402
from lab.asking_lab import NS1, RESOLVER, running  # noqa: E402
from lab.scripted_dns import ScriptedServer, resolves, serves, zone  # noqa: E402
from postroom.api.names import Kind  # noqa: E402
from postroom.concurrency.acting import acting_for  # noqa: E402
from postroom.dns.answers import Question, RecordType  # noqa: E402
from postroom.dns.asking.resolver import DnsAsker  # noqa: E402

HEALTHY = int(os.environ.get("BENCH_HEALTHY", "60"))
SILENT = tuple(int(one) for one in os.environ.get("BENCH_SILENT", "200,1000").split(","))
#: How many times as long as alone the namespace may take.
GOAL = 3.0
_LIMIT_SECONDS = 300.0
_RUNS = 3
#: Questions of the small tenant, and of the one whose line is long; seconds until the burst of
#: that is over.
_QUESTIONS, _STORM, _PAST_THE_BURST = 20, 400, 2.0
#: Questions of a neighbour that may be sent while one waits and is answered: what passes in a round
#: trip and two turns, and what a busy process makes up for.
TURNS = 12


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


@dataclass(frozen=True)
class Turns:
    """Questions to one name server: seconds for one alone and in a storm of a neighbour, and how
    many of the neighbour's were sent meanwhile; both are medians."""

    alone: float
    beside: float
    ahead: float


async def turns() -> Turns:
    """Ask question after question, alone, and while a neighbour waits with hundreds."""
    held = zone("one.test", f"@ NS ns\nns A {NS1}\n")
    server = ScriptedServer(NS1, serves(held), delay=0.02)
    loop = asyncio.get_running_loop()

    async def ask(name: str) -> float:
        begun = loop.time()
        answer = await asker.authoritative(Question(f"{name}.one.test", RecordType.TXT))
        if not answer.authoritative:
            raise SystemExit(f"{name} was not answered: {answer.outcome}")
        return loop.time() - begun

    async with running([ScriptedServer(RESOLVER, resolves(held)), server]) as port:
        asker = DnsAsker([(RESOLVER, port)], authoritative_port=port)
        with acting_for("b"):
            await ask("first")
            alone = [await ask(f"alone{number}") for number in range(_QUESTIONS)]
            storm = [asyncio.ensure_future(ask(f"storm{number}")) for number in range(_STORM)]
        await asyncio.sleep(_PAST_THE_BURST)
        beside, ahead = list[float](), list[int]()
        with acting_for("a"):
            for number in range(_QUESTIONS):
                before = len(server.asked)
                beside.append(await ask(f"beside{number}"))
                ahead.append(len(server.asked) - before - 1)
        for look in storm:
            look.cancel()
        await asyncio.gather(*storm, return_exceptions=True)
    return Turns(statistics.median(alone), statistics.median(beside), statistics.median(ahead))


async def main() -> int:
    took = await measure()
    asked = await turns()
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
    print(f"{'a question to a name server alone':48}  {asked.alone * 1000:>7.0f} ms  -")
    ratio = asked.beside / asked.alone
    print(f"{f'beside {_STORM} of a neighbour / alone':48}  {ratio:>10.2f}  -")
    missed = missed or asked.ahead > TURNS
    mark = "MISSED" if asked.ahead > TURNS else "ok"
    label = "questions of the neighbour meanwhile"
    print(f"{label:48}  {asked.ahead:>10}  <= {TURNS}     {mark}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
