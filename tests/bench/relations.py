# SPDX-License-Identifier: Apache-2.0
"""What a change costs that a thousand accounts stand on: their Secret, then their MailServer.

    make bench                               among the other rows
    python tests/bench/relations.py          this alone; BENCH_N=200 for fewer accounts

Everything of an operator but the API server is real, and every account signs in over TLS at a
server in another process. Meanwhile objects that have nothing to do with the change are changed,
too: in the same namespace and in another.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would be taken for the package.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench.mail_servers import (  # noqa: E402
    FAR,
    NAME,
    OTHER_USER,
    PASSWORD,
    SMTP_STARTTLS,
    SMTP_TLS,
    USER,
    MailServers,
    Place,
)
from bench.office import Office, allow_many_files, key_of, manifest, serve  # noqa: E402
from postroom.api.names import Key, Kind  # noqa: E402
from postroom.settings import Settings  # noqa: E402

N = int(os.environ.get("BENCH_N", "1000"))
#: How many times as long as at rest an object may wait that has nothing to do with the change.
GOAL = 3.0
#: Objects beside, of each namespace; each is changed six times in all, which is as often as the
#: operator looks at once.
_BESIDE = 12
_LIMIT_SECONDS = 600.0
#: Seconds, one way.
_FAR = 0.002
_WORK, _OTHER = "work", "other"
_SERVER = Key(Kind.MAIL_SERVER, _WORK, "server")


@dataclass
class Storm:
    """What one change brought about; latencies are those of objects beside, by namespace, in the
    storm and before and after it."""

    name: str
    seconds: float
    evaluations: dict[Key, int]
    latencies: dict[str, list[float]]
    rest: dict[str, list[float]]


class Bench:
    """An office with N accounts behind one server, and objects beside."""

    def __init__(
        self, office: Office, place: Place, port: int, count: int, beside: int = _BESIDE
    ) -> None:
        self._office = office
        self.accounts = {Key(Kind.EMAIL_ACCOUNT, _WORK, f"a{number}") for number in range(count)}
        self._beside = {
            namespace: [Key(Kind.MAIL_SERVER, namespace, f"u{number}") for number in range(beside)]
            for namespace in (_WORK, _OTHER)
        }
        self._objects = [*self._made(place), *self._made_beside(port)]
        self._put_login(USER)
        office.source("ConfigMap", _WORK, "ca", {"ca.crt": place.authority})

    def _made(self, place: Place) -> list[dict[str, Any]]:
        tls = {"mode": "StartTLS", "caBundleRef": {"name": "ca"}}
        server = {"host": NAME, "port": SMTP_STARTTLS + FAR, "tls": tls}
        login = {"serverRef": {"name": "server"}, "credentialsRef": {"name": "login"}}
        return [
            manifest(_SERVER.kind, _WORK, _SERVER.name, server),
            *(
                manifest(key.kind, _WORK, key.name, {"address": f"{key.name}@example.com", **login})
                for key in sorted(self.accounts)
            ),
        ]

    def _made_beside(self, port: int) -> list[dict[str, Any]]:
        return [
            manifest(key.kind, namespace, key.name, _beside(key, port))
            for namespace, keys in self._beside.items()
            for key in keys
        ]

    def _put_login(self, username: str) -> None:
        texts = {"username": username, "password": PASSWORD}
        self._office.source("Secret", _WORK, "login", texts)

    async def settle(self) -> None:
        """Wait until nothing is to be done."""
        queue = self._office.intake.queue
        async with asyncio.timeout(_LIMIT_SECONDS):
            while queue.waiting or queue.running:
                await queue.settled()
                await asyncio.sleep(0)

    async def begin(self) -> None:
        """Have everything judged for the first time."""
        for raw in self._objects:
            self._office.intake.seen(Kind(raw["kind"]), raw)
        self._office.intake.release()
        await self.settle()
        wanted = {key_of(raw) for raw in self._objects}
        wrong = [str(key) for key in wanted if self._office.judged.get(key) != "True"]
        if wrong:
            raise SystemExit(f"healthy objects were not found Ready: {sorted(wrong)[:5]}")

    async def latencies(self, busy: Callable[[], bool]) -> dict[str, list[float]]:
        """Change the objects beside one after another; return what each verdict took."""
        found: dict[str, list[float]] = {namespace: [] for namespace in self._beside}
        for turn in zip(*self._beside.values(), strict=True):
            for key in turn:
                if busy():
                    found[key.namespace].append(await self._latency(key))
        return found

    async def _latency(self, key: Key) -> float:
        office, begun = self._office, time.monotonic()
        wanted = office.generations[key] + 1
        # Another name of the host: all of it must be looked at.
        office.change(key, {"host": f"{key.name}-{wanted}.{key.namespace}.example"})
        await office.until(lambda: office.generations[key] == wanted)
        return time.monotonic() - begun

    async def storm(self, name: str, change: Callable[[], None]) -> Storm:
        """Change what all stand on, and the objects beside while they are evaluated."""
        before = await self.latencies(lambda: True)
        await self.settle()
        evaluations = self._office.evaluations
        evaluations.clear()
        begun = time.monotonic()
        change()
        latencies = await self.latencies(lambda: not self.accounts <= evaluations.keys())
        await self.settle()
        seconds, counted = time.monotonic() - begun, dict(evaluations)
        after = await self.latencies(lambda: True)
        rest = {namespace: before[namespace] + after[namespace] for namespace in before}
        return Storm(name, seconds, counted, latencies, rest)

    def change_secret(self) -> None:
        """Another login, which the server takes as well."""
        self._put_login(OTHER_USER)

    def change_server(self) -> None:
        """Another port of the same host."""
        tls = {"mode": "Implicit", "caBundleRef": {"name": "ca"}}
        self._office.change(_SERVER, {"port": SMTP_TLS + FAR, "tls": tls})


def _beside(key: Key, port: int) -> dict[str, Any]:
    host = f"{key.name}.{key.namespace}.example"
    return {"host": host, "port": port, "tls": {"mode": "None"}}


async def measure(count: int = N, *, beside: int = _BESIDE) -> tuple[list[Storm], int, set[Key]]:
    """Return the storms, the most sessions at once, and the accounts."""
    allow_many_files()
    with MailServers(_FAR) as servers:
        address = servers.place.address

        async def resolve(host: str) -> tuple[str, ...] | None:
            return (address if host == NAME else "127.0.0.1",)

        other = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        office = Office((port, SMTP_STARTTLS + FAR, SMTP_TLS + FAR), resolve)
        bench = Bench(office, servers.place, port, count, beside)
        await bench.begin()
        storms = [
            await bench.storm("the Secret", bench.change_secret),
            await bench.storm("the MailServer", bench.change_server),
        ]
        await office.close()
        other.close()
        return storms, office.sessions.most, bench.accounts


def _row(name: str, value: str, goal: str = "-", good: bool | None = None) -> bool:
    mark = {True: "ok", False: "MISSED", None: ""}[good]
    print(f"{name:56}  {value:>10}  {goal:6} {mark}")
    return good is not False


async def main() -> int:
    storms, most, accounts = await measure()
    limit = Settings().probes_per_target
    good = _row(f"relations: {N} accounts of one Secret and server", "value", "goal")
    good &= _row("most sessions at their host at once", str(most), f"<= {limit}", most <= limit)
    for storm in storms:
        counts = [storm.evaluations.get(key, 0) for key in accounts]
        good &= _row(f"{storm.name} changes: all judged", f"{N / storm.seconds:.0f}/s")
        good &= _row("   evaluations of accounts", str(sum(counts)), str(N), sum(counts) == N)
        once = all(count == 1 for count in counts)
        good &= _row("   each was evaluated", "once" if once else "not once", "once", once)
        for namespace, latencies in storm.latencies.items():
            alone = statistics.median(storm.rest[namespace])
            # None at all: the first one took as long as the storm.
            ratio = statistics.median(latencies or [storm.seconds]) / alone
            name = "the same namespace" if namespace == _WORK else "another namespace"
            count = f"{len(latencies)} beside, in {name}"
            goal = f"<= {GOAL:.0f}"
            name = f"   {count}: / {alone * 1000:.0f} ms"
            good &= _row(name, f"{ratio:.2f}", goal, ratio <= GOAL)
    return int(not good)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
