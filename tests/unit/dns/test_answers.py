# SPDX-License-Identifier: Apache-2.0
"""Answers as values: what says something about a record, and what only about the way to it."""

from __future__ import annotations

import pytest

from postroom.dns.answers import Answer, Delegation, Outcome, Question, RecordType, ServerAnswer

ASKED = Question("example.com", RecordType.SOA)
SAYING = {Outcome.FOUND, Outcome.NO_DATA, Outcome.NX_DOMAIN}


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_dns_itself_said_counts_against_a_record(outcome: Outcome) -> None:
    assert Answer(ASKED, outcome).conclusive is (outcome in SAYING)


def test_delegations_are_equal_whatever_the_servers_answer() -> None:
    """A serial that moves on is no change of the delegation."""
    looks = (ServerAnswer("ns1.example.net", Answer(ASKED, Outcome.FOUND, ("1",))),)
    bare = Delegation("com", ("ns1.example.net",), signed=False)
    assert bare == Delegation("com", ("ns1.example.net",), False, looks)
    assert bare != Delegation("com", ("ns1.example.net",), None, looks)


def test_questions_are_ordered_by_name_then_by_type() -> None:
    a, b = (Question(name, RecordType.TXT) for name in ("a.example", "b.example"))
    assert sorted([b, Question("a.example", RecordType.MX), a]) == [
        Question("a.example", RecordType.MX),
        a,
        b,
    ]
