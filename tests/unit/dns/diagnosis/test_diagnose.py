# SPDX-License-Identifier: Apache-2.0
"""From a faulty record to its root cause: what is asked, within which bounds, what comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType, Zone
from postroom.dns.diagnosis.case import Case
from postroom.dns.diagnosis.diagnose import (
    FAULTY,
    NEAR_LIMIT,
    PROBES_LIMIT,
    causes,
    diagnosed,
    probes,
)
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Context
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, PROVIDER, case_of, plan
from unit.dns.dkim_keys import ed25519_private_base64
from unit.dns.judging_looks import Key, Names, record

DMARC = ("_dmarc.example.com", "TXT")
S1 = ("s1._domainkey.example.com", "TXT")


def fresh(id: str, records: dict[Key, list[str]]) -> tuple[Case, Names]:
    """A record and what its judge asked for, before anything was asked besides."""
    context = Context(plan(), Zone("example.com", ("ns1.example.net",)))
    names, planned = Names({**PROVIDER, **records}), record(context.plan, id)
    seen = names.seen(planned, context)
    return Case(planned, context, seen, judge(planned, seen, context)), names


def rounds(
    case: Case, names: Names, *, search: bool = True, outcome: Outcome | None = None
) -> Iterator[tuple[Question, ...]]:
    """Ask until nothing is left to ask; `outcome` is that of every answer, if given."""
    for _ in range(20):
        asked = probes(case, search=search)
        if not asked:
            return
        yield asked
        answers = [
            Answer(question, outcome) if outcome else names.answer(question, authenticated=False)
            for question in asked
        ]
        case = replace(case, seen=case.seen.with_answers(answers))
    raise AssertionError("the diagnosis does not stop asking")


@pytest.mark.parametrize("id", ["dmarc", "dkim-s1", "ownership", "spf"])
def test_the_likely_places_come_first_and_nothing_is_asked_twice(id: str) -> None:
    case, names = fresh(id, {})
    asked = list(rounds(case, names))
    every = [question for questions in asked for question in questions]
    assert 0 < len(asked[0]) <= NEAR_LIMIT
    assert max(map(len, asked)) <= PROBES_LIMIT
    assert len(every) == len(set(every))
    assert not set(every) & set(case.seen.answers)
    likely = list(rounds(case, names, search=False))
    assert asked[: len(likely)] == likely
    assert max(map(len, likely)) <= NEAR_LIMIT


def test_unlikely_places_are_asked_for_only_where_they_can_help() -> None:
    case, names = fresh("dmarc", {})
    near = [*rounds(case, names, search=False)]
    assert len([*rounds(case, names)]) > len(near)
    # Where servers answer badly, the many questions would only be lost as well.
    assert [*rounds(case, names, outcome=Outcome.TIMEOUT)] == near
    # What was found explains it, and what stands at the right name is not misspelt as well.
    for id, there in (
        ("dmarc", {("dmarc.example.com", "TXT"): ["v=DMARC1; p=reject"]}),
        ("ownership", {("_check.example.com", "TXT"): ["provider-verify=00000000000000000a"]}),
    ):
        case, names = fresh(id, there)
        assert case.judgement.state in FAULTY
        assert [*rounds(case, names)] == [*rounds(case, names, search=False)]


@pytest.mark.parametrize("left", [-1, 0, 1, 5])
def test_no_more_is_asked_than_is_left(left: int) -> None:
    case, _ = fresh("dmarc", {})
    assert len(probes(case, left)) == max(left, 0)
    assert probes(case, left) == probes(case)[: max(left, 0)]


@pytest.mark.parametrize("left", [-1, 0, 1, 5])
def test_whether_it_is_a_wildcards_is_asked_though_nothing_is_left(left: int) -> None:
    """Else a fix would take away what stands nowhere."""
    name, beside = "k1._domainkey.example.com", invented_name("_domainkey.example.com")
    there = {(each, "A"): ["192.0.2.77"] for each in (name, beside)}
    case, names = fresh("dkim-k1", there)
    found = names.answer(Question(name, RecordType.A), authenticated=False)
    case = replace(case, seen=case.seen.with_answers([found]))
    asked = probes(case, left)
    assert (Question(beside, RecordType.A) in asked, len(asked)) == (True, max(left, 1))
    answers = [names.answer(question, authenticated=False) for question in asked]
    judged, _ = diagnosed(replace(case, seen=case.seen.with_answers(answers)))
    assert judged.cause is not None
    assert judged.cause.fix is not None
    assert (judged.cause.code, judged.cause.fix.remove) == ("WILDCARD_MASKS", [])


@pytest.mark.parametrize("state", sorted(set(RecordState) - FAULTY))
def test_only_faulty_records_are_looked_into(state: RecordState) -> None:
    case, _ = fresh("dmarc", {})
    judged = replace(case.judgement, state=state)
    assert probes(replace(case, judgement=judged)) == ()
    assert diagnosed(replace(case, judgement=judged)) == (judged, ())


def test_the_best_proven_cause_is_the_root_and_each_other_code_is_told_once() -> None:
    texts = ["v=DMARC1; p=none", '"v=DMARC1; p=reject"', '"v=DMARC1; p=none; fo=1"']
    for there in ({DMARC: texts[1:]}, {DMARC: texts}, {S1: [f'"p={KEY}"', f"p={OTHER_KEY}"]}):
        case = case_of("dkim-s1" if S1 in there else "dmarc", there)
        found = causes(case)
        assert [cause.evidence for cause in found] == sorted(cause.evidence for cause in found)
        assert case.judgement.cause in found
        judged, because = diagnosed(case)
        assert judged.cause is not None
        assert (judged.cause.code, judged.message) == (found[0].code, judged.cause.message)
        assert judged.state is case.judgement.state
        assert set(because) == {cause.code for cause in found} - {found[0].code}
        assert len(because) == len(set(because))


def test_nothing_else_matters_beside_a_private_key() -> None:
    there = {S1: [f'"p={KEY}"', f"p={ed25519_private_base64()}"]}
    codes = {cause.code for cause in causes(case_of("dkim-s1", there))}
    assert codes == {"DKIM_PRIVATE_KEY_PUBLISHED"}
