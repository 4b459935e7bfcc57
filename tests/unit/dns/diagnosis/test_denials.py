# SPDX-License-Identifier: Apache-2.0
"""What a denial proves of the names below it, and how few questions that leaves.

Covers: which denials count; what is asked first; how many questions a domain costs of which
nothing is published, or one record at a wrong place; that nothing else is told for it.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis.denials import Denials
from postroom.dns.diagnosis.places import places
from postroom.dns.names import is_within
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify
from unit.dns.domains import DOMAIN, HEALTHY, SPEC
from unit.dns.fake_zone import FakeZone, Key
from unit.dns.judging_looks import plan_of

TXT, MX = RecordType.TXT, RecordType.MX
APEX = "example.com"


def denial(name: str, **how: Any) -> Answer:
    return Answer(
        Question(name, TXT), Outcome.NX_DOMAIN, **{"ttl": 300, "authoritative": True, **how}
    )


def implies(answers: list[Answer], name: str) -> bool:
    return Denials.of(answers, APEX).implied(Question(name, MX)) is not None


@pytest.mark.parametrize(
    ("name", "implied"),
    [
        ("a.example.com", True),
        ("b.a.example.com", True),
        ("c.b.a.example.com", True),
        ("xa.example.com", False),
        ("example.com", False),
        ("a.example.com.example.net", False),
        ("a.example.net", False),
    ],
)
def test_a_denial_holds_for_all_below_it_and_nothing_else(name: str, implied: bool) -> None:
    assert implies([denial("a.example.com")], name) is implied


def test_what_is_implied_is_the_denial_itself() -> None:
    found = Denials.of([denial("a.example.com", server="192.0.2.1")], APEX)
    answer = found.implied(Question("b.a.example.com", MX))
    assert answer == Answer(
        Question("b.a.example.com", MX),
        Outcome.NX_DOMAIN,
        ttl=300,
        authoritative=True,
        server="192.0.2.1",
    )


@pytest.mark.parametrize(
    "answer",
    [
        denial("a.example.com", authoritative=False),
        denial("a.example.com", aliases=("gone.example.net",)),
        Answer(Question("a.example.com", TXT), Outcome.NO_DATA, authoritative=True),
        Answer(Question("a.example.com", TXT), Outcome.TIMEOUT),
        Answer(Question("a.example.com", TXT), Outcome.REFUSED, authoritative=True),
        denial("a.example.net"),
    ],
    ids=["a resolver's", "of a target", "no data", "silence", "refusal", "another zone"],
)
def test_nothing_else_proves_anything(answer: Answer) -> None:
    assert not implies([answer], "b.a.example.com")


@pytest.mark.parametrize("outcome", [Outcome.FOUND, Outcome.NO_DATA])
def test_no_denial_counts_of_servers_that_deny_names_with_others_below(outcome: Outcome) -> None:
    there = Answer(Question("k1.a.example.com", TXT), outcome, ("p=abc",), authoritative=True)
    answers = [denial("a.example.com"), denial("b.example.com"), there]
    assert not implies(answers, "k2.a.example.com")
    assert not implies(answers, "k2.b.example.com")


def first(names: list[str], *answers: Answer) -> list[str]:
    asked = Denials.of(answers, APEX).first_of([Question(name, TXT) for name in names])
    return [one.name for one in asked]


def test_above_several_names_one_is_asked_for_first() -> None:
    assert first(["k1.a.example.com", "k2.a.example.com"]) == ["a.example.com"]
    assert first(["a.example.com", "k2.a.example.com"]) == ["a.example.com"]
    assert first(["k1.a.example.com", "k2.b.example.com", "example.com"]) == [
        "example.com",
        "k1.a.example.com",
        "k2.b.example.com",
    ]


def test_what_was_asked_for_is_not_asked_for_again() -> None:
    for outcome in (Outcome.FOUND, Outcome.NO_DATA, Outcome.TIMEOUT):
        above = Answer(Question("a.example.com", TXT), outcome, authoritative=True)
        assert first(["c.b.a.example.com", "d.b.a.example.com"], above) == ["b.a.example.com"]
        names = ["b.a.example.com", "c.a.example.com"]
        assert first(names, above) == names


def test_one_denial_answers_for_all_types() -> None:
    questions = [Question("a.example.com", one) for one in (MX, TXT)]
    assert len(Denials.of([], APEX).first_of(questions)) == 1
    there = Answer(Question("a.example.com", RecordType.A), Outcome.FOUND, authoritative=True)
    assert Denials.of([there], APEX).first_of(questions) == tuple(questions)


# How many questions a look costs -----------------------------------------------------------------


class Counting(FakeZone):
    """A zone that notes the questions to its servers."""

    def __init__(self, records: dict[Key, list[str]]) -> None:
        super().__init__(records)
        self.asked = set[Question]()

    async def authoritative(self, question: Question) -> Answer:
        self.asked.add(question)
        return await super().authoritative(question)


#: A website, and nothing else of the zone; what providers have.
WEBSITE: dict[Key, list[str]] = {
    (APEX, "A"): ["192.0.2.99"],
    (f"www.{APEX}", "A"): ["192.0.2.99"],
    **{key: values for key, values in HEALTHY.items() if not is_within(key[0], APEX)},
}
TOKEN = {"ownership": {"value": "provider-verify=abc", "name": "_check.send.example.com"}}


def look(zone: Counting, spec: dict[str, Any]) -> DomainReport:
    plan = plan_of(**spec)
    return run(verify(plan, zone))


def cost(records: dict[Key, list[str]], spec: dict[str, Any]) -> int:
    """How many questions the servers of the zone are asked."""
    zone = Counting(records)
    look(zone, spec)
    return len(zone.asked)


APEX_SPEC = {**SPEC, "domain": APEX}
APEX_TOKEN = {
    "domain": APEX,
    "ownership": {"value": "provider-verify=abc", "name": "_check.example.com"},
}
TYPO = {("_chekc.send.example.com", "TXT"): ["provider-verify=abc"]}
APEX_TYPO = {("_checck.example.com", "TXT"): ["provider-verify=abc"]}


@pytest.mark.parametrize(
    ("spec", "more", "most"),
    [
        # One of them is whether a wildcard answers there, which the record would end.
        ({"domain": DOMAIN, **TOKEN}, {}, 21),
        ({**SPEC, "domain": DOMAIN}, {}, 24),
        (APEX_SPEC, {}, 55),
        (APEX_TOKEN, {}, 36),
        ({"domain": DOMAIN, **TOKEN}, TYPO, 50),
        (APEX_TOKEN, APEX_TYPO, 36),
    ],
    ids=[
        "a subdomain of which nothing is there, one record",
        "a subdomain of which nothing is there, all records",
        "a domain with a website only, all records",
        "a domain with a website only, one record",
        "one record at a wrong place below a subdomain",
        "one record at a wrong place below a domain",
    ],
)
def test_what_a_look_costs(spec: dict[str, Any], more: dict[Key, list[str]], most: int) -> None:
    assert cost({**WEBSITE, **more}, spec) <= most


@pytest.mark.parametrize(
    ("spec", "more"),
    [({"domain": DOMAIN, **TOKEN}, TYPO), (APEX_TOKEN, APEX_TYPO)],
)
def test_the_misspelt_name_is_found_all_the_same(
    spec: dict[str, Any], more: dict[Key, list[str]]
) -> None:
    report = look(Counting({**WEBSITE, **more}), spec)
    assert [finding.code for finding in report.findings if finding.subject == "ownership"] == [
        "NAME_TYPO"
    ]


NONE = frozenset[str]()
_RECORDS = {"ownership": "provider-verify=abc", "s1": HEALTHY[f"s1._domainkey.{DOMAIN}", "TXT"][0]}
_NAMES = {"ownership": "_check", "s1": "s1._domainkey"}
_PLACES = [
    (id, place.name, domain)
    for id, label in _NAMES.items()
    for domain in (APEX, DOMAIN)
    for place in places(f"{label}.{domain}", TXT, domain, APEX)
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(_PLACES), st.booleans())
def test_what_is_implied_changes_no_verdict(place: tuple[str, str, str], website: bool) -> None:
    """Where every place is asked for itself, the same is told."""
    id, name, domain = place
    spec: dict[str, Any] = {"domain": domain}
    if id == "ownership":
        spec["ownership"] = {"value": _RECORDS[id], "name": f"_check.{domain}"}
    else:
        spec["dkim"] = [one for one in SPEC["dkim"] if one["selector"] == "s1"]
    records: dict[Key, list[str]] = dict(WEBSITE) if website else {}
    records[name, "TXT"] = [_RECORDS[id]]
    told = look(Counting(records), spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Denials, "of", lambda answers, apex: Denials(apex, {}, NONE, NONE))
        patch.setattr("postroom.dns.verifying.observation._DENIAL_STEPS", 1)
        assert look(Counting(records), spec) == told
