# SPDX-License-Identifier: Apache-2.0
"""Which servers a question is put to, in which order, how often. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from postroom.dns.asking.exchange import Server
from postroom.dns.asking.https import HttpsServer

#: Attempts for one question over all servers: at least three, twice each, within the most.
ATTEMPTS_LEAST, ATTEMPTS_MOST = 3, 6
#: At least, where resolvers are asked: one that answers fast is soon asked again, and a loss of
#: some moments must not have a question wait for all the time that there is.
AT_RESOLVERS = 5


@dataclass(frozen=True, slots=True)
class Attempt:
    """One query of a plan: to whom, how often that server was asked before, how."""

    server: Server
    repetition: int
    edns: bool


def plan(
    servers: Sequence[Server],
    knows_edns: Callable[[Server], bool],
    doubtful: Sequence[Server] = (),
    *,
    resolvers: bool = False,
) -> Iterable[Attempt]:
    """Plan the attempts: each server in turn, then again; after them the doubtful, once each.

    The last attempt, and the third at one server, is without EDNS: some drop queries that have it
    silently. A resolver over HTTPS is asked once, because its connection repeats what is lost.
    """
    least = AT_RESOLVERS if resolvers else ATTEMPTS_LEAST
    total = min(max(least, 2 * len(servers)), ATTEMPTS_MOST)
    understands = {server: knows_edns(server) for server in servers[:total]}
    asked: dict[Server, int] = {}
    for number, server in enumerate(islice(cycle(servers), total), start=1):
        repetition = asked.get(server, 0)
        asked[server] = repetition + 1
        if isinstance(server, HttpsServer):
            if not repetition:
                yield Attempt(server, 0, edns=True)
            continue
        last = number == total and repetition > 0
        yield Attempt(server, repetition, edns=understands[server] and not last and repetition < 2)
    for server in doubtful:
        yield Attempt(server, 0, knows_edns(server))
