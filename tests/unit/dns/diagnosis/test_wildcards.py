# SPDX-License-Identifier: Apache-2.0
"""Causes above the name: a wildcard, a CNAME of the parent, or a DNAME answers in its place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.api.findings import FixAction
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis.case import Case
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.diagnosis.wildcards import causes, probes
from postroom.dns.judging.judgement import Cause, Evidence
from unit.dns.diagnosis_looks import case_of

CLICK, S1 = "click.example.com", "s1._domainkey.example.com"
SIBLING, BESIDE_KEY = invented_name("example.com"), invented_name("_domainkey.example.com")
ABOVE = "_domainkey.example.com"


def found(name: str, kind: RecordType, *values: str, aliases: tuple[str, ...] = ()) -> Answer:
    return Answer(Question(name, kind), Outcome.FOUND, values, aliases)


def missing(id: str, *answers: Answer) -> Case:
    """A record of which nothing stands in DNS, where just these answers were seen."""
    case = case_of(id, {})
    nothing = [Answer(Question(case.planned.name, kind), Outcome.NX_DOMAIN) for kind in RecordType]
    return replace(case, seen=case.seen.with_answers([*nothing, *answers]))


def told(id: str, *answers: Answer) -> list[Cause]:
    return list(causes(missing(id, *answers)))


ADDRESS = found(CLICK, RecordType.A, "192.0.2.1")


@pytest.mark.parametrize(
    ("beside", "masked"),
    [
        ([found(SIBLING, RecordType.A, "192.0.2.1")], True),
        ([found(SIBLING, RecordType.A, "192.0.2.2")], False),
        ([Answer(Question(SIBLING, RecordType.A), Outcome.NX_DOMAIN)], False),
        ([], False),
    ],
)
def test_a_wildcard_is_what_answers_another_name_alike(beside: list[Answer], masked: bool) -> None:
    causes_found = told("tracking", ADDRESS, *beside)
    assert [cause.code for cause in causes_found] == (["WILDCARD_MASKS"] if masked else [])
    for cause in causes_found:
        assert cause.evidence is Evidence.PROVEN
        assert cause.fix is not None
        # What a wildcard answers stands nowhere: nothing is to be taken away.
        assert (cause.fix.action, cause.fix.remove) == (FixAction.CREATE, [])
        assert cause.shown_by == Question(SIBLING, RecordType.A)


@pytest.mark.parametrize(
    ("own", "parent", "led_away"),
    [
        (Outcome.NX_DOMAIN, ("keys.provider.net",), True),
        (Outcome.NO_DATA, ("keys.provider.net",), False),
        (Outcome.NX_DOMAIN, (), False),
    ],
)
def test_an_alias_above_holds_for_nothing_below_it(
    own: Outcome, parent: tuple[str, ...], led_away: bool
) -> None:
    """RFC 1034 section 3.6.2: it is the name of the alias itself that has another one."""
    above = Answer(Question(ABOVE, RecordType.NS), Outcome.NO_DATA, aliases=parent)
    causes_found = told("dkim-s1", above, Answer(Question(S1, RecordType.TXT), own))
    assert [cause.code for cause in causes_found] == (["ENT_CNAME_PARENT"] if led_away else [])
    for cause in causes_found:
        assert cause.fix is not None
        assert [(record.name, record.type, record.value) for record in cause.fix.remove] == [
            (ABOVE, "CNAME", "keys.provider.net")
        ]


RENAMED = (
    found(CLICK, RecordType.CNAME, "click.example.net"),
    found(SIBLING, RecordType.CNAME, f"{SIBLING.partition('.')[0]}.example.net"),
)


def test_a_dname_that_was_seen_goes() -> None:
    (cause,) = told("tracking", *RENAMED, found("example.com", RecordType.DNAME, "example.net"))
    assert (cause.code, cause.evidence) == ("ENT_CNAME_PARENT", Evidence.PROVEN)
    assert "one below example.net" in cause.message
    assert cause.fix is not None
    assert [(record.name, record.type) for record in cause.fix.remove] == [("example.com", "DNAME")]


def test_a_dname_that_nobody_has_shown_is_named_by_no_fix() -> None:
    for shown in ([], [found("example.com", RecordType.DNAME, "x.net", aliases=("y.net",))]):
        (cause,) = told("tracking", *RENAMED, *shown)
        assert cause.code == "ENT_CNAME_PARENT"
        assert cause.fix is not None
        assert (cause.fix.action, cause.fix.remove) == (FixAction.EXTERNAL, [])


def test_what_is_asked_beside_and_above() -> None:
    def asked(id: str, *answers: Answer) -> set[tuple[str, str]]:
        questions = (probe.question for probe in probes(missing(id, *answers)))
        return {(question.name, question.type.value) for question in questions}

    assert asked("tracking") == set()
    assert asked("tracking", ADDRESS) == {(SIBLING, "A")}
    assert asked("dkim-s1") == {(ABOVE, "NS")}
    assert asked("tracking", *RENAMED) == {(SIBLING, "CNAME"), ("example.com", "DNAME")}
    # Beside the zone itself there is no name.
    assert asked("spf") == set()
