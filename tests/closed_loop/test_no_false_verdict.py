# SPDX-License-Identifier: Apache-2.0
"""No false verdict, in 2,200 generated worlds.

Records are right, wrong or gone on each server's own copy of the zone; servers are dead, lame,
slow, lossy, cut answers off or break EDNS; the resolver has old answers, serves stale ones, fails
validation, or is the only one that can be asked. 1,000 worlds are looked at by the real engine
through the real client over messages; for 1,200 more, which would take too long so, the engine is
the real one, but asks the same servers and resolver without messages (`closed_loop.light`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from closed_loop.light import LightAsker
from closed_loop.worlds import Scene, scene
from dnsworld.clock import run
from dnsworld.world import Egress
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Asker, Question
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.requirements import PlannedRecord
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.dns.verifying.verify import Scope, verify

_OVER_MESSAGES, _WITHOUT, _AT_ONCE = 1000, 1200, 100
_FAULTY = (RecordState.MISSING, RecordState.WRONG, RecordState.CONFLICTING)
#: The states that records of these worlds can have.
_STATES = frozenset(RecordState) - {RecordState.CONFLICTING}
#: Bounds on one look at a few records and up to four servers, whatever fails: virtual seconds, and
#: queries with all repetitions. Where the way to servers is closed, nobody can know that from the
#: first silent zone: each question goes to each server once, and then to the resolver.
_SECONDS, _QUERIES, _QUERIES_IN_VAIN = 30.0, 300, 400
#: A world of four silent servers behind a closed way, in which most is asked.
_IN_VAIN = 700_194

_Heard = Callable[[PlannedRecord], frozenset[str]]


async def _verified(made: Scene, asker: Asker, random: Random) -> tuple[DomainReport, float]:
    """Look at a scene some time after it came to be; return the seconds that the look took."""
    await asyncio.sleep(random.choice((0.0, 10.0, 400.0)))
    known = [record.id for record in made.plan.records if random.random() < 0.3]
    began = made.world.now()
    scope = Scope(known_valid=known, full=random.random() < 0.2)
    report = await verify(made.plan, asker, scope)
    return report, made.world.now() - began


async def _over_messages(seed: int) -> tuple[Scene, DomainReport, float]:
    made = scene(seed)
    address = made.world.resolver_address
    asker = DnsAsker([(address.address, address.port)], transport=made.world.transport)
    report, seconds = await _verified(made, asker, Random(seed))  # noqa: S311
    await asker.close()
    return made, report, seconds


async def _without_messages(seed: int) -> tuple[Scene, DomainReport, _Heard]:
    made = scene(seed)
    asker = LightAsker(made)
    report, _ = await _verified(made, asker, Random(seed))  # noqa: S311

    def heard(one: PlannedRecord) -> frozenset[str]:
        question = Question(one.name, one.type)
        return frozenset(name for name, asked in asker.heard if asked == question)

    return made, report, heard


def _states(report: DomainReport) -> set[RecordState]:
    return {record.state for record in report.records}


def _wrongly_valid(
    made: Scene, expected: PlannedRecord, found: RecordReport, heard: _Heard
) -> bool:
    """Valid, although most of the servers that answered lack it."""
    answering = made.answering(heard(expected))
    lacking = len(answering) - made.right(expected, answering)
    return found.state is RecordState.VALID and 2 * lacking > len(answering)


def _wrongly_faulty(
    made: Scene, expected: PlannedRecord, found: RecordReport, heard: _Heard
) -> bool:
    """Faulty, although no server, or not most of those that answered, said so.

    Where nobody but the resolver can be asked, its cache has the word.
    """
    if found.state not in _FAULTY or made.world.egress is not Egress.OPEN:
        return False
    answering = made.answering(heard(expected))
    return not answering or 2 * made.right(expected, answering) > len(answering)


def _false(made: Scene, report: DomainReport, heard: _Heard) -> list[RecordReport]:
    return [
        found
        for expected, found in zip(made.plan.records, report.records, strict=True)
        if _wrongly_valid(made, expected, found, heard)
        or _wrongly_faulty(made, expected, found, heard)
    ]


def _look(seed: int) -> None:
    made, report, seconds = run(_over_messages(seed))
    assert _false(made, report, made.heard) == [], seed
    assert seconds <= _SECONDS, seed
    most = _QUERIES if made.world.egress is Egress.OPEN else _QUERIES_IN_VAIN
    assert len(made.world.transport.log) <= most, seed


def test_servers_that_nobody_can_reach_are_not_asked_without_end() -> None:
    _look(_IN_VAIN)


@pytest.mark.parametrize("first", range(0, _OVER_MESSAGES, _AT_ONCE))
def test_no_verdict_is_false(first: int) -> None:
    for seed in range(first, first + _AT_ONCE):
        _look(seed)


@pytest.mark.parametrize("first", range(0, _WITHOUT, _AT_ONCE))
def test_no_verdict_is_false_in_more_worlds(first: int) -> None:
    for seed in range(10_000 + first, 10_000 + first + _AT_ONCE):
        made, report, heard = run(_without_messages(seed))
        assert _false(made, report, heard) == [], seed
        assert _states(report) <= _STATES, seed


def test_the_worlds_are_of_all_kinds() -> None:
    """Every state is reached, so that none of the properties holds for want of cases."""
    missing = {*_STATES}
    for seed in range(10_000, 10_000 + _WITHOUT):
        missing -= _states(run(_without_messages(seed))[1])
        if not missing:  # what comes of the other worlds is looked at above
            break
    assert not missing
