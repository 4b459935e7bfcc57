# SPDX-License-Identifier: Apache-2.0
"""What is remembered of each server: how fast it is, whether it is silent, if it knows EDNS."""

import asyncio
import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from postroom.concurrency.acting import party
from postroom.concurrency.backoff import doubled
from postroom.concurrency.bounded import BoundedMap

ServerT = TypeVar("ServerT", bound=Hashable)

_SERVERS_LIMIT = 8192
#: Weight of the newest round trip in the smoothed one, and in how much they vary, of which so many
#: times are waited for (RFC 6298 section 2).
_NEWEST, _NEWEST_DEVIATION, _DEVIATIONS = 1 / 8, 1 / 4, 4
#: Unanswered queries in a row after which a server counts as dead.
_DEAD = 2
#: Seconds for which a silent server is asked last: doubled with every silence, up to the most.
_AVOID_LEAST, _AVOID_MOST = 30.0, 300.0
#: Seconds for which a server is asked without EDNS after it did not understand it.
_PLAIN = 600.0
#: Questions in a row to which a server was silent with EDNS and not without.
_SILENT_TO_EDNS = 2
#: A server this much slower than the fastest is asked only after the fast ones.
_SLOW_FACTOR, _SLOW_SECONDS = 2.0, 0.05


@dataclass(slots=True)
class _ServerRecord:
    round_trip: float | None = None
    deviation: float = 0.0
    silences: int = 0
    avoid_until: float = 0.0
    plain_until: float = 0.0
    edns_silences: int = 0
    heard: float = float("-inf")


class Health(Generic[ServerT]):
    """Remembers servers by whatever names them. Times are in seconds of the running loop.

    `least` bounds the wait for an answer from below; `unknown` is the wait at a new server.
    """

    def __init__(self, least: float, unknown: float) -> None:
        self._least, self._unknown = least, unknown
        self._records: BoundedMap[tuple[str, ServerT], _ServerRecord] = BoundedMap(_SERVERS_LIMIT)
        self._rotation = itertools.count()

    def answered(self, server: ServerT, seconds: float) -> None:
        """A server answered after so many seconds."""
        record = self._record(server)
        if record.round_trip is None:
            record.round_trip, record.deviation = seconds, seconds / 2
        else:
            apart = abs(seconds - record.round_trip)
            record.deviation += (apart - record.deviation) * _NEWEST_DEVIATION
            record.round_trip += (seconds - record.round_trip) * _NEWEST
        record.silences, record.avoid_until, record.heard = 0, 0.0, _now()

    def silent(self, server: ServerT) -> None:
        """A server left a query unanswered for longer than it was given."""
        record = self._record(server)
        record.silences += 1
        record.avoid_until = _now() + doubled(_AVOID_LEAST, _AVOID_MOST, record.silences)

    def wait(self, server: ServerT) -> float:
        """How long an answer may take before it is worth asking elsewhere, or again."""
        record = self._record(server)
        if record.round_trip is not None:
            # Of a resolver, which answers what it knows at once, and for the rest asks others.
            varied = record.round_trip + _DEVIATIONS * record.deviation
            return max(2 * record.round_trip, varied, self._least)
        # Nobody should wait long, look after look, for a server that never answered.
        return self._least if self.is_doubtful(server) else self._unknown

    def is_known(self, server: ServerT) -> bool:
        """Whether a server has answered before."""
        return self._record(server).round_trip is not None

    def is_dead(self, server: ServerT) -> bool:
        """Whether a server has been silent again and again, and lately."""
        record = self._record(server)
        return record.silences >= _DEAD and record.avoid_until > _now()

    def is_doubtful(self, server: ServerT) -> bool:
        """Whether nothing came from a server since it counted as dead, however long ago."""
        return self._record(server).silences >= _DEAD

    def heard_since(self, server: ServerT, moment: float) -> bool:
        """Whether anything came from a server since then."""
        return self._record(server).heard >= moment

    def without_edns(self, server: ServerT) -> None:
        """A server said that it does not understand EDNS."""
        self._record(server).plain_until = _now() + _PLAIN

    def silent_to_edns(self, server: ServerT) -> None:
        """A server was silent with EDNS, and then answered without: once may be a loss."""
        record = self._record(server)
        record.edns_silences += 1
        if record.edns_silences >= _SILENT_TO_EDNS:
            self.without_edns(server)

    def understood_edns(self, server: ServerT) -> None:
        """A server answered a query with EDNS."""
        self._record(server).edns_silences = 0

    def knows_edns(self, server: ServerT) -> bool:
        """Whether a server may be asked with EDNS."""
        return self._record(server).plain_until <= _now()

    def in_turn(self, servers: Sequence[ServerT]) -> list[ServerT]:
        """Order equal servers for asking: fast ones first, each in its turn, silent ones last."""
        now = _now()
        records = [(server, self._record(server)) for server in servers]
        good = [(each, known.round_trip) for each, known in records if known.avoid_until <= now]
        fastest = min((trip for _, trip in good if trip is not None), default=0.0)
        bound = fastest * _SLOW_FACTOR + _SLOW_SECONDS
        fast = [server for server, trip in good if (trip or 0.0) <= bound]
        slow = [server for server, trip in good if (trip or 0.0) > bound]
        start = next(self._rotation) % len(fast) if fast else 0
        return [*fast[start:], *fast[:start], *slow, *self._silent(servers, now)]

    def in_order(self, servers: Sequence[ServerT]) -> list[ServerT]:
        """Order servers of which the first is preferred: only silent ones go last."""
        now = _now()
        good = [server for server in servers if self._record(server).avoid_until <= now]
        return [*good, *self._silent(servers, now)]

    def _silent(self, servers: Sequence[ServerT], now: float) -> list[ServerT]:
        silent = [server for server in servers if self._record(server).avoid_until > now]
        # One loss is soon told from death: who was silent once is asked before who is dead.
        return sorted(
            silent, key=lambda server: (self.is_dead(server), self._record(server).avoid_until)
        )

    def _record(self, server: ServerT) -> _ServerRecord:
        # Per party: one that asks a server what that passes over must not have it look dead to all.
        name = (party(), server)
        return self._records.use_or_make(name, _ServerRecord)


def _now() -> float:
    return asyncio.get_running_loop().time()
