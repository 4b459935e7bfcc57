# SPDX-License-Identifier: Apache-2.0
"""The runs of the mail benchmark: speed side by side, and round trips to the verdict."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.mail_clients import (
    LOGIN,
    TENANTS,
    Attempt,
    Ours,
    bare_handshake,
    bare_imap,
    bare_smtp,
    endpoint,
    limited,
    ours,
)
from bench.mail_clients import works as is_healthy
from bench.mail_servers import FAR, IMAP_BARE, IMAP_TLS, SMTP_STARTTLS, SMTP_TLS, Place
from postroom.api.mailserver import TLSMode

CONCURRENCY = TENANTS


@dataclass(frozen=True)
class Scale:
    """How much is run: probes in a batch, batches of each, stalled probes, and by which factor
    the deadlines are shorter where stalled probes run into them; `far` is one way in seconds."""

    probes: int = 200
    rounds: int = 7
    stalled: int = 1000
    hurry: float = 10
    far: float = 0.05


QUICK = Scale(probes=20, rounds=1, stalled=120, hurry=40, far=0.02)


@dataclass(frozen=True)
class Batch:
    """What a batch took, in seconds; CPU of this process. `wrong` probes found a healthy server
    ill."""

    probes: int
    wall: float
    cpu: float
    wrong: int


async def batch(attempt: Attempt, probes: int, at_once: int = CONCURRENCY) -> Batch:
    """Probe so often, so many at once."""
    numbers, good = iter(range(probes)), 0

    async def worker() -> None:
        nonlocal good
        for number in numbers:
            went_well = await attempt(number)
            good += went_well

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(min(at_once, probes))))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Batch(probes, wall, cpu, probes - good)


@dataclass(frozen=True)
class Speed:
    """Several batches of the same thing, each beside those of the others."""

    batches: tuple[Batch, ...]

    @property
    def per_second(self) -> float:
        """Probes per second of wall time: the median."""
        return statistics.median(one.probes / one.wall for one in self.batches)

    @property
    def cpu(self) -> float:
        """Seconds of CPU per probe: the median."""
        return statistics.median(one.cpu / one.probes for one in self.batches)

    @property
    def wrong(self) -> int:
        return sum(one.wrong for one in self.batches)

    def cpu_over(self, floor: Speed) -> float:
        """CPU over the floor's of the same round: the median of the ratios."""
        pairs = zip(self.batches, floor.batches, strict=True)
        return statistics.median(
            (one.cpu / one.probes) / (other.cpu / other.probes) for one, other in pairs
        )


async def side_by_side(attempts: Mapping[str, Attempt], scale: Scale) -> dict[str, Speed]:
    """Run a batch of each in turn, the other way round every second time."""
    made: dict[str, list[Batch]] = {name: [] for name in attempts}
    names = list(attempts)
    for attempt in attempts.values():
        await batch(attempt, min(CONCURRENCY, scale.probes))
    for number in range(scale.rounds):
        for name in names if number % 2 == 0 else reversed(names):
            made[name].append(await batch(attempts[name], scale.probes))
    return {name: Speed(tuple(batches)) for name, batches in made.items()}


HANDSHAKE = "TLS handshake alone (the floor of floors)"
SMTP, BARE_SMTP = "SMTP, implicit TLS: postroom", "SMTP, implicit TLS: aiosmtplib"
STARTTLS, BARE_STARTTLS = "SMTP, STARTTLS: postroom", "SMTP, STARTTLS: aiosmtplib"
IMAP, BARE_IMAP = "IMAP, all extensions: postroom", "IMAP, all extensions: aioimaplib"
#: Of a server without extensions; the library is not asked for the newest message, which we are.
COUNTS, BARE_COUNTS = (
    "IMAP, no extensions: postroom",
    "IMAP, no extensions: aioimaplib, counts only",
)
MANY_HOSTS = "SMTP with all limits, a host for each"
ONE_HOST = "SMTP with all limits, one host for all"


async def speeds(place: Place, scale: Scale) -> dict[str, Speed]:
    """Measure all pairs; what is compared runs in the same rounds."""
    mine = ours(place)
    smtp = {
        HANDSHAKE: bare_handshake(place),
        SMTP: mine.attempt(SMTP_TLS, TLSMode.IMPLICIT),
        BARE_SMTP: bare_smtp(place, TLSMode.IMPLICIT),
        MANY_HOSTS: through_limits(place, hosts=scale.probes),
        ONE_HOST: through_limits(place, hosts=1),
    }
    starttls = {
        STARTTLS: mine.attempt(SMTP_STARTTLS, TLSMode.START_TLS),
        BARE_STARTTLS: bare_smtp(place, TLSMode.START_TLS),
    }
    imap = {
        IMAP: mine.attempt(IMAP_TLS, TLSMode.IMPLICIT),
        BARE_IMAP: bare_imap(place, everything=True),
        COUNTS: mine.attempt(IMAP_BARE, TLSMode.IMPLICIT),
        BARE_COUNTS: bare_imap(place),
    }
    made: dict[str, Speed] = {}
    for group in (smtp, starttls, imap):
        made |= await side_by_side(group, scale)
    return made


def through_limits(place: Place, hosts: int) -> Attempt:
    """Probe through `NetworkProbes`; the accounts are spread over so many names of hosts."""
    probes = limited(place)

    async def probe(number: int) -> bool:
        host = f"host{number % hosts}.example.com"
        target = endpoint(place, SMTP_TLS, TLSMode.IMPLICIT, host)
        return is_healthy(await probes.probe(target, LOGIN))

    return probe


@dataclass(frozen=True)
class Journey:
    """Round trips to the verdict: what there must be, and what it took (wall over round trip)."""

    name: str
    ideal: str
    most: float
    measured: float
    wrong: int


async def journeys(place: Place, scale: Scale, repeats: int = 5) -> list[Journey]:
    """Probe alone over the long way: the median."""
    mine = ours(place)
    cases = (
        ("SMTP, implicit TLS", SMTP_TLS, TLSMode.IMPLICIT, "5", 5),
        ("SMTP, STARTTLS", SMTP_STARTTLS, TLSMode.START_TLS, "7", 7),
        # The reference counts to the login; the questions about the mailbox, at once, are one more.
        ("IMAP, with all questions", IMAP_TLS, TLSMode.IMPLICIT, "5 to 6", 6),
    )
    return [
        await _journey(mine, name, port, mode, ideal, most, scale.far, repeats)
        for name, port, mode, ideal, most in cases
    ]


async def _journey(
    mine: Ours,
    name: str,
    port: int,
    mode: TLSMode,
    ideal: str,
    most: float,
    far: float,
    repeats: int,
) -> Journey:
    attempt = mine.attempt(port + FAR, mode)
    taken = [await batch(attempt, 1) for _ in range(repeats)]
    measured = statistics.median(one.wall for one in taken) / (2 * far)
    return Journey(name, ideal, most, measured, sum(one.wrong for one in taken))
