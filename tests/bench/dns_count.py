# SPDX-License-Identifier: Apache-2.0
"""What a server's log says about politeness and waste. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.dns_server import Asked
from bench.dns_world import RESOLVER
from postroom.dns.asking.limiter import NAMESERVER_LIMITS

#: Spans in which the rate is looked at, in seconds. Loopback and a busy machine may move arrivals
#: closer together than the queries left; this much is allowed for.
_SPANS = (0.5, 1.0, 2.0, 5.0)
_JITTER_SECONDS = 0.1


@dataclass(frozen=True)
class Politeness:
    """What the name server that was treated worst had to bear.

    `share` is the most queries in any span over what burst and rate allow there, `in_flight` the
    most at once, `in_a_second` the most within one second, `queries` all to the busiest server.
    """

    share: float
    in_flight: int
    in_a_second: int
    queries: int

    @property
    def kept(self) -> bool:
        """Whether no limit was broken."""
        return self.share <= 1.0 and self.in_flight <= NAMESERVER_LIMITS.in_flight


def politeness(log: Sequence[Asked]) -> Politeness:
    """Look at every name server; the resolver is nobody else's."""
    by_server = defaultdict[str, list[Asked]](list)
    for one in log:
        if one.server != RESOLVER:
            by_server[one.server].append(one)
    shares, flights, seconds, queries = [0.0], [0], [0], [0]
    for asked in by_server.values():
        times = sorted(one.at for one in asked)
        shares += [
            most_within(times, span) / allowed_within(span + _JITTER_SECONDS) for span in _SPANS
        ]
        flights.append(most_in_flight(asked))
        seconds.append(most_within(times, 1.0))
        queries.append(len(asked))
    return Politeness(max(shares), max(flights), max(seconds), max(queries))


def allowed_within(seconds: float) -> float:
    """How many queries one name server may get within so many seconds."""
    return NAMESERVER_LIMITS.burst + NAMESERVER_LIMITS.rate * seconds


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most of these sorted times within any span of so many seconds."""
    ends = (bisect_right(times, at + seconds) for at in times)
    return max((end - start for start, end in enumerate(ends)), default=0)


def most_in_flight(asked: Sequence[Asked]) -> int:
    """The most questions that a server was busy with at one moment."""
    most, at_once = 0, 0
    for _, step in sorted(_steps(asked)):
        at_once += step
        most = max(most, at_once)
    return most


def _steps(asked: Sequence[Asked]) -> Iterator[tuple[float, int]]:
    for one in asked:
        yield one.at, 1
        yield one.until, -1


def questions(log: Sequence[Asked]) -> list[tuple[str, str]]:
    """Return the distinct names and types, sorted."""
    return sorted({(one.name, one.type) for one in log})
