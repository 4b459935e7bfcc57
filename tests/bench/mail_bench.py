# SPDX-License-Identifier: Apache-2.0
"""What a check of a mail server costs, beside the bare libraries and nodemailer's verify().

    make bench                                     or alone: python tests/bench/mail_bench.py
    python tests/bench/mail_bench.py --quick       a small run of every part; says little of speed

Counts are gated (exit code 1): wrong verdicts, logins in the clear. Times and memory are only
printed, because machines differ. See README.md beside this file.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In the place of this directory, where bench.py would hide the package of its own name.
sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from bench.mail_peer import (  # noqa: E402
    SHARED,
    VERSION,
    Peer,
    PeerMissing,
    Verdict,
    beside_peer,
    verdicts,
)
from bench.mail_runs import (  # noqa: E402
    BARE_COUNTS,
    BARE_IMAP,
    BARE_SMTP,
    BARE_STARTTLS,
    COUNTS,
    IMAP,
    QUICK,
    SMTP,
    STARTTLS,
    Journey,
    Scale,
    Speed,
    journeys,
    speeds,
)
from bench.mail_servers import MailServers, allow_many_sockets  # noqa: E402
from bench.mail_stalled import Crowded, Queued, crowded, queued  # noqa: E402
from postroom.api.mailserver import TLSMode  # noqa: E402

_MOST_CPU = 1.2
#: What a healthy probe may take among stalled ones, over what it takes alone.
_MOST_SLOWER = 3.0
#: Seconds that a healthy probe may take behind a thousand stalled ones.
_LONGEST_WAIT = 3.0
#: Memory of a stalled probe over a stalled client of the bare library.
_MOST_MEMORY = 2.0
#: Of a round trip, for what both machines compute meanwhile.
_ROUND_TRIP_SLACK = 0.5


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
    """Everything that was measured; `peer` is empty where there is no nodemailer."""

    speeds: dict[str, Speed]
    crowded: Sequence[Crowded]
    queued: Sequence[Queued]
    journeys: Sequence[Journey]
    verdicts: Sequence[Verdict]
    peer: dict[str, Speed] = field(default_factory=dict)

    @property
    def wrong(self) -> int:
        """Probes of ours, or of the libraries beneath, that found a healthy server ill."""
        beside_peer = [self.peer[SMTP]] if self.peer else []
        fast = sum(speed.wrong for speed in (*self.speeds.values(), *beside_peer))
        stalled = [one.wrong for one in self.crowded] + [one.wrong for one in self.queued]
        return fast + sum(stalled) + sum(journey.wrong for journey in self.journeys)


async def measure(servers: MailServers, peer: Peer | None, scale: Scale) -> Results:
    """Run all parts."""
    modes = (TLSMode.START_TLS, TLSMode.IMPLICIT)
    return Results(
        crowded=[await crowded(servers.place, mode, scale) for mode in modes],
        queued=[await queued(servers.place, mode, scale) for mode in modes],
        journeys=await journeys(servers.place, scale),
        speeds=await speeds(servers.place, scale),
        verdicts=await verdicts(servers, peer),
        peer=await beside_peer(servers, peer, scale) if peer else {},
    )


def goals(found: Results) -> Iterator[Goal]:
    pairs = ((SMTP, BARE_SMTP), (STARTTLS, BARE_STARTTLS), (IMAP, BARE_IMAP), (COUNTS, BARE_COUNTS))
    for mine, bare in pairs:
        ratio = found.speeds[mine].cpu_over(found.speeds[bare])
        yield Goal(f"CPU over {bare}", f"<= {_MOST_CPU}", f"{ratio:.2f}", ratio <= _MOST_CPU)
    if found.peer:
        ratio = found.peer[SMTP].cpu_over(found.peer[SHARED])
        yield Goal(f"CPU over {SHARED}", f"<= {_MOST_CPU}", f"{ratio:.2f}", ratio <= _MOST_CPU)
    for crowd in found.crowded:
        yield from _goals_of_crowd(crowd)
    for queue in found.queued:
        waited = queue.worst_at_full_length
        name = f"healthy among stalled {queue.mode.value}, all limits"
        met = waited <= _LONGEST_WAIT
        yield Goal(name, f"<= {_LONGEST_WAIT:.0f} s", f"{waited:.1f} s at full deadlines", met)
    for way in found.journeys:
        met = way.measured <= way.most + _ROUND_TRIP_SLACK
        yield Goal(f"round trips: {way.name}", way.ideal, f"{way.measured:.1f}", met)
    fooled = sum(verdict.fooled for verdict in found.verdicts)
    yield Goal("fooled by a server that proves nothing", "0", str(fooled), fooled == 0, True)
    yield Goal("healthy servers called ill", "0", str(found.wrong), found.wrong == 0, True)


def _goals_of_crowd(crowd: Crowded) -> Iterator[Goal]:
    name = f"{crowd.in_flight} stalled {crowd.mode.value}"
    share = crowd.memory / crowd.floor
    measured = f"{share:.2f} ({crowd.memory / 1024:.0f}, {crowd.floor / 1024:.0f} KB)"
    wanted = f"<= {_MOST_MEMORY}"
    yield Goal(f"{name}: memory over aiosmtplib's", wanted, measured, share <= _MOST_MEMORY)
    slower = crowd.among / crowd.alone
    measured = f"{slower:.1f} times ({crowd.alone * 1000:.1f}, {crowd.among * 1000:.1f} ms)"
    wanted = f"<= {_MOST_SLOWER:.0f} times"
    yield Goal(f"{name}: a healthy one", wanted, measured, slower <= _MOST_SLOWER)


def print_speeds(found: Results) -> None:
    for title, rows in (
        ("probes, fifty at once", found.speeds),
        (f"beside nodemailer {VERSION}", found.peer),
    ):
        if rows:
            print(f"\n{title:42} {'per second':>10} {'CPU of each':>12}")
        for name, one in rows.items():
            print(f"{name:42} {one.per_second:10.0f} {one.cpu * 1000:9.2f} ms")


def print_stalled(found: Results) -> None:
    print(f"\n{'stalled, through all limits':28} {'in flight':>9} {'longest wait':>13}")
    for one in found.queued:
        wait = f"{one.worst:.1f} s"
        hurry = f"  (deadlines / {one.hurry:.0f})"
        print(f"{one.mode.value:28} {one.in_flight:9} {wait:>13}{hurry}")


def print_verdicts(found: Results) -> None:
    print(f"\n{'the server':34} {'verify() says':34} {'postroom says':24}")
    for verdict in found.verdicts:
        peer = "not asked"
        if verdict.peer is not None:
            peer = verdict.peer + (", login sent" if verdict.peer_sent_login else "")
        mine = verdict.ours + (", login sent" if verdict.we_sent_login else "")
        print(f"{verdict.case:34} {peer:34} {mine:24}")


def print_goals(found: list[Goal]) -> None:
    width = max(len(one.name) for one in found)
    print(f"\n{'goal':{width}}  {'wanted':12} {'measured':36}")
    for one in found:
        mark = "ok" if one.met else "MISSED" if one.counts else "missed (not gated)"
        print(f"{one.name:{width}}  {one.goal:12} {one.measured:36} {mark}")


def main(arguments: Sequence[str]) -> int:
    scale = QUICK if "--quick" in arguments else Scale()
    allow_many_sockets()
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory:
        try:
            peer = Peer(Path(directory))
        except PeerMissing as missing:
            peer = None
            print(f"nodemailer is not compared: {missing}.", file=sys.stderr)
        with MailServers(scale.far) as servers:
            results = asyncio.run(measure(servers, peer, scale))
    print_speeds(results)
    print_stalled(results)
    print_verdicts(results)
    found = list(goals(results))
    print_goals(found)
    return int(any(one.counts and not one.met for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
