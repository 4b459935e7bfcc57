# SPDX-License-Identifier: Apache-2.0
"""One observation: a question is asked once, a stale answer is silence, views stay apart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.judging.judgement import Context
from postroom.dns.tls.mta_sts_host import PolicyFetchOutcome
from postroom.dns.verifying.observation import Observation
from unit.dns.fake_zone import FakeZone, Key
from unit.dns.judging_looks import plan_of, record

DMARC: Key = ("_dmarc.example.com", "TXT")
ASKED = Question(DMARC[0], RecordType.TXT)
MX = Question("example.com", RecordType.MX)
GOOD, WEAK = "v=DMARC1; p=reject", "v=DMARC1; p=none"
PLAN = plan_of(dmarc={"policy": "quarantine"}, mx=[{"host": "mx.provider.net"}])
ZONE = Zone("example.com", ("ns1.example.net", "ns2.example.net"))


class Asked(FakeZone):
    """A zone that notes who was asked what; `stale` is what its resolver says for its servers."""

    def __init__(self, records: dict[Key, list[str]], *stale: int) -> None:
        super().__init__(records)
        self.stale, self.asked = stale, list[tuple[str, Question]]()

    async def authoritative(self, question: Question) -> Answer:
        self.asked.append(("servers", question))
        answer = await super().authoritative(question)
        return replace(answer, authoritative=False, errors=self.stale) if self.stale else answer

    async def shared(self, question: Question) -> Answer:
        self.asked.append(("shared", question))
        return await FakeZone.recursive(self, question)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        self.asked.append(("all", question))
        return await super().every_server(question)

    async def delegation(self, apex: str) -> Delegation | Answer:
        self.asked.append(("parent", Question(apex, RecordType.NS)))
        return await super().delegation(apex)


def observe(zone: FakeZone, **spec: Any) -> Observation:
    return Observation(plan_of(**spec) if spec else PLAN, zone, None)


def test_what_was_asked_once_is_not_asked_again() -> None:
    zone = Asked({DMARC: [GOOD], ("example.com", "MX"): ["10 mx.provider.net"]})
    seen = observe(zone)
    asyncio.run(seen.ask_authoritative(PLAN.records))
    first = list(zone.asked)
    assert {("servers", ASKED), ("servers", MX)} <= set(first)
    assert ("shared", Question("mx.provider.net", RecordType.A)) in first
    assert len(first) == len(set(first))
    asyncio.run(seen.ask_authoritative(PLAN.records))
    assert zone.asked == first


def test_views_stay_apart() -> None:
    zone = FakeZone({DMARC: [GOOD]})
    zone.cached[DMARC] = [WEAK]
    seen = observe(zone)
    asyncio.run(seen.ask_authoritative(PLAN.records))
    asyncio.run(seen.ask_resolver(PLAN.records))
    assert seen.authoritative.at(*_key(ASKED)).values == (GOOD,)
    values = {each.values for each in seen.all_answers if each.question == ASKED}
    assert values == {(GOOD,), (WEAK,)}
    assert seen.judged(record(PLAN, "dmarc"), Context(PLAN)).state is RecordState.VALID
    # Of the two, the zone's servers decide whether it is published, the cache whether it is seen.
    judged = seen.judged(record(PLAN, "dmarc"), Context(PLAN))
    reported = seen.diagnosed(record(PLAN, "dmarc"), judged, Context(PLAN), {"dmarc"})
    assert reported.state is RecordState.PROPAGATING
    assert reported.wake_after == 300
    alone = seen.diagnosed(record(PLAN, "dmarc"), judged, Context(PLAN), ())
    assert (alone.state, alone.wake_after) == (RecordState.VALID, None)


def _key(question: Question) -> tuple[str, RecordType]:
    return question.name, question.type


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        # Stale Answer and Stale NXDOMAIN Answer (RFC 8914 sections 4.4 and 4.20).
        ((3,), Outcome.TIMEOUT),
        ((19,), Outcome.TIMEOUT),
        ((4,), Outcome.FOUND),
    ],
)
def test_a_stale_answer_stands_for_silence(errors: tuple[int, ...], outcome: Outcome) -> None:
    seen = observe(Asked({DMARC: [GOOD]}, *errors))
    asyncio.run(seen.ask_authoritative(PLAN.records))
    answer = seen.authoritative.at(*_key(ASKED))
    assert (answer.outcome, answer.errors) == (outcome, errors)


def test_without_a_fetcher_no_policy_is_reached() -> None:
    spec = {"mtaSTS": {"mode": "Testing"}}
    zone = FakeZone(
        {
            ("_mta-sts.example.com", "TXT"): ["v=STSv1; id=1"],
            ("mta-sts.example.com", "A"): ["192.0.2.1"],
        }
    )
    seen = observe(zone, **spec)
    asyncio.run(seen.ask_authoritative(plan_of(**spec).records))
    fetched = seen.authoritative.policies["example.com"]
    assert fetched.outcome is PolicyFetchOutcome.UNREACHABLE


def test_every_server_is_asked_once_and_has_one_vote() -> None:
    zone = Asked({DMARC: [GOOD]})
    seen = observe(zone)
    dmarc = record(PLAN, "dmarc")
    assert seen.votes(dmarc, Context(PLAN)) == ()
    asyncio.run(seen.ask_authoritative([dmarc]))
    asyncio.run(seen.ask_every_server([dmarc, dmarc]))
    asyncio.run(seen.ask_every_server([dmarc]))
    assert zone.asked.count(("all", ASKED)) == 1
    votes = seen.votes(dmarc, Context(PLAN))
    assert [(vote.nameserver, vote.valid) for vote in votes] == [
        (nameserver, True) for nameserver in ZONE.nameservers
    ]
    assert [answer.values for answer in seen.single_answers] == [(GOOD,), (GOOD,)]


EVERYTHING = [each.name for each in PLAN.records]


@pytest.mark.parametrize(
    ("failing", "zone", "served", "asked"),
    [
        (["_dmarc.example.com"], ZONE, True, ["_dmarc.example.com"]),
        (["_dmarc.example.com"], ZONE, False, ["_dmarc.example.com"]),
        (["_dmarc.example.com"], None, True, []),
        # Where nobody answers for anything, the zone itself is at fault, if nobody serves it.
        (EVERYTHING, ZONE, False, []),
        (EVERYTHING, ZONE, True, ["_dmarc.example.com", "_postroom-challenge.example.com"]),
        ([], ZONE, True, []),
    ],
)
def test_a_delegation_is_looked_for_where_only_some_names_are_silent(
    failing: list[str], zone: Zone | None, served: bool, asked: list[str]
) -> None:
    asker = Asked({DMARC: [GOOD], ("example.com", "MX"): ["10 mx.provider.net"]})
    asker.failing = dict.fromkeys(failing, Outcome.TIMEOUT)
    seen = observe(asker)
    asyncio.run(seen.ask_authoritative(PLAN.records))
    asyncio.run(seen.ask_delegations(Context(PLAN, zone), served=served))
    assert [question.name for who, question in asker.asked if who == "parent"] == asked


@pytest.mark.parametrize(("signing", "asked"), [([], False), (["k1"], True)])
def test_above_keys_is_looked_only_where_there_are_keys(signing: list[str], asked: bool) -> None:
    dkim = [{"selector": each, "cname": "k1.provider.net"} for each in signing]
    zone = Asked({})
    asyncio.run(observe(zone, dkim=dkim).ask_above_keys())
    above = Question("_domainkey.example.com", RecordType.TXT)
    assert [each for each in zone.asked if each[0] == "all"] == ([("all", above)] if asked else [])


def test_nothing_more_is_asked_about_records_that_are_known() -> None:
    plan = plan_of(dmarc={"policy": "none"})
    zone = Asked({})
    seen = Observation(plan, zone, None)
    asyncio.run(seen.ask_extra([]))
    assert zone.asked == []
    asyncio.run(seen.ask_extra(plan.records))
    # A null MX there would make receivers refuse the mail (RFC 7505 section 4.2).
    assert zone.asked == [("servers", MX)]
