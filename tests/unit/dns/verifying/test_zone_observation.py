# SPDX-License-Identifier: Apache-2.0
"""Looking at the zone itself: who is asked, what only a second failure says, who is not asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dnsworld.clock import run
from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.diagnosis.zone import ZoneView
from postroom.dns.verifying.zone_observation import look_at_zone
from unit.dns.fake_zone import FakeZone
from unit.dns.zone_looks import APEX, SOA, ZONE, both, failed, served

FAILED = Answer(SOA, Outcome.SERVER_FAILURE)


class Resolver(FakeZone):
    """A zone whose resolver says one thing after the other of the SOA, the last one for ever."""

    def __init__(self, *says: Answer) -> None:
        super().__init__({(f"ns{n}.host.net", "A"): ["192.0.2.1"] for n in (1, 2)})
        self.says, self.asked = list(says), list[tuple[str, Question]]()
        self.above: Sequence[ServerAnswer] = ()

    async def recursive(self, question: Question) -> Answer:
        self.asked.append(("resolver", question))
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]

    async def unvalidated(self, question: Question) -> Answer:
        self.asked.append(("unvalidated", question))
        return Answer(question, Outcome.FOUND, ("without checking",))

    async def shared(self, question: Question) -> Answer:
        self.asked.append(("shared", question))
        return await FakeZone.recursive(self, question)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        self.asked.append(("all", question))
        return both("version")

    async def delegation(self, apex: str) -> Delegation | Answer:
        return Delegation("com", ZONE.nameservers, signed=False, servers=tuple(self.above))


def look(zone: Resolver, view: ZoneView) -> ZoneView:
    return run(look_at_zone(view, zone))


def test_all_that_may_tell_is_asked_of_a_sound_zone() -> None:
    has = Answer(SOA, Outcome.FOUND, ("soa",))
    zone = Resolver(has)
    found = look(zone, ZoneView(APEX, ZONE, both()))
    assert (found.resolver, found.unvalidated, found.versions) == (has, None, both("version"))
    assert isinstance(found.delegation, Delegation)
    assert found.families == {}
    assert sorted(zone.asked) == [("all", SOA), ("resolver", SOA)]


@pytest.mark.parametrize(
    ("says", "outcome", "errors"),
    [
        # Failures come and go: only one that stays says something.
        ([FAILED, Answer(SOA, Outcome.FOUND, ("soa",))], Outcome.FOUND, ()),
        ([FAILED], Outcome.SERVER_FAILURE, ()),
        # A reason that was given once holds for the same failure without one.
        (
            [Answer(SOA, Outcome.SERVER_FAILURE, errors=(9,)), FAILED],
            Outcome.SERVER_FAILURE,
            (9,),
        ),
        (
            [Answer(SOA, Outcome.SERVER_FAILURE, errors=(9,)), Answer(SOA, Outcome.TIMEOUT)],
            Outcome.TIMEOUT,
            (),
        ),
        (
            [
                Answer(SOA, Outcome.SERVER_FAILURE, errors=(9,)),
                Answer(SOA, Outcome.SERVER_FAILURE, errors=(7,)),
            ],
            Outcome.SERVER_FAILURE,
            (7,),
        ),
    ],
)
def test_a_resolver_that_fails_is_asked_again_and_without_dnssec(
    says: list[Answer], outcome: Outcome, errors: tuple[int, ...]
) -> None:
    zone = Resolver(*says)
    found = look(zone, ZoneView(APEX, ZONE, both()))
    assert found.resolver is not None
    assert (found.resolver.outcome, found.resolver.errors) == (outcome, errors)
    assert found.unvalidated is not None
    assert found.unvalidated.values == ("without checking",)
    assert [who for who, _ in zone.asked].count("resolver") == 2


def test_of_silent_servers_the_types_of_address_are_asked_for() -> None:
    zone = Resolver(Answer(SOA, Outcome.FOUND, ("soa",)))
    zone.records["ns8.host.net", "AAAA"] = ["2001:db8::1"]
    zone.above = [failed("ns8.host.net", Outcome.TIMEOUT)]
    serials = (
        served("ns1.host.net"),
        failed("ns2.host.net", Outcome.TIMEOUT),
        failed("ns3.host.net", Outcome.REFUSED, "192.0.2.3"),
        failed("ns4.host.net", Outcome.TIMEOUT),
    )
    assert look(zone, ZoneView(APEX, ZONE, serials)).families == {
        "ns2.host.net": frozenset({RecordType.A}),
        "ns4.host.net": frozenset(),
        "ns8.host.net": frozenset({RecordType.AAAA}),
    }


def test_of_many_silent_servers_few_are_asked_for() -> None:
    zone = Resolver(Answer(SOA, Outcome.FOUND, ("soa",)))
    silent = tuple(failed(f"ns{n}.host.net", Outcome.TIMEOUT) for n in range(9))
    found = look(zone, ZoneView(APEX, Zone(APEX, ("ns1.host.net",)), silent))
    assert sorted(found.families) == [f"ns{n}.host.net" for n in range(4)]
    assert [who for who, _ in zone.asked].count("shared") == 8


@pytest.mark.parametrize(
    ("zone", "asked"),
    [
        # Nobody may be asked: what the resolver meets there must not show in what we say.
        (Answer(SOA, Outcome.DENIED), []),
        (Answer(SOA, Outcome.NX_DOMAIN), []),
        (Answer(SOA, Outcome.TIMEOUT), [("resolver", SOA)]),
    ],
)
def test_a_zone_that_was_not_found(zone: Answer, asked: list[tuple[str, Question]]) -> None:
    resolver = Resolver(Answer(SOA, Outcome.FOUND, ("soa",)))
    before = ZoneView(APEX, zone)
    found = look(resolver, before)
    assert resolver.asked == asked
    assert (found == before) is (not asked)


def test_a_zone_whose_servers_may_not_be_asked_is_left_alone() -> None:
    resolver = Resolver(Answer(SOA, Outcome.FOUND, ("soa",)))
    denied = tuple(failed(name, Outcome.DENIED) for name in ZONE.nameservers)
    before = ZoneView(APEX, ZONE, denied)
    assert look(resolver, before) == before
    assert resolver.asked == []
