# SPDX-License-Identifier: Apache-2.0
"""What a look asks: little of a domain that is known to be well, all when something changes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from dnsworld.clock import run
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import RecordState, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import Scope, verify
from unit.dns.domains import DOMAIN, HEALTHY, S1, SPEC
from unit.dns.fake_zone import FakeZone


class Counting(FakeZone):
    """A zone that counts who is asked; one of its servers may be silent."""

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__(HEALTHY)
        self.silent, self.asked = silent, dict[str, int]()

    def _count(self, what: str) -> None:
        self.asked[what] = self.asked.get(what, 0) + 1

    async def authoritative(self, question: Question) -> Answer:
        self._count("servers")
        return await super().authoritative(question)

    async def recursive(self, question: Question) -> Answer:
        self._count("resolver")
        return await super().recursive(question)

    async def shared(self, question: Question) -> Answer:
        return await super().recursive(question)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        self._count("all")
        return await super().every_server(question)

    async def delegation(self, apex: str) -> Delegation | Answer:
        self._count("parent")
        return await super().delegation(apex)

    async def serials(self, name: str) -> tuple[ServerAnswer, ...]:
        found = await super().serials(name)
        if not self.silent:
            return found
        nobody = Answer(Question("example.com", RecordType.SOA), Outcome.TIMEOUT)
        return (*found[:-1], ServerAnswer(found[-1].nameserver, nobody))


def look(zone: Counting, known: bool, before: Collection[str] = (), **how: Any) -> DomainReport:
    spec = parse_spec(Kind.SENDING_DOMAIN, SPEC)
    assert isinstance(spec, SendingDomainSpec)
    plan = planning.plan(spec, "mail", b"key", {})
    ids = {record.id for record in plan.records} if known else set[str]()
    return run(verify(plan, zone, Scope(known_valid=ids, reported=before, **how)))


def test_a_domain_that_is_known_to_be_well_costs_one_question_for_each_record() -> None:
    zone = Counting()
    report = look(zone, known=True)
    names = {(record.name, record.type) for record in report.records}
    assert zone.asked == {"servers": len(names)}
    assert not report.thorough


@pytest.mark.parametrize("how", [{"known": False}, {"known": True, "full": True}])
def test_a_first_look_and_a_full_one_ask_everybody(how: dict[str, Any]) -> None:
    zone = Counting()
    assert look(zone, **how).thorough
    assert {"servers", "resolver", "all", "parent"} <= set(zone.asked)


@pytest.mark.parametrize(
    ("silent", "before", "thorough"),
    [
        (True, (), True),
        (True, ("NS_UNREACHABLE",), False),
        (False, ("NS_UNREACHABLE",), True),
        (False, ("DMARC_RUA_ABSENT",), False),
    ],
    ids=["new trouble", "known trouble", "trouble is over", "no trouble"],
)
def test_trouble_at_a_server_is_looked_into_when_it_changes(
    silent: bool, before: tuple[str, ...], thorough: bool
) -> None:
    assert look(Counting(silent=silent), True, before).thorough is thorough


#: Neither an underscore nor a dot is left.
FAR_AWAY = (f"s1domainkey.{DOMAIN}", "TXT")


def test_what_was_not_found_is_not_searched_for_at_every_look() -> None:
    zone = Counting()
    zone.records.clear()
    counts = list[int]()
    found = list[set[str]]()
    for number in range(10):
        zone.asked.clear()
        report = look(zone, known=False, search=number == 0)
        counts.append(zone.asked["servers"])
        found.append({one.code for one in report.findings})
    assert all(count < counts[0] * 0.7 for count in counts[1:]), counts
    assert len(set(counts[1:])) == 1
    assert all(codes == found[0] for codes in found)


def test_what_was_found_far_away_stays_told() -> None:
    zone = Counting()
    zone.records[FAR_AWAY] = zone.records.pop(S1)
    before = [one.code for one in look(zone, known=False).findings]
    again = [one.code for one in look(zone, False, before, search=False).findings]
    assert any(code.startswith("NAME_") for code in before)
    assert again == before


def test_what_was_valid_is_searched_for_when_it_goes() -> None:
    zone = Counting()
    zone.records[FAR_AWAY] = zone.records.pop(S1)
    assert "NAME_UNDERSCORE_LOST" in [
        one.code for one in look(zone, known=True, search=False).findings
    ]
    assert "NAME_UNDERSCORE_LOST" not in [
        one.code for one in look(zone, known=False, search=False).findings
    ]


class Apart(Counting):
    """A zone of three servers; those named `behind` have an older version without a record."""

    def __init__(self, *behind: str) -> None:
        super().__init__()
        self.zone = Zone("example.com", ("ns1.net", "ns2.net", "ns3.net"))
        self._behind = behind
        self._older = FakeZone({key: has for key, has in HEALTHY.items() if key != S1})
        self.everywhere, self.resolved = set[Question](), set[str]()

    async def authoritative(self, question: Question) -> Answer:
        newer = await super().authoritative(question)
        return await self._older.authoritative(question) if "ns1.net" in self._behind else newer

    async def recursive(self, question: Question) -> Answer:
        self.resolved.add(question.name)
        return await super().recursive(question)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        self.everywhere.add(question)
        older = await self._older.authoritative(question)
        return tuple(
            replace(server, answer=older) if server.nameserver in self._behind else server
            for server in self._served(await FakeZone.authoritative(self, question))
        )

    def _served(self, answer: Answer) -> list[ServerAnswer]:
        assert isinstance(self.zone, Zone)
        return [ServerAnswer(nameserver, answer) for nameserver in self.zone.nameservers]

    async def serials(self, name: str) -> tuple[ServerAnswer, ...]:
        return tuple(
            replace(server, answer=replace(server.answer, values=("0",)))
            if server.nameserver in self._behind
            else server
            for server in await super().serials(name)
        )


ABOVE_KEYS = Question(f"_domainkey.{DOMAIN}", RecordType.TXT)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("behind", "state"),
    [
        ((), RecordState.VALID),
        (("ns1.net",), RecordState.VALID),
        (("ns3.net",), RecordState.VALID),
        (("ns1.net", "ns2.net"), RecordState.PROPAGATING),
        (("ns2.net", "ns3.net"), RecordState.PROPAGATING),
        (("ns1.net", "ns2.net", "ns3.net"), RecordState.MISSING),
    ],
)
def test_what_the_first_server_lacks_may_be_at_another(
    behind: tuple[str, ...], state: RecordState, known: bool
) -> None:
    """Where most have it the resolver is asked, too; where it is on its way, all about the zone."""
    zone = Apart(*behind)
    report = look(zone, known)
    assert {one.id: one.state for one in report.records if one.state is not RecordState.VALID} == (
        {} if state is RecordState.VALID else {"dkim-s1": state}
    )
    well = state is RecordState.VALID and "ns1.net" not in behind
    assert report.thorough is not (known and well)
    assert ("parent" in zone.asked) is report.thorough
    assert (ABOVE_KEYS in zone.everywhere) is (state is RecordState.PROPAGATING)
    if known:
        asked_everywhere = {question.name for question in zone.everywhere}
        assert (S1[0] in asked_everywhere) is bool(behind)
        assert (S1[0] in zone.resolved) is (behind == ("ns1.net",))


def test_where_no_zone_is_found_it_is_looked_for_each_time() -> None:
    zone = Counting()
    zone.zone = Outcome.TIMEOUT
    assert look(zone, known=True).thorough
