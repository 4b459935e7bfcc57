# SPDX-License-Identifier: Apache-2.0
"""A record as it is reported: by its plan and its judgement, and when one look is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import catalogue
from postroom.dns.judging.judgement import Cause, faulty
from postroom.dns.requirements import PlannedRecord, TextWanted
from postroom.dns.verifying.quorum import Vote
from postroom.dns.verifying.report import RARELY_LOOKED_FOR, RecordReport

NAME = "_check.example.com"
PLANNED = PlannedRecord(
    "ownership", Purpose.OWNERSHIP, NAME, RecordType.TXT, "a=1", True, TextWanted("a=1")
)
CAUSE = Cause(Code.OWNERSHIP_MISMATCH, "Another one.")
JUDGED = faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, CAUSE, ["a=2"], certain=True)


def test_a_report_tells_what_was_planned_and_how_it_was_judged() -> None:
    report = RecordReport(PLANNED, JUDGED)
    assert (report.id, report.purpose) == ("ownership", Purpose.OWNERSHIP)
    assert (report.name, report.type, report.required) == (NAME, RecordType.TXT, True)
    assert (report.state, report.reason) == (RecordState.WRONG, Reason.RECORD_MISMATCH)
    assert report.observed == ("a=2",)


@pytest.mark.parametrize(("value", "shown"), [("a=3", "a=3"), (None, "a=1"), ("", "a=1")])
def test_the_value_is_how_it_is_published_else_what_is_planned(
    value: str | None, shown: str
) -> None:
    assert RecordReport(PLANNED, replace(JUDGED, value=value)).value == shown


@pytest.mark.parametrize(
    ("certain", "votes", "is_certain"),
    [
        (True, [True, True], True),
        (True, [True, False], False),
        (True, [], False),
        (False, [True], False),
    ],
)
def test_one_look_is_enough_where_all_servers_agree(
    certain: bool, votes: list[bool], is_certain: bool
) -> None:
    answer = Answer(Question(NAME, RecordType.TXT), Outcome.FOUND, ("a=2",))
    cast = tuple(Vote("ns.net", answer, replace(JUDGED, certain=sure)) for sure in votes)
    report = RecordReport(PLANNED, replace(JUDGED, certain=certain), votes=cast)
    assert report.certain is is_certain


def test_what_is_rarely_looked_for_is_in_the_catalogue() -> None:
    assert set(catalogue()) >= RARELY_LOOKED_FOR
