# SPDX-License-Identifier: Apache-2.0
"""Two points of view and several servers, one report: what a cache still has, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.judgement import Context
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import DomainPlan, PlannedRecord, TextWanted
from postroom.dns.verifying.reporting import across_views, wake_after
from unit.dns.judging_looks import Key, Names, plan_of, record, verdict

DOMAIN = "example.com"
RIGHT, WRONG = "token=right", "token=wrong"
TEXT = PlannedRecord(
    "ownership",
    Purpose.OWNERSHIP,
    f"_challenge.{DOMAIN}",
    RecordType.TXT,
    RIGHT,
    required=True,
    wanted=TextWanted(RIGHT),
)
CONTEXT = Context(DomainPlan(DOMAIN, (TEXT,)))
_QUESTION = Question(TEXT.name, TEXT.type)


def _answer(value: str | None, *, ttl: int = 60, errors: tuple[int, ...] = ()) -> Answer:
    """What a server has: a value, nothing (""), or no answer at all (None)."""
    if value is None:
        return Answer(_QUESTION, Outcome.SERVER_FAILURE)
    values = (value,) if value else ()
    outcome = Outcome.FOUND if value else Outcome.NX_DOMAIN
    return Answer(_QUESTION, outcome, values, ttl=ttl, authoritative=not errors, errors=errors)


def test_a_stale_denial_of_the_resolver_says_nothing() -> None:
    truth = Seen({_QUESTION: _answer(RIGHT)})
    stale = Seen({_QUESTION: _answer("", errors=(3,))})
    judged = across_views(TEXT, truth, stale, CONTEXT)
    assert (judged.state, judged.reason) == (RecordState.UNKNOWN, Reason.LOOKUP_FAILED)


def test_waking_up_when_the_cache_lets_go() -> None:
    truth = Seen({_QUESTION: _answer(RIGHT)})
    for had in ("", WRONG):
        cached = Seen({_QUESTION: _answer(had, ttl=170)})
        assert across_views(TEXT, truth, cached, CONTEXT).state is RecordState.PROPAGATING
        assert wake_after(TEXT, truth, cached, CONTEXT) == 170
    assert wake_after(TEXT, truth, truth, CONTEXT) is None


def test_an_expired_denial_is_asked_for_again_at_once() -> None:
    cached = Seen({_QUESTION: _answer("", ttl=0)})
    assert wake_after(TEXT, Seen({_QUESTION: _answer(RIGHT)}), cached, CONTEXT) == 1


_PARENT = ("_dmarc.example.com", "TXT")
_BELOW = ("_dmarc.mail.example.com", "TXT")
_STRICT, _NONE = ["v=DMARC1; p=reject"], ["v=DMARC1; p=none"]


@pytest.mark.parametrize(
    ("now", "before", "code", "name"),
    [
        ({_PARENT: _STRICT}, {}, "STALE_NEGATIVE", _PARENT[0]),
        ({_PARENT: _STRICT}, {_PARENT: _NONE}, "STALE_POSITIVE", _PARENT[0]),
        ({_BELOW: _STRICT}, {_PARENT: _NONE}, "STALE_NEGATIVE", _BELOW[0]),
        ({_BELOW: _STRICT, _PARENT: _NONE}, {_PARENT: _NONE}, "STALE_NEGATIVE", _BELOW[0]),
        ({_BELOW: _STRICT}, {_BELOW: _NONE}, "STALE_POSITIVE", _BELOW[0]),
    ],
)
def test_a_policy_that_a_cache_lacks_is_on_its_way_also_where_it_is_inherited(
    now: dict[Key, list[str]], before: dict[Key, list[str]], code: str, name: str
) -> None:
    plan = plan_of(domain="mail.example.com", dmarc={"policy": "quarantine"})
    expected, context = record(plan, "dmarc"), Context(plan)
    truth, cached = (Names(one).seen(expected, context) for one in (now, before))
    judged = across_views(expected, truth, cached, context)
    assert verdict(judged) == ("Propagating", code)
    assert f"TXT at {name}," in judged.message
    assert "an hour" in judged.message
    assert wake_after(expected, truth, cached, context) == 300


def test_the_message_stays_the_same_while_a_cache_counts_down() -> None:
    plan = plan_of(dmarc={"policy": "quarantine"})
    expected, context = record(plan, "dmarc"), Context(plan)
    truth = Names({_PARENT: _STRICT}).seen(expected, context)
    old = Names({_PARENT: _NONE}).seen(expected, context)
    question = Question(expected.name, expected.type)
    messages = {
        across_views(
            expected,
            truth,
            old.with_answers([replace(old.at(question.name, question.type), ttl=left)]),
            context,
        ).message
        for left in (1, 59, 300, 3600)
    }
    assert len(messages) == 1
