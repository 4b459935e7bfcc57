# SPDX-License-Identifier: Apache-2.0
"""Causes in how servers answer: denials above names, TCP, long TTLs."""

from __future__ import annotations

from dataclasses import replace

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import TCP_FAILED, Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis import answering
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import DomainPlan, PlannedRecord, TextWanted
from unit.dns.zone_looks import APEX


def _seen(*answers: Answer) -> list[str]:
    plan = DomainPlan(APEX, ())
    seen = Seen({answer.question: answer for answer in answers})
    return [finding.code for finding in answering.findings(plan, seen, (), all_valid=False)]


def _own(name: str, outcome: Outcome, server: str = "192.0.2.1") -> Answer:
    values = ("text",) if outcome is Outcome.FOUND else ()
    question = Question(name, RecordType.TXT)
    return Answer(question, outcome, values, authoritative=True, server=server)


def test_a_server_that_denies_what_has_names_below() -> None:
    above = _own(f"_domainkey.{APEX}", Outcome.NX_DOMAIN)
    below = _own(f"s1._domainkey.{APEX}", Outcome.FOUND)
    assert _seen(above, below) == ["ENT_NXDOMAIN_BROKEN"]
    assert _seen(above, _own(below.question.name, Outcome.FOUND, "192.0.2.2")) == []
    assert _seen(_own(above.question.name, Outcome.NO_DATA), below) == []


def _text(name: str) -> PlannedRecord:
    return PlannedRecord(
        "text", Purpose.OWNERSHIP, name, RecordType.TXT, "x", required=True, wanted=TextWanted("x")
    )


def _told(answer: Answer, *, all_valid: bool) -> list[str]:
    plan = DomainPlan(APEX, (_text(answer.question.name),))
    found = answering.findings(plan, Seen({answer.question: answer}), (), all_valid=all_valid)
    return [one.code for one in found]


def test_what_tcp_lost_is_told() -> None:
    lost = Answer(Question(APEX, RecordType.TXT), Outcome.TIMEOUT, errors=(TCP_FAILED,))
    assert _told(lost, all_valid=False) == ["TCP_BLOCKED"]
    assert _told(replace(lost, errors=()), all_valid=False) == []


def test_what_is_kept_for_days_is_told_while_something_is_to_change() -> None:
    kept = replace(_own(APEX, Outcome.NX_DOMAIN), ttl=86401)
    assert _told(kept, all_valid=False) == ["TTL_HIGH"]
    assert _told(kept, all_valid=True) == []
    assert _told(replace(kept, ttl=86400), all_valid=False) == []
