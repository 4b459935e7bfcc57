# SPDX-License-Identifier: Apache-2.0
"""The peer: `verify()` of nodemailer on Node.js, its speed and its two false positives."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.mail_clients import Attempt, endpoint, ours
from bench.mail_runs import CONCURRENCY, SMTP, Batch, Scale, Speed, batch
from bench.mail_servers import NAME, PASSWORD, SMTP_TLS, USER, MailServers, Place
from lab.hostile import Hostile, Step, smtp_until_auth
from postroom.api.mailserver import TLSMode

VERSION = "10.6.0"
_SCRIPT = Path(__file__).with_suffix(".mjs")
_SECONDS_TO_INSTALL, _SECONDS_TO_RUN = 60, 120
SHARED, UNSHARED = "nodemailer, shared context", "nodemailer, a context for each"


class PeerMissing(Exception):
    """There is no nodemailer; the text says why."""


class Peer:
    """nodemailer, installed into a directory of ours. Raises `PeerMissing`; blocks."""

    def __init__(self, directory: Path) -> None:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise PeerMissing("node and npm are not installed")
        self._node, self._directory = node, directory
        flags = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error")
        command = (npm, "install", "--prefix", str(directory), *flags, f"nodemailer@{VERSION}")
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS_TO_INSTALL)
        except (subprocess.SubprocessError, OSError) as error:
            raise PeerMissing(f"npm does not install nodemailer {VERSION}") from error
        # Node looks for packages from where the script is.
        shutil.copy(_SCRIPT, directory)

    async def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run a job of the script; raises `RuntimeError` where it fails."""
        process = await asyncio.create_subprocess_exec(
            self._node,
            str(self._directory / _SCRIPT.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_SECONDS_TO_RUN):
                said, complaint = await process.communicate(json.dumps(job).encode())
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise RuntimeError(complaint.decode(errors="replace")[-400:])
        found: dict[str, Any] = json.loads(said)
        return found

    async def batch(self, place: Place, probes: int, *, shared: bool) -> Batch:
        """Verify so often, as many at once as we do."""
        job = job_for(place, SMTP_TLS, secure=True, shared=shared)
        job |= {"probes": probes, "atOnce": CONCURRENCY, "warmUp": CONCURRENCY}
        found = await self.run(job)
        wrong = probes - int(found["said"].get("true", 0))
        return Batch(probes, float(found["wall"]), float(found["cpu"]), wrong)


def job_for(
    place: Place, port: int, *, secure: bool, shared: bool = True, password: str = PASSWORD
) -> dict[str, Any]:
    """One verify() at a port of the place."""
    return {
        "host": place.address,
        "port": port,
        "secure": secure,
        "name": NAME,
        "ca": place.authority,
        "shared": shared,
        "user": USER,
        "password": password,
        "probes": 1,
        "atOnce": 1,
    }


async def beside_peer(servers: MailServers, peer: Peer, scale: Scale) -> dict[str, Speed]:
    """Speed of nodemailer with and without a shared context, and ours in the same rounds."""
    mine: Attempt = ours(servers.place).attempt(SMTP_TLS, TLSMode.IMPLICIT)
    made: dict[str, list[Batch]] = {SMTP: [], SHARED: [], UNSHARED: []}
    await batch(mine, min(CONCURRENCY, scale.probes))
    for number in range(min(3, scale.rounds)):
        for name in list(made) if number % 2 == 0 else reversed(made):
            made[name].append(
                await batch(mine, scale.probes)
                if name == SMTP
                else await peer.batch(servers.place, scale.probes, shared=name == SHARED)
            )
    return {name: Speed(tuple(batches)) for name, batches in made.items()}


@dataclass(frozen=True)
class Case:
    """A server at which a careless check says yes; `exposes`: whatever is sent is in the clear."""

    name: str
    mode: TLSMode
    script: Sequence[Step]
    exposes: bool


@dataclass(frozen=True)
class Verdict:
    """What was said of a case, and whether the server got to see AUTH."""

    case: str
    peer: str | None
    peer_sent_login: bool | None
    ours: str
    we_sent_login: bool
    fooled: bool


CASES = (
    Case(
        "wrong password, no AUTH offered",
        TLSMode.IMPLICIT,
        smtp_until_auth(b"SIZE 1000", after=("read", b"221 bye\r\n")),
        exposes=False,
    ),
    Case(
        "STARTTLS stripped from the offer",
        TLSMode.START_TLS,
        smtp_until_auth(b"AUTH PLAIN", after=("read", b"235 welcome\r\n", "read", b"221 bye\r\n")),
        exposes=True,
    ),
)


async def verdicts(servers: MailServers, peer: Peer | None) -> list[Verdict]:
    """Let both judge the cases."""
    return [await _judged(servers, case, peer) for case in CASES]


async def _judged(servers: MailServers, case: Case, peer: Peer | None) -> Verdict:
    said, sent = None, None
    if peer is not None:
        async with Hostile(
            *case.script, context=servers.context, implicit=_implicit(case)
        ) as server:
            job = job_for(
                Place("127.0.0.1", servers.place.authority),
                server.port,
                secure=_implicit(case),
                password="wrong",
            )
            said = next(iter((await peer.run(job))["said"]))
            sent = _saw_login(server)
    async with Hostile(*case.script, context=servers.context, implicit=_implicit(case)) as server:
        local = Place("127.0.0.1", servers.place.authority)
        report = await ours(local, None, server.port).smtp(endpoint(local, server.port, case.mode))
        seen = _saw_login(server)
    fooled = report.authenticated is True or (case.exposes and seen)
    return Verdict(case.name, said, sent, report.reason.value, seen, fooled)


def _implicit(case: Case) -> bool:
    return case.mode is TLSMode.IMPLICIT


def _saw_login(server: Hostile) -> bool:
    return any(b"AUTH" in one.upper() for one in server.received)
