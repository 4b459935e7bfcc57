# SPDX-License-Identifier: Apache-2.0
"""Every kind of required record has its judge, and is given to no other."""

from __future__ import annotations

from typing import get_args

import pytest

from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.judge import JUDGES, judge, needs
from postroom.dns.judging.judgement import Context
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import (
    DelegationWanted,
    DomainPlan,
    MXWanted,
    PlannedRecord,
    TextWanted,
    Wanted,
)

NAME = "send.example.com"
NS, MX, TXT = RecordType.NS, RecordType.MX, RecordType.TXT


def test_there_is_a_judge_for_every_kind() -> None:
    assert set(JUDGES) == set(get_args(Wanted))


@pytest.mark.parametrize(
    ("wanted", "kind", "value"),
    [
        (TextWanted("token=1"), TXT, "token=1"),
        (DelegationWanted(("ns.provider.net",)), NS, "ns.provider.net"),
        (MXWanted(10, "mx.provider.net"), MX, "10 mx.provider.net"),
    ],
)
def test_a_record_is_judged_as_what_is_wanted_of_it(
    wanted: Wanted, kind: RecordType, value: str
) -> None:
    planned = PlannedRecord("r", Purpose.OWNERSHIP, NAME, kind, value, True, wanted)
    context = Context(DomainPlan("example.com", (planned,)))
    question = Question(NAME, kind)
    assert question in needs(planned, Seen(), context).own
    found = Answer(question, Outcome.FOUND, (value,))
    host = Question("mx.provider.net", RecordType.A)
    address = Answer(host, Outcome.FOUND, ("192.0.2.1",))
    right = Seen().with_answers([found, address])
    assert judge(planned, right, context).state is RecordState.VALID
    wrong = Seen().with_answers([Answer(question, Outcome.NX_DOMAIN), address])
    assert judge(planned, wrong, context).state is RecordState.MISSING
