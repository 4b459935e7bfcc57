# SPDX-License-Identifier: Apache-2.0
"""What the operator costs with ten times as many objects, of all kinds, on a real API server.

    BENCH_N=10000 make bench             among the other rows
    BENCH_N=10000 python tests/bench/scale.py

Of N objects a fifth are domains, a twentieth servers, and the rest accounts behind them. A tenth as
many converge first, in a namespace of their own. Counts are gated; times and memory are only
printed. See README.md beside this file for what each row means.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would be taken for the package.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench import bench  # noqa: E402
from postroom.api.names import API_VERSION, GROUP, VERSION, Kind  # noqa: E402
from postroom.lab.controlplane import obtain  # noqa: E402
from postroom.lab.lab import Lab  # noqa: E402
from postroom.lab.operator_process import OperatorProcess  # noqa: E402

N = int(os.environ.get("BENCH_N", "1000"))
#: Seconds that an object may take to be judged, and seconds without a write that mean that all is.
_LIMIT_EACH, _QUIET = 0.5, 10.0
_READY_WITHIN = 300.0
_FEW, _MANY = "few-of-all", "many-of-all"
#: No look of its own falls due meanwhile, of which a status would tell the time.
_RARELY = "24h"


def objects(count: int) -> list[tuple[Kind, dict[str, Any]]]:
    """So many objects: what accounts stand on comes first."""
    domains, servers = max(count // 5, 1), max(count // 20, 1)
    made: list[tuple[Kind, str, dict[str, Any]]] = [
        (
            Kind.SENDING_DOMAIN,
            f"d{number}",
            {"domain": f"d{number}.send.example.com", "interval": _RARELY},
        )
        for number in range(domains)
    ]
    made += [
        (Kind.MAIL_SERVER, f"s{number}", {**bench.SERVER["spec"], "interval": _RARELY})
        for number in range(servers)
    ]
    made += [
        (
            Kind.EMAIL_ACCOUNT,
            f"a{number}",
            {
                "address": f"a{number}@example.com",
                "serverRef": {"name": f"s{number % servers}"},
                "sync": {"interval": _RARELY},
            },
        )
        for number in range(count - domains - servers)
    ]
    return [
        (
            kind,
            {
                "apiVersion": API_VERSION,
                "kind": kind.value,
                "metadata": {"name": name},
                "spec": spec,
            },
        )
        for kind, name, spec in made
    ]


def collection(kind: Kind, namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{kind.plural}"


@dataclass(frozen=True, slots=True)
class Converged:
    """What it took until every object of a namespace had a status, and nothing was written any
    more; CPU without the start of the process."""

    count: int
    cpu: float
    resident: float
    writes: int


class Scale(bench.Bench):
    """One run: none, few and many objects, then a restart with the many unchanged."""

    async def run(self) -> None:
        await self._set_up()
        for namespace in (_FEW, _MANY):
            self._plane.kubectl("create", "namespace", namespace)
        authority = self._lab.ca_manifest((_FEW, _MANY))
        self._plane.kubectl("apply", "-f", "-", input=authority)
        empty = self._of(_FEW)
        await asyncio.to_thread(empty.start, ready_within=_READY_WITHIN)
        await asyncio.sleep(2)
        start, at_zero = bench.cpu_seconds(empty.pid), bench.resident_megabytes(empty.pid)
        await asyncio.to_thread(empty.stop)
        few = await self._converge_all(self._of(_FEW), _FEW, max(N // 10, 20), start)
        operator = self._of(_MANY)
        many = await self._converge_all(operator, _MANY, N, start)
        listed = await self._list()
        ready, again = await self._restarted(operator)
        slope = (many.resident - at_zero) * 1024 / many.count
        each = [converged.cpu / converged.count for converged in (few, many)]
        self.rows += [
            bench.Row("S1 CPU per object", f"{each[1] * 1000:.1f} ms", "-"),
            bench.Row(
                f"S2 CPU per object, {many.count} / {few.count}",
                f"{each[1] / each[0]:.2f}",
                "<= 1.05",
            ),
            bench.Row("S3 memory per object", f"{slope:.0f} KB", "<= 15 KB"),
            bench.Row(f"S4 memory with {many.count} objects", f"{many.resident:.0f} MB", "250 MB"),
            bench.Row("   status writes per object", f"{many.writes / many.count:.3f}", "-"),
            bench.Row("S5 writes after a restart", str(again), "0", again == 0),
            bench.Row("S6 restart to ready / bare LIST", f"{ready / listed:.1f}", "<= 10"),
        ]

    def _of(self, namespace: str) -> OperatorProcess:
        """An operator of one namespace."""
        return self._operator(f"{namespace}-{time.monotonic_ns()}", namespace)

    async def _converge_all(
        self, operator: OperatorProcess, namespace: str, count: int, start: float
    ) -> Converged:
        made = objects(count)
        await self._bare.each([("POST", collection(kind, namespace), raw) for kind, raw in made])
        await asyncio.to_thread(operator.start, ready_within=_READY_WITHIN)
        deadline = time.monotonic() + bench.LIMIT_SECONDS + _LIMIT_EACH * count
        written, cpu, calm_since = 0, 0.0, time.monotonic()
        # The audit log tells, so that nothing is asked of the operator itself.
        while True:
            refs = [event["objectRef"] for event in await asyncio.to_thread(self._writes)]
            told = [(ref["resource"], ref["name"]) for ref in refs if ref["namespace"] == namespace]
            if len(told) != written:
                written, calm_since = len(told), time.monotonic()
                cpu = bench.cpu_seconds(operator.pid)
            all_told = len(set(told)) == len(made)
            if all_told and time.monotonic() - calm_since > _QUIET:
                break
            if time.monotonic() > deadline:
                missing = len(made) - len(set(told))
                raise SystemExit(f"{missing} of {count} have no status:\n{operator.tail()}")
            await asyncio.sleep(0.5)
        resident = bench.resident_megabytes(operator.pid)
        if namespace == _FEW:
            await asyncio.to_thread(operator.stop)
        return Converged(count, cpu - start, resident, written)

    async def _list(self) -> float:
        """Seconds that the bare client takes to list everything, the best of three."""
        paths: list[tuple[str, str, dict[str, Any]]]
        paths = [("GET", collection(kind, _MANY), {}) for kind in Kind]
        return min([await self._bare.each(paths) for _ in range(3)])

    async def _restarted(self, operator: OperatorProcess) -> tuple[float, int]:
        """Seconds from the start of a process until it is ready, and what it writes then."""
        await asyncio.to_thread(operator.stop)
        before, began = len(self._writes()), time.monotonic()
        await asyncio.to_thread(operator.start, ready_within=_READY_WITHIN)
        ready = time.monotonic() - began
        await asyncio.sleep(_QUIET)
        again = len(self._writes()) - before
        await asyncio.to_thread(operator.stop)
        return ready, again


async def main() -> int:
    plane = obtain(lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory() as scratch, plane:
        async with Lab(Path(scratch) / "lab", address="127.0.0.90") as lab:
            scale = Scale(plane, lab, Path(scratch))
            await scale.run()
    return bench.table(scale.rows, f"{N} objects of all kinds")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
