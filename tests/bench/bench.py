# SPDX-License-Identifier: Apache-2.0
"""What the operator costs on a real API server, as ratios against bare PATCHes of the same run.

    make bench                       N = 1000
    BENCH_N=200 make bench           smaller
    BENCH_N=10000 make bench         larger, and what a tenth of it takes beside it

Counts are gated (exit code 1); times and memory are only printed, because machines differ. See
README.md beside this file for what each row means.
"""

from __future__ import annotations

import asyncio
import compileall
import gc
import json
import os
import re
import ssl
import sys
import tempfile
import time
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "tests")]

from postroom.api.names import API_VERSION, GROUP, VERSION, Kind  # noqa: E402
from postroom.lab.controlplane import ControlPlane, obtain  # noqa: E402
from postroom.lab.lab import Lab  # noqa: E402
from postroom.lab.operator_process import (  # noqa: E402
    OperatorProcess,
    service_account_kubeconfig,
)

N = int(os.environ.get("BENCH_N", "1000"))
IN_FLIGHT = 16
REST_SECONDS = 20
LIMIT_SECONDS = 120
#: Seconds more for each object, on a machine that others keep busy.
LIMIT_EACH = 0.05
#: So many converge first where N is large enough for both to be told from chance.
FEW = N // 10 if N >= 5000 else 0
#: Where it is not, so many rounds of N, each in a namespace of its own with a floor of its own.
ROUNDS = tuple(f"work-{number}" for number in range(1, 2 if FEW else 4))
SERVER: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "MailServer",
    "metadata": {"name": "server"},
    "spec": {
        "host": "smtp.mail.example.org",
        "port": 2587,
        "tls": {"mode": "StartTLS", "caBundleRef": {"name": "lab-ca"}},
    },
}


@dataclass
class Row:
    """One line of the table; `good` is None where a number is only told."""

    name: str
    value: str
    goal: str
    good: bool | None = None


class Bare:
    """The floor: an HTTP client that does nothing but the calls themselves."""

    def __init__(self, plane: ControlPlane) -> None:
        config = yaml.load(plane.kubeconfig.read_text(), Loader=yaml.CSafeLoader)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._url = cluster["server"]
        authority = b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        with tempfile.TemporaryDirectory() as directory:
            pair = Path(directory) / "pair.pem"
            pair.touch(mode=0o600)
            texts = (user["client-certificate-data"], user["client-key-data"])
            pair.write_bytes(b"\n".join(b64decode(text) for text in texts))
            self._context.load_cert_chain(pair)

    async def server_cpu(self) -> float:
        """Seconds of CPU that the API server has taken, as it tells itself."""
        connector = aiohttp.TCPConnector(ssl=self._context)
        async with (
            aiohttp.ClientSession(self._url, connector=connector) as session,
            session.get("/metrics") as answer,
        ):
            found = re.search(r"^process_cpu_seconds_total (\S+)", await answer.text(), re.M)
        return float(found[1]) if found else 0.0

    async def each(self, requests: list[tuple[str, str, dict[str, Any]]]) -> float:
        """Send all requests, sixteen in flight; return the seconds that they took."""
        gate = asyncio.Semaphore(IN_FLIGHT)
        connector = aiohttp.TCPConnector(ssl=self._context, limit=IN_FLIGHT)
        headers = {"Content-Type": "application/merge-patch+json"}

        async with aiohttp.ClientSession(self._url, connector=connector) as session:

            async def send(method: str, path: str, body: dict[str, Any]) -> None:
                async with gate:
                    kind = {} if method == "POST" else headers
                    async with session.request(method, path, json=body, headers=kind) as answer:
                        answer.raise_for_status()
                        await answer.read()

            began = time.monotonic()
            await asyncio.gather(*(send(*request) for request in requests))
            return time.monotonic() - began


def path_of(namespace: str, name: str = "", subresource: str = "") -> str:
    parts = ["/apis", GROUP, VERSION, "namespaces", namespace, Kind.EMAIL_ACCOUNT.plural]
    return "/".join([*parts, *([name] if name else []), *([subresource] if subresource else [])])


def account(number: int) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "EmailAccount",
        "metadata": {"name": f"a{number}"},
        "spec": {"address": f"a{number}@example.com", "serverRef": {"name": "server"}},
    }


def spacious(count: int) -> None:
    """Let the API server have what it keeps of so many objects.

    It has each decoded, and so has the history of its watches: 40 KB for an account with a status,
    25 more for each further write. Near the limit of a laboratory's memory it would do little but
    look for garbage, and that would count as the operator's time.
    """
    os.environ.setdefault("GOMEMLIMIT", f"{1500 + count * 3 // 10}MiB")


def compiled() -> None:
    """Have all modules compiled, as they are in the image: else each start would compile them, and
    that counts as the operator's time and memory."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(ROOT / "operator", quiet=1)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def answered_at(event: dict[str, Any]) -> float:
    """When the API server answered, by an event of its audit log."""
    return datetime.fromisoformat(event["stageTimestamp"]).timestamp()


@dataclass(frozen=True, slots=True)
class Measured:
    """What so many objects took, in seconds and megabytes; CPU with the start of the process, and
    that of the API server."""

    wall: float
    cpu: float
    peak: float
    server_cpu: float
    floor_wall: float
    floor_cpu: float
    floor_server_cpu: float

    @property
    def ratio(self) -> float:
        return self.wall / self.floor_wall


def others_of(one: Measured, rounds: list[Measured]) -> list[Row]:
    """What the other rounds told, of which this one is the middle."""
    others = sorted(each.ratio for each in rounds if each is not one)
    told = " and ".join(f"{ratio:.2f}" for ratio in others)
    return [Row("   in the other rounds", told, "-")] if others else []


def growth_of(one: Measured, few: Measured | None) -> list[Row]:
    """How much dearer an object is among N than among a tenth, where those were tried."""
    if few is None:
        return []
    return [
        Row(f"   the same with {FEW} objects", f"{few.ratio:.2f}", "-"),
        Row("R3 R1 over that", f"{one.ratio / few.ratio:.2f}", "<= 1.05"),
        Row("   wall per object, N over that", f"{one.wall / few.wall * FEW / N:.2f}", "-"),
    ]


def shares_of(one: Measured) -> list[Row]:
    """Whose CPU time an object takes: with no core idle, R1 is the sum of it over the floor's."""

    def each(seconds: float) -> str:
        return f"{seconds / N * 1000:.1f}"

    floor = f"{each(one.floor_server_cpu)} + {each(one.floor_cpu)} ms"
    return [
        Row("   CPU of API server + bare client", floor, "-"),
        Row("   CPU of API server + operator", f"{each(one.server_cpu)} + {each(one.cpu)} ms", "-"),
    ]


class Bench:
    """One run: floor, operator, floor again; then rest, restart and change."""

    def __init__(self, plane: ControlPlane, lab: Lab, directory: Path) -> None:
        self._plane, self._lab, self._directory = plane, lab, directory
        self._bare = Bare(plane)
        self.rows: list[Row] = []
        #: Those among the events of the audit log that were looked at, and how many these were.
        self._written: list[dict[str, Any]] = []
        self._looked_at = 0

    def _writes(self) -> list[dict[str, Any]]:
        """Every write of a status by the operator; asked for five times a second, so that each
        event is looked at once."""
        events = self._plane.audit_events()
        self._written += [
            event
            for event in events[self._looked_at :]
            if event["user"]["username"].endswith(":postroom")
            and event["verb"] == "update"
            and event["objectRef"].get("subresource") == "status"
        ]
        self._looked_at = len(events)
        return self._written

    def _operator(self, name: str, namespace: str | None = None) -> OperatorProcess:
        """An operator of one namespace, by default that of its name."""
        directory = self._directory / name
        directory.mkdir()
        kubeconfig = service_account_kubeconfig(self._plane, directory)
        # Only one namespace: the objects of the floor must be nobody's.
        flags = (*self._lab.reach.flags, f"--namespace={namespace or name}")
        return OperatorProcess(kubeconfig, directory, flags)

    async def run(self) -> None:
        await self._set_up()
        empty = self._operator("empty")
        await asyncio.to_thread(empty.start)
        await asyncio.sleep(2)
        at_zero = resident_megabytes(empty.pid)
        await asyncio.to_thread(empty.stop)

        few = await self._round("few", FEW) if FEW else None
        rounds = [await self._round(namespace, N) for namespace in ROUNDS]
        middle = sorted(rounds, key=lambda one: one.ratio)[len(rounds) // 2]
        self._tell(middle, rounds, at_zero, few)
        await self._same_statuses(middle.wall)
        await self._rest_and_restart()

    async def _round(self, namespace: str, count: int) -> Measured:
        """Floor, operator, floor again with so many objects."""
        floors = f"{namespace}-floor"
        self._plane.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(SERVER))
        await self._create(floors, count)
        await self._create(namespace, count)
        before = len(self._writes())
        first = await self._floor(floors, count)
        # What the floor has left in the log is not read while the operator works.
        self._writes()
        self._running = self._operator(namespace)
        converged = await self._converge(self._running, before + count + 1)
        if namespace != ROUNDS[-1]:
            await asyncio.to_thread(self._running.stop)
        second = await self._floor(floors, count)
        floor = min(first, second, key=lambda one: one[0])
        return Measured(*converged, *floor)

    async def _set_up(self) -> None:
        compiled()
        install = ROOT / "manifests" / "install"
        kubectl = self._plane.kubectl
        kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
        for part in ("base/namespace", "base/serviceaccount", "cluster/rbac"):
            kubectl("apply", "-f", str(install / f"{part}.yaml"))
        kubectl("wait", "--for=condition=Established", "crd", "--all")
        for namespace in ("few", *ROUNDS):
            kubectl("create", "namespace", namespace)
            kubectl("create", "namespace", f"{namespace}-floor")
        for namespace in ("empty", "same"):
            kubectl("create", "namespace", namespace)
        kubectl("apply", "-f", "-", input=self._lab.ca_manifest(("few", *ROUNDS)))

    async def _create(self, namespace: str, count: int = N) -> None:
        requests = [("POST", path_of(namespace), account(number)) for number in range(count)]
        await self._bare.each(requests)

    async def _floor(self, namespace: str, count: int) -> tuple[float, float, float]:
        """PATCH the status of so many objects; return wall and CPU seconds, and those of the API
        server."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time()))
        conditions = [
            {
                "type": name,
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": stamp,
                "reason": "Succeeded",
                "message": f"x@example.com sends through MailServer server {stamp}.",
            }
            for name in ("Ready", "ReferencesResolved", "DependenciesReady")
        ]
        status = {"observedGeneration": 1, "conditions": conditions, "lastCheckTime": stamp}
        requests = [
            ("PATCH", path_of(namespace, f"a{number}", "status"), {"status": status})
            for number in range(count)
        ]
        served, began = await self._bare.server_cpu(), time.process_time()
        wall = await self._bare.each(requests)
        cpu = time.process_time() - began
        return wall, cpu, await self._bare.server_cpu() - served

    async def _same_statuses(self, wall: float) -> None:
        """How long bare PATCHes take for just what the operator wrote: larger than the floor's."""
        words = ("get", Kind.EMAIL_ACCOUNT.plural, "-n", ROUNDS[-1], "-o", "json")
        found = json.loads((await asyncio.to_thread(self._plane.kubectl, *words)).stdout)["items"]
        await self._create("same")
        requests = [
            ("PATCH", path_of("same", raw["metadata"]["name"], "status"), {"status": raw["status"]})
            for raw in found
        ]
        served = await self._bare.server_cpu()
        same = await self._bare.each(requests)
        served = await self._bare.server_cpu() - served
        self.rows += [
            Row("the same statuses, by bare PATCHes", f"{N / same:.0f}/s", "-"),
            Row("   wall, operator / those", f"{wall / same:.2f}", "-"),
            Row("   CPU of the API server for one", f"{served / N * 1000:.1f} ms", "-"),
        ]

    async def _converge(
        self, operator: OperatorProcess, wanted: int
    ) -> tuple[float, float, float, float]:
        """Wall and CPU seconds, megabytes and CPU seconds of the API server until so many statuses
        are written in all."""
        limit = LIMIT_SECONDS + LIMIT_EACH * wanted
        began = time.monotonic()
        await asyncio.to_thread(operator.start)
        ready, served = time.time(), await self._bare.server_cpu()
        # The audit log tells, so that nothing is asked of the operator itself.
        while (done := len(await asyncio.to_thread(self._writes))) < wanted:
            if time.monotonic() - began > limit:
                tail = operator.tail()
                raise SystemExit(f"{done} of {wanted} written in {limit:.0f} s:\n{tail}")
            await asyncio.sleep(0.2)
        # By its own clock, which is ours: we look but five times a second.
        wall = max(map(answered_at, self._writes())) - ready
        served = await self._bare.server_cpu() - served
        return wall, cpu_seconds(operator.pid), resident_megabytes(operator.pid), served

    def _tell(
        self, one: Measured, rounds: list[Measured], at_zero: float, few: Measured | None
    ) -> None:
        writes = [each for each in self._writes() if each["objectRef"]["namespace"] in ROUNDS]
        wanted = len(rounds) * (N + 1)
        conflicts = [write for write in self._writes() if write["responseStatus"]["code"] >= 400]
        slope = (one.peak - at_zero) * 1024 / N
        self.rows += [
            Row("floor: bare status PATCHes", f"{N / one.floor_wall:.0f}/s", "-"),
            Row("operator: objects converged", f"{N / one.wall:.0f}/s", "-"),
            Row("R1 wall, operator / floor", f"{one.ratio:.2f}", "<= 1.5"),
            *others_of(one, rounds),
            *growth_of(one, few),
            *shares_of(one),
            Row("R2 CPU, operator / floor", f"{one.cpu / one.floor_cpu:.1f}", "<= 8"),
            Row(
                "W1 status writes per object",
                f"{len(writes) / wanted:.3f}",
                "1",
                len(writes) == wanted,
            ),
            Row("W1 refused writes", str(len(conflicts)), "0", not conflicts),
            Row("M1 memory per object", f"{slope:.0f} KB", "<= 15 KB"),
            Row("M2 memory without objects", f"{at_zero:.0f} MB", "<= 90 MB"),
            Row(f"   memory with {N} objects", f"{one.peak:.0f} MB", "-"),
        ]

    async def _rest_and_restart(self) -> None:
        operator, before = self._running, len(self._writes())
        await asyncio.sleep(REST_SECONDS)
        rest = len(self._writes()) - before
        self.rows.append(Row(f"W3 writes in {REST_SECONDS} s at rest", str(rest), "0", rest == 0))
        change = json.dumps({"spec": {"fallbackSender": None, "sync": {"interval": "10m"}}})
        self._plane.kubectl("patch", "eacct", "a1", "-n", ROUNDS[-1], "--type=merge", "-p", change)
        await asyncio.sleep(5)
        changed = len(self._writes()) - before - rest
        self.rows.append(Row("W2 writes after one change", str(changed), "1", changed == 1))
        await asyncio.to_thread(operator.stop)
        before = len(self._writes())
        await asyncio.to_thread(operator.start)
        await asyncio.sleep(10)
        again = len(self._writes()) - before
        self.rows.append(Row("W4 writes after a restart", str(again), "0", again == 0))
        await asyncio.to_thread(operator.stop)


async def main() -> int:
    spacious(N)
    # All that is kept here is the audit log: to look through it for garbage would count as the
    # bare client's time, and as the operator's, ever more of it the longer a run is.
    gc.disable()
    plane = obtain(lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory() as scratch, plane:
        async with Lab(Path(scratch) / "lab", address="127.0.0.90") as lab:
            bench = Bench(plane, lab, Path(scratch))
            await bench.run()
    return table(bench.rows, f"N = {N}")


def table(rows: list[Row], head: str) -> int:
    """Print the rows; returns the exit code."""
    width = max(len(head), *(len(row.name) for row in rows))
    print(f"\n{head:{width}}  {'value':>10}  goal")
    for row in rows:
        mark = {True: "ok", False: "MISSED", None: ""}[row.good]
        print(f"{row.name:{width}}  {row.value:>10}  {row.goal:8} {mark}")
    return int(any(row.good is False for row in rows))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
