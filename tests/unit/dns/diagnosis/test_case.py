# SPDX-License-Identifier: Apache-2.0
"""A record and what was seen around it: where it stands, and which values are what is wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.judgement import Context
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, TOKEN, case_of

TLS_RPT = {"tlsRPT": {"rua": ["mailto:tls@example.com"]}}
ELSEWHERE = "elsewhere.example.com"


@pytest.mark.parametrize(
    ("id", "value", "held"),
    [
        ("ownership", TOKEN, True),
        ("ownership", TOKEN.upper(), False),
        ("dkim-s1", f"p={KEY}", True),
        ("dkim-s1", f"v=DKIM1; k=rsa; p={KEY}", True),
        ("dkim-s1", f"p={OTHER_KEY}", False),
        ("dkim-s1", KEY, False),
        ("dkim-k1", "k1.provider.net", True),
        ("dkim-k1", "k2.provider.net", False),
        ("spf", "v=spf1 include:spf.provider.net ?all", True),
        # Who passes counts, by whatever terms.
        ("spf", "v=spf1 ip4:192.0.2.0/24 -all", True),
        ("spf", "v=spf1 ip4:192.0.2.0/25 -all", False),
        ("spf", "include:spf.provider.net", False),
        ("dmarc", "v=DMARC1; p=reject", True),
        ("dmarc", "v=DMARC1; p=quarantine", True),
        ("dmarc", "v=DMARC1; p=none", False),
        ("dmarc", "p=reject", False),
        ("mx-mx.provider.net", "50 mx.provider.net", True),
        ("mx-mx.provider.net", "10 mx2.provider.net", False),
        ("tls-rpt", "v=TLSRPTv1; rua=mailto:tls@example.com", True),
        ("tls-rpt", "v=TLSRPTv1; rua=mailto:other@example.com", False),
    ],
)
def test_what_is_wanted_is_known_at_any_name(id: str, value: str, held: bool) -> None:
    case = case_of(id, {}, **TLS_RPT)
    question = Question(ELSEWHERE, case.planned.type)
    answer = Answer(question, Outcome.FOUND, ("something else", value))
    assert case.holding(answer) == ((value,) if held else ())
    assert case.holds(answer) is held


def test_nothing_holds_where_nothing_was_asked_and_only_so_many_values_are_tried() -> None:
    case = case_of("ownership", {})
    assert not case.holds(None)
    for others, held in ((19, True), (20, False)):
        values = (TOKEN, *(f"a{number}" for number in range(others)))
        answer = Answer(Question(ELSEWHERE, RecordType.TXT), Outcome.FOUND, values)
        assert case.holds(answer) is held


def test_a_name_is_relative_to_the_zone_where_that_is_known() -> None:
    case = case_of("ownership", {})
    assert (case.domain, case.apex, case.label) == ("example.com", "example.com", "_check")
    assert case_of("spf", {}).label == "@"
    lost = replace(case, context=Context(case.context.plan))
    assert (lost.apex, lost.label) == (None, "_check.example.com")


def test_another_name_is_looked_at_for_the_type_of_the_record() -> None:
    question = Question(ELSEWHERE, RecordType.TXT)
    answer = Answer(question, Outcome.FOUND, ("x",))
    case = case_of("ownership", {("_check.example.com", "TXT"): ["y"]})
    case = replace(case, seen=case.seen.with_answers([answer]))
    assert case.answer.values == ("y",)
    assert case.at(ELSEWHERE) == answer
    assert case.at(ELSEWHERE, RecordType.MX) is None
